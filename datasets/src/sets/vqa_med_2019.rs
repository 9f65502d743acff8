//! VQA-Med 2019: modality, plane, organ system and abnormality of radiology images (ImageCLEF).
//!
//! The test file gives categories, several accepted answers with `#` between them, and optional
//! parts in parentheses.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::vqa_med::{self, Columns, text_file};
use crate::read::{Root, Split};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "vqa-med-2019",
    title: "VQA-Med 2019: the ImageCLEF challenge",
    citation: "Ben Abacha et al., CLEF 2019 Working Notes",
    licence: "CC-BY-4.0",
    splits: &["test", "validation", "train"],
    layout: "as unpacked: All_QA_Pairs_train.txt with Train_images/, All_QA_Pairs_val.txt with Val_images/, VQAMed2019_Test_Questions_w_Ref_Answers.txt with VQAMed2019_Test_Images/",
    metric: "accuracy (exact match after normalising) and BLEU",
    known: &[
        Known { split: "test", rows: 500 },
        Known { split: "validation", rows: 2000 },
        Known { split: "train", rows: 12792 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let (words, columns, images): (&[&str], &[&str], &[&str]) = match split.name.as_str() {
        "test" => (&["test_questions_w_ref"], &["image", "category", "question", "answer"], &["test_images"]),
        "validation" => (&["all_qa_pairs_val"], &["image", "question", "answer"], &["val_images"]),
        _ => (&["all_qa_pairs_train"], &["image", "question", "answer"], &["train_images"]),
    };
    let file = match &root.only {
        Some(file) => file.clone(),
        None => text_file(root, words)
            .ok_or_else(|| root.missing(format!("a text file *{}*.txt", words.concat())))?,
    };
    let columns = Columns { names: columns, between_answers: (split.name == "test").then_some('#') };
    vqa_med::listed(root, split, &file, &columns, None, images)
}
