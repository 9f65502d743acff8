use super::{images, samples, text};
use base64::Engine;
use loupe_core::{MediaSource, Target};
use loupe_testing::{folder, put};

fn letters(sample: &loupe_core::Sample) -> String {
    sample.choices.iter().map(|c| format!("{}={} ", c.letter, c.text)).collect()
}

#[test]
fn pmc_vqa_versions() {
    let dir = folder(&[
        (
            "test_2.csv",
            "index,Figure_path,Caption,Question,Choice A,Choice B,Choice C,Choice D,Answer,split\n\
             7,PMC1_Fig1.jpg,\"a, b\",What?, A:Diffuse uptake , B:Focal, C: none , D:A:B ratio,B,test\n",
        ),
        (
            "test.csv",
            "Figure_path,Question,Answer,Choice A,Choice B,Choice C,Choice D,Answer_label\n\
             PMC2_Fig1.jpg,What?, Left ,A:Left,B:Right,C:Up,D:Down,A\n",
        ),
        ("figures/PMC1_Fig1.jpg", ""),
    ]);
    let new = &samples("pmc-vqa", dir.path(), "test_2")[0];
    assert_eq!(letters(new), "A=Diffuse uptake B=Focal C=none D=A:B ratio ");
    assert_eq!((new.target.clone(), new.id.as_str()), (Target::Choice('B'), "7"));
    assert_eq!(images(dir.path(), new), ["figures/PMC1_Fig1.jpg"]);
    assert_eq!(samples("pmc-vqa", dir.path(), "test")[0].target, Target::Choice('A'));
}

#[test]
fn omnimedvqa_options_access_and_missing_keys() {
    let dir = folder(&[
        (
            "QA_information/Open-access/Covid CT.json",
            r#"[{"dataset": "Covid CT", "question_id": "c1", "question_type": "Anatomy", "question": "Region?",
          "gt_answer": "Chest.", "image_path": "Images/Covid CT/1.png", "option_A": "Head.", "option_B": "Chest.",
          "option_C": "Chest."},
         {"question_id": "c2", "question": "?", "gt_answer": "Liver", "image_path": "Images/2.png", "option_A": "Head."}]"#,
        ),
        (
            "QA_information/Restricted-access/X.json",
            r#"[{"question_id": "r1", "question": "?", "gt_answer": "b", "image_path": "Images/3.png", "option_A": "a",
          "option_B": "b", "modality_type": "X-Ray"}]"#,
        ),
    ]);
    let open = super::open("omnimedvqa", dir.path(), "open");
    let first = open.get(0).unwrap();
    assert_eq!((letters(&first).as_str(), first.target), ("A=Head. B=Chest. C=Chest. ", Target::Choice('B')));
    assert_eq!(first.tags.get("modality"), None);
    assert!(open.get(1).unwrap_err().to_string().contains("none of the options"));
    let restricted = &samples("omnimedvqa", dir.path(), "restricted")[0];
    assert_eq!((restricted.tag("access"), restricted.tag("modality")), (Some("restricted"), Some("X-Ray")));
    assert_eq!(super::open("omnimedvqa", dir.path(), "all").len(), 3);
}

#[test]
fn medxpertqa_of_the_repository() {
    let dir = folder(&[
        (
            "medxpertqa_mm_input.jsonl",
            "{\"id\":\"MM-0\",\"question\":\"Which?\\nAnswer Choices: (A) a (B) b\",\"options\":[{\"letter\":\"A\",\"content\":\"a\"},\
         {\"letter\":\"B\",\"content\":\"b\"}],\"label\":[\"B\"],\"images\":[{\"image_path\":\"MM-0-a.jpeg\"},\
         {\"image_path\":\"MM-0-b.jpeg\"}],\"medical_task\":\"Treatment\",\"body_system\":\"Skeletal\",\
         \"question_type\":\"Reasoning\"}\n\nnot json\n",
        ),
        ("images/MM-0-a.jpeg", ""),
    ]);
    let set = super::open("medxpertqa-mm", dir.path(), "test");
    let first = set.get(0).unwrap();
    assert_eq!((first.question.as_str(), first.target.clone()), ("Which?", Target::Choice('B')));
    assert_eq!(images(dir.path(), &first), ["images/MM-0-a.jpeg", "images/MM-0-b.jpeg"]);
    assert_eq!(first.tag("n_images"), Some("2"));
    assert!(set.get(1).unwrap_err().to_string().contains("line 3: not JSON"));
}

#[test]
fn vlmevalkit_images_in_rows_references_lists_and_paths() {
    let long = |seed: u8| base64::engine::general_purpose::STANDARD.encode([seed; 60]);
    let (a, b) = (long(1), long(2));
    let tsv = format!(
        "index\timage\tquestion\tA\tB\tC\tanswer\tcategory\tl2-category\tsplit\thint\n\
         0\t{a}\t\"Which\tone?\"\tone\ttwo\t\tB\tc1\tg\ttest\t\n\
         1\t0\tSame image?\tyes\tno\tnan\tA\tc1\tg\ttest\tlook well\n\
         2\t\"['{a}', '{b}']\"\tTwo images\t\t\t\tfree words\tc2\tg\tdev\t\n\
         3\t99\tNo such row\tx\ty\t\tA\tc2\tg\ttest\t\n\
         4\t!!!{a}\tBad\tx\ty\t\tA\tc2\tg\ttest\t\n\
         5\t{b}\tShort row\n"
    );
    let dir = folder(&[("Some.tsv", &tsv)]);
    let set = super::open("vlmevalkit", dir.path(), "all");
    assert_eq!(set.len(), 6);
    let bytes = |i: usize| -> Vec<Vec<u8>> {
        let of = |m: &loupe_core::MediaRef| match &m.source {
            MediaSource::Bytes(b) => b.to_vec(),
            other => panic!("{other:?}"),
        };
        set.get(i).unwrap().media.iter().map(of).collect()
    };
    assert_eq!(bytes(2), [vec![1; 60], vec![2; 60]]);
    assert_eq!(bytes(0), [vec![1; 60]]);
    assert_eq!(bytes(1), bytes(0));
    let [first, second, third] = [0, 1, 2].map(|i| set.get(i).unwrap());
    assert_eq!((first.question.as_str(), first.target.clone()), ("Which\tone?", Target::Choice('B')));
    assert_eq!(second.group, first.group, "the same image is the same group");
    assert_eq!((second.choices.len(), second.question.as_str()), (2, "Hint: look well\nSame image?"));
    assert_eq!(third.target, text(&["free words"]));
    assert_eq!(first.tag("l2-category"), Some("g"));
    assert!(set.get(3).unwrap_err().to_string().contains("its image is that of a row which has none"));
    assert!(set.get(4).unwrap_err().to_string().contains("not base64"));
    assert!(set.get(5).unwrap_err().to_string().contains("3 cells under 11 headings"));

    put(
        &dir.path().join("EndoBench.tsv"),
        b"index\timage_path\tquestion\tA\tB\tanswer\n0\t['x/1.jpg', 'x/2.jpg']\tWhich?\ta\tb\tB\n",
    );
    let endo = &samples("endobench", dir.path(), "all")[0];
    assert_eq!(images(dir.path(), endo), ["x/1.jpg", "x/2.jpg"]);

    put(&dir.path().join("medqbench_QA_test.tsv"), tsv.replace("\tB\tc1", "\t1\tc1").as_bytes());
    let medq = super::open("medq-bench", dir.path(), "test");
    assert_eq!(medq.get(0).unwrap().target, Target::Choice('B'), "answers numbered from 0");
    assert_eq!(medq.len(), 4 + 1, "rows of another split are left out, the broken row is not");
}

#[test]
fn temmed_bench_pairs_last_visit_first() {
    let studies = r#"[
      {"image_path": "train/patient1/study2/view1.jpg", "historical_image_path": "train/patient1/study1/view1.jpg",
       "VQA_Final": [{"VQA_question": "Worse?", "VQA_answer": "Yes"}, {"VQA_question": "Better?", "VQA_answer": "No"}],
       "condition_changes_report": "Edema has increased."},
      {"image_path": "b2.jpg", "historical_image_path": "b1.jpg", "VQA_Final": [], "condition_changes_report": "Same."},
      {"image_path": "c2.jpg", "historical_image_path": "c1.jpg", "VQA_Final": [], "condition_changes_report": "Less."}]"#;
    let dir = folder(&[
        ("Get_Data/TestSet_VQA_ReportGeneration.json", studies),
        (
            "Get_Data/TestSet_SelectedVQA_2000.json",
            r#"[{"img_id": 0, "question_id": 1}, {"img_id": 9, "question_id": 0}]"#,
        ),
        (
            "Get_Data/TestSet_ImagePairSelection.json",
            r#"[{"option": {"A": 2, "B": 0, "C": 1}, "right_option": "B", "condition_change": "Edema."}]"#,
        ),
        ("PNG/b2.png", ""),
    ]);
    let set = super::open("temmed-bench", dir.path(), "vqa");
    let first = set.get(0).unwrap();
    assert_eq!(
        images(dir.path(), &first),
        ["PNG/train/patient1/study1/view1.png", "PNG/train/patient1/study2/view1.png"]
    );
    assert_eq!((first.target.clone(), first.group.as_str()), (text(&["No"]), "patient1"));
    assert!(set.get(1).is_err());
    assert_eq!(samples("temmed-bench", dir.path(), "vqa-all").len(), 2);
    let choice = &samples("temmed-bench", dir.path(), "selection")[0];
    assert_eq!((choice.media.len(), choice.target.clone()), (6, Target::Choice('B')));
    let error = loupe_datasets::open("temmed-bench", dir.path(), Some("report")).err().unwrap();
    assert!(error.to_string().contains("TestSet_VQA_ReportGeneration_Final.json is missing"), "{error}");
    let table = "path_to_image,report,section_impression\ntrain/patient1/study2/view1.jpg,long,\"WORSE  edema. no\nfluid.\"\n";
    put(&dir.path().join("df_chexpert_plus_240401.csv"), table.as_bytes());
    let joined = super::open("temmed-bench", dir.path(), "report");
    assert!(
        matches!(&joined.get(0).unwrap().target, Target::Report(r) if r["impression"] == "Worse edema. No fluid.")
    );
    assert!(joined.get(1).unwrap_err().to_string().contains("no impression for this image"));
    put(&dir.path().join("Get_Data/TestSet_VQA_ReportGeneration_Final.json"), studies.as_bytes());
    let Target::Report(report) = &samples("temmed-bench", dir.path(), "report")[0].target else { panic!() };
    assert_eq!(report["impression"], "Edema has increased.");
}
