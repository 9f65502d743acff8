use super::{images, samples, text};
use loupe_core::Target;
use loupe_testing::folder;

#[test]
fn vqa_rad_keeps_integers_and_mends_spellings_of_subgroups() {
    let dir = folder(&[(
        "trainset.json",
        r#"[
      {"qid": 2392, "image_name": "x.jpg", "image_organ": "HEAD", "question": "how many? \t", "answer": 4,
       "answer_type": "CLOSED ", "question_type": "PRSE, ATRIB", "phrase_type": "freeform"},
      {"qid": "2393", "image_name": "x.jpg", "image_organ": "HEAD", "question": "where?", "answer": " Left\t",
       "answer_type": "OPEN", "question_type": "Other", "phrase_type": "para"}]"#,
    )]);
    let all = samples("vqa-rad", dir.path(), "train");
    assert_eq!(all[0].target, text(&["4"]));
    assert_eq!(all[0].question, "how many?");
    assert_eq!(all[0].tag("answer_type"), Some("CLOSED"));
    assert_eq!(all[0].tag("question_type"), Some("PRES, ATTRIB"));
    assert_eq!(all[0].tag("n_images"), Some("1"));
    assert_eq!(all[1].tag("question_type"), Some("OTHER"));
    assert_eq!(all[1].target, text(&["Left"]));
    assert_eq!((all[0].id.as_str(), all[1].id.as_str()), ("2392", "2393"));
    assert_eq!(all[0].group, all[1].group);
    // There is no images folder: the samples exist and decoding will say what is missing.
    assert_eq!(images(dir.path(), &all[0]), ["x.jpg"]);
}

const SLAKE: &str = r#"[
  {"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "Is it CT?", "answer": "Yes", "q_lang": "en",
   "location": "Lung", "modality": "CT", "answer_type": "CLOSED", "base_type": "vqa", "triple": ["vhead", "_", "_"],
   "qid": 5, "content_type": "Modality"},
  {"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "肺的功能是什么？", "answer": "呼吸", "q_lang": "zh",
   "location": "Lung", "modality": "CT", "answer_type": "OPEN", "base_type": "kvqa",
   "triple": ["vhead", "功能", "ktail"], "qid": 6, "content_type": "KG"}]"#;

#[test]
fn slake_languages_and_knowledge() {
    let dir = folder(&[("test.json", SLAKE), ("imgs/xmlab1/source.jpg", "")]);
    let both = samples("slake", dir.path(), "test");
    assert_eq!(both.iter().map(|s| s.language.as_str()).collect::<Vec<_>>(), ["en", "zh"]);
    assert_eq!(images(dir.path(), &both[0]), ["imgs/xmlab1/source.jpg"]);
    assert_eq!((both[0].tag("triple"), both[1].tag("triple")), (None, Some("vhead | 功能 | ktail")));
    let zh = samples("slake", dir.path(), "test:zh");
    assert_eq!((zh.len(), zh[0].id.as_str()), (1, "6"));
    assert_eq!(samples("slake", dir.path(), "test:en")[0].tag("organ"), Some("Lung"));
}

#[test]
fn an_empty_answer_is_an_unknown_reference_of_its_own_language() {
    let dir = folder(&[("train.json", &SLAKE.replace("\"Yes\"", "\"\""))]);
    assert_eq!(samples("slake", dir.path(), "train:en")[0].target, Target::Unknown);
    assert_eq!(samples("slake", dir.path(), "train:zh").len(), 1);
}

#[test]
fn vqa_med_2019_has_categories_alternatives_and_optional_parts() {
    let dir = folder(&[
        (
            "VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt",
            "synpic1|organ|what organ?|face, sinuses, and neck#skull and contents\n\
             synpic2|abnormality|what is wrong?|(large) cyst | left\n\nsynpic3|organ\n",
        ),
        ("VQAMed2019Test/VQAMed2019_Test_Images/synpic1.jpg", ""),
        ("ImageClef/Train/All_QA_Pairs_train.txt", "synpic9|what plane?|axial\n"),
        ("ImageClef/Train/Train_images/synpic9.jpg", ""),
    ]);
    let set = super::open("vqa-med-2019", dir.path(), "test");
    let first = set.get(0).unwrap();
    assert_eq!(first.target, text(&["face, sinuses, and neck", "skull and contents"]));
    assert_eq!(first.tag("question_type"), Some("organ"));
    assert_eq!(images(dir.path(), &first), ["VQAMed2019Test/VQAMed2019_Test_Images/synpic1.jpg"]);
    let Target::Text(accepted) = set.get(1).unwrap().target else { panic!() };
    assert_eq!(accepted, ["(large) cyst | left", "large cyst | left", "cyst | left"]);
    assert!(set.get(2).unwrap_err().to_string().contains("2 parts between |, expected 4"));
    let train = samples("vqa-med-2019", dir.path(), "train");
    assert_eq!(images(dir.path(), &train[0]), ["ImageClef/Train/Train_images/synpic9.jpg"]);
}

#[test]
fn vqa_med_2020_and_2021_join_questions_and_answers() {
    let dir = folder(&[
        ("2020/VQA-Test/Task1-VQAnswering2020-Test-Questions.txt", "synpic5|what is abnormal?\n"),
        ("2020/VQA-Test/VQAnswering_2020_Test_image_IDs.txt", "synpic5\n"),
        ("2020/VQA-Test/Task1-VQAnswering2020-Test-ReferenceAnswers.txt", "synpic5|acl injury|acl tear\n"),
        ("2020/VQA-Test/Test-images/synpic5.jpg", ""),
        ("2020/VQAnswering_2020_Train_QA_pairs.txt", "synpic6|is it normal?|yes\n"),
        ("2020/VQAnswering_2020_Train_images/synpic6.jpg", ""),
        ("2021/TestSet/Task1-VQA-2021-TestSet-Questions.txt", "synpic7|what?\n"),
        ("2021/TestSet/Task1-VQA-2021-TestSet-ReferenceAnswers.txt", "synpic7|mass\n"),
        ("2021/TestSet/Task1-VQA-2021-TestSet-Images/synpic7.jpg", ""),
    ]);
    let test = samples("vqa-med-2020", dir.path(), "test");
    assert_eq!((test.len(), &test[0].target), (1, &text(&["acl injury", "acl tear"])));
    assert_eq!(images(dir.path(), &test[0]), ["2020/VQA-Test/Test-images/synpic5.jpg"]);
    let train = samples("vqa-med-2020", dir.path(), "train");
    assert_eq!(images(dir.path(), &train[0]), ["2020/VQAnswering_2020_Train_images/synpic6.jpg"]);
    let test = samples("vqa-med-2021", dir.path(), "test");
    assert_eq!(test[0].target, text(&["mass"]));
    assert_eq!(images(dir.path(), &test[0]), ["2021/TestSet/Task1-VQA-2021-TestSet-Images/synpic7.jpg"]);
}

#[test]
fn mecovqa_questions_regions_and_masks() {
    let dir = folder(&[
        (
            "test/MeCoVQA_Grounding_test.json",
            r#"[{"id": "g1", "image": "images/ct_00--Set--Case_1--x_0010.png", "conversations": [
          {"from": "human", "value": "<image>\nSegment the liver.<mask>masks/ct_00--Set--Case_1--x_0010--0001_000.png</mask>"},
          {"from": "gpt", "value": "It is <SEG>."}, {"from": "human", "value": "Thanks, is it big?"},
          {"from": "gpt", "value": "No."}]}, {"id": "g2", "image": "i.png", "conversations": []}]"#,
        ),
        (
            "test/MeCoVQA_Region_test.json",
            r#"[{"id": "r1", "image": "images/mr_t1--S--C--z_1.png", "conversations": [
          {"from": "human", "value": "<image>What is <region>masks/r.png</region>?"}, {"from": "gpt", "value": "A cyst."}]}]"#,
        ),
    ]);
    let set = super::open("mecovqa", dir.path(), "grounding");
    let first = set.get(0).unwrap();
    assert_eq!(first.question, "Segment the liver.");
    let Target::Masks(masks) = &first.target else { panic!() };
    assert_eq!((masks.len(), masks[0].label.as_str()), (1, "0001"));
    assert_eq!(first.tag("modality"), Some("ct_00"));
    let second = set.get(1).unwrap();
    assert_eq!((second.id.as_str(), &second.target), ("g1#1", &text(&["No."])));
    assert!(set.get(2).is_err());
    let region = &samples("mecovqa", dir.path(), "region")[0];
    assert_eq!((region.question.as_str(), region.tag("region_mask")), ("What is ?", Some("masks/r.png")));
}

#[test]
fn rad_restruct_asks_every_question_of_every_frontal_image() {
    let pairs = r#"[["Are there any signs?", ["no"], [], {"answer_type": "single_choice", "options": ["yes", "no"], "path": "lung_signs"}],
      ["How large?", ["small"], [["Are there any signs?", ["yes"]]], {"answer_type": "single_choice", "options": ["small", "large", "huge"], "path": "x"}],
      ["Where?", ["left", "apex"], [], {"answer_type": "multi_choice", "options": ["left", "right", "apex"], "path": "y"}]]"#;
    let dir = folder(&[
        ("test_qa_pairs/100.json", pairs),
        ("test_qa_pairs/9.json", "[[1]]"),
        ("id_to_img_mapping_frontal_reports.json", r#"{"100": ["CXR100_a", "CXR100_b"], "9": ["c"]}"#),
    ]);
    let set = super::open("rad-restruct", dir.path(), "test");
    assert_eq!(set.len(), 1 + 6);
    assert!(set.get(0).is_err(), "report 9 comes first and is broken");
    let of = |i| set.get(i).unwrap();
    assert_eq!(
        (of(1).target, of(1).tag("answer_type").map(str::to_owned)),
        (text(&["no"]), Some("CLOSED".into()))
    );
    assert_eq!((of(2).target, of(2).choices.len()), (Target::Choice('A'), 3));
    assert_eq!((of(3).target, of(3).choices.len()), (text(&["left, apex"]), 0));
    assert_eq!(of(2).tag("history"), Some(r#"[["Are there any signs?",["yes"]]]"#));
    assert_eq!((of(1).group, of(4).id), ("100".to_owned(), "100/CXR100_b/0".to_owned()));
}
