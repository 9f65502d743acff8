//! One form for texts that mean the same, before anything is read out of them or compared.

use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfkc};

/// The text in Unicode's compatibility form NFKC (`Ｂ` is `B`, `（` is `(`, `㎜` is `mm`, `５` is `5`) and with what
/// NFKC leaves apart: minus signs and hyphens as `-`, curly apostrophes as `'`, digits of Arabic, Persian and
/// Devanagari as ASCII, separators of lines as `\n`, powers behind a `^` (`10³` is `10^3` and no 103); without marks of direction, characters of no width, Arabic
/// vowel signs and lengthening.
pub fn text_form(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || (is_nfkc(text) && text.chars().all(|c| mapped(c) == Some(c))) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(with_powers(text).nfkc().filter_map(mapped).collect())
}

/// Raised digits behind a digit are a power, which NFKC would make a further digit; behind a letter they belong to a unit.
fn with_powers(text: &str) -> Cow<'_, str> {
    let raised = |c: char| matches!(c, '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}' | '\u{2074}'..='\u{207b}');
    if !text.contains(raised) {
        return Cow::Borrowed(text);
    }
    let mut before = ' ';
    let mut with = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if raised(c) && before.is_numeric() && !raised(before) {
            with.push('^');
        }
        with.push(c);
        before = c;
    }
    Cow::Owned(with)
}

/// What becomes of a character beside NFKC; nothing where it is left out.
fn mapped(c: char) -> Option<char> {
    let digit = |zero: char| char::from_digit(u32::from(c) - u32::from(zero), 10);
    Some(match c {
        // U+2010 and U+2011 are hyphens, U+2212 is the minus sign.
        '\u{2010}' | '\u{2011}' | '\u{2212}' => '-',
        '’' | '‘' | 'ʼ' => '\'',
        '\u{0085}' | '\u{2028}' | '\u{2029}' => '\n',
        '\u{0660}'..='\u{0669}' => digit('\u{0660}')?,
        '\u{06f0}'..='\u{06f9}' => digit('\u{06f0}')?,
        '\u{0966}'..='\u{096f}' => digit('\u{0966}')?,
        '\u{066a}' => '%',
        '\u{2044}' => '/',
        '\u{066b}' => '.',
        '\u{066c}' | '\u{060c}' => ',',
        '\u{061b}' => ';',
        '\u{061f}' => '?',
        // Soft hyphen, zero width, marks of direction, Arabic lengthening and vowel signs.
        '\u{00ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' => {
            return None;
        }
        '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{0640}' | '\u{064b}'..='\u{0652}' | '\u{0670}' => {
            return None;
        }
        c => c,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_mean_the_same_become_one() {
        for (written, form) in [
            ("Ｂ", "B"),
            ("（Ｂ）", "(B)"),
            ("３．５㎜", "3.5mm"),
            ("5 cm²", "5 cm2"),
            ("10³/µl", "10^3/\u{3bc}l"),
            ("2.5×10⁻¹²", "2.5×10^-12"),
            ("٥٠٪", "50%"),
            ("½", "1/2"),
            ("\u{2212}3", "-3"),
            ("T2\u{2011}weighted", "T2-weighted"),
            ("Crohn’s", "Crohn's"),
            ("٣٫٥", "3.5"),
            ("۱۲", "12"),
            ("\u{200f}نَعَم\u{200f}", "نعم"),
            ("ﻻ", "لا"),
            ("\u{feff}yes\u{200b}", "yes"),
            ("µm", "\u{3bc}m"),
            ("是的。", "是的。"),
        ] {
            assert_eq!(text_form(written), form, "{written:?}");
        }
        assert!(matches!(text_form("plain"), Cow::Borrowed(_)));
        assert!(matches!(text_form("是的。"), Cow::Borrowed(_)));
    }
}
