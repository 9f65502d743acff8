//! MedFrameQA (Yu et al. 2025): multiple-choice questions over two to five frames of a video.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, chosen, options, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medframeqa",
    title: "MedFrameQA: questions over several frames of clinical videos",
    citation: "Yu et al., arXiv:2505.16964, 2025",
    licence: "CC-BY-4.0",
    layout: "data/test-*.parquet with columns question_id, question, options, correct_answer, image_1 … image_5",
    group_by: "video",
    known: &[Known { split: "test", rows: 2851 }],
    open,
    ..SetEntry::BLANK
};

const IMAGES: &[&str] = &["image_1", "image_2", "image_3", "image_4", "image_5"];

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let set = ParquetSet::find(root, &split.name)?.ok_or_else(|| root.missing("data/test-*.parquet"))?;
    set.listed(root, split, IMAGES, |row| sample_of(root, row))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let choices = options(root, row, row.places("options"))?;
    let target = chosen(row, &choices, &row.need("correct_answer")?)?;
    Ok(Sample {
        question: row.need("question")?,
        choices,
        target,
        group: row.get("video_id").unwrap_or_default(),
        tags: row.tags(&[
            ("system", "system"),
            ("organ", "organ"),
            ("modality", "modality"),
            ("keyword", "keyword"),
        ]),
        ..sample(row.get("question_id").unwrap_or_else(|| row.place()))
    })
}
