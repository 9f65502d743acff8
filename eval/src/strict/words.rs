//! The normal form in which short answers are compared.

/// Lower case; full-width forms as ASCII; punctuation to spaces, points and commas inside numbers
/// kept or dropped; articles dropped; number words up to ten as digits; `x ray` as `xray`; each
/// Chinese, Japanese or Korean character a word of its own.
pub(super) fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().map(half_width).flat_map(char::to_lowercase).collect();
    let mut found: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            found.push(std::mem::take(word));
        }
    };
    for (at, &c) in chars.iter().enumerate() {
        let digit = |i: Option<usize>| i.and_then(|i| chars.get(i)).is_some_and(char::is_ascii_digit);
        let inside_number = digit(at.checked_sub(1)) && digit(Some(at + 1));
        match c {
            '.' if inside_number => word.push('.'),
            ',' if inside_number => {}
            '\'' | '’' => {} // don't, Crohn's
            c if is_cjk(c) => {
                end(&mut word);
                word.push(c);
                end(&mut word);
            }
            c if c.is_alphanumeric() || matches!(c, '%' | '+') => word.push(c),
            // A minus only where a number starts.
            '-' if digit(Some(at + 1)) && at.checked_sub(1).is_none_or(|b| chars[b].is_whitespace()) => {
                word.push('-');
            }
            _ => end(&mut word),
        }
    }
    end(&mut word);
    // An article stands before a word; at the end it is a name ("A", "Image A", "hepatitis A").
    let mut left = found.len();
    found.retain(|w| {
        left -= 1;
        left == 0 || !matches!(w.as_str(), "a" | "an" | "the")
    });
    for word in &mut found {
        if let Some(at) = NUMBERS.iter().position(|n| n == word) {
            *word = at.to_string();
        }
    }
    found.dedup_by(|ray, x| {
        let joined = ray == "ray" && x == "x";
        if joined {
            x.push_str("ray");
        }
        joined
    });
    found
}

const NUMBERS: [&str; 11] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// The words as one string.
pub(super) fn normal(text: &str) -> String {
    words(text).join(" ")
}

/// Full-width forms as ASCII.
pub(super) fn half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c,
    }
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Recall and F1 of the reply's words against the reference's, as bags.
pub(super) fn overlap(gold: &[String], said: &[String]) -> (f64, f64) {
    if gold.is_empty() || said.is_empty() {
        return (0.0, 0.0);
    }
    let (mut a, mut b): (Vec<&str>, Vec<&str>) =
        (gold.iter().map(String::as_str).collect(), said.iter().map(String::as_str).collect());
    a.sort_unstable();
    b.sort_unstable();
    let (mut i, mut j, mut both) = (0, 0, 0usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                both += 1;
                i += 1;
                j += 1;
            }
        }
    }
    let (recall, f1) = (both as f64 / a.len() as f64, 2.0 * both as f64 / (a.len() + b.len()) as f64);
    (recall, f1)
}
