//! MedBookVQA (Yip et al. 2025): multiple choice on figures of medical textbooks.
//!
//! A row has the right choice and its letter, and the three others with theirs; the options are put into the order of their letters.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, chosen, option_columns, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medbookvqa",
    title: "MedBookVQA: multiple choice on figures of textbooks",
    citation: "Yip et al., 2025, slyipae1/MedBookVQA on GitHub",
    licence: "not stated; the figures are the textbooks'",
    splits: &["test"],
    layout: "data.json with _id, Question, Answer, correct_choice, Distractors, other_choices, image_path; the unpacked figures",
    known: &[Known { split: "test", rows: 5000 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let rows = root.rows(&["data.json"])?;
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let letter = |written: &str| {
        let mut characters = written.chars();
        let letter = characters.next().filter(|l| l.is_ascii_uppercase() && characters.next().is_none());
        letter.ok_or_else(|| row.error("a choice has no letter from A on"))
    };
    let right = row.need("correct_choice")?;
    let mut columns = vec![(letter(&right)?, Some(row.need("Answer")?))];
    let (letters, texts) = (row.words("other_choices"), row.places("Distractors"));
    if letters.len() != texts.len() {
        return Err(row.error(format!("{} letters for {} other choices", letters.len(), texts.len())));
    }
    for (written, text) in letters.iter().zip(texts) {
        let letter = letter(written)?;
        if columns.iter().any(|(other, _)| *other == letter) {
            return Err(row.error(format!("two choices have the letter {letter}")));
        }
        columns.push((letter, text));
    }
    let choices = option_columns(root, row, columns);
    let image = row.need("image_path")?;
    let id = row.need("_id")?;
    Ok(Sample {
        media: vec![root.image(row, ".", &image)?],
        question: row.need("Question")?,
        target: chosen(row, &choices, &right)?,
        choices,
        group: image,
        tags: row.tags(&[("modality", "modality"), ("department", "department"), ("task", "question_type")]),
        ..sample(id)
    })
}
