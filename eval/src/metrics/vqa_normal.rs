//! The answer normaliser of VQA v2 (Goyal et al. 2017, `vqaEval.py`) as medical harnesses carry it.
//!
//! Two faults of the copies in use are part of the result and kept: the comma rule looks at the
//! whole answer instead of the mark, and the period rule passes a flag as a *count*, so that only
//! the first 32 periods go.

const MARKS: [char; 21] = [
    ';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',', '?', '!',
];
const PERIODS_REMOVED: usize = 32;

/// Words that stand for a number.
fn digit_of(word: &str) -> &str {
    match word {
        "none" | "zero" => "0",
        "one" => "1",
        "two" => "2",
        "three" => "3",
        "four" => "4",
        "five" => "5",
        "six" => "6",
        "seven" => "7",
        "eight" => "8",
        "nine" => "9",
        "ten" => "10",
        other => other,
    }
}

/// Contractions with their apostrophe forgotten, and what becomes of them: `stem tail` pairs where
/// the apostrophe goes between, and the irregular ones in full. Entries with capitals in the
/// original list never match lower-cased words and are left out.
fn contraction(word: &str) -> Option<String> {
    const PLAIN: &[(&str, &str)] = &[
        ("ain", "t"),
        ("aren", "t"),
        ("can", "t"),
        ("could", "ve"),
        ("couldn", "t"),
        ("didn", "t"),
        ("doesn", "t"),
        ("don", "t"),
        ("hadn", "t"),
        ("hasn", "t"),
        ("haven", "t"),
        ("he", "d"),
        ("he", "s"),
        ("how", "d"),
        ("how", "ll"),
        ("how", "s"),
        ("isn", "t"),
        ("it", "d"),
        ("it", "ll"),
        ("ma", "am"),
        ("mightn", "t"),
        ("might", "ve"),
        ("mustn", "t"),
        ("must", "ve"),
        ("needn", "t"),
        ("not", "ve"),
        ("o", "clock"),
        ("oughtn", "t"),
        ("shan", "t"),
        ("should", "ve"),
        ("shouldn", "t"),
        ("somebody", "ll"),
        ("somebody", "s"),
        ("someone", "d"),
        ("someone", "ll"),
        ("someone", "s"),
        ("something", "d"),
        ("something", "ll"),
        ("that", "s"),
        ("there", "d"),
        ("there", "re"),
        ("there", "s"),
        ("they", "d"),
        ("they", "ll"),
        ("they", "re"),
        ("they", "ve"),
        ("wasn", "t"),
        ("we", "ve"),
        ("weren", "t"),
        ("what", "ll"),
        ("what", "re"),
        ("what", "s"),
        ("what", "ve"),
        ("when", "s"),
        ("where", "d"),
        ("where", "s"),
        ("where", "ve"),
        ("who", "d"),
        ("who", "ll"),
        ("who", "s"),
        ("who", "ve"),
        ("why", "ll"),
        ("why", "re"),
        ("why", "s"),
        ("won", "t"),
        ("would", "ve"),
        ("wouldn", "t"),
        ("y", "all"),
        ("you", "d"),
        ("you", "ll"),
        ("you", "re"),
        ("you", "ve"),
    ];
    // Double contractions: either apostrophe may be missing ("couldnt've", "couldn'tve").
    const DOUBLE: &[(&str, &str, &str)] = &[
        ("couldn", "t", "ve"),
        ("hadn", "t", "ve"),
        ("he", "d", "ve"),
        ("it", "d", "ve"),
        ("mightn", "t", "ve"),
        ("she", "d", "ve"),
        ("shouldn", "t", "ve"),
        ("somebody", "d", "ve"),
        ("someone", "d", "ve"),
        ("something", "d", "ve"),
        ("there", "d", "ve"),
        ("they", "d", "ve"),
        ("we", "d", "ve"),
        ("who", "d", "ve"),
        ("wouldn", "t", "ve"),
        ("y", "all", "ll"),
        ("y", "all", "d've"),
    ];
    match word {
        "twas" => return Some("'twas".into()),
        "somebody'd" => return Some("somebodyd".into()),
        "ow's'at" | "'ows'at" | "'ow'sat" => return Some("'ow's'at".into()),
        "y'all'dve" => return Some("y'all'd've".into()),
        _ => {}
    }
    if let Some((stem, tail)) = PLAIN
        .iter()
        .find(|(s, t)| word.len() == s.len() + t.len() && word.starts_with(s) && word.ends_with(t))
    {
        return Some(format!("{stem}'{tail}"));
    }
    if !word.contains('\'') {
        return None;
    }
    DOUBLE
        .iter()
        .find(|(a, b, c)| word == format!("{a}{b}'{c}") || word == format!("{a}'{b}{c}"))
        .map(|(a, b, c)| format!("{a}'{b}'{c}"))
}

fn has_digit_comma_digit(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    chars.windows(3).any(|w| w[0].is_numeric() && w[1] == ',' && w[2].is_numeric())
}

/// The normal form of an answer (`normalize_word` in LLaVA-Med's evaluation). Case is folded only
/// after the marks have been handled, as there.
pub fn normalise(answer: &str) -> String {
    let comma = has_digit_comma_digit(answer);
    let mut text = answer.to_owned();
    for mark in MARKS {
        if !text.contains(mark) {
            continue;
        }
        let at_space = answer.contains(&format!("{mark} ")) || answer.contains(&format!(" {mark}"));
        text = text.replace(mark, if at_space || comma { "" } else { " " });
    }
    let text = without_periods(&text).to_lowercase();
    let words: Vec<String> = text
        .split_whitespace()
        .map(digit_of)
        .filter(|w| !matches!(*w, "a" | "an" | "the"))
        .map(|w| contraction(w).unwrap_or_else(|| w.to_owned()))
        .collect();
    words.join(" ").replace(',', "")
}

/// Drops periods that no digit follows, the first 32 of them.
fn without_periods(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut removed, mut chars) = (0, text.chars().peekable());
    while let Some(c) = chars.next() {
        if c == '.' && removed < PERIODS_REMOVED && !chars.peek().is_some_and(|n| n.is_numeric()) {
            removed += 1;
        } else {
            kept.push(c);
        }
    }
    kept
}

/// The normaliser as MultiMedEval calls it: lower case first (`clean_str`).
pub fn normalise_lower(answer: &str) -> String {
    normalise(&answer.to_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn marks_beside_a_space_vanish_and_others_part_words() {
        assert_eq!(normalise_lower("Left-sided, large (5 cm)"), "left sided large 5 cm");
        assert_eq!(normalise_lower("mri-dwi"), "mri dwi");
        assert_eq!(normalise_lower("a mri - dwi"), "mri dwi");
        assert_eq!(normalise_lower("The two lobes."), "2 lobes");
        assert_eq!(normalise_lower("dont"), "don't");
        assert_eq!(normalise_lower("3.5 cm."), "3.5 cm");
    }

    #[test]
    fn only_32_periods_are_removed() {
        assert_eq!(normalise_lower(&"x.".repeat(40)), format!("{}{}", "x".repeat(32), "x.".repeat(8)));
    }
}
