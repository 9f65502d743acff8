//! The replies to many studies under way together: what is asked next, and the report of a study whose last reply is there.

use super::candidates::{Candidates, Choice, Draft, drawn};
use super::schema::StructuredReport;
use super::template::{Passes, ReportTemplate};
use super::values::Answers;
use loupe_core::reasoning::answer_words;
use loupe_core::trace::{Ended, Round};
use loupe_core::{
    Answer, AnswerSink, Ask, AskId, AskSource, Failure, Go, ModelError, Next, NextWork, Part, PictureRecord,
    Record, Reply, ReplySink, Retry, Role, Stop, Trace, Turn, Work, WorkSource,
};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

/// What the replies of a report are for, in their order.
pub(super) fn names(template: &ReportTemplate) -> Vec<&str> {
    match template.passes() {
        Passes::Report => vec!["report"],
        Passes::Findings => vec!["findings"],
        Passes::FindingsThenImpression => vec!["findings", "impression"],
        Passes::Composed => template.asks().collect(),
    }
}

/// How replies are numbered: by study, then by candidate, then by pass.
#[derive(Clone, Copy)]
struct Numbers {
    passes: usize,
    candidates: usize,
}

impl Numbers {
    fn id(self, study: u64, candidate: usize, pass: usize) -> AskId {
        AskId(study * (self.passes * self.candidates) as u64 + (candidate * self.passes + pass) as u64)
    }

    fn study(self, id: AskId) -> u64 {
        id.0 / (self.passes * self.candidates) as u64
    }

    fn candidate(self, id: AskId) -> usize {
        (id.0 / self.passes as u64) as usize % self.candidates
    }
}

/// A report on a study, as far as it has come.
#[derive(Default)]
struct Candidate {
    /// The number of each pass, the turns that were new in it, and the reply.
    passes: Vec<(usize, Vec<Turn>, Reply)>,
    /// The pass that is asked for now.
    pass: usize,
    /// The turns that ask for it.
    asks: Vec<Turn>,
    /// Why there is none.
    failed: Option<Failure>,
    /// The whole report.
    report: Option<Reply>,
    structured: Option<StructuredReport>,
}

impl Candidate {
    fn is_done(&self) -> bool {
        self.failed.is_some() || self.report.is_some()
    }

    fn draft(&self) -> Option<Draft<'_>> {
        Some(Draft { reply: self.report.as_ref()?, structured: self.structured.as_ref() })
    }

    fn follows_its_schema(&self) -> bool {
        self.structured.as_ref().is_none_or(|structured| structured.problems.is_empty())
    }
}

/// A study whose report is under way.
struct Open {
    work: Box<Work>,
    candidates: Vec<Candidate>,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Open>,
    /// What is to be asked next.
    ready: VecDeque<(AskId, Ask)>,
    /// There is no further study; a source that said so is not asked again.
    no_more: bool,
}

pub(super) struct Desk<'a> {
    template: &'a ReportTemplate,
    model: &'a str,
    candidates: Option<Candidates>,
    numbers: Numbers,
    state: RefCell<State>,
}

pub(super) struct Asks<'a, 'b> {
    pub(super) work: &'a mut dyn WorkSource,
    pub(super) desk: &'a Desk<'b>,
}

impl AskSource for Asks<'_, '_> {
    fn next(&mut self, idle: bool) -> Next {
        // What has begun is finished first.
        if let Some((id, ask)) = self.desk.state.borrow_mut().ready.pop_front() {
            return Next::Ask(id, ask);
        }
        let next = if self.desk.state.borrow().no_more { NextWork::NoMore } else { self.work.next(idle) };
        match next {
            NextWork::Work(study, work) => {
                let (id, ask) = self.desk.begin(study, work);
                Next::Ask(id, ask)
            }
            NextWork::NotYet => Next::NotYet,
            NextWork::NoMore => {
                let mut state = self.desk.state.borrow_mut();
                state.no_more = true;
                // Replies that are under way bring further ones.
                if state.open.is_empty() || idle { Next::NoMore } else { Next::NotYet }
            }
        }
    }
}

pub(super) struct Replies<'a, 'b> {
    pub(super) answers: &'a mut dyn AnswerSink,
    pub(super) desk: &'a Desk<'b>,
}

impl ReplySink for Replies<'_, '_> {
    fn piece(&mut self, id: AskId, _: &str) -> Go {
        self.answers.wanted(self.desk.numbers.study(id))
    }

    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        if let Some(answer) = self.desk.heard(id, reply) {
            self.answers.done(self.desk.numbers.study(id), answer);
        }
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(template: &'a ReportTemplate, model: &'a str, candidates: Option<Candidates>) -> Self {
        let passes = names(template).len();
        let numbers = Numbers { passes, candidates: candidates.map_or(1, |c| c.count) };
        Self { template, model, candidates, numbers, state: RefCell::default() }
    }

    /// The first ask of a study; the other candidates' wait behind it.
    fn begin(&self, study: u64, work: Box<Work>) -> (AskId, Ask) {
        let mut state = self.state.borrow_mut();
        // The questions that are blank for this study are not asked.
        let pass = match self.template.passes() {
            Passes::Composed => self.template.first_ask(&work.sample).map_or(0, |(pass, _)| pass),
            _ => 0,
        };
        let of = |number: usize| {
            let mut ask = with_its_pictures(work.ask.clone());
            ask.limits.sampling = drawn(ask.limits.sampling, number);
            (self.numbers.id(study, number, pass), ask)
        };
        let first = of(0);
        state.ready.extend((1..self.numbers.candidates).map(of));
        let candidate = |_| Candidate { pass, asks: work.ask.turns.clone(), ..Candidate::default() };
        let candidates = (0..self.numbers.candidates).map(candidate).collect();
        state.open.insert(study, Open { work, candidates });
        first
    }

    /// A reply is there: it brings the next ask, or the answer of its study once all candidates are done.
    fn heard(&self, id: AskId, reply: Result<Reply, ModelError>) -> Option<Answer> {
        let (study, number) = (self.numbers.study(id), self.numbers.candidate(id));
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let open = state.open.get_mut(&study)?;
        let candidate = open.candidates.get_mut(number)?;
        match reply {
            Err(error) => candidate.failed = Some(Failure::from(error)),
            Ok(reply) => {
                let turns = std::mem::take(&mut candidate.asks);
                candidate.passes.push((candidate.pass, turns, reply));
                match self.go_on(&open.work, candidate, number) {
                    Ok(Some(ask)) => {
                        let next = self.numbers.id(study, number, candidate.pass);
                        state.ready.push_back((next, ask));
                        return None;
                    }
                    Ok(None) => {}
                    Err(failure) => candidate.failed = Some(failure),
                }
            }
        }
        if !open.candidates.iter().all(Candidate::is_done) {
            return None;
        }
        state.open.remove(&study).map(|open| self.concluded(open))
    }

    /// The next ask of a candidate, or its report.
    fn go_on(&self, work: &Work, candidate: &mut Candidate, number: usize) -> Result<Option<Ask>, Failure> {
        let mut ask = work.ask.clone();
        ask.limits.sampling = drawn(ask.limits.sampling, number);
        let passes = self.template.passes();
        let names: Vec<&str> = names(self.template);
        // Of one reply the report is as it was written; where several make it, each has to say something.
        if matches!(passes, Passes::Composed | Passes::FindingsThenImpression)
            && let Some((pass, _, reply)) = candidate.passes.last()
            && answer(reply).is_empty()
        {
            return Err(no_answer(names.get(*pass).copied().unwrap_or_default(), reply));
        }
        let answers = || -> Answers {
            let answer = |(pass, _, reply): &(usize, Vec<Turn>, Reply)| {
                Some(((*names.get(*pass)?).to_owned(), answer(reply).to_owned()))
            };
            candidate.passes.iter().filter_map(answer).collect()
        };
        if passes == Passes::Composed
            && let Some((pass, turns)) = self.template.next_ask(&work.sample, &answers(), candidate.pass)?
        {
            ask.turns.clone_from(&turns);
            (candidate.pass, candidate.asks) = (pass, turns);
            return Ok(Some(with_its_pictures(ask)));
        }
        if let ([(_, _, findings)], Passes::FindingsThenImpression) = (candidate.passes.as_slice(), passes) {
            let findings = answer_words(&findings.text).trim();
            let turn = self.template.impression_turn(&work.sample, findings)?;
            ask.turns.push(Turn::text(Role::Assistant, findings));
            ask.turns.extend(turn.clone());
            (candidate.pass, candidate.asks) = (1, turn.into_iter().collect());
            return Ok(Some(ask));
        }
        let mut report = match candidate.passes.as_slice() {
            all if passes == Passes::Composed => {
                let replies: Vec<&Reply> = all.iter().map(|(_, _, reply)| reply).collect();
                summed(&self.template.composed(&work.sample, &answers())?, &replies)
            }
            [(_, _, findings), (_, _, impression)] => together(findings.clone(), impression.clone()),
            [.., (_, _, reply)] => reply.clone(),
            [] => return Err(Failure::lasting("the model gave no reply")),
        };
        if let Some(schema) = self.template.schema() {
            let structured = schema.read(&report.text);
            // What follows no schema and has no sections stays as it was written.
            if let Some(told) = structured.told() {
                report.text = told.text();
            }
            candidate.structured = Some(structured);
        }
        candidate.report = Some(report);
        Ok(None)
    }

    /// The report of a study, with everything that led to it. Its tokens and seconds are those of all candidates.
    fn concluded(&self, mut open: Open) -> Answer {
        let choice = self.choose(&open);
        let chosen = choice.as_ref().map_or(0, |choice| choice.chosen);
        // A choice among fewer would be another one; what may pass is asked again.
        let passing = |c: &&Candidate| c.failed.as_ref().is_some_and(|failed| failed.retry != Retry::Never);
        let passing = open.candidates.iter().find(passing).and_then(|candidate| candidate.failed.clone());
        let trace = self.trace(&open, choice, passing.as_ref());
        let spent: Vec<Reply> = match open.candidates.len() {
            1 => Vec::new(),
            _ => open
                .candidates
                .iter()
                .flat_map(|c| c.passes.iter().map(|(_, _, reply)| reply.clone()))
                .collect(),
        };
        let kept = open.candidates.get_mut(chosen);
        let (report, failed) = kept.map_or((None, None), |kept| (kept.report.take(), kept.failed.take()));
        let none = || Failure::lasting("the model gave no reply");
        let outcome = match (passing, report) {
            (Some(failed), _) => Err(failed),
            (None, Some(mut report)) => {
                if !spent.is_empty() {
                    let all = summed("", &spent.iter().collect::<Vec<_>>());
                    (report.counts, report.timing) = (all.counts, all.timing);
                }
                Ok(report)
            }
            (None, None) => Err(failed.unwrap_or_else(none)),
        };
        Answer { outcome, record: Record::Rounds(Box::new(trace)) }
    }

    fn choose(&self, open: &Open) -> Option<Choice> {
        let rule = self.candidates?.rule;
        let there = |candidate: &&Candidate| candidate.report.is_some();
        let sound = open.candidates.iter().filter(there).any(Candidate::follows_its_schema);
        let counts = |c: &Candidate| c.report.is_some() && (!sound || c.follows_its_schema());
        let reports: Vec<Draft<'_>> =
            open.candidates.iter().filter(|c| counts(c)).filter_map(Candidate::draft).collect();
        let mut ranked = (rule.rank)(&open.work.sample, &reports).into_iter();
        let figures: Vec<Option<f64>> =
            open.candidates.iter().map(|c| if counts(c) { ranked.next() } else { None }).collect();
        let mut chosen: Option<(usize, f64)> = None;
        for (number, figure) in figures.iter().enumerate() {
            if let Some(figure) = figure
                && chosen.is_none_or(|(_, best)| *figure > best)
            {
                chosen = Some((number, *figure));
            }
        }
        let chosen = chosen.map_or(0, |(number, _)| number);
        let of = open.candidates.iter().filter(|candidate| candidate.report.is_some()).count();
        Some(Choice { rule: rule.name.to_owned(), chosen, of, figures })
    }

    fn trace(&self, open: &Open, choice: Option<Choice>, passing: Option<&Failure>) -> Trace {
        let ask = &open.work.ask;
        let mut trace = Trace::new("report");
        trace.pictures = ask.pictures.iter().map(|picture| PictureRecord::of(picture)).collect();
        let purposes = names(self.template);
        for (number, candidate) in open.candidates.iter().enumerate() {
            let mut limits = ask.limits.clone();
            limits.sampling = drawn(limits.sampling, number);
            // Questions of whose answers the report is made stand alone.
            let continues = self.template.passes() == Passes::FindingsThenImpression;
            let round =
                |pass: usize, follows: Option<usize>, turns: Vec<Turn>, reply: Option<Reply>, error| Round {
                    purpose: purposes.get(pass).copied().unwrap_or("report").to_owned(),
                    model: self.model.to_owned(),
                    pictures: match follows.is_some() || shows_a_picture(&turns) {
                        true => (0..ask.pictures.len()).collect(),
                        false => Vec::new(),
                    },
                    follows,
                    turns,
                    limits: limits.clone(),
                    // Findings are repeated without the thoughts before them.
                    said: reply.as_ref().filter(|_| continues && pass == 0).and_then(|reply| {
                        let words = answer_words(&reply.text).trim();
                        (words != reply.text).then(|| words.to_owned())
                    }),
                    reply,
                    action: None,
                    error,
                };
            for (at, (pass, turns, reply)) in candidate.passes.iter().enumerate() {
                let follows = (continues && at > 0).then(|| trace.rounds.len().saturating_sub(1));
                trace.rounds.push(round(*pass, follows, turns.clone(), Some(reply.clone()), None));
            }
            if let Some(failure) = &candidate.failed {
                let pass = candidate.pass;
                let follows = (continues && pass > 0).then(|| trace.rounds.len().saturating_sub(1));
                let reason = Some(failure.reason.clone());
                trace.rounds.push(round(pass, follows, candidate.asks.clone(), None, reason));
            }
        }
        let kept = open.candidates.get(choice.as_ref().map_or(0, |choice| choice.chosen));
        let mut summary = serde_json::Map::new();
        let structured = kept.and_then(|kept| kept.structured.as_ref());
        summary.extend(structured.map(|s| ("structured".to_owned(), json!(s))));
        summary.extend(choice.map(|choice| ("choice".to_owned(), json!(choice))));
        if !summary.is_empty() {
            trace.summary = Value::Object(summary);
        }
        trace.ended = match passing.or_else(|| kept.and_then(|kept| kept.failed.as_ref())) {
            Some(failure) => Ended::Failed(failure.reason.clone()),
            None => Ended::Answered,
        };
        trace
    }
}

/// What a model answered to a question: without thoughts, white space and a full stop at its end. The reply itself stands in the trace.
fn answer(reply: &Reply) -> &str {
    let words = answer_words(&reply.text).trim();
    words.strip_suffix(['.', '。']).unwrap_or(words).trim_end()
}

/// Why a report cannot be made of a reply that says nothing.
fn no_answer(pass: &str, reply: &Reply) -> Failure {
    if matches!(reply.stop, Stop::Length | Stop::ContextFull) {
        let reason = "the reply was cut off before its answer began; give it more tokens (--max-new-tokens)";
        Failure::may_pass(format!("{pass:?} has no answer: {reason}"))
    } else {
        Failure::lasting(format!("{pass:?} has no answer: the reply is empty but for its thoughts"))
    }
}

fn shows_a_picture(turns: &[Turn]) -> bool {
    turns.iter().flat_map(|turn| &turn.parts).any(|part| matches!(part, Part::Picture(_)))
}

/// An ask in words alone is given no pictures.
fn with_its_pictures(mut ask: Ask) -> Ask {
    if !shows_a_picture(&ask.turns) {
        ask.pictures.clear();
    }
    ask
}

/// The report of both passes; its tokens and seconds are those of both.
fn together(findings: Reply, impression: Reply) -> Reply {
    let text = format!(
        "Findings:\n{}\n\nImpression:\n{}",
        without_heading(answer_words(&findings.text), "findings"),
        without_heading(answer_words(&impression.text), "impression")
    );
    let cut = |reply: &Reply| matches!(reply.stop, Stop::Length | Stop::ContextFull);
    let mut reply = summed(&text, &[&findings, &impression]);
    reply.stop = if cut(&findings) { findings.stop } else { impression.stop };
    reply.repairs = findings.repairs.into_iter().chain(impression.repairs).collect();
    reply.findings = findings.findings;
    reply
}

/// A report that was made of several replies; its tokens and seconds are those of all.
fn summed(text: &str, replies: &[&Reply]) -> Reply {
    let mut whole = Reply::from_text(text);
    for reply in replies {
        if matches!(reply.stop, Stop::Length | Stop::ContextFull) {
            whole.stop = reply.stop;
        }
        whole.counts += reply.counts;
        whole.timing.prefill_s += reply.timing.prefill_s;
        whole.timing.decode_s += reply.timing.decode_s;
    }
    whole
}

/// A section that a model opens with its own heading, without it.
fn without_heading<'a>(text: &'a str, name: &str) -> &'a str {
    let text = text.trim();
    let bare = text.trim_start_matches(['#', '*', ' ']);
    let Some(head) = bare.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name)) else {
        return text;
    };
    let rest = bare[head.len()..].trim_start_matches('*');
    match rest.strip_prefix(':') {
        Some(rest) => rest.trim_start_matches('*').trim(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::without_heading;

    #[test]
    fn a_heading_of_its_own_is_not_repeated() {
        assert_eq!(without_heading("**Findings:** Clear.", "findings"), "Clear.");
        assert_eq!(without_heading("FINDINGS: Clear.", "findings"), "Clear.");
        assert_eq!(without_heading("Findings are few.", "findings"), "Findings are few.");
        assert_eq!(without_heading("Clear.", "findings"), "Clear.");
    }
}
