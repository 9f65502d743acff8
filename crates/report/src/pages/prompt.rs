//! What was said to the model in a single pass: as the run has it on record, or the run's own template over the sample.

use loupe_core::Sample;
use loupe_core::ask::{Part, Role, Turn};
use loupe_eval::JudgedItem;
use loupe_run::MadeBy;
use loupe_run::templates::PromptTemplate;

/// The prompts of a run on a page. What stands before the question is the same for many samples (instructions, examples), and is on
/// the page once.
#[derive(Debug, Default)]
pub(crate) struct Prompts {
    /// The run's template; nothing for runs without one (imported replies, segmenters).
    template: Option<PromptTemplate>,
    /// Number of the first of its heads on the page.
    base: usize,
    /// Turns before the last one, each once.
    pub(crate) heads: Vec<String>,
}

/// The prompt of an item.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SentPrompt {
    /// Number of what stands before `words`, among the page's heads.
    pub(crate) head: Option<usize>,
    /// The last turn; pictures as `[picture 1]`, those of examples behind the sample's own.
    pub(crate) words: String,
}

impl Prompts {
    /// Those of the run; the page has so many heads already.
    pub(crate) fn of(made_by: &MadeBy, base: usize) -> Self {
        let template = serde_json::from_value(made_by.prompt.clone()).ok();
        Self { template, base, heads: Vec::new() }
    }

    /// What was said about the sample; nothing where it was not asked about in a single pass. A template may have filled in names,
    /// which a page without them leaves out.
    pub(crate) fn said(
        &mut self,
        judged: &JudgedItem,
        sample: &Sample,
        hide_names: bool,
    ) -> Option<SentPrompt> {
        let reply = judged.item.reply.as_ref().filter(|reply| reply.prediction.record.is_single())?;
        let recorded = if hide_names { None } else { self.sent(&reply.prompt) };
        recorded.or_else(|| Some(made(self.template.as_ref()?, sample)))
    }

    fn sent(&mut self, turns: &[Turn]) -> Option<SentPrompt> {
        let (last, before) = turns.split_last()?;
        let named = !before.is_empty() || last.role != Role::User;
        let words = if named { line(last) } else { words(last) };
        if before.is_empty() {
            return Some(SentPrompt { head: None, words });
        }
        let head = before.iter().map(|turn| line(turn) + "\n").collect::<String>();
        let at = self.heads.iter().position(|known| *known == head).unwrap_or_else(|| {
            self.heads.push(head);
            self.heads.len() - 1
        });
        Some(SentPrompt { head: Some(self.base + at), words })
    }
}

/// A turn with who speaks.
fn line(turn: &Turn) -> String {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "model",
    };
    format!("{role}: {}", words(turn))
}

fn words(turn: &Turn) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Picture(n) => format!("[picture {}] ", n + 1),
    };
    turn.parts.iter().map(part).collect()
}

/// The system turn and the user's turn of a run that recorded no prompts.
fn made(template: &PromptTemplate, sample: &Sample) -> SentPrompt {
    let (before, after) = template.words(sample);
    let pictures: String = (1..=sample.media.len()).map(|n| format!("[picture {n}] ")).collect();
    let system = template.system.iter().map(|words| format!("system: {words}\n"));
    SentPrompt { head: None, words: system.chain([before, pictures, after]).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_question_is_kept_once() {
        let asked = |n, words: &str| Turn {
            role: Role::User,
            parts: vec![Part::Picture(n), Part::Text(words.to_owned())],
        };
        let sent = |head, words: &str| Some(SentPrompt { head, words: words.to_owned() });
        let mut prompts = Prompts { base: 2, ..Prompts::default() };
        assert_eq!(prompts.sent(&[]), None);
        assert_eq!(prompts.sent(&[asked(0, "Is it?")]), sent(None, "[picture 1] Is it?"));
        let mut turns = vec![
            Turn::text(Role::System, "Be brief."),
            asked(1, "Was it?"),
            Turn::text(Role::Assistant, "no"),
            asked(0, "Is it?"),
        ];
        assert_eq!(prompts.sent(&turns), sent(Some(2), "user: [picture 1] Is it?"));
        turns[3] = asked(0, "Where?");
        assert_eq!(prompts.sent(&turns), sent(Some(2), "user: [picture 1] Where?"));
        assert_eq!(prompts.heads, ["system: Be brief.\nuser: [picture 2] Was it?\nmodel: no\n"]);
    }
}
