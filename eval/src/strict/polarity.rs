//! Words that answer yes or no, and what a denied or affirmed predicate means in Chinese and Arabic.
//!
//! As in English ("No abnormality" to "Is it normal?" means yes), a negation answers by itself only alone or before
//! punctuation. Before other words it answers only when the question asks for just these words: 不包含肝脏 to
//! 图像中包含肝脏吗？ is no, 没有异常 to 肺部正常吗？ is not read.

use super::extract::bare;
use loupe_core::text_form::text_form;

/// Yes with anything behind it.
const YES_ZH: [&str; 6] = ["是的", "对的", "没错", "正确", "肯定", "是的确"];
/// Yes alone, or before what the question asks for.
const AFFIRMS_ZH: [&str; 10] = ["包含", "可以", "存在", "是", "对", "有", "能", "会", "需要", "對"];
/// No alone, or before what the question asks for; the longest first.
const DENIES_ZH: [&str; 24] = [
    "不包含",
    "不可以",
    "不存在",
    "不需要",
    "没有发现",
    "没有看到",
    "没有见到",
    "未发现",
    "未显示",
    "未见",
    "不是",
    "没有",
    "不对",
    "不能",
    "不会",
    "沒有",
    "否",
    "无",
    "無",
    "没",
    "沒",
    "未",
    "不",
    "非",
];
/// Openings that only look like a yes or no.
const NEITHER_ZH: [&str; 32] = [
    "是否",
    "是不是",
    "有没有",
    "有无",
    "有可能",
    "有时",
    "能否",
    "能不能",
    "会不会",
    "对不起",
    "对于",
    "对比",
    "对称",
    "无法",
    "無法",
    "不确定",
    "不知道",
    "不能确定",
    "不能判断",
    "不能排除",
    "不一定",
    "不清楚",
    "不好说",
    "不明确",
    "不排除",
    "不详",
    "不适用",
    "未知",
    "无从",
    "无关",
    "正确答案",
    "不是没有",
];

/// Is the reference, as a whole, a yes or a no? English, Chinese and Arabic; `true` and `false` are.
pub fn polarity(gold: &str) -> Option<bool> {
    let gold = text_form(gold);
    let gold = bare(&gold).trim_end_matches(['.', '。', '!']).to_lowercase();
    match gold.as_str() {
        "yes" | "true" | "نعم" | "أجل" | "بلى" => Some(true),
        "no" | "false" | "لا" | "كلا" | "错" | "错误" => Some(false),
        g if YES_ZH.contains(&g) || AFFIRMS_ZH.contains(&g) => Some(true),
        "未见" | "未" | "非" | "未显示" | "未发现" => None,
        g if DENIES_ZH.contains(&g) => Some(false),
        _ => None,
    }
}

fn ends(text: &str) -> bool {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || "。、".contains(c))
        .is_empty()
}

/// Punctuation that ends a clause.
fn clause(text: &str) -> bool {
    text.trim_start().starts_with(['。', '、', ',', '.', ';', ':', '!', '-', '–', '—', '(', '\n'])
}

/// The question with its A-not-A forms as plain ones: 有没有 asks for 有.
fn plain_question(question: &str) -> String {
    let mut plain = text_form(question).to_lowercase();
    for (form, plainly) in [
        ("有没有", "有"),
        ("有无", "有"),
        ("是不是", "是"),
        ("是否", "是"),
        ("能不能", "能"),
        ("能否", "能"),
        ("会不会", "会"),
        ("可不可以", "可以"),
        ("存不存在", "存在"),
        ("正不正常", "正常"),
    ] {
        plain = plain.replace(form, plainly);
    }
    plain
}

/// Does the question ask for `words`, without denying them itself and without an alternative?
fn asked(question: &str, words: &str) -> bool {
    const DENIES: [&str; 9] = ["不", "没", "无", "未", "非", "没有", "不是", "غير", "لا"];
    if words.is_empty() || question.contains("还是") || question.contains("或者") || question.contains(" أم ")
    {
        return false;
    }
    let mut places = question.match_indices(words).map(|(at, _)| &question[..at]).peekable();
    places.peek().is_some() && places.all(|before| !DENIES.iter().any(|d| before.trim_end().ends_with(d)))
}

/// The words up to the end of the first clause.
fn first_clause(text: &str) -> &str {
    let end = text.find(|c: char| c.is_ascii_punctuation() || "。、\n".contains(c)).unwrap_or(text.len());
    text[..end].trim()
}

/// A yes or no that a Chinese text opens with.
pub(super) fn opening_zh(text: &str, question: &str) -> Option<(bool, &'static str)> {
    if NEITHER_ZH.iter().any(|w| text.starts_with(w)) {
        return None;
    }
    if let Some(rest) = YES_ZH.iter().find_map(|w| text.strip_prefix(w)) {
        return Some((true, if ends(rest) { "word" } else { "opening" }));
    }
    let denied = DENIES_ZH.iter().find_map(|w| Some((false, *w, text.strip_prefix(w)?)));
    let (answer, word, rest) =
        denied.or_else(|| AFFIRMS_ZH.iter().find_map(|w| Some((true, *w, text.strip_prefix(w)?))))?;
    // 未见 alone says that something was not seen, not what; 无 alone answers no question for what is normal.
    let speaks = !(matches!(word, "未" | "非" | "未见") || is_presence(word) && asks_for_normal(question));
    if ends(rest) {
        return speaks.then_some((answer, "word"));
    }
    let closed =
        rest.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || "。、".contains(c));
    // 是还是不是, 有或没有: both.
    if closed.starts_with('还') || closed.starts_with('或') {
        return None;
    }
    if clause(rest) {
        return speaks.then_some((answer, "opening"));
    }
    let question = plain_question(question);
    let said = first_clause(rest);
    let said = said.trim_start_matches("任何").trim_start_matches("明显").trim_end_matches(['的', '了']);
    // The verb itself is asked for (包含 …吗), or what follows it.
    let verb = word.trim_start_matches('不');
    let verb_asked =
        matches!(verb, "包含" | "可以" | "存在" | "需要") && asked(&question, verb) && !polar(said);
    (verb_asked || asked(&question, said)).then_some((answer, "asked_words"))
}

/// Does the word say that there is something, or nothing?
fn is_presence(word: &str) -> bool {
    matches!(word, "有" | "没有" | "沒有" | "无" | "無" | "没" | "沒" | "存在" | "不存在")
}

/// Does the question ask whether something is normal, and not whether there is something?
fn asks_for_normal(question: &str) -> bool {
    let asks = |words: &[&str]| words.iter().any(|w| question.contains(w));
    asks(&["正常", "健康"]) && !asks(&["有", "存在", "见", "發現", "发现"])
}

/// Words that say by themselves whether something is normal; what a verb before them means hangs on the question.
fn polar(words: &str) -> bool {
    ["正常", "异常", "病变", "健康", "問題", "问题", "異常"].iter().any(|w| words.contains(w))
}

/// A yes or no that an Arabic text opens with.
///
/// # Errors
/// When it says both.
pub(super) fn opening_ar(text: &str, question: &str) -> Result<Option<(bool, &'static str)>, &'static str> {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let answer = match word {
        "نعم" | "أجل" | "بلى" | "اجل" => true,
        "لا" | "كلا" => false,
        _ => return Ok(None),
    };
    if ends(rest) {
        return Ok(Some((answer, "word")));
    }
    let next = rest
        .split(|c: char| !c.is_alphabetic())
        .find(|w| !w.is_empty() && *w != "أو" && *w != "او")
        .unwrap_or_default();
    if matches!((answer, next), (true, "لا" | "كلا") | (false, "نعم")) {
        return Err("both_yes_and_no");
    }
    if answer || clause(rest) {
        return Ok(Some((answer, "opening")));
    }
    let question = plain_question(question);
    Ok(asked(&question, first_clause(rest)).then_some((false, "asked_words")))
}
