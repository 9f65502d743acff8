//! Turns that a model invents: without a stop token it goes on and asks itself the next question.

/// Who speaks in an invented turn, before a colon; with `#` before it the colon may be missing.
const SPEAKERS: [&str; 24] = [
    "Human",
    "HUMAN",
    "User",
    "USER",
    "Assistant",
    "ASSISTANT",
    "Question",
    "QUESTION",
    "Q",
    "Instruction",
    "INSTRUCTION",
    "Input",
    "Prompt",
    "Next question",
    "New question",
    "Another question",
    "Follow-up question",
    "问题",
    "问",
    "题目",
    "下一题",
    "用户",
    "人类",
    "السؤال",
];

/// Where the first invented turn begins: a speaker behind the end of a sentence, a tag or a line, with words of the
/// model's own before it. What stands inside `thoughts` (start, end) does not count.
pub(crate) fn invented(reply: &str, thoughts: &[(usize, usize)]) -> Option<usize> {
    let said = first_word(reply, thoughts)?;
    let thought = |at: usize| {
        let next = thoughts.partition_point(|(_, end)| *end <= at);
        thoughts.get(next).is_some_and(|(start, _)| *start <= at)
    };
    let first = |speaker: &&str| {
        let mut places = reply.match_indices(*speaker).map(|(at, _)| at);
        places.find_map(|at| {
            let start = begins_turn(reply, at).filter(|start| said < *start && !thought(at))?;
            calls(&reply[at + speaker.len()..], reply[start..at].contains('#')).then_some(start)
        })
    };
    SPEAKERS.iter().filter_map(first).min()
}

/// Where the turn begins, over markup, when what stands before it is at an end.
fn begins_turn(reply: &str, at: usize) -> Option<usize> {
    let before = reply[..at].trim_end_matches(['#', '*', '_', ' ', '\t', '[', '【', '-', '"']);
    let ended = before.is_empty()
        || before.ends_with(['\n', '\r', '.', '!', '?', '>', ')', ':', '。', '！', '？', '；', '}']);
    ended.then_some(before.len())
}

/// A number, markup and a colon; behind `#` markup alone will do.
fn calls(rest: &str, heading: bool) -> bool {
    let rest = rest.trim_start_matches(|c: char| {
        c.is_ascii_digit() || matches!(c, ' ' | '#' | '*' | '_' | ']' | '】' | '.')
    });
    rest.starts_with([':', '：']) || (heading && (rest.is_empty() || rest.starts_with(['\n', '\r'])))
}

/// Where the first word outside of the thoughts stands.
fn first_word(reply: &str, thoughts: &[(usize, usize)]) -> Option<usize> {
    let ends = std::iter::once(0).chain(thoughts.iter().map(|(_, end)| *end));
    let starts = thoughts.iter().map(|(start, _)| *start).chain([reply.len()]);
    ends.zip(starts)
        .find_map(|(from, to)| reply.get(from..to)?.find(char::is_alphanumeric).map(|at| from + at))
}
