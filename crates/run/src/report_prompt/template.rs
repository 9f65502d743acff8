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

use super::opened::Opened;
use super::schema::ReportSchema;
use super::values::{Answers, NAMES, Said, Values, lacking, values};
use crate::filled::{FileTemplate, MARKS, block_text, blocks, parts, place_of, why_not};
use loupe_core::sandbox::Sandbox;
use loupe_core::study::Study;
use loupe_core::words::did_you_mean;
use loupe_core::{Ask, Failure, GenerationLimits, Part, Picture, Role, Sample, Turn};
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

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
    read: Arc<FileTemplate>,
    /// Of a template that composes its reports: the questions and the report whatever the answers are.
    opened: Arc<Vec<Opened>>,
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
    /// When it is no minijinja, has no block that asks for a report, or uses a name that no study has or a question that it does not ask; before
    /// anything is asked.
    pub fn new(name: &str, source: &str, text: &str) -> Result<Self, String> {
        let at_fault = |problem: String| format!("the report template {name:?}: {problem}");
        let parse = |text| Sandbox::new(text, SyntaxConfig::default(), furnish).map(Sandbox::ignoring_case);
        let read = FileTemplate::new(text, parse).map_err(at_fault)?;
        let has = |block: &str| read.has(block);
        let asks: Vec<String> =
            blocks(text).into_iter().filter(|name| name.starts_with(ASK)).map(str::to_owned).collect();
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
        let named = asks.iter().map(|name| name.strip_prefix(ASK).unwrap_or(name));
        let named: Vec<&str> = named.collect();
        if named.contains(&"") {
            return Err(at_fault("a block \"ask_\" has no name; call it \"ask_NAME\"".to_owned()));
        }
        if let Some(other) = answers_used(text).into_iter().find(|used| !named.contains(&used.as_str())) {
            let near = did_you_mean(&other, named.iter().copied());
            return Err(at_fault(format!("it uses answers.{other}{near}, and has no block \"ask_{other}\"")));
        }
        read.need_names(&NAMES, "a study").map_err(at_fault)?;
        let mut opened = Vec::new();
        if passes == Passes::Composed {
            opened.extend(asks.iter().map(|block| Opened::new(text, block)));
            let report = Opened::new(text, COMPOSE);
            if report.shows_any_picture() {
                return Err(at_fault(
                    "the block \"compose\" makes words; an image cannot stand there".to_owned(),
                ));
            }
            opened.push(report);
        }
        Ok(Self {
            name: name.to_owned(),
            source: source.to_owned(),
            text: text.to_owned(),
            passes,
            asks,
            schema,
            has_system: has("system"),
            read: Arc::new(read),
            opened: Arc::new(opened),
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
            Passes::Composed => return Ok(self.first_ask(sample)?.1),
        };
        if self.passes == Passes::FindingsThenImpression {
            // What the second pass lacks refuses the study before the first one.
            self.fill(sample, &Said::default(), &["impression"])?;
        }
        self.asked(sample, asks, &Answers::new())
    }

    /// The first question that is not blank for this study: its number and its turns. A study that lacks what the report or any question may
    /// write, whatever the answers are, is refused here.
    ///
    /// # Errors
    /// As [`ReportTemplate::turns`].
    pub fn first_ask(&self, sample: &Sample) -> Result<(usize, Vec<Turn>), Failure> {
        let study = Study::of(sample);
        self.need_no_marks(&values(&study, &Said::default(), None))?;
        let blocks = self.asks.iter().map(String::as_str).chain([COMPOSE]);
        for (block, opened) in blocks.zip(self.opened.iter()) {
            let lacking = opened.lacking(&study, self.asks());
            if !lacking.is_empty() {
                let names = lacking.join(" and ");
                return Err(self.refused(&format!(
                    "it writes {names} (block {block:?}), which the study does not have"
                )));
            }
        }
        if self.may_show(sample).is_empty() {
            return Err(self.refused(SHOWS_NONE));
        }
        let first = self.ask_from(sample, &Answers::new(), 0)?;
        first.ok_or_else(|| self.refused("all of its questions are blank"))
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
            // A question about an answer may be one in words alone.
            let needs_one = role == Role::User && self.passes != Passes::Composed;
            if needs_one && !parts.iter().any(|part| matches!(part, Part::Picture(_))) {
                return Err(self.refused(SHOWS_NONE));
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
        self.ask_from(sample, answers, at + 1)
    }

    fn ask_from(
        &self,
        sample: &Sample,
        answers: &Answers,
        from: usize,
    ) -> Result<Option<(usize, Vec<Turn>)>, Failure> {
        for (number, block) in self.asks.iter().enumerate().skip(from) {
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
        let filled = self.fill(sample, &Said { answers: answers.clone(), ..Said::default() }, &[COMPOSE])?;
        let report = filled.concat();
        match report.contains(MARKS) {
            true => Err(self.refused("the block \"compose\" makes words; an image cannot stand there")),
            false => Ok(report.trim().to_owned()),
        }
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

    /// The numbers of the images that the prompts show, in their order; of a template that asks one question after the other those that any of
    /// its questions can show, whatever the answers are.
    ///
    /// # Errors
    /// As [`ReportTemplate::turns`].
    pub fn shown(&self, sample: &Sample) -> Result<Vec<usize>, Failure> {
        let turns = self.turns(sample)?;
        if self.passes == Passes::Composed {
            return Ok(self.may_show(sample));
        }
        let second = self.impression_turn(sample, "")?;
        Ok(pictures_of(turns.iter().chain(&second)))
    }

    fn may_show(&self, sample: &Sample) -> Vec<usize> {
        let study = Study::of(sample);
        let mut all = Vec::new();
        for opened in self.opened.iter().take(self.asks.len()) {
            for at in opened.pictures(&study, self.asks()) {
                if !all.contains(&at) {
                    all.push(at);
                }
            }
        }
        all
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

    /// Refuses a study whose texts hold characters that stand for pictures.
    fn need_no_marks(&self, values: &Values) -> Result<(), Failure> {
        match values.holds_marks() {
            true => Err(self.refused("a text of the study holds a character for private use")),
            false => Ok(()),
        }
    }

    /// These blocks filled in for a study.
    fn fill(&self, sample: &Sample, said: &Said, blocks: &[&str]) -> Result<Vec<String>, Failure> {
        let study = Study::of(sample);
        let values = values(&study, &said.without_marks(), self.schema.as_ref());
        self.need_no_marks(&values)?;
        let one = |block: &&str| -> Result<String, Failure> {
            let words = self.read.fill_block(block, values.context());
            words.map_err(|error| self.refused(&missing(&self.text, &values, &error)))
        };
        blocks.iter().map(one).collect()
    }
}

/// The pictures of turns, each once.
fn pictures_of<'a>(turns: impl Iterator<Item = &'a Turn>) -> Vec<usize> {
    let mut all = Vec::new();
    for part in turns.flat_map(|turn| &turn.parts) {
        if let Part::Picture(at) = part
            && !all.contains(at)
        {
            all.push(*at);
        }
    }
    all
}

/// What templates may call, and how they treat what is not there.
fn furnish(environment: &mut Environment<'_>) {
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_function("refuse", |reason: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, format!("{REFUSED}{reason}")))
    });
}

/// The answers that a template names: `answers.NAME` and `answers["NAME"]`.
fn answers_used(text: &str) -> Vec<String> {
    let tokens = tokenize(text, false, SyntaxConfig::default()).map_while(Result::ok);
    let tokens: Vec<Token<'_>> = tokens.map(|(token, _)| token).collect();
    let named = |three: &[Token<'_>]| match three {
        [Token::Ident("answers"), Token::Dot, Token::Ident(name)] => Some((*name).to_owned()),
        [Token::Ident("answers"), Token::BracketOpen, Token::Str(name)] => Some((*name).to_owned()),
        [Token::Ident("answers"), Token::BracketOpen, Token::String(name)] => Some(name.to_string()),
        _ => None,
    };
    tokens.windows(3).filter_map(named).collect()
}

/// The block that makes the report of the answers.
const COMPOSE: &str = "compose";
const SHOWS_NONE: &str = "it shows none of the images";

/// How a reason of the template's own begins.
const REFUSED: &str = "refused: ";

/// Why a template could not be filled in, without any text of the study: what minijinja says in detail may repeat one.
fn missing(text: &str, values: &Values, error: &Error) -> String {
    let detail = error.detail().unwrap_or_default();
    if let Some(reason) = detail.strip_prefix(REFUSED) {
        let told = values.texts.values().any(|text| !text.trim().is_empty() && reason.contains(text.trim()));
        let own = "by a rule of its own, whose reason repeats a text of the study";
        return if told { own } else { reason }.to_owned();
    }
    if error.kind() != ErrorKind::UndefinedError {
        return why_not(error);
    }
    let place = place_of(error);
    let line = error.line().and_then(|n| text.lines().nth(n.saturating_sub(1))).unwrap_or(text);
    match lacking(line, values).as_slice() {
        [] => format!("it writes a value that the study does not have{place}"),
        names => format!("it writes {}, which the study does not have", names.join(" and ")),
    }
}
