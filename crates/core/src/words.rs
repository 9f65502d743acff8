//! Small help for messages and names.

use std::borrow::Cow;

/// `1 file`, `2 files`, `2 studies`: a number and what it counts, for nouns with a regular plural.
pub fn counted(n: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

/// Bytes in hexadecimal, small letters.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Does a character act instead of standing there: does it steer a terminal, or the direction or the breaks of the
/// lines?
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Text as it may be shown to people: what would act (escape sequences, carriage returns, changes of direction) is
/// written out, as `\u{1b}`. Line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let mut rest = text.chars().peekable();
    let mut out = String::new();
    let mut changed = false;
    while let Some(c) = rest.next() {
        let stays = match c {
            '\n' | '\t' => true,
            '\r' => rest.peek() == Some(&'\n'),
            c => !is_active(c),
        };
        if stays {
            out.push(c);
        } else {
            changed = true;
            out.extend(c.escape_unicode());
        }
    }
    if changed { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// The known name nearest to `name`, when one is near enough to be a slip. Letter case and the characters
/// `-`, `_`, `.` and space do not count.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| -> Vec<char> {
        let kept = s.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' '));
        kept.flat_map(char::to_lowercase).take(LONGEST).collect()
    };
    let name = plain(name);
    let scored = known.into_iter().map(|k| {
        let other = plain(k);
        (edits(&name, &other), 1 + name.len().max(other.len()) / 4, k)
    });
    scored.filter(|(distance, most, _)| distance <= most).min_by_key(|(d, ..)| *d).map(|(.., k)| k)
}

/// Characters of a name that are compared.
const LONGEST: usize = 64;

/// `; did you mean "lung"?` for the known name nearest to `name`, or nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

/// Levenshtein distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(b) {
            let cost = (diagonal + usize::from(ca != cb)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_plural() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "file")), ["0 files", "1 file", "2 files"]);
        assert_eq!([1, 2].map(|n| counted(n, "study")), ["1 study", "2 studies"]);
    }

    #[test]
    fn what_would_act_is_written_out() {
        let hostile = "a\u{1b}[31mb\u{9b}2J\u{202e}c\r\u{7}\u{8}";
        assert_eq!(visible(hostile), "a\\u{1b}[31mb\\u{9b}2J\\u{202e}c\\u{d}\\u{7}\\u{8}");
        let plain = "Lungenödem – 肺\tnone\r\nnext\n";
        assert!(matches!(visible(plain), Cow::Borrowed(same) if same == plain));
    }

    #[test]
    fn distances_of_known_pairs() {
        let of = |a: &str, b: &str| edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("abc", "abc"), 0);
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = || ["vqa-rad", "slake", "medframeqa", "lung", "qwen2.5-vl"];
        assert_eq!(nearest("VQA_RAD", known()), Some("vqa-rad"));
        assert_eq!(nearest("slak", known()), Some("slake"));
        assert_eq!(nearest("lugn", known()), Some("lung"));
        assert_eq!(nearest("imagenet", known()), None);
        assert_eq!(did_you_mean("qwen25vl", known()), "; did you mean \"qwen2.5-vl\"?");
        assert_eq!(did_you_mean("zzzzzzzz", known()), "");
    }
}
