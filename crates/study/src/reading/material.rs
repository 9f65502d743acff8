//! What a case shows, made by who can read images and runs.

use loupe_report::pages::kit::place::Mark;
use loupe_report::pages::kit::series::Series;
use serde::{Deserialize, Serialize};

/// A lesion and where it is, in pixels of a series of the case. One that is seen on several series has a place on each, under one
/// name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LesionPlace {
    /// Its name within the case.
    pub name: String,
    /// Its share among the lesions of the case; equal shares where none has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Series of the case, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub series: usize,
    /// First and last slice of the series that it is on.
    pub slices: [usize; 2],
    /// `[x0, y0, x1, y1]`, continuous pixel edges.
    pub xyxy: [f64; 4],
}

fn is_first(series: &usize) -> bool {
    *series == 0
}

/// A step of how a model came to its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceStep {
    /// What it said.
    pub said: String,
    /// What it did, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub did: String,
    /// The series that it looked at, from 0.
    #[serde(skip_serializing_if = "is_first")]
    pub series: usize,
    /// The slice that it looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<usize>,
    /// Where, `[x0, y0, x1, y1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<[f64; 4]>,
}

/// What an arm shows of a case.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmOutput {
    /// Boxes, points and masks on each series of the case.
    pub marks: Vec<Vec<Mark>>,
    /// The reply.
    pub text: Option<String>,
    /// The rounds of a second look.
    pub trace: Vec<TraceStep>,
}

/// A text that must not be on a page, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenText {
    /// In words: `the name of a model`.
    pub what: &'static str,
    /// The text.
    pub text: String,
}

/// A case.
#[derive(Debug, Clone)]
pub struct CaseMaterial {
    /// Its name in the file of readings; on no page.
    pub name: String,
    /// For training?
    pub training: bool,
    /// Images with the words above them, where there are several: the study, then further ones.
    pub series: Vec<(String, Series)>,
    /// The series that is an earlier study: nothing is sought there.
    pub prior: Option<usize>,
    /// What is asked about it, where the study shows that.
    pub question: Option<String>,
    /// Is the disease there?
    pub truth: Option<bool>,
    /// Patient or other unit that it belongs to.
    pub group: Option<String>,
    /// Lesions.
    pub lesions: Vec<LesionPlace>,
    /// What is said after a case for training.
    pub feedback: Option<String>,
    /// What each arm of the design shows.
    pub outputs: Vec<ArmOutput>,
    /// What must not be read on a page.
    pub hidden: Vec<HiddenText>,
}
