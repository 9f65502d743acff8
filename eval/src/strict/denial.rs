//! Options that a reply rules out: "A is incorrect", "rule out A and C", "B, not A", 排除A.
//!
//! A cue before or behind the name of an option (its letter or its words) denies it; cues that are denied themselves
//! ("A cannot be excluded", 不能排除A) deny nothing. No rule may read a denied option as the answer.

use super::cues::{
    AUXILIARIES, BETWEEN, BETWEEN_ZH, DENIALS, DENYING, EXCLUDES, FAULTY, GONE, HARMLESS_ZH, LEADING_UP,
    NEGATORS, SINGULAR, WITHOUT, WITHOUT_ZH,
};
use super::tokens::{Kind, Names, Token};

/// Most tokens of a remark in brackets, and of marks, behind an option.
const LONGEST_REMARK: usize = 24;

/// What a text denies.
#[derive(Debug, Default)]
pub(super) struct Denied {
    /// The letters.
    pub(super) letters: Vec<char>,
    /// The tokens that deny them.
    pub(super) cues: Vec<usize>,
}

impl Denied {
    /// Finds them. In a question for the exception ("which is not true?") denying words are the answer's own.
    pub(super) fn of(names: &Names, all: &[Token]) -> Self {
        let mut denied = Self::default();
        let mut at = 0;
        while at < all.len() {
            let Some((list, end)) = list_at(names, all, at) else {
                at += 1;
                continue;
            };
            let by_words = !matches!(all[at].kind, Kind::Letter(_));
            if let Some(cue) = cue_before(all, at, by_words) {
                denied.add(list.iter().copied(), cue);
            }
            if let Some((cue, whole)) = cue_behind(names, all, end, by_words) {
                let last = list.len().saturating_sub(1);
                denied.add(list.into_iter().skip(if whole { 0 } else { last }), cue);
            }
            at = end.max(at + 1);
        }
        denied.letters.sort_unstable();
        denied.letters.dedup();
        denied
    }

    fn add(&mut self, letters: impl Iterator<Item = char>, cue: std::ops::Range<usize>) {
        self.letters.extend(letters);
        self.cues.extend(cue);
    }

    /// Do words of denial stand in the text that deny none of the options? Those in the words of an option are its own.
    pub(super) fn others(&self, names: &Names, all: &[Token]) -> bool {
        let mut at = 0;
        let mut han = String::new();
        while let Some(token) = all.get(at) {
            if let Some((_, end)) = names.text_at(all, at) {
                han.push(' ');
                at = end.max(at + 1);
                continue;
            }
            let cue = self.cues.contains(&at);
            if !cue && (token.is_word(&DENIALS) || denies_here(all, at)) {
                return true;
            }
            han.push(match token.kind {
                Kind::Han if !cue => token.word.chars().next().unwrap_or(' '),
                _ => ' ',
            });
            at += 1;
        }
        let said = HARMLESS_ZH.iter().fold(han, |said, harmless| said.replace(harmless, " "));
        WITHOUT_ZH.iter().any(|cue| said.contains(cue)) || said.contains("阴性")
    }
}

/// Does the question ask for what is not so?
pub(super) fn asks_for_exception(question: &str) -> bool {
    const SIGNS: [&str; 20] = [
        " not ",
        " except",
        "incorrect",
        "false",
        "wrong",
        "least likely",
        "least",
        "untrue",
        "isn't",
        "aren't",
        "doesn't",
        "ruled out",
        "excluded",
        "unlikely",
        "contraindicated",
        "错误",
        "不正确",
        "不是",
        "不包括",
        "除外",
    ];
    let lower = format!(" {} ", question.to_lowercase());
    SIGNS.iter().any(|s| lower.contains(s)) || question.contains("NOT")
}

/// Letters, and where their list ends.
type Listed = (Vec<char>, usize);

/// Options named one after the other from `at`, and where the list ends.
fn list_at(names: &Names, all: &[Token], at: usize) -> Option<Listed> {
    let (first, mut end) = names.at(all, at)?;
    let mut list = vec![first];
    let mut closed = false;
    loop {
        let mut next = end;
        let (mut comma, mut joined) = (false, false);
        // Brackets and markup around, a separator between, "option" before.
        while let Some(t) = all.get(next) {
            comma |= t.is_mark(&[',', '/', '、']);
            joined |= t.is_word(&["and", "or", "nor"])
                || t.is_mark(&['&'])
                || (t.kind == Kind::Han && "和与及或跟".contains(t.word.as_str()));
            let skipped = t.is_mark(&[',', '/', '、', '&', '(', ')', '[', ']', '*', '_', '"', '\'', '`'])
                || t.is_word(&["and", "or", "nor", "option", "options", "choice"])
                || (t.kind == Kind::Han && "和与及或跟选项".contains(t.word.as_str()));
            if !skipped || next - end > 6 {
                break;
            }
            next += 1;
        }
        // After "and" the list is complete.
        if !joined && (closed || !comma) {
            return Some((list, end));
        }
        closed |= joined;
        match names.at(all, next) {
            Some((letter, after)) => {
                list.push(letter);
                end = after;
            }
            None => return Some((list, end)),
        }
    }
}

/// The cue that denies what stands at `at`.
fn cue_before(all: &[Token], at: usize, by_words: bool) -> Option<std::ops::Range<usize>> {
    let mut i = at;
    for _ in 0..8 {
        i = i.checked_sub(1)?;
        let t = &all[i];
        let word_before = |n: usize| i.checked_sub(n).map(|b| &all[b]);
        match t.kind {
            Kind::Han => return han_before(all, i).or_else(|| by_words.then(|| han_without(all, i))?),
            Kind::Mark('(' | '[' | '*' | '_' | '"' | '\'' | '`' | '{' | ':') => {}
            Kind::Mark(_) | Kind::Line => return None,
            _ if t.is_word(&["than"]) => {
                // "less likely than A" speaks for A.
                let less = (1..4).any(|n| word_before(n).is_some_and(|t| t.is_word(&["less"])));
                return (!less).then_some(i..i + 1);
            }
            _ if t.is_word(&EXCLUDES) => {
                let out = t.word.starts_with("rul") || t.word.starts_with("cross") || t.word == "strike";
                let verb = !out || (i + 1..at).any(|n| all[n].is_word(&["out"]));
                return (verb && !denied_cue(all, i)).then_some(i..at);
            }
            _ if t.is_word(&["of"]) && word_before(1).is_some_and(|t| t.is_word(&["instead", "free"])) => {
                return Some(i - 1..at);
            }
            _ if t.is_word(&["from"]) && word_before(1).is_some_and(|t| t.is_word(&["far"])) => {
                return Some(i - 1..at);
            }
            _ if t.is_word(&["but"]) && word_before(1).is_some_and(|t| t.is_word(&["anything"])) => {
                return Some(i - 1..at);
            }
            // "no doubt it is A" speaks for A.
            _ if t.is_word(&["doubt", "doubts"]) => return (!denied_cue(all, i)).then_some(i..at),
            _ if denies_here(all, i) => return Some(i..at),
            _ if t.is_word(&NEGATORS) => {
                let only = all.get(i + 1).is_some_and(|t| t.is_word(&["only", "just", "merely"]));
                return (!only).then_some(i..at);
            }
            _ if t.is_word(&FAULTY) => return (i + 1 < at).then_some(i..at),
            _ if by_words && t.is_word(&WITHOUT) => return Some(i..at),
            _ if t.is_word(&BETWEEN) => {}
            _ => return None,
        }
    }
    None
}

/// "least" but in "at least", and "free" in "free of".
fn denies_here(all: &[Token], at: usize) -> bool {
    let word =
        |at: Option<usize>, said: &str| at.and_then(|at| all.get(at)).is_some_and(|t| t.is_word(&[said]));
    (word(Some(at), "least") && !word(at.checked_sub(1), "at"))
        || (word(Some(at), "free") && word(Some(at + 1), "of"))
}

/// Is the verb at `at` itself denied ("cannot exclude", "hard to rule out")?
fn denied_cue(all: &[Token], at: usize) -> bool {
    const HARD: [&str; 4] = ["difficult", "hard", "unable", "impossible"];
    (1..=4)
        .map_while(|n| at.checked_sub(n).map(|b| &all[b]))
        .take_while(|t| matches!(t.kind, Kind::Word))
        .any(|t| (t.is_word(&NEGATORS) && !t.is_word(&["than", "against"])) || t.is_word(&HARD))
}

/// The Chinese words that end at `at` deny the words of an option behind them (没有气胸, 未见明显气胸, 不太可能是气胸).
fn han_without(all: &[Token], at: usize) -> Option<std::ops::Range<usize>> {
    let start = (0..=at).rev().take(16).take_while(|i| all[*i].kind == Kind::Han).last()?;
    let said: String = all[start..=at].iter().map(|t| t.word.as_str()).collect();
    let mut rest = said.as_str();
    while let Some(shorter) = BETWEEN_ZH.iter().find_map(|w| rest.strip_suffix(w)) {
        // 没有 is a word of denial as a whole.
        if WITHOUT_ZH.iter().any(|cue| cue.chars().count() > 1 && rest.ends_with(cue)) {
            break;
        }
        rest = shorter;
    }
    let cue = WITHOUT_ZH.iter().find(|cue| rest.ends_with(**cue))?;
    let before = rest.strip_suffix(cue)?;
    // 是不是, 有没有 ask; 不能排除 and 不是没有 deny the denial.
    let asks = ["是", "有", "能", "会"].iter().any(|w| before.ends_with(w))
        && matches!(*cue, "不" | "没" | "没有" | "无");
    let twice =
        ["不", "不能", "无法", "未", "难以", "不可", "不是", "并非"].iter().any(|w| before.ends_with(w));
    (!asks && !twice).then_some(start..at + 1)
}

/// The Chinese words that end at `at` deny what follows.
fn han_before(all: &[Token], at: usize) -> Option<std::ops::Range<usize>> {
    const CUES: [&str; 18] = [
        "排除",
        "不选",
        "不是",
        "并非",
        "而非",
        "不应选",
        "不能选",
        "不考虑",
        "不符合",
        "不支持",
        "非",
        "除了",
        "除去",
        "否定",
        "舍弃",
        "淘汰",
        "剔除",
        "不为",
    ];
    const DENIED: [&str; 6] = ["不能", "无法", "不", "未", "难以", "不可"];
    let start = (0..=at).rev().take(12).take_while(|i| all[*i].kind == Kind::Han).last()?;
    let said: String = all[start..=at].iter().map(|t| t.word.as_str()).collect();
    let said = said.trim_end_matches(['选', '项', '了', '掉', '答', '案', '为', '是']);
    let whole: String = all[start..=at].iter().map(|t| t.word.as_str()).collect();
    // 不是 and 不选 end in characters that may also stand between.
    let ends = |cue: &&str| said.ends_with(*cue) || whole.ends_with(*cue);
    let cue = CUES.iter().filter(|c| ends(c)).max_by_key(|c| c.len())?;
    let before = said.strip_suffix(cue).or_else(|| whole.strip_suffix(cue)).unwrap_or_default();
    let denied = cue.starts_with("排除") && DENIED.iter().any(|d| before.ends_with(d));
    (!(denied || *cue == "非" && before.ends_with('是'))).then_some(start..at + 1)
}

/// May stand between an option and the word that denies it.
fn leads_up(t: &Token) -> bool {
    t.is_word(&AUXILIARIES) || t.is_word(&LEADING_UP)
}

/// The cue behind an option (or a list of them) that ends before `at`, and whether it speaks of the whole list.
fn cue_behind(
    names: &Names,
    all: &[Token],
    at: usize,
    by_words: bool,
) -> Option<(std::ops::Range<usize>, bool)> {
    let mut i = at;
    let mut verdict_only = false;
    // Brackets that close, a remark in brackets, then perhaps a colon or a dash.
    while let Some(t) = all.get(i).filter(|_| i - at < LONGEST_REMARK) {
        match t.kind {
            Kind::Mark(')' | ']' | '*' | '_' | '"' | '\'' | '`' | '}') => i += 1,
            Kind::Mark('(') => {
                let close = (i..all.len()).take(LONGEST_REMARK).find(|n| all[*n].is_mark(&[')']))?;
                if let Some(cue) =
                    (i + 1..close).find(|n| all[*n].is_word(&["incorrect", "wrong", "excluded", "unlikely"]))
                {
                    return Some((cue..cue + 1, false));
                }
                i = close + 1;
            }
            Kind::Mark(':' | '-' | '–' | '—' | '=' | '→') if !verdict_only => {
                verdict_only = true;
                i += 1;
            }
            Kind::Mark('✗' | '✘' | '❌' | '×') => return Some((i..i + 1, false)),
            Kind::Mark(',') if all.get(i + 1).is_some_and(|t| t.is_word(&["which"])) => i += 1,
            // "A. is ruled out": a letter with a period, not the end of a sentence.
            Kind::Mark('.') if all.get(i + 1).is_some_and(|t| t.kind == Kind::Word && !t.capital) => i += 1,
            _ => break,
        }
    }
    if all.get(i)?.kind == Kind::Han {
        return han_behind(all, i);
    }
    let mut singular = false;
    for n in i..(i + 10).min(all.len()) {
        let t = &all[n];
        singular |= t.is_word(&SINGULAR);
        let next = |k: usize| all.get(n + k);
        if t.is_word(&["less"])
            && next(1).is_some_and(|t| t.is_word(&["likely", "probable", "plausible", "consistent"]))
        {
            return Some((n..n + 2, !singular));
        }
        if t.is_word(&["ruled"]) {
            return next(1).is_some_and(|t| t.is_word(&["out"])).then_some((n..n + 2, !singular));
        }
        if t.is_word(&NEGATORS)
            && !t.is_word(&["than", "against", "except", "excluding", "unlike", "neither", "nor", "لا"])
        {
            // "not excluded", "not wrong", "not only": nothing is denied. "Not B" denies B.
            let mut after = n + 1;
            while all.get(after).is_some_and(leads_up) {
                after += 1;
            }
            let twice = all.get(after).is_some_and(|t| {
                t.is_word(&DENYING)
                    || t.is_word(&EXCLUDES)
                    || t.is_word(&["only", "just", "merely", "without"])
            });
            let another = (n + 1..=after + 1).any(|k| {
                matches!(all.get(k), Some(t) if matches!(t.kind, Kind::Letter(_)))
                    || names.at(all, k).is_some()
            });
            let judged = all.get(after).is_some_and(|t| {
                t.is_word(&[
                    "correct",
                    "right",
                    "supported",
                    "consistent",
                    "compatible",
                    "applicable",
                    "possible",
                    "appropriate",
                    "true",
                    "plausible",
                    "صحيح",
                    "صحيحة",
                ])
            });
            let speaks = !verdict_only || judged || next(1).is_some_and(|t| t.is_word(&["likely"]));
            return (!twice && !another && speaks).then_some((n..after.max(n + 1), !singular));
        }
        let least =
            t.is_word(&["least"]) && next(1).is_some_and(|t| t.is_word(&["likely", "probable", "plausible"]));
        if t.is_word(&DENYING) || least || (by_words && t.is_word(&GONE)) || (n > i && t.is_word(&["unlike"]))
        {
            return Some((n..n + 1, !singular));
        }
        if t.is_word(&["no"]) && next(1).is_some_and(|t| t.is_word(&["longer"])) {
            return Some((n..n + 2, !singular));
        }
        if !leads_up(t) {
            return None;
        }
    }
    None
}

/// The Chinese words at `at` deny the option before them.
fn han_behind(all: &[Token], at: usize) -> Option<(std::ops::Range<usize>, bool)> {
    const BETWEEN: [&str; 24] = [
        "选项", "项", "答案", "是", "为", "均", "都", "皆", "也", "则", "就", "的", "说法", "描述", "明显",
        "应该", "应", "可以", "可", "被", "已", "予以", "故", "显然",
    ];
    const DENYING: [&str; 16] = [
        "错误",
        "错",
        "不",
        "排除",
        "除外",
        "否定",
        "有误",
        "欠妥",
        "矛盾",
        "未",
        "没有",
        "无法成立",
        "阴性",
        "可能性不",
        "可能性小",
        "可能性低",
    ];
    const NEUTRAL: [&str; 7] = ["不能排除", "不排除", "未排除", "不能除外", "未能排除", "不错", "不可排除"];
    let run: Vec<&Token> = all[at..].iter().take(16).take_while(|t| t.kind == Kind::Han).collect();
    let said: String = run.iter().map(|t| t.word.as_str()).collect();
    let mut rest = said.as_str();
    while !NEUTRAL.iter().chain(&DENYING).any(|w| rest.starts_with(w))
        && let Some(after) = BETWEEN.iter().find_map(|w| rest.strip_prefix(w))
    {
        rest = after;
    }
    if NEUTRAL.iter().any(|w| rest.starts_with(w)) {
        return None;
    }
    let cue = DENYING.iter().find(|w| rest.starts_with(**w))?;
    let end = said.chars().count() - rest.chars().count() + cue.chars().count();
    Some((at..at + end, true))
}

/// Do the words behind a quoted answer deny it ("… is incorrect", "… would be wrong")?
pub(super) fn faulted(rest: &str) -> bool {
    let none = Names::new(&[]);
    let tokens = none.tokens(rest);
    let opens = tokens.iter().find(|t| !t.is_mark(&['"', '\'', '*', '`', ')']));
    let verb = ["is", "would", "cannot", "seems", "was", "isnt", "wouldnt", "can"];
    opens.is_some_and(|t| t.is_word(&verb)) && cue_behind(&none, &tokens, 0, false).is_some()
}
