//! Medbullets (Chen et al. 2025): questions in the manner of the US licensing examination, without images; the same 308 with five and with
//! four options.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, chosen, option_columns, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medbullets",
    title: "Medbullets: clinical questions with five or four options (text)",
    citation: "Chen et al., NAACL 2025, arXiv:2402.18060",
    licence: "not stated; the questions are Medbullets'",
    splits: &["op5", "op4"],
    layout: "medbullets_op5.csv, medbullets_op4.csv with question, opa … ope, answer_idx (medbullets/ may come before)",
    group_by: "question",
    known: &[Known { split: "op5", rows: 308 }, Known { split: "op4", rows: 308 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = format!("medbullets_{}.csv", split.name);
    let rows = root.rows(&[&file, &format!("medbullets/{file}")])?;
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let columns = [('A', "opa"), ('B', "opb"), ('C', "opc"), ('D', "opd"), ('E', "ope")];
    let choices = option_columns(root, row, columns.map(|(letter, name)| (letter, row.get(name))));
    let answer =
        row.any(&["answer_idx", "answer"]).ok_or_else(|| row.error("\"answer_idx\" is missing or empty"))?;
    let id = row.place();
    Ok(Sample {
        question: row.need("question")?,
        target: chosen(row, &choices, &answer)?,
        choices,
        group: id.clone(),
        ..sample(id)
    })
}
