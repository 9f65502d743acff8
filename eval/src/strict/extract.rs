//! Where in a reply the answer stands: reasoning and invented turns removed, then tag, box, declaration, or all of it.

use loupe_core::reasoning::{NoAnswer, own_turn, tagged_answer, under_answer_heading};

/// How the span was found; the first that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Between `<answer>` and `</answer>`, the last one.
    AnswerTag,
    /// In the last `\boxed{…}`.
    Boxed,
    /// After the last declaration such as "the answer is" or "Answer:".
    Declared,
    /// The whole reply (without reasoning).
    Whole,
}

impl How {
    /// First half of the rule's name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::AnswerTag => "answer_tag",
            Self::Boxed => "boxed",
            Self::Declared => "declared",
            Self::Whole => "reply",
        }
    }
}

/// The span to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span<'a> {
    /// The words, trimmed.
    pub(super) text: &'a str,
    /// How they were found.
    pub(super) how: How,
    /// The whole reply without reasoning and invented turns.
    pub(super) reply: &'a str,
}

/// Finds the span. The reply is to be in [`loupe_core::text_form`].
///
/// # Errors
/// `empty` when there is nothing, `reasoning_only` when all of it is reasoning, `reasoning_unfinished` when that has
/// not ended.
pub(super) fn extract(reply: &str) -> Result<Span<'_>, &'static str> {
    let reply = own_turn(reply).map_err(NoAnswer::rule)?;
    let marked =
        tagged_answer(reply).map(|t| (t, How::AnswerTag)).or_else(|| Some((boxed(reply)?, How::Boxed)));
    if let Some((text, how)) = marked {
        return if text.trim().is_empty() {
            Err("empty")
        } else {
            Ok(Span { text: text.trim(), how, reply })
        };
    }
    if let Some(text) = json_answer(reply) {
        let text = text.trim();
        return if text.is_empty() { Err("empty") } else { Ok(Span { text, how: How::Declared, reply }) };
    }
    if opens_with_reasons(reply) {
        return Err("reasoning_only");
    }
    let whole = Span { text: reply, how: How::Whole, reply };
    Ok(declared(&whole).unwrap_or(whole))
}

/// Is the reply a JSON object, whole or cut off, that opens with the field of its reasons and has no field of an answer?
fn opens_with_reasons(reply: &str) -> bool {
    const REASONS: [&str; 10] = [
        "thought",
        "thoughts",
        "thinking",
        "reasoning",
        "reason",
        "reasons",
        "rationale",
        "analysis",
        "explanation",
        "思考",
    ];
    let body = reply.trim().trim_start_matches("```json").trim_start_matches('`').trim_start();
    let Some(first) = body.strip_prefix('{').and_then(|rest| rest.trim_start().strip_prefix('"')) else {
        return false;
    };
    let key = first.split('"').next().unwrap_or_default().to_lowercase();
    let answers = ["\"answer", "\"final", "\"choice", "\"option", "\"prediction", "\"response", "\"label"];
    let lower = body.to_ascii_lowercase();
    REASONS.contains(&key.as_str()) && !answers.iter().any(|name| lower.contains(name))
}

/// The answer's field of a reply that is one JSON object, perhaps in a fence; other fields are reasons.
fn json_answer(reply: &str) -> Option<&str> {
    const KEYS: [&str; 9] = [
        "final_answer",
        "final answer",
        "answer",
        "final",
        "choice",
        "option",
        "prediction",
        "response",
        "答案",
    ];
    let body = reply.trim().trim_start_matches("```json").trim_matches('`').trim();
    if !body.starts_with('{') || !body.ends_with('}') {
        return None;
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).ok()?;
    let named = |key: &&str| object.iter().find(|(name, _)| name.trim().to_lowercase() == **key);
    let (name, value) = KEYS.iter().find_map(named)?;
    // Where the value stands in the reply; one with escapes in it stands there otherwise.
    let from = body.find(&format!("\"{name}\""))? + name.len() + 2;
    let at = body[from..].find(value.as_str()?)?;
    body.get(from + at..from + at + value.as_str()?.len())
}

/// The declaration in the reply of `span`, if there is one: for a box that holds a formula and no answer.
pub(super) fn declared<'a>(span: &Span<'a>) -> Option<Span<'a>> {
    let reply = span.reply;
    // ASCII lower case keeps every byte where it was.
    let lower = reply.to_ascii_lowercase();
    let said = ["answer", "ans", "option", "choice", "答案", "选项", "الاجابة", "الإجابة", "الجواب"]
        .into_iter()
        .filter_map(|noun| last_declared(&lower, noun))
        .max();
    let headed = under_answer_heading(reply).map(|rest| reply.len() - rest.len());
    let text = reply[said.max(headed)?..].split(['\n', '\r']).next().unwrap_or_default().trim();
    (!text.is_empty()).then_some(Span { text, how: How::Declared, reply })
}

/// The contents of the last `\boxed{…}` with balanced braces, with `\text{…}` and its like taken off.
fn boxed(reply: &str) -> Option<&str> {
    let mut inner = braces(&reply[reply.rfind("\\boxed{")? + "\\boxed".len()..])?;
    let wrappers =
        ["\\text", "\\textbf", "\\textit", "\\mathrm", "\\mathbf", "\\textrm", "\\mathsf", "\\mbox"];
    let wrapped = |text: &str| {
        let text = text.trim();
        wrappers
            .iter()
            .find_map(|w| Some(text.len() - text.strip_prefix(w).filter(|r| r.starts_with('{'))?.len()))
    };
    while let Some(skip) = wrapped(inner) {
        inner = braces(&inner.trim()[skip..])?;
    }
    Some(inner)
}

/// What is between the brace that `text` begins with and its partner.
fn braces(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return text.get(1..at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the words of the last declaration with `noun` begin. Looks at a few characters around each
/// noun only, so that a reply of a megabyte costs no more than its length.
fn last_declared(lower: &str, noun: &str) -> Option<usize> {
    const DENIED: [&str; 41] = [
        "second most likely",
        "second best",
        "second",
        "third",
        "next most likely",
        "next best",
        "less likely",
        "least likely",
        "other",
        "common",
        "your",
        "their",
        "his",
        "her",
        "其次",
        "其次可能",
        "not the case that the",
        "not true that the",
        "false that the",
        "doubt the",
        "doubt that the",
        "doubtful that the",
        "if the",
        "whether the",
        "unless the",
        "wrong",
        "incorrect",
        "false",
        "not the",
        "no",
        "not",
        "possible",
        "tempting",
        "initial",
        "first",
        "alternative",
        "another",
        "previous",
        "plausible",
        "错误",
        "不正确",
    ];
    const CHOSEN: [&str; 8] = ["correct", "right", "best", "final", "my", "only", "正确", "最佳"];
    const NEGATED: [&str; 5] = ["not ", "n't ", "neither", "never ", "none of the options"];
    let mentions = matches!(noun, "option" | "choice" | "选项");
    lower.rmatch_indices(noun).find_map(|(at, _)| {
        let trimmed = |text: &str| text.trim_end_matches([' ', '*', '_']).len();
        let before = &lower[..trimmed(&lower[..at])];
        let word_starts = !noun.is_ascii() || !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let chosen = CHOSEN.iter().find_map(|w| before.strip_suffix(w));
        let before = before.trim_end_matches('的');
        // "The student's answer was B", but not "the question's answer".
        let whose =
            before.strip_suffix("'s").is_some_and(|b| !b.ends_with("question") && !b.ends_with("problem"));
        let supposed = rest_is_would(&lower[at + noun.len()..]) && is_supposed(before);
        // "not the correct answer" is denied as "not the answer" is.
        let denied = [Some(before), chosen].into_iter().flatten().any(|b| {
            let b = &b[..trimmed(b)];
            DENIED.iter().any(|w| {
                b.strip_suffix(w)
                    .is_some_and(|r| !w.is_ascii() || !r.ends_with(|c: char| c.is_ascii_alphanumeric()))
            })
        });
        // "option" and "choice" declare only as "the correct option is"; alone they mention.
        if !word_starts || denied || whose || supposed || (mentions && chosen.is_none()) {
            return None;
        }
        let start = at + noun.len() + after_copula(&lower[at + noun.len()..])?;
        let words = &lower[start..];
        // 不是 alone is an answer; 不是 and a word denies that word.
        let denies = words.strip_prefix("不是").is_some_and(|w| w.starts_with(char::is_alphanumeric));
        (!words.is_empty() && !denies && !NEGATED.iter().any(|w| words.starts_with(w))).then_some(start)
    })
}

/// Does the clause say under what condition ("If the lung were collapsed the answer would be B")? Looks a little way back only.
fn is_supposed(before: &str) -> bool {
    const WORDS: usize = 40;
    let words = before.rsplit(|c: char| !c.is_alphanumeric()).take(WORDS);
    let from = before.len() - words.map(|w| w.len() + 1).sum::<usize>().min(before.len());
    let near = before.get(from..).unwrap_or_default();
    let clause = near.rsplit(['.', '\n', '!', '?', ';']).next().unwrap_or_default();
    clause.split(|c: char| !c.is_alphanumeric()).any(|w| matches!(w, "if" | "unless" | "were" | "had"))
}

/// Does "would" follow the noun?
fn rest_is_would(rest: &str) -> bool {
    rest.trim_start().starts_with("would ")
}

/// Bytes from behind the noun to the declared words: over markup, then a colon or a form of "to be".
fn after_copula(rest: &str) -> Option<usize> {
    const MARKUP: [char; 6] = ['*', '_', ' ', '"', '\'', '`'];
    const BETWEEN: [&str; 9] = [
        "الصحيحة ",
        "s ",
        "choice ",
        "option ",
        "letter ",
        "here ",
        "to the question ",
        "to this question ",
        "choice:",
    ];
    const BE: [&str; 16] = [
        "is",
        "are",
        "was",
        "would be",
        "must be",
        "should be",
        "will be",
        "has to be",
        "seems to be",
        "appears to be",
        "应该是",
        "应该为",
        "应是",
        "应为",
        "應為",
        "هي",
    ];
    const HAN: [&str; 5] = ["选择", "应选", "选", "是", "为"];
    const ADVERBS: [&str; 9] = [
        "most likely ",
        "likely ",
        "probably ",
        "therefore ",
        "thus ",
        "clearly ",
        "definitely ",
        "simply ",
        "indeed ",
    ];
    let mut text = rest.trim_start_matches(MARKUP);
    if let Some(after) = BETWEEN.iter().find_map(|w| text.strip_prefix(w)) {
        text = if text.starts_with("choice:") {
            &text["choice".len()..]
        } else {
            after.trim_start_matches(MARKUP)
        };
    }
    let ends =
        |c: char| c.is_whitespace() || MARKUP.contains(&c) || matches!(c, ':' | '(' | '[' | '\\' | '$');
    let be = || BE.iter().find_map(|w| text.strip_prefix(w).filter(|r| !w.is_ascii() || r.starts_with(ends)));
    let text = text
        .strip_prefix([':', '=', '→'])
        .or_else(|| text.strip_prefix("->"))
        .or_else(|| ["- ", "– ", "— "].iter().find_map(|dash| text.strip_prefix(dash)))
        .or_else(be)
        .or_else(|| HAN.iter().find_map(|w| text.strip_prefix(w)))?;
    let mut text = text.trim_start_matches(|c: char| c.is_whitespace() || MARKUP.contains(&c) || c == ':');
    while let Some(after) = ADVERBS.iter().find_map(|w| text.strip_prefix(w)) {
        text = after;
    }
    Some(rest.len() - text.len())
}

/// Without markup, quotes and white space around it.
pub(super) fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| {
        c.is_whitespace()
            || matches!(c, '*' | '_' | '`' | '"' | '\'' | '#' | '$' | '“' | '”' | '‘' | '’' | '\u{feff}')
    })
}

/// Does the reply say that it will not or cannot answer?
pub(super) fn refuses(text: &str) -> bool {
    const SIGNS: [&str; 38] = [
        "i'm sorry",
        "i am sorry",
        "i apologize",
        "i apologise",
        "as an ai",
        "i cannot",
        "i can't",
        "i am unable",
        "i'm unable",
        "unable to determine",
        "unable to answer",
        "cannot determine",
        "cannot be determined",
        "can't determine",
        "can't be determined",
        "not possible to determine",
        "i don't know",
        "i do not know",
        "not able to",
        "i'm not sure",
        "insufficient information",
        "cannot answer",
        "无法",
        "抱歉",
        "对不起",
        "不知道",
        "不能确定",
        "不能判断",
        "不确定",
        "难以判断",
        "cannot tell",
        "can't tell",
        "unable to tell",
        "لا أستطيع",
        "لا يمكنني",
        "لا أعرف",
        "لا يمكن تحديد",
        "غير متأكد",
    ];
    let lower = text.to_lowercase();
    SIGNS.iter().any(|s| lower.contains(s)) || misses_image(&lower)
}

/// Does the reply, in lower case, say that it has no picture to look at, or ask for one?
pub(super) fn misses_image(lower: &str) -> bool {
    const ASKS: [&str; 6] = ["upload", "provide", "share", "attach", "send", "resend"];
    const ITS: [&str; 4] = ["the image", "an image", "your image", "the picture"];
    const BLIND: [&str; 8] = [
        "cannot see the image",
        "can't see the image",
        "cannot view the image",
        "can't view the image",
        "don't see an image",
        "do not see an image",
        "no image was provided",
        "no image is attached",
    ];
    let asks = || ASKS.iter().any(|verb| ITS.iter().any(|its| lower.contains(&format!("{verb} {its}"))));
    BLIND.iter().any(|s| lower.contains(s)) || asks()
}

/// The rule with the way in which its span was found.
pub(super) fn ruled(how: How, rule: &str) -> String {
    if how == How::Whole { rule.to_owned() } else { format!("{}/{rule}", how.word()) }
}

/// Most of a span that is kept on record, in characters.
const SPAN: usize = 400;

/// The beginning of a span, for the record.
pub(super) fn kept(text: &str) -> Option<String> {
    Some(text.chars().take(SPAN).collect())
}
