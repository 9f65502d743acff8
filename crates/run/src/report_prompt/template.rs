//! A report template: minijinja with a block for each turn.
//!
//! | block | is |
//! |---|---|
//! | `system` | the system turn; may be missing |
//! | `report` | asks for the whole report in one pass |
//! | `findings` | asks for the findings |
//! | `impression` | asks, in the same conversation, for the impression of the findings; `findings` holds their text |
//! | `schema` | beside `report`: the JSON Schema that the reply has to follow ([`ReportSchema`]); `{{ schema }}` writes it into the prompt |
//!
//! | `ask_NAME` | beside `compose`: a question of its own, asked behind the ones before it where it is not blank; `answers.NAME` is its answer |
//! | `compose` | the report itself, made of the answers |
//!
//! Either `report`, `findings` or `compose` is there. Each block is filled in once and by itself, behind what stands outside of blocks. Names that a template may use are [`NAMES`]; one that the study has no value for may be
//! tested (`{% if indication %}`), and refuses the study where it is written out. `{{ image }}` puts the picture there.

use super::schema::ReportSchema;
use crate::filled::{BLOCK, MARKS, alone, block_text, blocks, mark, parts, words_of};
use loupe_core::study::{Projection, Study};
use loupe_core::words::did_you_mean;
use loupe_core::{Ask, Failure, GenerationLimits, Part, Picture, Role, Sample, Turn};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
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

/// The template's name inside its environment.
const FILE: &str = "template";
/// Instructions that filling a template in may take.
const FUEL: u64 = 1_000_000;

/// What is asked for, in which passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Passes {
    /// The whole report at once.
    Report,
    /// The findings alone.
    Findings,
    /// The findings, then the impression.
    FindingsThenImpression,
    /// One question after the other, of whose answers the report is made.
    Composed,
}

/// The answers to the questions of a template that composes its reports, by their names.
pub type Answers = BTreeMap<String, String>;

/// How the blocks of questions are called.
const ASK: &str = "ask_";

/// How studies become prompts for reports.
#[derive(Clone)]
pub struct ReportTemplate {
    name: String,
    source: String,
    text: String,
    passes: Passes,
    asks: Vec<String>,
    schema: Option<ReportSchema>,
    has_system: bool,
    environment: Arc<Environment<'static>>,
}

impl fmt::Debug for ReportTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportTemplate")
            .field("name", &self.name)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// As run.json keeps it: name, source and words.
impl Serialize for ReportTemplate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("ReportTemplate", 3)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("source", &self.source)?;
        fields.serialize_field("text", &self.text)?;
        fields.end()
    }
}

impl ReportTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is no minijinja, has no block that asks for a report, or uses a name that no study has; before anything is asked.
    pub fn new(name: &str, source: &str, text: &str) -> Result<Self, String> {
        let at_fault = |problem: String| format!("the report template {name:?}: {problem}");
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.add_function("refuse", |reason: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, format!("{REFUSED}{reason}")))
        });
        let blocks = blocks(text);
        let whole = (FILE.to_owned(), text.to_owned());
        for (name, text) in
            std::iter::once(whole).chain(blocks.iter().map(|name| (own(name), alone(text, name))))
        {
            environment
                .add_template_owned(name, text)
                .map_err(|e| at_fault(format!("not minijinja: {}", words_of(&e))))?;
        }
        let has = |block: &str| blocks.contains(&block);
        let asks: Vec<String> =
            blocks.iter().filter(|name| name.starts_with(ASK)).map(|name| (*name).to_owned()).collect();
        let passes = match (has("report"), has("findings"), has("impression")) {
            (false, false, false) if has("compose") && !asks.is_empty() => Passes::Composed,
            _ if has("compose") || !asks.is_empty() => {
                return Err(at_fault(
                    "a block \"compose\" makes the report of the answers to blocks \"ask_NAME\": both are needed, and no other that asks".to_owned(),
                ));
            }
            (true, false, false) => Passes::Report,
            (false, true, false) => Passes::Findings,
            (false, true, true) => Passes::FindingsThenImpression,
            (false, false, _) => {
                return Err(at_fault(
                    "it has neither a block \"report\" nor a block \"findings\"".to_owned(),
                ));
            }
            (true, ..) => {
                return Err(at_fault(
                    "a block \"report\" asks for all sections; it has others beside".to_owned(),
                ));
            }
        };
        let schema = match block_text(text, "schema") {
            None => None,
            Some(_) if passes != Passes::Report => {
                return Err(at_fault(
                    "a block \"schema\" goes with a block \"report\": the whole report in one reply"
                        .to_owned(),
                ));
            }
            Some(words) if words.contains("{{") || words.contains("{%") => {
                return Err(at_fault(
                    "the block \"schema\" is plain JSON; nothing is filled in there".to_owned(),
                ));
            }
            Some(words) => Some(ReportSchema::new(&words).map_err(at_fault)?),
        };
        let used = environment.get_template(FILE).map(|t| t.undeclared_variables(false)).unwrap_or_default();
        let mut unknown: Vec<String> =
            used.into_iter().filter(|used| !NAMES.contains(&used.as_str())).collect();
        unknown.sort();
        unknown.retain(|name| !GLOBALS.contains(&name.as_str()));
        if let Some(first) = unknown.first() {
            let near = did_you_mean(first, NAMES);
            let known = NAMES.join(", ");
            return Err(at_fault(format!("nothing is called {first:?}{near}; a study has {known}")));
        }
        Ok(Self {
            name: name.to_owned(),
            source: source.to_owned(),
            text: text.to_owned(),
            passes,
            asks,
            schema,
            has_system: has("system"),
            environment: Arc::new(environment),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks for.
    pub fn passes(&self) -> Passes {
        self.passes
    }

    /// What the reply has to look like, where it is asked for as JSON.
    pub fn schema(&self) -> Option<&ReportSchema> {
        self.schema.as_ref()
    }

    /// The turns of the first pass: pictures are numbered as the images of `sample` are.
    ///
    /// # Errors
    /// When the study lacks what the template needs; the reason says what.
    pub fn turns(&self, sample: &Sample) -> Result<Vec<Turn>, Failure> {
        let asks = match self.passes {
            Passes::Report => "report",
            Passes::Findings | Passes::FindingsThenImpression => "findings",
            Passes::Composed => self.asks.first().map_or("", String::as_str),
        };
        if self.passes == Passes::FindingsThenImpression {
            // What the second pass lacks refuses the study before the first one.
            self.fill(sample, &Said::default(), &["impression"])?;
        }
        self.asked(sample, asks, &Answers::new())
    }

    /// The turns of a block that asks, behind the system's.
    fn asked(&self, sample: &Sample, asks: &str, answers: &Answers) -> Result<Vec<Turn>, Failure> {
        let system = self.has_system.then_some("system");
        let blocks: Vec<&str> = system.into_iter().chain([asks]).collect();
        let filled = self.fill(sample, &Said { answers: answers.clone(), ..Said::default() }, &blocks)?;
        let mut turns = Vec::new();
        for (block, words) in blocks.iter().zip(filled) {
            let role = if *block == "system" { Role::System } else { Role::User };
            let parts = parts(&words);
            if role == Role::User && !parts.iter().any(|part| matches!(part, Part::Picture(_))) {
                return Err(self.refused("it shows none of the images"));
            }
            if !parts.is_empty() {
                turns.push(Turn { role, parts });
            }
        }
        Ok(turns)
    }

    /// The names of the questions that the report is made of, in their order.
    pub fn asks(&self) -> impl Iterator<Item = &str> {
        self.asks.iter().map(|name| name.strip_prefix(ASK).unwrap_or(name))
    }

    /// The next question behind number `at` that is not blank with these answers: its number and its turns; nothing when all are asked.
    ///
    /// # Errors
    /// As [`ReportTemplate::turns`].
    pub fn next_ask(
        &self,
        sample: &Sample,
        answers: &Answers,
        at: usize,
    ) -> Result<Option<(usize, Vec<Turn>)>, Failure> {
        for (number, block) in self.asks.iter().enumerate().skip(at + 1) {
            let said = Said { answers: answers.clone(), ..Said::default() };
            let filled = self.fill(sample, &said, &[block.as_str()])?;
            if filled.iter().any(|words| !words.trim().is_empty()) {
                return Ok(Some((number, self.asked(sample, block, answers)?)));
            }
        }
        Ok(None)
    }

    /// The report that is made of these answers.
    ///
    /// # Errors
    /// As [`ReportTemplate::turns`].
    pub fn composed(&self, sample: &Sample, answers: &Answers) -> Result<String, Failure> {
        let filled =
            self.fill(sample, &Said { answers: answers.clone(), ..Said::default() }, &["compose"])?;
        Ok(filled.concat().trim().to_owned())
    }

    /// The turn that asks for the impression of these findings; nothing where the template has no such pass.
    ///
    /// # Errors
    /// As [`ReportTemplate::turns`].
    pub fn impression_turn(&self, sample: &Sample, findings: &str) -> Result<Option<Turn>, Failure> {
        if self.passes != Passes::FindingsThenImpression {
            return Ok(None);
        }
        let said = Said { findings: findings.to_owned(), ..Said::default() };
        let filled = self.fill(sample, &said, &["impression"])?;
        Ok(filled.first().map(|words| Turn { role: Role::User, parts: parts(words) }))
    }

    /// The numbers of the images that the prompt shows, in its order.
    ///
    /// # Errors
    /// As [`ReportTemplate::turns`].
    pub fn shown(&self, sample: &Sample) -> Result<Vec<usize>, Failure> {
        let turns = self.turns(sample)?;
        if self.passes == Passes::Composed {
            // Which of them later questions show depends on the answers.
            return Ok((0..sample.media.len()).collect());
        }
        let parts = turns.iter().flat_map(|turn| &turn.parts);
        Ok(parts.filter_map(|part| if let Part::Picture(at) = part { Some(*at) } else { None }).collect())
    }

    /// The prompt for `sample` with its pictures decoded.
    ///
    /// # Errors
    /// As [`ReportTemplate::turns`].
    pub fn ask(
        &self,
        sample: &Sample,
        pictures: Vec<Arc<Picture>>,
        limits: GenerationLimits,
    ) -> Result<Ask, Failure> {
        Ok(Ask { pictures, turns: self.turns(sample)?, limits })
    }

    fn refused(&self, reason: &str) -> Failure {
        Failure::lasting(format!("the report template {:?} cannot ask for this study: {reason}", self.name))
    }

    /// These blocks filled in for a study.
    fn fill(&self, sample: &Sample, said: &Said, blocks: &[&str]) -> Result<Vec<String>, Failure> {
        let study = Study::of(sample);
        let values = values(&study, said, self.schema.as_ref());
        let holds_marks = |text: &str| text.contains(MARKS) || text.contains(BLOCK);
        if values.texts.values().chain(said.answers.values()).any(|text| holds_marks(text)) {
            return Err(self.refused("a text of the study holds a character for private use"));
        }
        let filled = || -> Result<Vec<String>, Error> {
            let one = |block: &&str| -> Result<String, Error> {
                let words = self.environment.get_template(&own(block))?.render(values.context())?;
                Ok(words.split(BLOCK).nth(1).unwrap_or_default().to_owned())
            };
            blocks.iter().map(one).collect()
        };
        filled().map_err(|error| self.refused(&missing(&self.text, &values, &error)))
    }
}

/// What the model said so far.
#[derive(Default)]
struct Said {
    findings: String,
    answers: Answers,
}

/// The name of a block by itself in the template's environment.
fn own(block: &str) -> String {
    format!("{FILE}:{block}")
}

/// How a reason of the template's own begins.
const REFUSED: &str = "refused: ";

/// Functions that minijinja brings.
const GLOBALS: [&str; 7] = ["range", "dict", "namespace", "debug", "loop", "self", "super"];

/// Why a template could not be filled in, without any text of the study.
fn missing(text: &str, values: &Values, error: &Error) -> String {
    if let Some(reason) = error.detail().and_then(|detail| detail.strip_prefix(REFUSED)) {
        return reason.to_owned();
    }
    if error.kind() != ErrorKind::UndefinedError {
        return words_of(error);
    }
    let line = error.line().and_then(|n| text.lines().nth(n.saturating_sub(1))).unwrap_or(text);
    let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let lacking = |name: &&&str| words.contains(*name) && !values.has(name);
    let lacking: Vec<&str> = NAMES.iter().filter(lacking).copied().filter(|name| *name != "refuse").collect();
    match lacking.as_slice() {
        [] => format!("it writes a value that the study does not have: {}", words_of(error)),
        names => format!("it writes {}, which the study does not have", names.join(" and ")),
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
struct Values {
    texts: BTreeMap<&'static str, String>,
    others: BTreeMap<&'static str, Value>,
}

impl Values {
    fn has(&self, name: &str) -> bool {
        self.texts.contains_key(name) || self.others.contains_key(name)
    }

    fn context(&self) -> Value {
        let texts = self.texts.iter().map(|(name, text)| (*name, Value::from(text.as_str())));
        Value::from_pairs(texts.chain(self.others.iter().map(|(name, value)| (*name, value.clone()))))
    }
}

fn values(study: &Study, said: &Said, schema: Option<&ReportSchema>) -> Values {
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
    Values { texts, others }
}
