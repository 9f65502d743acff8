//! The key of a study: what stood behind each page turn. It is kept apart from the pages, for the owner alone.

use super::material::LesionPlace;
use crate::allocation::Step;
use crate::design::question::{QuestionKind, ReadingColumn};
use crate::error::StudyError;
use loupe_core::files::{read_text_at_most, write_private};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// The form of the file.
pub const KEY_FORMAT: &str = "loupe-key/1";

/// A case behind the pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyCase {
    /// Its name in the file of readings.
    pub name: String,
    /// For training?
    pub training: bool,
    /// Is the disease there?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<bool>,
    /// Patient or other unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Lesions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lesions: Vec<LesionPlace>,
    /// The series that is an earlier study.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<usize>,
    /// Length in characters of the text that each arm shows.
    pub lengths: Vec<Option<usize>>,
    /// Words of each mark that each arm shows, in the order of their ids.
    pub findings: Vec<Vec<String>>,
}

/// A question as answers are read by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyQuestion {
    /// Its id.
    pub id: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: QuestionKind,
    /// Had it to be answered?
    pub required: bool,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<ReadingColumn>,
    /// The option that is a positive decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPage {
    /// Code of its reader.
    pub reader: String,
    /// Its file, from the folder of the key.
    pub file: String,
    /// SHA-256 of the plan inside the page, which holds the digests of its pixels.
    pub plan: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// The key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// [`KEY_FORMAT`].
    pub format: String,
    /// The study.
    pub study: String,
    /// Its title.
    pub title: String,
    /// Days between sessions.
    pub washout_days: u32,
    /// Names of the arms.
    pub arms: Vec<String>,
    /// Pairs of arms.
    pub pairs: Vec<[usize; 2]>,
    /// Questions.
    pub questions: Vec<KeyQuestion>,
    /// Cases.
    pub cases: Vec<KeyCase>,
    /// Pages.
    pub pages: Vec<KeyPage>,
}

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// When the file cannot be read or is no key of this form.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        let text = read_text_at_most(path, u64::MAX)?;
        let key: Self = serde_json::from_str(&text).map_err(|e| {
            StudyError::File(format!(
                "the key cannot be read (line {}): `loupe study build` writes key.json beside the pages",
                e.line()
            ))
        })?;
        match key.format == KEY_FORMAT {
            true => Ok(key),
            false => Err(StudyError::File(format!(
                "the key is not of the form {KEY_FORMAT}; use the version of loupe that built the study"
            ))),
        }
    }

    /// Writes it so that its owner alone can read it, where the system has such permissions.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> Result<(), StudyError> {
        let json = serde_json::to_vec_pretty(self)?;
        Ok(write_private(path, |out| out.write_all(&json))?)
    }
}
