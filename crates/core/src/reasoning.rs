//! Which part of a reply is the answer: thoughts and what the model goes on with are not.
//!
//! A reply whose thoughts have not ended holds no answer, whatever stands in them. Everything is found by the
//! marks of [`MARKS`], by headings, and by the channels of harmony (`openai/harmony`, docs/format.md).

use thiserror::Error;

/// How a family marks where its thoughts begin and end; letter case does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasoningMark {
    /// Before the thoughts.
    pub open: &'static str,
    /// Behind them.
    pub close: &'static str,
    /// Whose mark it is.
    pub source: &'static str,
}

const fn mark(open: &'static str, close: &'static str, source: &'static str) -> ReasoningMark {
    ReasoningMark { open, close, source }
}

/// The marks in use.
pub const MARKS: [ReasoningMark; 31] = [
    mark(
        "<think>",
        "</think>",
        "DeepSeek-R1, Qwen3 and Qwen3-VL Thinking, GLM-V, Med-R1, MedVLThinker, Phi-4-reasoning",
    ),
    mark("<thinking>", "</thinking>", "Reflection 70B, prompts of Anthropic"),
    mark("<thought>", "</thought>", "EXAONE Deep"),
    mark("<thoughts>", "</thoughts>", "prompts in use"),
    mark("<reasoning>", "</reasoning>", "LLaVA-CoT"),
    mark("<reason>", "</reason>", "prompts in use"),
    mark("<rationale>", "</rationale>", "prompts in use"),
    mark("<analysis>", "</analysis>", "prompts in use"),
    mark("<reflection>", "</reflection>", "Reflection 70B"),
    mark("<scratchpad>", "</scratchpad>", "prompts of Anthropic"),
    mark("<cot>", "</cot>", "prompts in use"),
    mark("<planning>", "</planning>", "prompts in use"),
    mark("<inner_monologue>", "</inner_monologue>", "prompts in use"),
    mark("<reasoning_content>", "</reasoning_content>", "vLLM, DeepSeek API"),
    mark("<chain_of_thought>", "</chain_of_thought>", "prompts in use"),
    mark("<chain-of-thought>", "</chain-of-thought>", "prompts in use"),
    mark("<推理>", "</推理>", "prompts in use"),
    mark("<思考>", "</思考>", "prompts in use"),
    mark("<seed:think>", "</seed:think>", "Seed-OSS"),
    mark("<longcat_think>", "</longcat_think>", "LongCat-Flash-Thinking"),
    mark("<unused94>", "<unused95>", "MedGemma"),
    mark("◁think▷", "◁/think▷", "Kimi-VL-Thinking"),
    mark("[think]", "[/think]", "Magistral"),
    mark("[thinking]", "[/thinking]", "prompts in use"),
    mark("[thought]", "[/thought]", "prompts in use"),
    mark("[reasoning]", "[/reasoning]", "prompts in use"),
    mark("<details type=\"reasoning\"", "</details>", "Open WebUI"),
    mark("<|start_thinking|>", "<|end_thinking|>", "Command A Reasoning"),
    mark("<|begin_of_thought|>", "<|end_of_thought|>", "OpenThinker, Sky-T1"),
    mark("<|inner_prefix|>", "<|inner_suffix|>", "Apertus"),
    mark("<|channel>thought", "<channel|>", "Gemma 4"),
];

/// Marks around the answer itself; `<conclusion>` and the like count where they are around all of it.
const ANSWERS: [(&str, &str); 8] = [
    ("<answer>", "</answer>"),
    ("<final_answer>", "</final_answer>"),
    ("<ans>", "</ans>"),
    ("<response>", "</response>"),
    ("<solution>", "</solution>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|begin_of_box|>", "<|end_of_box|>"),
    ("<|start_response|>", "<|end_response|>"),
];

/// Tags that are the answer's where nothing stands outside of them.
const AROUND: [&str; 5] = ["conclusion", "output", "final", "result", "final_response"];

/// Why a reply holds no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// There is nothing.
    #[error("empty")]
    Empty,
    /// All of it is thoughts, and they have ended.
    #[error("reasoning_only")]
    ReasoningOnly,
    /// The thoughts have not ended.
    #[error("reasoning_unfinished")]
    Unfinished,
}

impl NoAnswer {
    /// As the rule of an item.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::ReasoningOnly => "reasoning_only",
            Self::Unfinished => "reasoning_unfinished",
        }
    }
}

/// The reply without its thoughts and without what stands behind the end of its turn as tokens mark it.
///
/// # Errors
/// When nothing is left.
pub fn without_reasoning(reply: &str) -> Result<&str, NoAnswer> {
    if reply.trim().is_empty() {
        return Err(NoAnswer::Empty);
    }
    // ASCII lower case keeps every byte where it was.
    let lower = reply.to_ascii_lowercase();
    let rest = match channels(reply, &lower)? {
        Some(rest) => rest,
        None => {
            let (start, end) = turn(reply, &lower);
            after_marks(&reply[start..end], &lower[start..end])?
        }
    };
    let rest = after_folds(rest)?;
    let rest = after_headings(rest.trim())?;
    if rest.is_empty() { Err(NoAnswer::ReasoningOnly) } else { Ok(rest) }
}

/// [`without_reasoning`], and without turns that the model invents: `Question: …`, `Human: …`.
///
/// # Errors
/// When nothing is left.
pub fn own_turn(reply: &str) -> Result<&str, NoAnswer> {
    // A turn that is invented may have thoughts of its own, so its beginning is looked for first.
    let cut = crate::turns::invented(reply, &thoughts(reply)).unwrap_or(reply.len());
    without_reasoning(&reply[..cut])
}

/// What is inside the last mark of an answer (`<answer>`, `<|begin_of_box|>` …); to the end when it is not closed.
pub fn tagged_answer(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let last = ANSWERS.iter().filter_map(|(open, close)| Some((lower.rfind(open)? + open.len(), close)));
    if let Some((start, close)) = last.max_by_key(|(start, _)| *start) {
        let end = lower[start..].find(close).map_or(text.len(), |at| start + at);
        return Some(text[start..end].trim());
    }
    let inside = AROUND.iter().find_map(|name| {
        let inner = lower.trim().strip_prefix(&format!("<{name}>"))?.strip_suffix(&format!("</{name}>"))?;
        (!inner.contains('<')).then_some((name.len() + 2, inner.len()))
    });
    inside.and_then(|(from, len)| text.trim().get(from..from + len)).map(str::trim)
}

/// The words of the answer for metrics of words: thoughts and the tags around the answer are no part of them.
/// Nothing where there is no answer.
pub fn answer_words(reply: &str) -> &str {
    let rest = without_reasoning(reply).unwrap_or_default();
    tagged_answer(rest).unwrap_or(rest)
}

/// A mark that stands in a text: which of [`MARKS`], where it begins and ends, and whether it closes.
struct Found {
    mark: usize,
    start: usize,
    end: usize,
    closes: bool,
}

fn find_marks(lower: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (start, _) in lower.match_indices(['<', '◁', '[']) {
        let rest = &lower[start..];
        let literal = MARKS.iter().enumerate().find_map(|(mark, m)| {
            let closes = rest.starts_with(m.close);
            let len = if closes { m.close.len() } else { m.open.len() };
            (closes || rest.starts_with(m.open)).then_some((mark, closes, len))
        });
        if let Some((mark, closes, len)) = literal.or_else(|| loose_tag(rest)) {
            found.push(Found { mark, start, end: start + len, closes });
        }
    }
    found
}

/// A tag with spaces or attributes in it: `< think >`, `</ think>`, `<think seconds="3">`.
fn loose_tag(rest: &str) -> Option<(usize, bool, usize)> {
    const LONGEST: usize = 60;
    let end = rest.char_indices().take(LONGEST).find(|(_, c)| *c == '>')?.0;
    let inside = rest.get(1..end)?.trim_start();
    let (closes, name) = inside.strip_prefix('/').map_or((false, inside), |name| (true, name.trim_start()));
    let name = name.split_whitespace().next()?;
    let mark = MARKS
        .iter()
        .position(|m| m.open.strip_prefix('<').and_then(|o| o.strip_suffix('>')) == Some(name))?;
    Some((mark, closes, end + 1))
}

/// Where thoughts stand between marks, as (start, end) in order; to the end where they have not ended.
fn thoughts(reply: &str) -> Vec<(usize, usize)> {
    let marks = find_marks(&reply.to_ascii_lowercase());
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut open: Option<&Found> = None;
    for found in &marks {
        match (found.closes, open) {
            (false, None) => open = Some(found),
            (false, Some(_)) => {}
            // Closed without having been opened: all before it are thoughts.
            (true, None) => spans = vec![(0, found.end)],
            (true, Some(begun)) if begun.mark == found.mark => {
                spans.push((begun.start, found.end));
                open = None;
            }
            (true, Some(_)) => {}
        }
    }
    spans.extend(open.map(|begun| (begun.start, reply.len())));
    spans
}

/// What follows the last mark that closes.
fn after_marks<'a>(reply: &'a str, lower: &str) -> Result<&'a str, NoAnswer> {
    let marks = find_marks(lower);
    let last = |mark: usize, closes: bool| {
        marks.iter().filter(|f| f.mark == mark && f.closes == closes).map(|f| f.end).max().unwrap_or(0)
    };
    if (0..MARKS.len()).any(|mark| last(mark, false) > last(mark, true)) {
        return Err(NoAnswer::Unfinished);
    }
    // MedGemma's word behind its mark, where the mark itself was left out as a special token.
    if lower.starts_with("thought\n") {
        return Err(NoAnswer::Unfinished);
    }
    let end = marks.iter().filter(|f| f.closes).map(|f| f.end).max().unwrap_or(0);
    Ok(&reply[end..])
}

/// What follows the last fence (```` ```thinking ````) or folded part (`<summary>Thinking</summary>`) that is announced as thoughts.
fn after_folds(reply: &str) -> Result<&str, NoAnswer> {
    /// Characters of a title that are looked at.
    const LONGEST: usize = 40;
    const FOLDS: [(&str, &str); 2] = [("```", "```"), ("<summary>", "</details>")];
    let lower = reply.to_ascii_lowercase();
    let mut end = 0;
    for (open, close) in FOLDS {
        for (at, _) in lower.match_indices(open) {
            let rest = &reply[at + open.len()..];
            let rest = &rest[..rest.char_indices().nth(LONGEST).map_or(rest.len(), |(end, _)| end)];
            let title = rest.split(['\n', '<']).next().unwrap_or_default();
            let title = title.trim_matches(|c: char| !c.is_alphanumeric());
            if at < end || announces(title) != Some(Announces::Thoughts) {
                continue;
            }
            let from = at + open.len() + title.len();
            end = end.max(from + lower[from..].find(close).ok_or(NoAnswer::Unfinished)? + close.len());
        }
    }
    Ok(&reply[end..])
}

/// The last final channel of harmony's format, where the reply has channels; also where the tokens were left out
/// and only their words remain (`analysisThe angle …assistantfinalB`).
fn channels<'a>(reply: &'a str, lower: &str) -> Result<Option<&'a str>, NoAnswer> {
    const CHANNEL: &str = "<|channel|>";
    const MESSAGE: &str = "<|message|>";
    if lower.contains(CHANNEL) {
        let last =
            lower.rmatch_indices(CHANNEL).find(|(at, _)| lower[at + CHANNEL.len()..].starts_with("final"));
        let Some((at, _)) = last else { return Err(NoAnswer::Unfinished) };
        let start = lower[at..].find(MESSAGE).map_or(reply.len(), |m| at + m + MESSAGE.len());
        let rest = &reply[start..];
        return Ok(Some(&rest[..rest.find("<|").unwrap_or(rest.len())]));
    }
    // Turns named after what they hold (s1), and the words of ollama's command line.
    const ENDS: [(&str, &str); 2] =
        [("<|im_start|>think", "<|im_start|>answer"), ("thinking...\n", "...done thinking.")];
    let words = lower.trim_start();
    let offset = reply.len() - words.len();
    for (open, close) in ENDS {
        if words.starts_with(open) {
            let end = lower.rfind(close).ok_or(NoAnswer::Unfinished)? + close.len();
            let rest = &reply[end..];
            return Ok(Some(&rest[..rest.find("<|").unwrap_or(rest.len())]));
        }
    }
    if let Some(rest) = words.strip_prefix("analysis") {
        let end =
            rest.rfind("assistantfinal").map(|at| offset + "analysis".len() + at + "assistantfinal".len());
        let glued = reply[offset + "analysis".len()..].starts_with(char::is_uppercase);
        return match end {
            Some(end) => Ok(Some(&reply[end..])),
            None if glued => Err(NoAnswer::Unfinished),
            None => Ok(None),
        };
    }
    Ok(None)
}

/// Tokens that end a turn or begin another one, which some tools leave in a reply.
const TURN_TOKENS: [&str; 24] = [
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|end|>",
    "<|return|>",
    "<|user|>",
    "<|assistant|>",
    "<|end▁of▁sentence|>",
    "<|end_of_turn_token|>",
    "<end_of_turn>",
    "<start_of_turn>",
    "<end_of_utterance>",
    "<turn|>",
    "<|turn>",
    "</s>",
    "<eos>",
    "[inst]",
    "[/inst]",
    "<question>",
];

/// Where the turn begins and ends by its tokens; those before the first word, and the role between them, open it.
fn turn(reply: &str, lower: &str) -> (usize, usize) {
    let mut ends: Vec<(usize, usize)> = TURN_TOKENS
        .iter()
        .flat_map(|token| lower.match_indices(token).map(|(at, _)| (at, at + token.len())))
        .collect();
    ends.sort_unstable();
    let mut from = 0;
    for (at, end) in ends {
        if !matches!(lower.get(from..at).unwrap_or_default().trim(), "" | "assistant" | "model") {
            return (from, at);
        }
        from = end;
    }
    let opened = lower.get(from..).unwrap_or_default();
    let role = ["assistant\n", "model\n"].iter().find(|r| from > 0 && opened.trim_start().starts_with(*r));
    let skip = role.map_or(0, |r| opened.len() - opened.trim_start().len() + r.len());
    (from + skip, reply.len())
}

/// What a heading announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announces {
    /// Thoughts that are not meant to be read.
    Thoughts,
    /// Reasons, which may hold the answer.
    Reasons,
    Answer,
}

fn announces(words: &str) -> Option<Announces> {
    Some(match words.to_lowercase().as_str() {
        "thinking"
        | "think"
        | "reasoning process"
        | "thought"
        | "thoughts"
        | "thought process"
        | "thinking process"
        | "my thoughts"
        | "internal reasoning"
        | "chain of thought"
        | "chain-of-thought"
        | "here is my thought process"
        | "思考"
        | "思考过程"
        | "推理过程"
        | "思维过程" => Announces::Thoughts,
        "reasoning"
        | "analysis"
        | "explanation"
        | "rationale"
        | "step-by-step reasoning"
        | "step by step reasoning"
        | "step-by-step analysis"
        | "分析"
        | "推理"
        | "解析"
        | "理由" => Announces::Reasons,
        "final"
        | "final response"
        | "final answer"
        | "answer"
        | "response"
        | "the final answer"
        | "here is my response"
        | "here is my answer"
        | "my answer"
        | "最终答案"
        | "最终回答"
        | "最终回复"
        | "答案"
        | "回答" => Announces::Answer,
        _ => return None,
    })
}

/// A line that is a heading by its markup or its colon: what it announces, and what stands behind it.
fn heading(line: &str) -> Option<(Announces, &str)> {
    let markup = |c: char| matches!(c, '#' | '*' | '_' | '[' | ']' | '【' | '】' | '`') || c.is_whitespace();
    let words = line.trim_start_matches(markup);
    let marked = line.trim_start().len() > words.len();
    match words.split_once([':', '：']) {
        Some((name, rest)) => Some((announces(name.trim_end_matches(markup))?, rest.trim_matches(markup))),
        None if marked => Some((announces(words.trim_end_matches(markup))?, "")),
        None => None,
    }
}

/// What stands behind the last heading of an answer, on its line or under it, up to the end.
pub fn under_answer_heading(text: &str) -> Option<&str> {
    let (mut at, mut last) = (0, None);
    for line in text.split_inclusive('\n') {
        at += line.len();
        if let Some((Announces::Answer, rest)) = heading(line) {
            // The rest is a part of the line, without the markup around it.
            let from = if rest.is_empty() { at } else { at - line.len() + line.find(rest).unwrap_or(0) };
            last = Some(&text[from..]);
        }
    }
    last.map(str::trim_start).filter(|rest| !rest.is_empty())
}

/// What stands under the heading of the answer, where a heading of thoughts or reasons stands before it.
fn after_headings(text: &str) -> Result<&str, NoAnswer> {
    let (mut at, mut thoughts, mut reasons, mut answer) = (0, None, false, None);
    for line in text.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        match heading(line) {
            Some((Announces::Thoughts, _)) => {
                thoughts.get_or_insert(start);
                answer = None;
            }
            Some((Announces::Reasons, _)) => {
                reasons = true;
                answer = None;
            }
            // With the answer on its line the line stays, as a declaration.
            Some((Announces::Answer, rest)) if thoughts.is_some() || reasons => {
                answer = Some(if rest.is_empty() { end } else { start });
            }
            _ => {}
        }
    }
    match (answer, thoughts) {
        (Some(from), _) => Ok(text[from..].trim()),
        (None, Some(start)) if text[..start].trim().is_empty() => Err(NoAnswer::Unfinished),
        (None, Some(start)) => Ok(text[..start].trim()),
        (None, None) => Ok(text),
    }
}
