//! Yes or no.

use super::extract::{How, Span, bare, refuses};

const YES: [&str; 5] = ["yes", "yeah", "yep", "yup", "true"];
const NO: [&str; 4] = ["no", "nope", "nah", "false"];
// Longest first, so that 不包含 is not read as 不.
const YES_ZH: [&str; 9] = ["是的", "对的", "包含", "可以", "存在", "是", "对", "有", "能"];
const NO_ZH: [&str; 12] =
    ["不包含", "不可以", "不存在", "不是", "没有", "不对", "不能", "不会", "否", "无", "没", "不"];
/// Openings that only look like a yes or no.
const NEITHER_ZH: [&str; 13] = [
    "是否",
    "是不是",
    "有没有",
    "有可能",
    "有时",
    "能否",
    "能不能",
    "对不起",
    "对于",
    "无法",
    "不确定",
    "不知道",
    "不能确定",
];

/// Is the reference, as a whole, a yes or a no? English and Chinese.
pub fn polarity(gold: &str) -> Option<bool> {
    let gold = bare(gold).trim_end_matches(['.', '。', '!', '！']).to_lowercase();
    match gold.as_str() {
        // Spreadsheets write yes and no as TRUE and FALSE.
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        g if YES_ZH.contains(&g) || g == "会" => Some(true),
        g if NO_ZH.contains(&g) => Some(false),
        _ => None,
    }
}

/// The answer and the rule, or the reason why none was read.
pub(super) fn read(span: &Span<'_>) -> Result<(bool, &'static str), &'static str> {
    let text = bare(span.text);
    let first = opening(text)?;
    if span.how != How::Whole {
        return first.ok_or_else(|| if refuses(text) { "refusal" } else { "no_yes_or_no" });
    }
    // An apology is no answer, even when it begins with "No".
    let lower = text.to_lowercase();
    if ["i'm sorry", "i am sorry", "i’m sorry", "as an ai", "can't assist", "cannot assist", "抱歉"]
        .iter()
        .any(|s| lower.contains(s))
    {
        return Err("refusal");
    }
    let last = match text.rsplit_once('\n') {
        Some((_, line)) => opening(bare(line))?,
        None => None,
    };
    match (first, last) {
        (Some((a, _)), Some((b, _))) if a != b => Err("both_yes_and_no"),
        (Some(found), _) => Ok(found),
        (None, Some((answer, _))) => Ok((answer, "last_line")),
        (None, None) if refuses(text) => Err("refusal"),
        (None, None) => Err("no_yes_or_no"),
    }
}

/// A yes or no that the text is or opens with; an error when it says both.
fn opening(text: &str) -> Result<Option<(bool, &'static str)>, &'static str> {
    let lower = text.to_lowercase();
    if lower.starts_with(|c: char| !c.is_ascii()) {
        return Ok(opening_zh(&lower));
    }
    let end = lower.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (word, rest) = lower.split_at(end);
    let answer = match word {
        w if YES.contains(&w) => true,
        w if NO.contains(&w) => false,
        _ => return Ok(None),
    };
    let rest = rest.trim_start_matches(['*', '_', '"', '\'', '`']);
    if rest.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || c == '。').is_empty() {
        return Ok(Some((answer, "word")));
    }
    let opposite = if answer { &NO[..] } else { &YES[..] };
    let mut words = rest.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let next = words.next().unwrap_or_default();
    let after = if matches!(next, "or" | "and") { words.next().unwrap_or_default() } else { next };
    if opposite.contains(&after) {
        return Err("both_yes_and_no");
    }
    // "true" and "false" answer only alone; "No fracture" answers another question than "No, …".
    let clause = rest.starts_with(|c: char| {
        matches!(c, ',' | '.' | ';' | ':' | '!' | '-' | '–' | '—' | '\n' | '(' | ')' | '，' | '。')
    }) || rest.trim_start().starts_with(['-', '–', '—', '(']);
    let goes_on = matches!(
        next,
        "there"
            | "it"
            | "this"
            | "that"
            | "the"
            | "they"
            | "these"
            | "i"
            | "he"
            | "she"
            | "because"
            | "not"
            | "we"
    );
    match (answer, clause || goes_on) {
        _ if matches!(word, "true" | "false") => Ok(None),
        (true, _) | (false, true) => Ok(Some((answer, "opening"))),
        (false, false) => Ok(None),
    }
}

fn opening_zh(text: &str) -> Option<(bool, &'static str)> {
    if NEITHER_ZH.iter().any(|w| text.starts_with(w)) {
        return None;
    }
    let no = NO_ZH.iter().find_map(|w| Some((false, text.strip_prefix(w)?)));
    let (answer, rest) = no.or_else(|| YES_ZH.iter().find_map(|w| Some((true, text.strip_prefix(w)?))))?;
    let closed = rest.trim_matches(|c: char| {
        c.is_whitespace() || c.is_ascii_punctuation() || "。，！；、（）".contains(c)
    });
    // 是还是不是, 有或没有: both.
    if closed.starts_with('还') || closed.starts_with('或') {
        return None;
    }
    Some((answer, if closed.is_empty() { "word" } else { "opening" }))
}
