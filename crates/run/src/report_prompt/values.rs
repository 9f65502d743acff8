//! What a study gives to a template of reports.

use super::schema::ReportSchema;
use crate::filled::{BLOCK, MARKS, holds_marks, mark};
use loupe_core::study::{Projection, Study};
use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a template may use.
pub const NAMES: [&str; 16] = [
    "images",
    "priors",
    "frontal",
    "lateral",
    "prior",
    "prior_frontal",
    "indication",
    "technique",
    "comparison",
    "prior_report",
    "age_band",
    "sex",
    "findings",
    "schema",
    "answers",
    "refuse",
];

/// The answers to the questions of a template that composes its reports, by their names.
pub type Answers = BTreeMap<String, String>;

/// What the model said so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) findings: String,
    pub(super) answers: Answers,
}

impl Said {
    /// The same without characters that stand for pictures and blocks: what a model says may hold any.
    pub(super) fn without_marks(&self) -> Self {
        let is_mark = |c: char| MARKS.contains(&c) || c == BLOCK;
        let plain = |text: &String| text.replace(is_mark, "\u{FFFD}");
        let answers = self.answers.iter().map(|(name, answer)| (name.clone(), plain(answer)));
        Self { findings: plain(&self.findings), answers: answers.collect() }
    }
}

/// An image as templates see it.
#[derive(Debug)]
struct ImageValue {
    at: usize,
    view: Option<String>,
    projection: Option<Projection>,
}

impl Object for ImageValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "number" => Some(Value::from(self.at + 1)),
            "view" => self.view.clone().map(Value::from),
            "frontal" => Some(Value::from(self.projection == Some(Projection::Frontal))),
            "lateral" => Some(Value::from(self.projection == Some(Projection::Lateral))),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mark(self.at))
    }
}

/// What a study gives to a template.
pub(super) struct Values {
    pub(super) texts: BTreeMap<&'static str, String>,
    others: BTreeMap<&'static str, Value>,
    /// The names of the images' views, which stand within `others`.
    views: Vec<String>,
}

impl Values {
    /// Does a text of the study hold a character that stands for a picture or a block?
    pub(super) fn holds_marks(&self) -> bool {
        self.texts.values().chain(&self.views).any(|text| holds_marks(text))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.texts.contains_key(name) || self.others.contains_key(name)
    }

    pub(super) fn context(&self) -> Value {
        let texts = self.texts.iter().map(|(name, text)| (*name, Value::from(text.as_str())));
        Value::from_pairs(texts.chain(self.others.iter().map(|(name, value)| (*name, value.clone()))))
    }
}

pub(super) fn values(study: &Study, said: &Said, schema: Option<&ReportSchema>) -> Values {
    let mut texts: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut text = |name, text: &Option<String>| texts.extend(text.clone().map(|text| (name, text)));
    text("indication", &study.indication);
    text("technique", &study.technique);
    text("comparison", &study.comparison);
    text("prior_report", &study.prior_report);
    text("age_band", &study.age_band);
    text("sex", &study.sex);
    text("findings", &Some(said.findings.clone()));
    text("schema", &schema.map(|schema| schema.text().to_owned()));
    let image = |at: usize| {
        let image = study.images.get(at);
        Value::from_object(ImageValue {
            at,
            view: image.and_then(|image| image.view.clone()),
            projection: image.and_then(|image| image.projection()),
        })
    };
    let numbers = |prior: bool| {
        let of =
            move |(at, image): (usize, &loupe_core::study::StudyImage)| (image.prior == prior).then_some(at);
        study.images.iter().enumerate().filter_map(of).collect::<Vec<usize>>()
    };
    let first = |prior: bool, wanted: Projection| {
        let is = |at: &&usize| study.images.get(**at).and_then(|image| image.projection()) == Some(wanted);
        numbers(prior).iter().find(is).copied()
    };
    let mut others: BTreeMap<&'static str, Value> = BTreeMap::new();
    others.insert("images", numbers(false).into_iter().map(image).collect());
    others.insert("priors", numbers(true).into_iter().map(image).collect());
    others.insert("prior", Value::from(study.has_prior()));
    others.insert("answers", Value::from(said.answers.clone()));
    let seen = [
        ("frontal", first(false, Projection::Frontal)),
        ("lateral", first(false, Projection::Lateral)),
        ("prior_frontal", first(true, Projection::Frontal)),
    ];
    others.extend(seen.into_iter().filter_map(|(name, at)| Some((name, image(at?)))));
    let views = study.images.iter().filter_map(|image| image.view.clone()).collect();
    Values { texts, others, views }
}

/// What of a study a line of a template names and the study does not have.
pub(super) fn lacking(line: &str, values: &Values) -> Vec<&'static str> {
    let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let lacking = |name: &&&str| words.contains(*name) && !values.has(name);
    NAMES.iter().filter(lacking).copied().filter(|name| *name != "refuse").collect()
}
