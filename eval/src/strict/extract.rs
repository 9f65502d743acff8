//! Where in a reply the answer stands: reasoning removed, then tag, box, declaration, or all of it.

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
    /// The whole reply without reasoning.
    pub(super) reply: &'a str,
}

/// Finds the span.
///
/// # Errors
/// `empty` when there is nothing, `reasoning_only` when all of it is reasoning.
pub(super) fn extract(reply: &str) -> Result<Span<'_>, &'static str> {
    if reply.trim().is_empty() {
        return Err("empty");
    }
    let reply = after_reasoning(reply).trim();
    if reply.is_empty() {
        return Err("reasoning_only");
    }
    // ASCII lower case keeps every byte where it was.
    let lower = reply.to_ascii_lowercase();
    let marked =
        answer_tag(reply, &lower).map(|t| (t, How::AnswerTag)).or_else(|| Some((boxed(reply)?, How::Boxed)));
    if let Some((text, how)) = marked {
        return if text.trim().is_empty() {
            Err("empty")
        } else {
            Ok(Span { text: text.trim(), how, reply })
        };
    }
    if let Some(text) = declared(reply, &lower) {
        return Ok(Span { text, how: How::Declared, reply });
    }
    Ok(Span { text: reply, how: How::Whole, reply })
}

/// What follows the last closing tag of reasoning; without one, what precedes an opening tag that is
/// never closed.
fn after_reasoning(reply: &str) -> &str {
    const NAMES: [&str; 4] = ["think", "thinking", "reasoning", "thought"];
    let lower = reply.to_ascii_lowercase();
    let closed = NAMES.iter().filter_map(|n| {
        let tag = format!("</{n}>");
        lower.rfind(&tag).map(|at| at + tag.len())
    });
    if let Some(end) = closed.max() {
        return &reply[end..];
    }
    let open = NAMES.iter().filter_map(|n| lower.find(&format!("<{n}>"))).min();
    open.map_or(reply, |at| &reply[..at])
}

fn answer_tag<'a>(reply: &'a str, lower: &str) -> Option<&'a str> {
    let start = lower.rfind("<answer>")? + "<answer>".len();
    let end = lower[start..].find("</answer>").map_or(reply.len(), |at| start + at);
    Some(&reply[start..end])
}

/// The contents of the last `\boxed{…}` with balanced braces, with `\text{…}` and its like taken off.
fn boxed(reply: &str) -> Option<&str> {
    let mut inner = braces(&reply[reply.rfind("\\boxed{")? + "\\boxed".len()..])?;
    for wrapper in ["\\text", "\\textbf", "\\mathrm", "\\mathbf", "\\textrm"] {
        if let Some(wrapped) = inner.trim().strip_prefix(wrapper).filter(|w| w.starts_with('{')) {
            inner = braces(wrapped)?;
        }
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

/// What follows the last declaration on its line (or on the next, when the line ends there).
fn declared<'a>(reply: &'a str, lower: &str) -> Option<&'a str> {
    let last = ["answer", "option", "choice", "答案"]
        .into_iter()
        .filter_map(|noun| last_declared(lower, noun))
        .max()?;
    Some(reply[last..].split(['\n', '\r']).next().unwrap_or_default().trim())
}

/// Where the words of the last declaration with `noun` begin. Looks at a few characters around each
/// noun only, so that a reply of a megabyte costs no more than its length.
fn last_declared(lower: &str, noun: &str) -> Option<usize> {
    const DENIED: [&str; 5] = ["wrong", "incorrect", "false", "not the", "no correct"];
    const CHOSEN: [&str; 5] = ["correct", "right", "best", "final", "my"];
    const NEGATED: [&str; 3] = ["not ", "n't ", "neither"];
    lower.rmatch_indices(noun).find_map(|(at, _)| {
        let before = lower[..at].trim_end_matches([' ', '*', '_']);
        let word_starts = noun == "答案" || !lower[..at].ends_with(char::is_alphanumeric);
        let denied = DENIED.iter().any(|w| before.ends_with(w));
        // "option" and "choice" declare only as "the correct option is"; alone they mention.
        let chosen = !matches!(noun, "option" | "choice") || CHOSEN.iter().any(|w| before.ends_with(w));
        if !word_starts || denied || !chosen {
            return None;
        }
        let start = at + noun.len() + after_copula(&lower[at + noun.len()..])?;
        let words = &lower[start..];
        // 不是 alone is an answer; 不是 and a word denies that word.
        let denies = words.strip_prefix("不是").is_some_and(|w| w.starts_with(char::is_alphanumeric));
        (!words.is_empty() && !denies && !NEGATED.iter().any(|w| words.starts_with(w))).then_some(start)
    })
}

/// Bytes from behind the noun to the declared words: over markup, then a colon or a form of "to be".
fn after_copula(rest: &str) -> Option<usize> {
    const MARKUP: [char; 6] = ['*', '_', ' ', '"', '\'', '`'];
    let text = rest.trim_start_matches(MARKUP);
    let copulas = [
        ":",
        "：",
        "is:",
        "is：",
        "is ",
        "is\n",
        "is*",
        "would be ",
        "must be ",
        "should be ",
        "= ",
        "是",
        "为",
        "應為",
    ];
    let text = copulas.iter().find_map(|c| text.strip_prefix(c))?;
    let text = text
        .trim_start_matches(|c: char| c.is_whitespace() || MARKUP.contains(&c) || matches!(c, ':' | '：'));
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
    const SIGNS: [&str; 34] = [
        "i'm sorry",
        "i am sorry",
        "i’m sorry",
        "i apologize",
        "i apologise",
        "as an ai",
        "i cannot",
        "i can't",
        "i can’t",
        "i am unable",
        "i'm unable",
        "i’m unable",
        "unable to determine",
        "unable to answer",
        "cannot determine",
        "cannot be determined",
        "can't determine",
        "can't be determined",
        "not possible to determine",
        "i don't know",
        "i do not know",
        "i don’t know",
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
    ];
    let lower = text.to_lowercase();
    SIGNS.iter().any(|s| lower.contains(s))
}

/// The rule with the way in which its span was found.
pub(super) fn ruled(span: &Span<'_>, rule: &str) -> String {
    if span.how == How::Whole { rule.to_owned() } else { format!("{}/{rule}", span.how.word()) }
}

/// Most of a span that is kept on record, in characters.
const SPAN: usize = 400;

/// The beginning of a span, for the record.
pub(super) fn kept(text: &str) -> Option<String> {
    Some(text.chars().take(SPAN).collect())
}
