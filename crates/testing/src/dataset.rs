//! Datasets that need no files.

use loupe_core::{DataError, Dataset, DatasetInfo, MediaRef, Sample, Spot, Target};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `n` questions with yes/no and short answers, three to an image; neighbouring rows have different images,
/// as in VQA-RAD. Row 5 is unreadable when there are `holes`.
#[derive(Debug, Clone)]
pub struct QuestionSet {
    /// What the set says of itself.
    pub info: DatasetInfo,
    /// Number of rows.
    pub n: usize,
    /// Is row 5 unreadable?
    pub holes: bool,
    /// What is done to each row.
    pub edit: Option<fn(usize, &mut Sample)>,
}

impl QuestionSet {
    /// `n` rows that can all be read.
    pub fn new(n: usize) -> Self {
        Self { info: info("fake"), n, holes: false, edit: None }
    }

    /// The same with row 5 unreadable.
    #[must_use]
    pub fn with_holes(self) -> Self {
        Self { holes: true, ..self }
    }

    /// The same with each row edited.
    #[must_use]
    pub fn edited(self, edit: fn(usize, &mut Sample)) -> Self {
        Self { edit: Some(edit), ..self }
    }
}

/// The facts of a set that is grouped by image.
pub fn info(name: &str) -> DatasetInfo {
    DatasetInfo {
        name: name.into(),
        split: "test".into(),
        group_by: "image".into(),
        fingerprint: "f00d".into(),
        citation: String::new(),
        published_rows: None,
    }
}

impl Dataset for QuestionSet {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.n
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        if self.holes && index == 5 {
            return Err(DataError::Row {
                file: "fake.json".into(),
                at: Spot::Row(6),
                problem: "no question".into(),
            });
        }
        let image = format!("image{}.png", index % self.n.div_ceil(3).max(1));
        let closed = index.is_multiple_of(2);
        let gold =
            if closed { ["yes", "no"][index / 2 % 2] } else { ["liver", "left lung", "axial"][index % 3] };
        let mut sample = Sample {
            id: format!("q{index}"),
            media: vec![MediaRef::file(PathBuf::from(&image))],
            question: format!("Is question {index} about the “肝” \u{202e}liver?"),
            choices: Vec::new(),
            target: Target::Text(vec![gold.into()]),
            group: image,
            tags: BTreeMap::from([
                ("answer_type".to_owned(), if closed { "CLOSED" } else { "OPEN" }.to_owned()),
                ("organ".to_owned(), ["CHEST", "HEAD", "ABD"][index % 3].to_owned()),
            ]),
            language: "en".into(),
        };
        if let Some(edit) = self.edit {
            edit(index, &mut sample);
        }
        Ok(sample)
    }
}

/// A question that is answered in words, with tags; everything else is empty.
pub fn worded(gold: &str, tags: &[(&str, &str)]) -> Sample {
    Sample {
        id: String::new(),
        media: Vec::new(),
        question: String::new(),
        choices: Vec::new(),
        target: Target::Text(vec![gold.to_owned()]),
        group: String::new(),
        tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        language: "en".to_owned(),
    }
}
