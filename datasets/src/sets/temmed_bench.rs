//! TemMed-Bench (Zhang et al. 2025): what changed between two chest X-rays of a patient.
//!
//! The published files hold indices; images and reports are those of CheXpert Plus. Images are given
//! in the order of the paper: last visit, then current visit.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::values::answer_words;
use crate::read::{Root, Row, Split, chosen, lettered, sample};
use loupe_core::{DataError, MediaRef, Sample, Target};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "temmed-bench",
    title: "TemMed-Bench: changes between two chest X-rays",
    citation: "Zhang et al., arXiv:2509.25143, 2025",
    licence: "CC-BY-4.0 for the indices; images and reports under the CheXpert Plus agreement",
    splits: &["vqa", "vqa-all", "report", "selection"],
    layout: "Get_Data/TestSet_VQA_ReportGeneration_Final.json (or without _Final, for reports together with \
             df_chexpert_plus_240401.csv), Get_Data/TestSet_SelectedVQA_2000.json, \
             Get_Data/TestSet_ImagePairSelection.json, PNG/",
    group_by: "patient",
    metric: "accuracy; BLEU, ROUGE-L and METEOR for reports",
    known: &[Known { split: "vqa", rows: 2000 }, Known { split: "report", rows: 1000 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let find = |name: &str| root.pick(&[&format!("Get_Data/{name}"), name]);
    // The file with the reports is made by the set's notebook; without it they are looked up here.
    let (main, reports) = match find("TestSet_VQA_ReportGeneration_Final.json") {
        Ok(main) => (main, None),
        Err(missing) => {
            let main = find("TestSet_VQA_ReportGeneration.json").map_err(|_| missing.clone())?;
            let wanted = split.name == "report";
            (main, wanted.then(|| chexpert_impressions(root).ok_or(missing)).transpose()?.transpose()?)
        }
    };
    let folder = root.folder(&["PNG", "CheXpertPlus/PNG"]);
    let studies = Studies { root, folder, rows: root.json_rows(&main)?, reports };
    let samples = match split.name.as_str() {
        "vqa" => {
            let selected = root.json_rows(&find("TestSet_SelectedVQA_2000.json")?)?;
            selected.into_iter().map(|row| studies.selected(&row?)).collect()
        }
        "vqa-all" => studies.all_questions(),
        "report" => (0..studies.rows.len()).map(|i| studies.report(i)).collect(),
        _ => {
            let pairs = root.json_rows(&find("TestSet_ImagePairSelection.json")?)?;
            pairs.into_iter().map(|row| studies.selection(&row?)).collect()
        }
    };
    Ok(root.listed(split, samples))
}

struct Studies<'a> {
    root: &'a Root,
    folder: String,
    rows: Vec<Result<Row, DataError>>,
    /// Impressions by image, when the file does not hold them.
    reports: Option<HashMap<String, String>>,
}

/// The impressions of CheXpert Plus by image, or nothing when its table is not there.
fn chexpert_impressions(root: &Root) -> Option<Result<HashMap<String, String>, DataError>> {
    const TABLE: &str = "df_chexpert_plus_240401.csv";
    let file = [TABLE.to_owned(), format!("CheXpertPlus/{TABLE}")].into_iter().find(|f| root.has(f))?;
    let columns = ["path_to_image", "section_impression"];
    let rows = root.table_columns(&file, b',', |name| columns.contains(&name));
    let pair = |row: Row| Some((row.get(columns[0])?, row.get(columns[1])?));
    Some(rows.map(|rows| rows.into_iter().flatten().filter_map(pair).collect()))
}

/// A report as the set's notebook writes it: single spaces, lower case, and the first letter after
/// the start and after each `.`, `!` or `?` in upper case.
fn normalised(report: &str) -> String {
    let lower = report.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let mut begins = true;
    let mut written = String::with_capacity(lower.len());
    for c in lower.chars() {
        if begins && c.is_alphabetic() {
            written.extend(c.to_uppercase());
            begins = false;
        } else {
            written.push(c);
        }
        begins |= matches!(c, '.' | '!' | '?');
    }
    written
}

impl Studies<'_> {
    fn row(&self, at: usize, by: &Row) -> Result<&Row, DataError> {
        match self.rows.get(at) {
            Some(row) => row.as_ref().map_err(Clone::clone),
            None => Err(by.error(format!("there is no study {at}"))),
        }
    }

    /// Last visit, then current visit.
    fn pair(&self, row: &Row) -> Result<Vec<MediaRef>, DataError> {
        let image = |field: &str| {
            // The indices name CheXpert's JPEG files, the images handed out are PNG.
            let name = row.need(field)?.replace("jpg", "png");
            self.root.image(row, &self.folder, &name)
        };
        Ok(vec![image("historical_image_path")?, image("image_path")?])
    }

    fn patient(row: &Row) -> String {
        let path = row.get("image_path").unwrap_or_default();
        path.split('/').find(|part| part.starts_with("patient")).map_or(path.clone(), str::to_owned)
    }

    fn question(&self, row: &Row, study: usize, question: usize, value: &Value) -> Result<Sample, DataError> {
        let field = |name: &str| {
            value
                .get(name)
                .and_then(answer_words)
                .ok_or_else(|| row.error(format!("question {question} has no {name}")))
        };
        Ok(Sample {
            media: self.pair(row)?,
            question: field("VQA_question")?,
            target: Target::Text(vec![field("VQA_answer")?]),
            group: Self::patient(row),
            tags: BTreeMap::from([("answer_type".to_owned(), "CLOSED".to_owned())]),
            ..sample(format!("{study}:{question}"))
        })
    }

    fn selected(&self, by: &Row) -> Result<Sample, DataError> {
        let index = |name: &str| {
            by.get(name)
                .and_then(|t| t.parse::<usize>().ok())
                .ok_or_else(|| by.error(format!("{name:?} is no index")))
        };
        let (study, question) = (index("img_id")?, index("question_id")?);
        let row = self.row(study, by)?;
        match row.list("VQA_Final").get(question) {
            Some(value) => self.question(row, study, question, value),
            None => Err(by.error(format!("study {study} has no question {question}"))),
        }
    }

    fn all_questions(&self) -> Vec<Result<Sample, DataError>> {
        let mut all = Vec::new();
        for (study, row) in self.rows.iter().enumerate() {
            match row {
                Err(e) => all.push(Err(e.clone())),
                Ok(row) => {
                    let questions = row.list("VQA_Final").into_iter().enumerate();
                    all.extend(questions.map(|(q, value)| self.question(row, study, q, value)));
                }
            }
        }
        all
    }

    fn report(&self, study: usize) -> Result<Sample, DataError> {
        let row = self
            .rows
            .get(study)
            .map_or_else(|| Err(self.root.missing("the studies")), |r| r.as_ref().map_err(Clone::clone))?;
        let report = match &self.reports {
            None => row.need("condition_changes_report")?,
            Some(reports) => {
                let image = row.need("image_path")?.replace("png", "jpg");
                let report = reports.get(&image).map(|report| normalised(report));
                report.ok_or_else(|| row.error("CheXpert Plus has no impression for this image"))?
            }
        };
        Ok(Sample {
            media: self.pair(row)?,
            question: "Report how the patient's condition changed from the last visit to the current visit."
                .to_owned(),
            target: Target::Report(BTreeMap::from([("impression".to_owned(), report)])),
            group: Self::patient(row),
            ..sample(format!("report:{study}"))
        })
    }

    fn selection(&self, by: &Row) -> Result<Sample, DataError> {
        let mut media = Vec::new();
        let mut group = String::new();
        for letter in ["A", "B", "C"] {
            let index = by.fields.get("option").and_then(|o| o.get(letter)).and_then(Value::as_u64);
            let index = index.ok_or_else(|| by.error(format!("option {letter} is no index")))?;
            let row = self.row(usize::try_from(index).unwrap_or(usize::MAX), by)?;
            media.extend(self.pair(row)?);
            if group.is_empty() {
                group = Self::patient(row);
            }
        }
        let choices = lettered(
            ["images 1 and 2", "images 3 and 4", "images 5 and 6"].map(|text| Some(text.to_owned())),
        );
        Ok(Sample {
            media,
            question: format!(
                "Each pair shows a patient's last and current visit. Which pair fits this statement: {}",
                by.need("condition_change")?
            ),
            target: chosen(by, &choices, &by.need("right_option")?)?,
            choices,
            group,
            ..sample(by.place())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn sentences_are_capitalised() {
        assert_eq!(
            normalised("1. STABLE  edema.\n2. no PNEUMOTHORAX? yes"),
            "1. Stable edema. 2. No pneumothorax? Yes"
        );
    }
}
