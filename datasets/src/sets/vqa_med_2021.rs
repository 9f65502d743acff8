//! VQA-Med 2021: abnormalities in radiology images (ImageCLEF); several accepted answers.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::vqa_med::{self, Columns, text_file};
use crate::read::{Root, Split};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "vqa-med-2021",
    title: "VQA-Med 2021: the ImageCLEF challenge",
    citation: "Ben Abacha et al., CLEF 2021 Working Notes",
    licence: "CC-BY-4.0",
    splits: &["test", "validation"],
    layout: "as unpacked: VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt with its folder of images, and for the test set one text file of questions, one of reference answers and a folder of images; training uses vqa-med-2020",
    metric: "accuracy (exact match after normalising) and BLEU",
    known: &[Known { split: "test", rows: 500 }, Known { split: "validation", rows: 500 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    if split.name == "test" {
        return vqa_med::questions_and_answers(root, split, &["2021", "test"]);
    }
    let words = &["2021", "task1", "validation"];
    let file = text_file(root, words)
        .ok_or_else(|| root.missing("VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt"))?;
    let columns = Columns { names: &["image", "question", "answer"], between_answers: None };
    vqa_med::listed(root, split, &file, &columns, None, &["validation", "image"])
}
