//! Reports in two passes: the findings, then, in the same conversation, their impression.

use super::template::{Passes, ReportTemplate};
use loupe_core::trace::{Ended, Round};
use loupe_core::{
    Answer, AnswerSink, Answerer, Ask, AskId, AskSource, Direct, Failure, Go, ModelError, ModelInfo, Next,
    NextWork, PictureRecord, Record, Reply, ReplySink, Role, Stop, Trace, Turn, VisionLanguageModel, Work,
    WorkSource,
};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

/// A model that writes reports as a template asks for them. With one pass it is the model itself; with two, the passes of many
/// studies are under way together, and a study has its answer when its second pass is done.
pub struct ReportAnswerer<'a> {
    /// Who writes.
    pub model: &'a mut dyn VisionLanguageModel,
    /// What asks.
    pub template: ReportTemplate,
}

impl Answerer for ReportAnswerer<'_> {
    fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    fn strategy(&self) -> Value {
        match self.template.passes() {
            Passes::FindingsThenImpression => json!({"name": "report", "passes": ["findings", "impression"]}),
            Passes::Report | Passes::Findings => Value::Null,
        }
    }

    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink) {
        if self.template.passes() != Passes::FindingsThenImpression {
            return Direct(self.model).serve(work, answers);
        }
        let name = self.model.info().name.clone();
        let desk = Desk { template: &self.template, model: &name, state: RefCell::default() };
        self.model.serve(&mut Asks { work, desk: &desk }, &mut Replies { answers, desk: &desk });
    }
}

/// A study between its passes.
struct Open {
    work: Box<Work>,
    findings: Option<Reply>,
    /// The turn that asks for the impression.
    impression: Option<Turn>,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Open>,
    /// Second passes to be asked.
    ready: VecDeque<(u64, Ask)>,
    /// There is no further study; a source that said so is not asked again.
    no_more: bool,
}

struct Desk<'a> {
    template: &'a ReportTemplate,
    model: &'a str,
    state: RefCell<State>,
}

/// The first pass of a study has an even number, its second the odd one behind it.
const PASSES: u64 = 2;

struct Asks<'a, 'b> {
    work: &'a mut dyn WorkSource,
    desk: &'a Desk<'b>,
}

impl AskSource for Asks<'_, '_> {
    fn next(&mut self, idle: bool) -> Next {
        // What has begun is finished first.
        if let Some((id, ask)) = self.desk.state.borrow_mut().ready.pop_front() {
            return Next::Ask(AskId(id * PASSES + 1), ask);
        }
        let next = if self.desk.state.borrow().no_more { NextWork::NoMore } else { self.work.next(idle) };
        let mut state = self.desk.state.borrow_mut();
        match next {
            NextWork::Work(id, work) => {
                let ask = work.ask.clone();
                state.open.insert(id, Open { work, findings: None, impression: None });
                Next::Ask(AskId(id * PASSES), ask)
            }
            NextWork::NotYet => Next::NotYet,
            NextWork::NoMore => {
                state.no_more = true;
                // First passes that are under way bring second ones.
                if state.open.is_empty() || idle { Next::NoMore } else { Next::NotYet }
            }
        }
    }
}

struct Replies<'a, 'b> {
    answers: &'a mut dyn AnswerSink,
    desk: &'a Desk<'b>,
}

impl ReplySink for Replies<'_, '_> {
    fn piece(&mut self, id: AskId, _: &str) -> Go {
        self.answers.wanted(id.0 / PASSES)
    }

    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        let study = id.0 / PASSES;
        let answer = match reply {
            Err(error) => {
                self.desk.state.borrow_mut().open.remove(&study);
                Some(Answer::single(Err(Failure::from(error))))
            }
            Ok(reply) if id.0.is_multiple_of(PASSES) => {
                self.desk.found(study, reply).err().map(|f| Answer::single(Err(f)))
            }
            Ok(reply) => self.desk.concluded(study, reply),
        };
        if let Some(answer) = answer {
            self.answers.done(study, answer);
        }
    }
}

impl Desk<'_> {
    /// The findings are there: their impression is asked for.
    fn found(&self, study: u64, findings: Reply) -> Result<(), Failure> {
        let mut state = self.state.borrow_mut();
        let Some(mut open) = state.open.remove(&study) else { return Ok(()) };
        let turn = self.template.impression_turn(&open.work.sample, &findings.text)?;
        let mut ask = open.work.ask.clone();
        ask.turns.push(Turn::text(Role::Assistant, findings.text.clone()));
        ask.turns.extend(turn.clone());
        (open.findings, open.impression) = (Some(findings), turn);
        state.ready.push_back((study, ask));
        state.open.insert(study, open);
        Ok(())
    }

    /// Both are there: they are one report.
    fn concluded(&self, study: u64, impression: Reply) -> Option<Answer> {
        let open = self.state.borrow_mut().open.remove(&study)?;
        let findings = open.findings?;
        let ask = &open.work.ask;
        let round = |purpose: &str, follows, turns, reply: &Reply| Round {
            purpose: purpose.to_owned(),
            model: self.model.to_owned(),
            follows,
            turns,
            pictures: (0..ask.pictures.len()).collect(),
            limits: ask.limits.clone(),
            reply: Some(reply.clone()),
            said: None,
            action: None,
            error: None,
        };
        let mut trace = Trace::new("report");
        trace.pictures = ask.pictures.iter().map(|picture| PictureRecord::of(picture)).collect();
        trace.rounds = vec![
            round("findings", None, ask.turns.clone(), &findings),
            round("impression", Some(0), open.impression.into_iter().collect(), &impression),
        ];
        trace.ended = Ended::Answered;
        Some(Answer { outcome: Ok(together(findings, impression)), record: Record::Rounds(Box::new(trace)) })
    }
}

/// The report of both passes; its tokens and seconds are those of both.
fn together(findings: Reply, impression: Reply) -> Reply {
    let text = format!(
        "Findings:\n{}\n\nImpression:\n{}",
        without_heading(&findings.text, "findings"),
        without_heading(&impression.text, "impression")
    );
    let cut = |reply: &Reply| matches!(reply.stop, Stop::Length | Stop::ContextFull);
    let mut reply = Reply::from_text(text);
    reply.stop = if cut(&findings) { findings.stop } else { impression.stop };
    reply.counts.prompt_tokens = findings.counts.prompt_tokens + impression.counts.prompt_tokens;
    reply.counts.reused_tokens = findings.counts.reused_tokens + impression.counts.reused_tokens;
    reply.counts.picture_tokens = findings.counts.picture_tokens + impression.counts.picture_tokens;
    reply.counts.new_tokens = findings.counts.new_tokens + impression.counts.new_tokens;
    reply.timing.prefill_s = findings.timing.prefill_s + impression.timing.prefill_s;
    reply.timing.decode_s = findings.timing.decode_s + impression.timing.decode_s;
    reply.repairs = findings.repairs.into_iter().chain(impression.repairs).collect();
    reply.findings = findings.findings;
    reply
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
