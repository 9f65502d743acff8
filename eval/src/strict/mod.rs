//! The `strict` profile: every rule documented in docs/reference/scoring.md, the one that fired on record.
//!
//! What it never does: guess, take the first option, draw at random, or find `no` inside `abnormal`.
//! A reply out of which no rule reads an answer is unparsed: in the denominator, never credited. Which part of it may
//! be read is in [`loupe_core::reasoning`]; every text is first brought into [`loupe_core::text_form`].

mod choice;
mod cues;
mod denial;
mod extract;
mod figures;
mod letters;
mod lines;
mod masks;
mod measurements;
mod polarity;
mod regions;
mod tokens;
mod words;
mod yes_no;

use crate::profile::{Case, Judgement, Profile, Verdict};
use extract::{How, Span, bare, extract, kept, refuses, ruled};
use loupe_core::sample::Outcome;
use loupe_core::text_form::text_form;
use loupe_core::{Failure, Reply, Sample, Target};
use words::{is_unit, normal, overlap, words};

pub use figures::*;
pub use masks::DICE;
pub use polarity::polarity;

/// The letters of options that a reply rules out ("A is incorrect", 排除A), which are never read as its answer. Empty where
/// nothing in the reply is an answer, and for questions that ask for the exception.
pub fn denied(sample: &Sample, reply: &str) -> Vec<char> {
    let text = text_form(reply);
    let exception = denial::asks_for_exception(&sample.question);
    extract(&text).map(|span| choice::denied(span.reply, &sample.choices, exception)).unwrap_or_default()
}

/// The profile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Strict;

/// An answer that was read, or the reason why none was.
struct Read {
    right: Option<bool>,
    rule: String,
    span: Option<String>,
    gold: String,
    answer: Option<String>,
}

impl Profile for Strict {
    fn name(&self) -> &str {
        "strict"
    }

    fn about(&self) -> &str {
        "loupe's own rules (docs/reference/scoring.md): no guessing, unparsed replies are a class of their own"
    }

    fn judge(&self, case: &Case<'_>) -> Judgement {
        let figures = Figures::of(case.sample);
        let reply = match &case.prediction.outcome {
            Outcome::Reply(reply) => reply,
            Outcome::Failed(Failure { reason, .. }) => {
                let bare = Judgement::bare(Verdict::Failed, reason.clone(), gold_words(case.sample));
                if let Target::Measurements(gold) = &case.sample.target {
                    return measurements::figures(bare, gold, None);
                }
                return figures.fill(bare, f64::NAN, (f64::NAN, f64::NAN));
            }
        };
        match &case.sample.target {
            Target::Boxes(gold) => return regions::boxes(gold, reply),
            Target::Points(gold) => return regions::points(gold, reply),
            Target::Count(gold) => return count(*gold, reply),
            Target::Measurements(gold) => return measurements::measurements(gold, reply),
            Target::Report(_) => {
                return Judgement::bare(Verdict::Unscored, "report: see the text metrics", "");
            }
            Target::Masks(_) => return masks::masks(reply, case.prediction),
            Target::Unknown => return Judgement::bare(Verdict::Unscored, "no reference answer", ""),
            // An empty reference agrees with nothing, not with an empty reply.
            Target::Text(wordings) if wordings.iter().all(|w| w.trim().is_empty()) => {
                return Judgement::bare(Verdict::Unscored, "no reference answer", "");
            }
            _ => {}
        }
        let text = text_form(&reply.text);
        let span = match extract(&text) {
            Ok(span) => span,
            Err(rule) => {
                let bare = Judgement::bare(Verdict::Unparsed, rule, gold_words(case.sample));
                return figures.fill(bare, 0.0, (0.0, 0.0));
            }
        };
        let (read, shares) = match &figures.kind {
            Kind::Choice(gold) => (read_choice(&span, case.sample, *gold), (0.0, 0.0)),
            Kind::Letters(gold) => read_letters(&span, case.sample, gold),
            Kind::YesNo(gold) => (read_yes_no(&span, &case.sample.question, *gold), (0.0, 0.0)),
            Kind::Words(wordings) => read_words(&span, wordings),
            Kind::None => {
                return Judgement::bare(
                    Verdict::Unscored,
                    "the reference is none of the options",
                    gold_words(case.sample),
                );
            }
        };
        let verdict = match read.right {
            Some(true) => Verdict::Correct,
            Some(false) => Verdict::Wrong,
            None => Verdict::Unparsed,
        };
        let right = f64::from(verdict == Verdict::Correct);
        let judgement = Judgement {
            verdict,
            rule: read.rule.into(),
            span: read.span,
            gold: read.gold,
            answer: read.answer,
            values: Vec::new(),
        };
        figures.fill(judgement, right, shares)
    }
}

enum Kind {
    Choice(char),
    Letters(Vec<char>),
    YesNo(bool),
    Words(Vec<String>),
    None,
}

/// Which figures an item belongs to; decided by the sample alone, so that a failed item is missed
/// in the right place.
struct Figures {
    kind: Kind,
    closed_type: bool,
    open: bool,
    judged: bool,
}

impl Figures {
    fn of(sample: &Sample) -> Self {
        let kind = kind(sample);
        let by_type = sample.tag("answer_type").map(|t| t.trim().to_lowercase());
        let closed_type = matches!(by_type.as_deref(), Some("closed" | "yes/no"));
        // Without the set's own word, open is what is neither yes/no nor a choice.
        let open = matches!(kind, Kind::Words(_)) && !closed_type;
        let judged = !matches!(kind, Kind::None);
        Self { kind, closed_type, open, judged }
    }

    /// `shares` are recall and F1 of words, or Jaccard and agreement of letters.
    fn fill(&self, mut judgement: Judgement, right: f64, (recall, f1): (f64, f64)) -> Judgement {
        if self.judged {
            judgement = judgement.with(ACCURACY, right);
        }
        if self.closed_type {
            judgement = judgement.with(CLOSED_BY_TYPE, right);
        }
        match self.kind {
            Kind::YesNo(_) => judgement = judgement.with(CLOSED_BY_GOLD, right),
            Kind::Choice(_) => judgement = judgement.with(CHOICE, right),
            Kind::Letters(_) => {
                judgement = judgement
                    .with(LETTERS_EXACT, right)
                    .with(LETTERS_JACCARD, recall)
                    .with(LETTERS_RIGHT, f1);
            }
            Kind::Words(_) | Kind::None => {}
        }
        if self.open {
            judgement = judgement.with(OPEN_EXACT, right).with(OPEN_RECALL, recall).with(OPEN_F1, f1);
        }
        judgement
    }
}

fn kind(sample: &Sample) -> Kind {
    match &sample.target {
        Target::Choice(letter) if sample.choices.iter().any(|c| c.letter == *letter) => Kind::Choice(*letter),
        Target::Choices(letters) if letters.iter().all(|l| sample.choices.iter().any(|c| c.letter == *l)) => {
            let mut letters = letters.clone();
            letters.sort_unstable();
            letters.dedup();
            if letters.is_empty() { Kind::None } else { Kind::Letters(letters) }
        }
        Target::Text(wordings) if !sample.choices.is_empty() => {
            let gold: Vec<String> = wordings.iter().map(|w| normal(w)).collect();
            let same = |c: &&loupe_core::Choice| gold.contains(&normal(&c.text));
            let mut fitting = sample.choices.iter().filter(same);
            match (fitting.next(), fitting.next()) {
                (Some(one), None) => Kind::Choice(one.letter),
                _ => Kind::None,
            }
        }
        Target::Text(wordings) => match wordings.first().map(|w| polarity(w)) {
            None => Kind::None,
            Some(Some(yes)) => Kind::YesNo(yes),
            Some(None) => Kind::Words(wordings.clone()),
        },
        _ => Kind::None,
    }
}

fn gold_words(sample: &Sample) -> String {
    match &sample.target {
        Target::Choice(letter) => letter.to_string(),
        Target::Choices(letters) => spelled(letters),
        target => target.text().unwrap_or_default().to_owned(),
    }
}

/// Letters side by side: `A, C`.
fn spelled(letters: &[char]) -> String {
    letters.iter().map(char::to_string).collect::<Vec<_>>().join(", ")
}

fn read_choice(span: &Span<'_>, sample: &Sample, gold: char) -> Read {
    let (found, how) = choice::read(span, &sample.choices, denial::asks_for_exception(&sample.question));
    let answer = found.ok().map(|(letter, _)| letter.to_string());
    Read {
        right: found.ok().map(|(letter, _)| letter == gold),
        rule: ruled(how, found.map_or_else(|rule| rule, |(_, rule)| rule)),
        span: kept(span.text),
        gold: gold.to_string(),
        answer,
    }
}

/// A set of letters: right when it is the reference's; beside it Jaccard, and the share of options on which both agree.
fn read_letters(span: &Span<'_>, sample: &Sample, gold: &[char]) -> (Read, (f64, f64)) {
    let exception = denial::asks_for_exception(&sample.question);
    let (said, rule) = match letters::read(span, &sample.choices, exception) {
        Ok((letters, rule)) => (Some(letters), rule),
        Err(rule) => (None, rule),
    };
    let shares = said.as_deref().map_or((0.0, 0.0), |said| {
        (letters::jaccard(gold, said), letters::agreement(&sample.choices, gold, said))
    });
    let read = Read {
        right: said.as_deref().map(|said| said == gold),
        rule: ruled(span.how, rule),
        span: kept(span.text),
        gold: spelled(gold),
        answer: said.as_deref().map(spelled),
    };
    (read, shares)
}

fn read_yes_no(span: &Span<'_>, question: &str, gold: bool) -> Read {
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let (found, how) = yes_no::read(span, question);
    Read {
        right: found.ok().map(|(answer, _)| answer == gold),
        rule: ruled(how, found.map_or_else(|rule| rule, |(_, rule)| rule)),
        span: kept(span.text),
        gold: word(gold),
        answer: found.ok().map(|(answer, _)| word(answer)),
    }
}

/// A short answer: exact in the normal form; recall and F1 over its words beside it, the best over
/// the accepted wordings.
fn read_words(span: &Span<'_>, wordings: &[String]) -> (Read, (f64, f64)) {
    let text = bare(if span.how == How::Declared { sentence(span.text) } else { span.text });
    let said = words(text);
    let golds: Vec<Vec<String>> = wordings.iter().map(|w| words(w)).collect();
    let gold = golds.first().map(|g| g.join(" ")).unwrap_or_default();
    let right = golds.iter().any(|g| !g.is_empty() && *g == said);
    let unread = if said.is_empty() {
        Some("no_words")
    } else if !right && refuses(text) {
        Some("refusal")
    } else {
        None
    };
    let span_kept = kept(text);
    if let Some(rule) = unread {
        return (
            Read { right: None, rule: ruled(span.how, rule), span: span_kept, gold, answer: None },
            (0.0, 0.0),
        );
    }
    let best = |f: fn((f64, f64)) -> f64| golds.iter().map(|g| f(overlap(g, &said))).fold(0.0, f64::max);
    let shares = (best(|s| s.0), best(|s| s.1));
    let answer = kept(&said.join(" "));
    (Read { right: Some(right), rule: ruled(span.how, "words"), span: span_kept, gold, answer }, shares)
}

/// Up to the end of the first sentence.
fn sentence(text: &str) -> &str {
    let ends = text.match_indices(['.', '。', '!']).filter(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        *mark != "." || rest.is_empty() || rest.starts_with(char::is_whitespace)
    });
    ends.map(|(at, _)| at).find(|&at| at > 0).map_or(text, |at| &text[..at])
}

/// A number: the only one of the span, or the first of a declared one.
fn count(gold: f64, reply: &Reply) -> Judgement {
    let gold_text = gold.to_string();
    let text = text_form(&reply.text);
    let span = match extract(&text) {
        Ok(span) => span,
        Err(rule) => {
            return Judgement::bare(Verdict::Unparsed, rule, gold_text).with(ACCURACY, 0.0).with(COUNT, 0.0);
        }
    };
    let said = words(span.text);
    // A share or a length is no count.
    let plain = said.iter().enumerate().filter(|(at, _)| !said.get(at + 1).is_some_and(|next| is_unit(next)));
    let mut numbers: Vec<f64> =
        plain.filter_map(|(_, w)| w.parse().ok()).filter(|v: &f64| v.is_finite()).collect();
    numbers.dedup();
    let answer = match (numbers.first(), numbers.len(), span.how) {
        (Some(&only), 1, _) => Ok(only),
        (Some(&first), _, How::AnswerTag | How::Boxed | How::Declared) => Ok(first),
        (Some(_), ..) => Err("several_numbers"),
        (None, ..) => Err("no_number"),
    };
    let right = answer.is_ok_and(|a| (a - gold).abs() < 1e-9);
    let verdict = match answer {
        Err(_) => Verdict::Unparsed,
        Ok(_) if right => Verdict::Correct,
        Ok(_) => Verdict::Wrong,
    };
    let mut judgement =
        Judgement::bare(verdict, ruled(span.how, answer.map_or_else(|r| r, |_| "number")), gold_text)
            .with(ACCURACY, f64::from(right))
            .with(COUNT, f64::from(right))
            .with(COUNT_ERROR, answer.map_or(f64::NAN, |a| (a - gold).abs()))
            .with(COUNT_SQUARED, answer.map_or(f64::NAN, |a| (a - gold).powi(2)));
    judgement.span = kept(span.text);
    judgement.answer = answer.ok().map(|a| a.to_string());
    judgement
}

/// The profile for use in a run.
pub fn profile() -> &'static dyn Profile {
    &Strict
}
