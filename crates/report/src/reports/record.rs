//! What became of a study: its report with everything that made it.

use loupe_core::sample::Outcome;
use loupe_core::words::hex;
use loupe_core::{
    Counts, GenerationLimits, Part, PictureRecord, Place, Prediction, Provenance, Record, Reply, Stop, Study,
    Target,
};
use loupe_eval::reports::{Lint, LintKind, Section, WrittenReport, lints};
use loupe_run::report_prompt::{Choice, ReportTemplate, StructuredReport, drawn};
use loupe_run::{Item, MadeBy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};

/// What became of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyStatus {
    /// It has a report.
    Ok,
    /// It has none, and the reason is given.
    Failed,
    /// The run has not come to it yet.
    Waiting,
}

/// A box of a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SentenceBox {
    /// Which image of the study, from 0.
    pub picture: usize,
    /// `[x0, y0, x1, y1]` in continuous pixel edges of the source image.
    pub box_px: [f64; 4],
}

/// A sentence with the places that the model gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportSentence {
    /// Its words.
    pub text: String,
    /// Where it stands.
    pub section: Section,
    /// Boxes that belong to it; none where the model gave none.
    pub boxes: Vec<SentenceBox>,
}

/// What made a report; equal for all studies of a run but for the hashes of pixels and prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportProvenance {
    /// Name and family of the model.
    pub model: String,
    /// Weights, adapter, tokenizer and chat template, number type and device; or the endpoint.
    pub from: BTreeMap<String, Value>,
    /// Name of the report template.
    pub template: String,
    /// SHA-256 over its words.
    pub template_sha256: String,
    /// SHA-256 over the images that the prompts showed (size and pixels as the model was given them), in their order.
    pub pixels_sha256: Vec<String>,
    /// Most tokens, sampling with the seed of the report that was kept, penalties.
    pub limits: Value,
    /// Version of loupe.
    pub loupe: String,
}

/// A study and its report. Nothing in it depends on when or in what company it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyReport {
    /// The worklist's id.
    pub study_id: String,
    /// What became of it.
    pub status: StudyStatus,
    /// Why there is no report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The findings section.
    pub findings: Option<String>,
    /// The impression section.
    pub impression: Option<String>,
    /// Every sentence.
    pub sentences: Vec<ReportSentence>,
    /// What is suspicious.
    pub lints: Vec<Lint>,
    /// The reply as the model wrote it; of several passes or candidates all of them, of a study that failed those that it had before.
    pub raw: Vec<String>,
    /// The report as JSON and where it departs from the template's schema, where that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredReport>,
    /// Which of several candidates was kept, by which rule, and the rule's figure of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// The images of the study, from 0, that no prompt showed to the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_shown: Vec<usize>,
    /// How the reply ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Tokens of all prompts and replies, those of candidates that were not kept included; of a study that failed those of the replies that it
    /// had before, none where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<ReportTokens>,
    /// The images and what is known of the study.
    pub study: Study,
    /// The reference by section, where there is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reference: BTreeMap<String, String>,
    /// What made it.
    pub provenance: ReportProvenance,
}

/// Tokens that a report took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportTokens {
    /// Of the prompts, pictures included.
    pub prompt: usize,
    /// That stand for pictures.
    pub pictures: usize,
    /// Generated.
    pub new: usize,
}

impl AddAssign for ReportTokens {
    fn add_assign(&mut self, other: Self) {
        self.prompt += other.prompt;
        self.pictures += other.pictures;
        self.new += other.new;
    }
}

impl From<Counts> for ReportTokens {
    fn from(counts: Counts) -> Self {
        Self { prompt: counts.prompt_tokens, pictures: counts.picture_tokens, new: counts.new_tokens }
    }
}

impl StudyStatus {
    /// In a word, as tables have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        }
    }
}

impl StudyReport {
    /// The report of an item of a run.
    pub fn of(item: &Item, made_by: &MadeBy) -> Self {
        let study = item.line.sample.as_ref().map(Study::of).unwrap_or_default();
        let pictures: Vec<&PictureRecord> = item.reply.iter().flat_map(|line| &line.pictures).collect();
        let shown = shown(item, made_by, pictures.len());
        let hashes = shown.iter().filter_map(|at| pictures.get(*at)).map(|picture| picture.sha256.clone());
        let prediction = item.prediction();
        let choice = prediction.as_ref().and_then(|prediction| Choice::of(&prediction.record));
        let kept = choice.as_ref().map_or(0, |choice| choice.chosen);
        let provenance = provenance(made_by, hashes.collect(), kept);
        let reference = match item.line.sample.as_ref().map(|sample| &sample.target) {
            Some(Target::Report(sections)) => sections.clone(),
            _ => BTreeMap::new(),
        };
        let empty = Self {
            study_id: item.line.id(),
            status: StudyStatus::Waiting,
            reason: None,
            findings: None,
            impression: None,
            sentences: Vec::new(),
            lints: Vec::new(),
            raw: prediction.as_deref().map(raw).unwrap_or_default(),
            structured: None,
            choice: None,
            not_shown: (0..pictures.len()).filter(|at| !shown.contains(at)).collect(),
            stop: None,
            tokens: prediction.as_deref().and_then(Prediction::spent).map(|(counts, _)| counts.into()),
            study,
            reference,
            provenance,
        };
        let Some(prediction) = prediction else { return empty };
        match &prediction.outcome {
            Outcome::Failed(failure) => {
                Self { status: StudyStatus::Failed, reason: Some(failure.reason.clone()), ..empty }
            }
            Outcome::Reply(reply) => empty.written(reply, &prediction.record),
        }
    }

    fn written(self, reply: &Reply, record: &Record) -> Self {
        let structured = StructuredReport::of(record);
        let report = WrittenReport::of(&reply.text, structured.as_ref());
        let mut lints = lints(&report, &self.study, reply.stop);
        let problems = structured.iter().flat_map(|structured| &structured.problems);
        lints.extend(problems.map(|problem| Lint {
            kind: LintKind::SchemaNotFollowed,
            sentence: None,
            words: problem.clone(),
        }));
        let sentences = report.sentences.iter().map(|sentence| ReportSentence {
            text: sentence.text.clone(),
            section: sentence.section,
            boxes: boxes_of(&sentence.text, reply),
        });
        Self {
            status: StudyStatus::Ok,
            sentences: sentences.collect(),
            findings: report.findings,
            impression: report.impression,
            lints,
            structured,
            choice: Choice::of(record),
            stop: Some(reply.stop),
            ..self
        }
    }

    /// The report as one text with headings.
    pub fn text(&self) -> String {
        let section =
            |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name}:\n{text}"));
        let sections = [section("FINDINGS", &self.findings), section("IMPRESSION", &self.impression)];
        sections.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}

/// The boxes of a reply whose label stands in the sentence.
fn boxes_of(sentence: &str, reply: &Reply) -> Vec<SentenceBox> {
    let lower = sentence.to_lowercase();
    let of = |finding: &&loupe_core::Finding| {
        finding
            .label
            .as_ref()
            .is_some_and(|label| !label.trim().is_empty() && lower.contains(&label.trim().to_lowercase()))
    };
    let found = reply.findings.iter().filter(of);
    let boxes = found.filter_map(|finding| match &finding.at {
        Place::Box(region) => Some(SentenceBox { picture: finding.picture, box_px: region.xyxy() }),
        _ => None,
    });
    boxes.collect()
}

/// What the model wrote, one text a reply.
fn raw(prediction: &Prediction) -> Vec<String> {
    match (&prediction.record, &prediction.outcome) {
        (Record::Rounds(trace), _) => {
            let replies = trace.rounds.iter().filter_map(|round| round.reply.as_ref());
            replies.map(|reply| reply.text.clone()).collect()
        }
        (_, Outcome::Reply(reply)) => vec![reply.text.clone()],
        (_, Outcome::Failed(_)) => Vec::new(),
    }
}

/// The pictures that the prompts showed: as the trace has it, or else as the template says.
fn shown(item: &Item, made_by: &MadeBy, pictures: usize) -> Vec<usize> {
    let prediction = item.prediction();
    let rounds = prediction.as_ref().and_then(|prediction| prediction.record.rounds());
    if let Some(trace) = rounds {
        let parts = trace.rounds.iter().flat_map(|round| &round.turns).flat_map(|turn| &turn.parts);
        let seen: BTreeSet<usize> =
            parts.filter_map(|part| if let Part::Picture(at) = part { Some(*at) } else { None }).collect();
        return seen.into_iter().collect();
    }
    if pictures < 2 {
        return (0..pictures).collect();
    }
    let words = made_by.prompt.get("text").and_then(Value::as_str);
    let template = words.and_then(template);
    let sample = item.line.sample.as_ref();
    let told = template.zip(sample).and_then(|(template, sample)| template.shown(sample).ok());
    let mut told = told.unwrap_or_else(|| (0..pictures).collect());
    told.sort_unstable();
    told
}

/// The template of a run, read once for all of its studies.
fn template(words: &str) -> Option<ReportTemplate> {
    static LAST: Mutex<Option<(String, Option<ReportTemplate>)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match last.as_ref() {
        Some((known, template)) if known == words => template.clone(),
        _ => {
            let template = ReportTemplate::new("template", "", words).ok();
            *last = Some((words.to_owned(), template.clone()));
            template
        }
    }
}

fn provenance(made_by: &MadeBy, pixels_sha256: Vec<String>, kept: usize) -> ReportProvenance {
    let model = &made_by.model;
    let from = match &model.from {
        Provenance::Checkpoint(checkpoint) => {
            let optional = |text: &Option<String>| text.clone().map_or(Value::Null, Value::from);
            [
                ("weights_sha256", checkpoint.weights_sha256.clone().into()),
                ("adapter_sha256", optional(&checkpoint.adapter_sha256)),
                ("tokenizer_sha256", optional(&checkpoint.tokenizer_sha256)),
                ("chat_template_sha256", optional(&checkpoint.template_sha256)),
                ("dtype", checkpoint.dtype.clone().into()),
                ("quant", optional(&checkpoint.quant)),
                ("activations", optional(&checkpoint.activations)),
                ("device", checkpoint.device.clone().into()),
                ("resample", checkpoint.resample.clone().into()),
            ]
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
        }
        other => match serde_json::to_value(other) {
            Ok(Value::Object(fields)) => fields.into_iter().collect(),
            _ => BTreeMap::new(),
        },
    };
    let of_template = |name: &str| made_by.prompt.get(name).and_then(Value::as_str).unwrap_or_default();
    ReportProvenance {
        model: format!("{} ({})", model.name, model.family),
        from,
        template: of_template("name").to_owned(),
        template_sha256: hex(&Sha256::digest(of_template("text").as_bytes())),
        pixels_sha256,
        limits: serde_json::to_value(&GenerationLimits {
            sampling: drawn(made_by.limits.sampling, kept),
            ..made_by.limits.clone()
        })
        .unwrap_or_default(),
        loupe: made_by.loupe.clone(),
    }
}
