//! VQA-Med 2020: abnormalities in radiology images (ImageCLEF).

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::vqa_med::{self, Columns, text_file};
use crate::read::{Root, Split};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "vqa-med-2020",
    title: "VQA-Med 2020: the ImageCLEF challenge",
    citation: "Ben Abacha et al., CLEF 2020 Working Notes",
    licence: "CC-BY-4.0",
    splits: &["test", "validation", "train"],
    layout: "as unpacked: VQAnswering_2020_Train_QA_pairs.txt with VQAnswering_2020_Train_images/, VQAnswering_2020_Val_QA_Pairs.txt with VQAnswering_2020_Val_images/, and for the test set one text file of questions, one of answers and a folder of images",
    metric: "accuracy (exact match after normalising) and BLEU",
    known: &[
        Known { split: "test", rows: 500 },
        Known { split: "validation", rows: 500 },
        Known { split: "train", rows: 4000 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    if split.name == "test" {
        return vqa_med::questions_and_answers(root, split, &["2020", "test"]);
    }
    let (words, images): (&[&str], &[&str]) = match split.name.as_str() {
        "validation" => (&["2020_val_qa"], &["2020_val_images"]),
        _ => (&["2020_train_qa"], &["2020_train_images"]),
    };
    let file =
        text_file(root, words).ok_or_else(|| root.missing(format!("VQAnswering_{}*.txt", words.concat())))?;
    let columns = Columns { names: &["image", "question", "answer"], between_answers: None };
    vqa_med::listed(root, split, &file, &columns, None, images)
}
