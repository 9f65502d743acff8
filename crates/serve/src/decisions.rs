//! `/v1/decisions`: typed questions about one input, answered with a probability for every option.
//!
//! Nothing is generated. The probability of an option is its share of what falls on all of them as the
//! beginning of the model's reply; `mass` is how much that is.

use crate::api_error::ApiError;
use crate::fields::{DECISION_FIELDS, Fields, Rule, kind, shortened};
use crate::messages::Conversation;
use loupe_core::{Ask, GenerationLimits, OptionScores, Part, Picture, Reply, Role, Turn};
use serde_json::{Value, json};
use std::sync::Arc;

/// Most questions of a request.
const MOST_QUESTIONS: usize = 400;
/// Fewest and most options of a choice.
const CHOICES: std::ops::RangeInclusive<usize> = 2..=255;
/// Fewest and most levels of a score.
const LEVELS: std::ops::RangeInclusive<usize> = 2..=10;

static PREDICATE: &[(&str, Rule)] =
    &[("type", Rule::Read), ("name", Rule::Read), ("instructions", Rule::Read)];
static CHOICE: &[(&str, Rule)] =
    &[("type", Rule::Read), ("name", Rule::Read), ("instructions", Rule::Read), ("choices", Rule::Read)];
static SCORE: &[(&str, Rule)] =
    &[("type", Rule::Read), ("name", Rule::Read), ("instructions", Rule::Read), ("levels", Rule::Read)];
static OPTION: &[(&str, Rule)] = &[("value", Rule::Read), ("description", Rule::Read)];
static LEVEL: &[(&str, Rule)] = &[("label", Rule::Read), ("description", Rule::Read)];

/// A request for decisions, read.
#[derive(Debug)]
pub(crate) struct DecisionRequest {
    pub(crate) model: String,
    input: Conversation,
    questions: Vec<Question>,
}

/// One question.
#[derive(Debug)]
struct Question {
    name: Option<String>,
    kind: Kind,
    /// What the model may say.
    options: Vec<String>,
    /// What stands behind the input; pictures are numbered in `pictures`.
    parts: Vec<Part>,
    pictures: Vec<(String, String)>,
}

#[derive(Debug)]
enum Kind {
    Predicate,
    /// The values as they were given, text or true or false.
    Choice(Vec<Value>),
    Score,
}

impl DecisionRequest {
    /// From the body.
    pub(crate) fn read(mut body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::of("", &mut body, DECISION_FIELDS)?;
        let model = fields.text("model")?;
        let input = match fields.need("input")? {
            Value::String(text) => {
                Conversation { turns: vec![Turn::text(Role::User, text)], pictures: Vec::new() }
            }
            list => Conversation::read("input", list)?,
        };
        let questions = match fields.need("questions")? {
            Value::Array(list) if (1..=MOST_QUESTIONS).contains(&list.len()) => list,
            Value::Array(list) => {
                let problem = format!("has {}, expected 1 to {MOST_QUESTIONS}", list.len());
                return Err(fields.refused("questions", &problem));
            }
            other => return Err(fields.wrong("questions", &other, "a list")),
        };
        let questions = questions.into_iter().enumerate();
        let questions: Vec<Question> =
            questions.map(|(n, mut q)| Question::read(n, &mut q)).collect::<Result<_, _>>()?;
        // A question without instructions leaves the asking to the input.
        let input = if questions.iter().any(|q| q.parts.is_empty()) { input.asking("input")? } else { input };
        Ok(Self { model, input, questions })
    }

    /// Takes the pictures out, each with where it stands.
    pub(crate) fn take_pictures(&mut self) -> Vec<(String, String)> {
        let own = self.questions.iter_mut().map(|q| &mut q.pictures);
        std::iter::once(&mut self.input.pictures).chain(own).flat_map(|list| list.drain(..)).collect()
    }

    /// An ask for each question; `pictures` are the decoded ones in the order in which they were taken.
    pub(crate) fn asks(&self, pictures: &[Arc<Picture>]) -> Vec<Ask> {
        let of = |parts: &[Part]| parts.iter().filter(|p| matches!(p, Part::Picture(_))).count();
        let shared: usize = self.input.turns.iter().map(|turn| of(&turn.parts)).sum();
        let mut from = shared;
        let one = |question: &Question| {
            let own = from..from + of(&question.parts);
            from = own.end;
            let numbered = question.parts.iter().map(|part| match part {
                Part::Picture(n) => Part::Picture(shared + n),
                Part::Text(text) => Part::Text(text.clone()),
            });
            let mut turns = self.input.turns.clone();
            let last = turns.last_mut().filter(|turn| turn.role == Role::User);
            match last {
                _ if question.parts.is_empty() => {}
                Some(last) => {
                    last.parts.push(Part::Text("\n\n".into()));
                    last.parts.extend(numbered);
                }
                None => turns.push(Turn { role: Role::User, parts: numbered.collect() }),
            }
            let shown = pictures.iter().take(shared).chain(pictures.get(own).unwrap_or_default());
            Ask {
                pictures: shown.cloned().collect(),
                turns,
                limits: GenerationLimits {
                    options: Some(question.options.clone()),
                    ..GenerationLimits::default()
                },
            }
        };
        self.questions.iter().map(one).collect()
    }

    /// The response; one reply a question.
    pub(crate) fn response(&self, model: &str, replies: &[Reply]) -> Result<Value, ApiError> {
        let mut answers = Vec::new();
        for (question, reply) in self.questions.iter().zip(replies) {
            let Some(scores) = &reply.options else {
                let message = "the model tells no probabilities of options";
                return Err(ApiError::new(501, "no_probabilities", message));
            };
            answers.push(question.answer(scores));
        }
        let sum = |count: fn(&Reply) -> usize| replies.iter().map(count).sum::<usize>();
        let (input, cached) = (sum(|r| r.counts.prompt_tokens), sum(|r| r.counts.reused_tokens));
        Ok(json!({
            "object": "decision",
            "model": model,
            "answers": answers,
            "usage": {
                "input_tokens": input,
                "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
                "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": input,
            },
        }))
    }
}

impl Question {
    fn read(n: usize, question: &mut Value) -> Result<Self, ApiError> {
        let at = format!("questions[{n}]");
        let name = question.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let table = match name.as_str() {
            "predicate" => PREDICATE,
            "choice" => CHOICE,
            "score" => SCORE,
            other => {
                let message =
                    format!("{at}.type is {:?}, expected predicate, choice or score", shortened(other));
                return Err(ApiError::field(format!("{at}.type"), message));
            }
        };
        let mut fields = Fields::of(&at, question, table)?;
        let called = fields.take("name").map(|name| crate::fields::as_text(&fields.path("name"), name));
        let called = called.transpose()?;
        let mut own = Conversation::default();
        let given = fields.take("instructions").unwrap_or_else(|| Value::String(String::new()));
        let instructions = own.parts(&fields.path("instructions"), given)?;
        let (kind, options, rule) = match name.as_str() {
            "predicate" => {
                let options = vec!["Yes".to_owned(), "No".to_owned()];
                (Kind::Predicate, options, "Is this true? Answer Yes or No.".to_owned())
            }
            "choice" => {
                let (values, options, list) = options_of(&mut fields, "choices", "value", OPTION, CHOICES)?;
                let rule = format!("Answer with one of these and nothing else:\n{list}");
                (Kind::Choice(values), options, rule)
            }
            _ => {
                let (_, options, list) = options_of(&mut fields, "levels", "label", LEVEL, LEVELS)?;
                let rule =
                    format!("Answer with one of these levels, the lowest first, and nothing else:\n{list}");
                (Kind::Score, options, rule)
            }
        };
        let mut parts = instructions;
        // Without instructions the input is the whole prompt.
        if parts.iter().all(|part| matches!(part, Part::Text(text) if text.is_empty())) {
            parts.clear();
        } else {
            parts.push(Part::Text(format!("\n{rule}")));
        }
        Ok(Self { name: called, kind, options, parts, pictures: own.pictures })
    }

    fn answer(&self, scores: &OptionScores) -> Value {
        let share = |n: usize| scores.each.get(n).map_or(0.0, |option| option.probability);
        let best = (0..self.options.len()).reduce(|best, n| if share(n) > share(best) { n } else { best });
        let best = best.unwrap_or(0);
        let mut answer = match &self.kind {
            Kind::Predicate => json!({"type": "predicate", "probability": share(0)}),
            Kind::Choice(values) => {
                let each = values.iter().enumerate();
                let each: Vec<Value> =
                    each.map(|(n, value)| json!({"value": value, "probability": share(n)})).collect();
                json!({
                    "type": "choice",
                    "choice": values.get(best),
                    "confidence": share(best),
                    "probabilities": each,
                })
            }
            Kind::Score => {
                let levels = self.options.iter().enumerate();
                let each: Vec<Value> = levels
                    .map(|(n, label)| json!({"label": label, "value": n, "probability": share(n)}))
                    .collect();
                let expected: f64 = (0..self.options.len()).map(|n| n as f64 * share(n)).sum();
                json!({
                    "type": "score",
                    "score": expected,
                    "confidence": share(best),
                    "probabilities": each,
                })
            }
        };
        answer["name"] = json!(self.name);
        answer["mass"] = json!(scores.mass);
        answer
    }
}

/// Options with their values as given, their words, and the list that the model is shown.
fn options_of(
    fields: &mut Fields<'_>,
    list: &str,
    called: &str,
    table: &[(&str, Rule)],
    count: std::ops::RangeInclusive<usize>,
) -> Result<(Vec<Value>, Vec<String>, String), ApiError> {
    let given = match fields.need(list)? {
        Value::Array(given) if count.contains(&given.len()) => given,
        Value::Array(given) => {
            let problem = format!("has {}, expected {} to {}", given.len(), count.start(), count.end());
            return Err(fields.refused(list, &problem));
        }
        other => return Err(fields.wrong(list, &other, "a list")),
    };
    let (mut values, mut words, mut shown) = (Vec::new(), Vec::<String>::new(), Vec::new());
    for (n, mut option) in given.into_iter().enumerate() {
        let at = format!("{}[{n}]", fields.path(list));
        let mut option = Fields::of(&at, &mut option, table)?;
        let value = option.need(called)?;
        let word = match &value {
            Value::String(text) if !text.trim().is_empty() => text.clone(),
            Value::Bool(flag) if called == "value" => flag.to_string(),
            Value::String(_) => return Err(option.refused(called, "is empty")),
            other => {
                return Err(option.refused(called, &format!("is {}, expected text", kind(other))));
            }
        };
        if words.contains(&word) {
            return Err(option.refused(called, "is the same as an earlier one"));
        }
        let described =
            option.take("description").map(|d| crate::fields::as_text(&option.path("description"), d));
        shown.push(match described.transpose()? {
            Some(description) => format!("{word}: {description}"),
            None => word.clone(),
        });
        words.push(word);
        values.push(value);
    }
    Ok((values, words, shown.join("\n")))
}
