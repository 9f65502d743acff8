//! Sets of questions without images that model cards print beside those with.

use super::{open, samples};
use loupe_core::{Sample, Target};
use loupe_testing::folder;

fn letters(sample: &Sample) -> String {
    sample.choices.iter().map(|c| format!("{}={} ", c.letter, c.text)).collect()
}

#[test]
fn medqa_with_four_and_with_five_options() {
    let dir = folder(&[
        (
            "questions/US/4_options/phrases_no_exclude_test.jsonl",
            r#"{"question": "Which drug?", "answer": "Aspirin", "options": {"A": "Ibuprofen", "B": "Aspirin", "C": "None", "D": "Both"}, "meta_info": "step1", "answer_idx": "B", "metamap_phrases": ["drug"]}"#,
        ),
        (
            "questions/US/test.jsonl",
            "{\"question\": \"Which drug?\", \"answer\": \"E five\", \"options\": {\"A\": \"a\", \"B\": \"b\", \"C\": \"c\", \"D\": \"d\", \"E\": \"E five\"}, \"answer_idx\": \"E\"}\n{\"question\": \"No answer?\", \"options\": {\"A\": \"a\"}, \"answer_idx\": \"C\"}\n",
        ),
    ]);
    let four = &samples("medqa", dir.path(), "test")[0];
    assert_eq!(letters(four), "A=Ibuprofen B=Aspirin C=None D=Both ");
    assert_eq!(
        (four.target.clone(), four.tag("step"), four.media.len()),
        (Target::Choice('B'), Some("step1"), 0)
    );
    let five = open("medqa", dir.path(), "test:five");
    assert_eq!(five.get(0).unwrap().target, Target::Choice('E'));
    assert!(five.get(1).unwrap_err().to_string().contains("option C"));
}

#[test]
fn medmcqa_counts_options_from_one_in_its_own_files() {
    let dir = folder(&[
        (
            "dev.json",
            "{\"id\": \"x1\", \"question\": \"Where?\", \"opa\": \"Heart\", \"opb\": \"Lung\", \"opc\": \"Liver\", \"opd\": \"Skin\", \"cop\": 4, \"choice_type\": \"single\", \"subject_name\": \"Anatomy\"}\n{\"id\": \"x2\", \"question\": \"Where?\", \"opa\": \"Heart\", \"opb\": \"Lung\", \"opc\": \"Liver\", \"opd\": \"Skin\", \"cop\": 0}\n",
        ),
        (
            "test.json",
            "{\"id\": \"t1\", \"question\": \"What?\", \"opa\": \"1\", \"opb\": \"2\", \"opc\": \"3\", \"opd\": \"4\"}\n",
        ),
    ]);
    let set = open("medmcqa", dir.path(), "validation");
    let first = set.get(0).unwrap();
    assert_eq!((first.target, first.tags["subject"].as_str()), (Target::Choice('D'), "Anatomy"));
    assert!(set.get(1).unwrap_err().to_string().contains("no option"));
    assert_eq!(samples("medmcqa", dir.path(), "test")[0].target, Target::Unknown);
}

#[test]
fn pubmedqa_puts_the_abstract_before_the_question_and_reads_the_test_half() {
    let entry = |decision: &str| {
        format!(
            r#"{{"QUESTION": "Does it help?", "CONTEXTS": ["We tried.", "It was good."], "LABELS": ["AIM", "RESULTS"], "LONG_ANSWER": "It does.", "final_decision": "{decision}"}}"#
        )
    };
    let all = format!(r#"{{"11": {}, "12": {}, "13": {}}}"#, entry("yes"), entry("maybe"), entry("perhaps"));
    let dir = folder(&[("data/ori_pqal.json", &all), ("data/test_ground_truth.json", r#"{"12": "maybe"}"#)]);
    let test = samples("pubmedqa", dir.path(), "test");
    assert_eq!(test.len(), 1);
    assert_eq!((test[0].id.as_str(), test[0].target.clone()), ("12", Target::Choice('C')));
    assert_eq!(test[0].question, "We tried.\nIt was good.\n\nDoes it help?");
    assert_eq!(letters(&test[0]), "A=yes B=no C=maybe ");
    // The conclusion would be the answer.
    assert!(!test[0].question.contains("It does."));
    let labelled = open("pubmedqa", dir.path(), "labelled");
    assert_eq!(labelled.get(0).unwrap().target, Target::Choice('A'));
    assert!(labelled.get(2).unwrap_err().to_string().contains("final_decision"));
    let stranger = folder(&[("ori_pqal.json", "{}"), ("test_ground_truth.json", r#"{"12": "no"}"#)]);
    assert!(loupe_datasets::open("pubmedqa", stranger.path(), None).is_err());
}

#[test]
fn medxpertqa_text_and_medbullets() {
    let dir = folder(&[
        (
            "Text/test.jsonl",
            "{\"id\": \"Text-1\", \"question\": \"Which?\\nAnswer Choices: (A) a (B) b\", \"options\": {\"A\": \"a\", \"B\": \"b\"}, \"label\": \"B\", \"medical_task\": \"Diagnosis\", \"body_system\": \"Skeletal\", \"question_type\": \"Reasoning\"}\n",
        ),
        (
            "medbullets/medbullets_op5.csv",
            "question,opa,opb,opc,opd,ope,answer_idx,answer,explanation,link\n\"A man, 50, …\",a,b,c,d,e,E,e,because,http://x\n",
        ),
        ("medbullets/medbullets_op4.csv", "question,opa,opb,opc,opd,answer_idx,answer\nWhat?,a,b,c,d,C,c\n"),
    ]);
    let text = &samples("medxpertqa-text", dir.path(), "test")[0];
    assert_eq!(
        (text.question.as_str(), text.target.clone(), text.tag("organ")),
        ("Which?", Target::Choice('B'), Some("Skeletal"))
    );
    let five = &samples("medbullets", dir.path(), "op5")[0];
    assert_eq!(
        (five.choices.len(), five.target.clone(), five.question.as_str()),
        (5, Target::Choice('E'), "A man, 50, …")
    );
    let four = &samples("medbullets", dir.path(), "op4")[0];
    assert_eq!((four.choices.len(), four.target.clone()), (4, Target::Choice('C')));
}

#[test]
fn medbookvqa_and_rexvqa_have_their_letters_and_images() {
    let dir = folder(&[
        (
            "data.json",
            r#"[{"_id": "b1", "Question": "What is it?", "Answer": "A cyst", "correct_choice": "C", "Distractors": ["A vein", "A nerve", "Fat"],
                 "other_choices": ["D", "A", "B"], "image_path": "figures/1.png"},
                {"_id": "b2", "Question": "What?", "Answer": "x", "correct_choice": "A", "Distractors": ["y", "z", "w"],
                 "other_choices": ["A", "B", "C"], "image_path": "figures/2.png"}]"#,
        ),
        ("figures/1.png", ""),
        (
            "metadata/test_vqa_data.json",
            r#"{"q1": {"question": "Is there fluid?", "options": ["A. Yes", "B. No", "C. Left", "D. Right"], "correct_answer": "B",
                "ImagePath": ["../deid_png/a/1.png", "../deid_png/a/2.png"], "study_id": "s1", "task_name": "presence_assessment"},
                "q2": {"question": "?", "options": ["A. Yes"], "correct_answer": "A", "ImagePath": ["a/../../x"]},
                "q3": {"question": "?", "options": ["A. Yes"], "correct_answer": "A", "ImagePath": []}}"#,
        ),
    ]);
    let set = open("medbookvqa", dir.path(), "test");
    let book = set.get(0).unwrap();
    assert_eq!(letters(&book), "A=A nerve B=Fat C=A cyst D=A vein ");
    assert_eq!(
        (book.target.clone(), super::images(dir.path(), &book)),
        (Target::Choice('C'), vec!["figures/1.png".to_owned()])
    );
    assert!(set.get(1).unwrap_err().to_string().contains("the letter A"));
    let set = open("rexvqa", dir.path(), "test");
    let first = set.get(0).unwrap();
    assert_eq!(super::images(dir.path(), &first), ["deid_png/a/1.png", "deid_png/a/2.png"]);
    assert_eq!(
        (letters(&first).as_str(), first.target.clone(), first.group.as_str()),
        ("A=Yes B=No C=Left D=Right ", Target::Choice('B'), "s1")
    );
    assert!(set.get(1).is_err(), "a path never leaves the folder");
    assert!(set.get(2).unwrap_err().to_string().contains("names no image"));
}

#[test]
fn ms_cxr_gathers_the_boxes_of_a_phrase() {
    let dir = folder(&[(
        "MS_CXR_Local_Alignment_v1.1.0.csv",
        "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split\n\
         d1,Pneumonia,both bases,files/p10/p10233088/s54276838/d1.jpg,10,20,30,40,2544,3056,test\n\
         d1,Pneumonia,both bases,files/p10/p10233088/s54276838/d1.jpg,100,20,30,40,2544,3056,test\n\
         d1,Edema,mild oedema,files/p10/p10233088/s54276838/d1.jpg,1,2,3,4,2544,3056,test\n\
         d2,Edema,oedema,files/p11/p11000000/s5/d2.jpg,1,2,3,4,2544,3056,train\n\
         d3,Edema,oedema,files/p12/p12000000/s5/d3.jpg,1,2,,4,2544,3056,test\n",
    )]);
    let set = open("ms-cxr", dir.path(), "test");
    let all: Vec<_> = (0..set.len()).map(|row| set.get(row)).collect();
    let first = all[0].as_ref().unwrap();
    let Target::Boxes(boxes) = &first.target else { panic!("{:?}", first.target) };
    assert_eq!(
        (boxes.len(), boxes[1].label.as_str(), boxes[1].at.x0, boxes[1].at.x1),
        (2, "both bases", 100.0, 130.0)
    );
    assert_eq!((first.group.as_str(), first.media[0].stated_size), ("p10233088", Some([2544, 3056])));
    assert_eq!(all.iter().filter(|s| s.is_ok()).count(), 2);
    assert!(all[2].as_ref().unwrap_err().to_string().contains("\"w\" is missing"));
    assert_eq!(open("ms-cxr", dir.path(), "all").len(), 4);
}
