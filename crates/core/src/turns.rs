//! Turns that a model invents: without a stop token it goes on and asks itself the next question.

/// Who speaks in an invented turn, before a colon; with `#` before it the colon may be missing.
const SPEAKERS: [&str; 28] = [
    "Human",
    "HUMAN",
    "User",
    "USER",
    "Assistant",
    "ASSISTANT",
    "Question",
    "QUESTION",
    "Q",
    "Doctor",
    "Student",
    "Teacher",
    "Examiner",
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
    let asked_again = next_question(reply, said).filter(|start| !thought(*start));
    SPEAKERS.iter().filter_map(first).chain(asked_again).min()
}

/// Where a further question begins that nobody announces: behind an answer, a line that asks and has a number before it
/// or options under it.
fn next_question(reply: &str, said: usize) -> Option<usize> {
    let mut at = 0;
    let lines: Vec<(usize, &str)> = reply
        .split_inclusive('\n')
        .map(|line| {
            let start = at;
            at += line.len();
            (start, line.trim())
        })
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let asks = |line: &str| line.trim_end_matches(['*', '_', ' ']).ends_with(['?', '？']);
    let numbered = |line: &str| {
        let rest = line.trim_start_matches(['*', '#', ' ']).trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < line.len() && rest.starts_with(['.', ')', '、'])
    };
    let first_option = |line: &str| {
        let line = line.trim_start_matches(['*', '(', '-', ' ']);
        line.strip_prefix(['A', 'a']).is_some_and(|rest| rest.starts_with(['.', ')', ':', '、']))
    };
    // "Is it A?\nYes.\nIs it B?\nNo.": the first question is the one that was asked.
    let short = |line: &str| {
        let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        let only = rest.chars().all(|c| !c.is_alphanumeric());
        let polar = matches!(word.to_lowercase().as_str(), "yes" | "no" | "true" | "false");
        polar || (only && word.len() == 1 && word.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    let first = lines
        .windows(2)
        .position(|pair| matches!(pair, [(_, line), (_, under)] if asks(line) && short(under)));
    if let Some(first) = first
        && let Some((start, _)) = lines.iter().skip(first + 2).find(|(_, line)| asks(line))
    {
        return Some(*start);
    }
    let answered = answered_from(reply)?.max(said);
    lines.windows(2).find_map(|pair| {
        let [(start, line), (_, under)] = pair else { return None };
        let again = asks(line) && (numbered(line) || first_option(under));
        (again && answered < *start).then_some(*start)
    })
}

/// From where on the reply has answered: it opens with a letter, or declares an answer.
fn answered_from(reply: &str) -> Option<usize> {
    let first = reply.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let first = first.trim_start_matches(['*', '_', '(', '[', '"']);
    let letter = first.strip_prefix(|c: char| c.is_ascii_uppercase());
    if letter.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ')', ':', ']', '*', ','])) {
        return Some(0);
    }
    // ASCII lower case keeps every byte where it was.
    let declared = [reply.to_ascii_lowercase().find("answer"), reply.find("答案")];
    declared.into_iter().flatten().min()
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
