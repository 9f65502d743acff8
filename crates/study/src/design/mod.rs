//! `study.toml`: who reads what, how often, in which order, and what is asked (`docs/guides/blinded-reading.md`).

pub mod list;
pub mod packs;
pub mod question;

use crate::error::StudyError;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use question::{Question, QuestionKind, questions};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// How readings of the arms are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmOrder {
    /// Each session has every case once; over as many sessions as there are arms every reader reads every case in every arm, in
    /// another arm first from reader to reader (a Latin square over blocks of cases). In one session, all of it mixed.
    #[default]
    Crossover,
    /// A case is read in one arm after the other, as listed, before the next case: without help, then with it.
    Sequential,
}

/// The `[study]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyTable {
    /// Title that readers see.
    pub title: String,
    /// What every order comes from.
    pub seed: u64,
    /// What readers are told before they begin.
    #[serde(default)]
    pub instructions: String,
    /// How the arms are spread.
    #[serde(default)]
    pub order: ArmOrder,
    /// Number of sessions: 1, or as many as there are arms (the default of a crossover).
    pub sessions: Option<usize>,
    /// Days between sessions.
    #[serde(default)]
    pub washout_days: u32,
    /// Share of the cases that a reader reads twice in the first session.
    #[serde(default)]
    pub repeats: f64,
    /// Fewest cases between two readings of one case within a session.
    pub min_gap: Option<usize>,
    /// Pauses longer than this do not count as reading time beyond it.
    #[serde(default = "minute")]
    pub idle_seconds: u32,
    /// Largest file, in MB of 10⁶ bytes.
    #[serde(default = "hundred")]
    pub max_mb: u32,
}

fn minute() -> u32 {
    60
}

fn hundred() -> u32 {
    100
}

/// The `[cases]` table: a run folder or a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CasesTable {
    /// Folder of a run, whose samples are the cases.
    pub run: Option<PathBuf>,
    /// A list of images: `.csv` with a header, or `.jsonl`.
    pub list: Option<PathBuf>,
    /// Most cases of a run; all when not given.
    pub limit: Option<usize>,
    /// So many of the first cases of a run are for training.
    #[serde(default)]
    pub training: usize,
    /// Slices on either side of the one that a run asked about or a list names.
    #[serde(default)]
    pub around: usize,
    /// Show the question of each sample?
    #[serde(default)]
    pub show_question: bool,
}

/// What readers see of an arm's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Boxes, points and masks.
    Marks,
    /// The reply.
    Text,
    /// The rounds of a second look, step by step.
    Trace,
}

/// An `[[arm]]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmTable {
    /// Its name, which no reader sees.
    pub name: String,
    /// The run whose results are shown; nothing is shown without one.
    pub run: Option<PathBuf>,
    /// What is shown.
    #[serde(default)]
    pub show: Vec<Shown>,
}

/// A `[[pair]]` table: two arms beside each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairTable {
    /// An arm.
    pub first: String,
    /// Another.
    pub second: String,
}

/// A `[[reader]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderTable {
    /// A code, never a name.
    pub code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    study: StudyTable,
    #[serde(default)]
    cases: CasesTable,
    #[serde(default)]
    arm: Vec<ArmTable>,
    #[serde(default)]
    pair: Vec<PairTable>,
    #[serde(default)]
    reader: Vec<ReaderTable>,
    #[serde(default)]
    question: Vec<toml::Table>,
}

/// A study as it is planned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Design {
    /// The study itself.
    pub study: StudyTable,
    /// Where its cases come from; paths are from the folder of the file.
    pub cases: CasesTable,
    /// Arms.
    pub arms: Vec<ArmTable>,
    /// Pairs of arms, as numbers; where there are any, readers compare and do not read arms alone.
    pub pairs: Vec<[usize; 2]>,
    /// Codes of the readers.
    pub readers: Vec<String>,
    /// Questions.
    pub questions: Vec<Question>,
}

impl Design {
    /// Reads a file; paths in it count from its folder.
    ///
    /// # Errors
    /// When it cannot be read, or as [`Design::parse`].
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        let text = read_text_at_most(path, SETTINGS_BYTES)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads the text of a `study.toml` that lies in `folder`.
    ///
    /// # Errors
    /// With the table and the field that is missing, unknown or does not fit.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, StudyError> {
        let file: File = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            StudyError::design(format!("line {line}: {}", e.message()))
        })?;
        let from = |path: Option<PathBuf>| path.map(|p| folder.join(p));
        let File { study, mut cases, mut arm, pair, reader, question } = file;
        (cases.run, cases.list) = (from(cases.run), from(cases.list));
        for arm in &mut arm {
            arm.run = from(arm.run.take());
        }
        let number = |name: &str| {
            arm.iter().position(|a| a.name == name).ok_or_else(|| {
                StudyError::design(format!("[[pair]]: there is no [[arm]] with the name {name:?}"))
            })
        };
        let pairs: Result<Vec<[usize; 2]>, StudyError> =
            pair.iter().map(|p| Ok([number(&p.first)?, number(&p.second)?])).collect();
        let design = Self {
            pairs: pairs?,
            questions: questions(&question)?,
            readers: reader.into_iter().map(|r| r.code).collect(),
            study,
            cases,
            arms: arm,
        };
        design.check()?;
        Ok(design)
    }

    /// Number of sessions.
    pub fn sessions(&self) -> usize {
        let alone = self.pairs.is_empty() && self.study.order == ArmOrder::Crossover;
        self.study.sessions.unwrap_or(if alone { self.arms.len() } else { 1 })
    }

    fn check(&self) -> Result<(), StudyError> {
        let wrong = |what: String| Err(StudyError::design(what));
        let study = &self.study;
        let plain = |code: &str| {
            !code.is_empty() && code.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        };
        if self.readers.is_empty() {
            return wrong("there is no [[reader]]; give each reader a `code`".to_owned());
        }
        for (n, code) in self.readers.iter().enumerate() {
            if !plain(code) {
                return wrong(format!(
                    "[[reader]] {}: a code is made of letters, digits, `_` and `-`",
                    n + 1
                ));
            }
            if self.readers[..n].iter().any(|other| other.eq_ignore_ascii_case(code)) {
                return wrong(format!("two [[reader]]s have the code {code:?}"));
            }
        }
        if self.arms.is_empty() {
            return wrong("there is no [[arm]]; an arm without `run` shows the images alone".to_owned());
        }
        for (n, arm) in self.arms.iter().enumerate() {
            if self.arms[..n].iter().any(|other| other.name == arm.name) {
                return wrong(format!("two [[arm]]s are called {:?}", arm.name));
            }
            if arm.run.is_some() == arm.show.is_empty() {
                return wrong(format!(
                    "[[arm]] {:?}: `run` and `show` (of marks, text and trace) belong together",
                    arm.name
                ));
            }
        }
        if self.pairs.iter().any(|[a, b]| a == b) {
            return wrong("[[pair]]: `first` and `second` are the same arm".to_owned());
        }
        if self.cases.run.is_some() == self.cases.list.is_some() {
            return wrong("[cases] needs `run` or `list`, and not both".to_owned());
        }
        if self.questions.is_empty() {
            return wrong("there is no [[question]]; `loupe list packs` names ready ones".to_owned());
        }
        if !(0.0..=1.0).contains(&study.repeats) {
            return wrong("`repeats` is a share from 0 to 1".to_owned());
        }
        if study.max_mb == 0 || study.idle_seconds == 0 {
            return wrong("`max_mb` and `idle_seconds` are at least 1".to_owned());
        }
        self.check_sessions()?;
        let pairs = !self.pairs.is_empty();
        for question in &self.questions {
            let fits = match question.kind {
                QuestionKind::Prefer => pairs,
                QuestionKind::Findings => !pairs && self.arms.iter().any(|a| a.show.contains(&Shown::Marks)),
                QuestionKind::Report => !pairs && self.arms.iter().all(|a| a.show.contains(&Shown::Text)),
                _ => true,
            };
            if !fits {
                return wrong(format!(
                    "question `{}`: preferences need [[pair]]s, judged findings an arm that shows marks, a report to edit arms that all show text",
                    question.id
                ));
            }
        }
        Ok(())
    }

    fn check_sessions(&self) -> Result<(), StudyError> {
        let sessions = self.sessions();
        let crossed = self.pairs.is_empty() && self.study.order == ArmOrder::Crossover;
        if sessions != 1 && !(crossed && sessions == self.arms.len()) {
            return Err(StudyError::design(format!(
                "`sessions` is {sessions}; a crossover has 1 or as many as there are arms, pairs and sequential reading have 1"
            )));
        }
        if self.study.washout_days > 0 && sessions == 1 {
            return Err(StudyError::design("`washout_days` needs more than one session"));
        }
        if !self.pairs.is_empty() && self.study.order == ArmOrder::Sequential {
            return Err(StudyError::design(
                "[[pair]]s are compared, not read one after the other; leave out `order`",
            ));
        }
        Ok(())
    }
}
