//! The normal form in which short answers are compared.

use loupe_core::text_form::text_form;

/// The text in [`text_form`] and lower case; punctuation to spaces, points and commas inside numbers kept or dropped;
/// signs of comparison before a number kept (<5 is not >5), `x` and `/` between numbers words, powers kept apart from digits;
/// numbers without needless zeros, apart from their unit, units by their symbol; articles dropped; number words up to
/// ten as digits; `x ray` as `xray`; each Chinese, Japanese or Korean character a word of its own, but for what says
/// that something is normal or not (不正常 holds no 正常); Arabic letters without their variants.
pub(super) fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text_form(text).chars().flat_map(char::to_lowercase).map(plain_arabic).collect();
    let mut found: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            found.push(std::mem::take(word));
        }
    };
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let before = at.checked_sub(1).and_then(|b| chars.get(b));
        let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
        let after_digit = before.is_some_and(char::is_ascii_digit);
        let next_digit = digit(at + 1);
        let spaced = |mut i: usize| {
            while chars.get(i).is_some_and(|c| *c == ' ') {
                i += 1;
            }
            digit(i)
        };
        let digit_before = || chars[..at].iter().rev().find(|c| **c != ' ').is_some_and(char::is_ascii_digit);
        let mut n = 1;
        match c {
            '.' if after_digit && next_digit => word.push('.'),
            '.' if next_digit && before.is_none_or(|b| !b.is_alphanumeric()) => word.push_str("0."),
            // Thousands; a comma before other than three digits separates.
            ',' if after_digit && next_digit && thousands(&chars, at) => {}
            '\'' => {}                                                           // don't, Crohn's
            '^' if before.is_some_and(|b| b.is_alphabetic()) && next_digit => {} // cm^2
            '^' if after_digit && (next_digit || (chars.get(at + 1) == Some(&'-') && digit(at + 2))) => {
                word.push('^'); // 10^3, 10^-3
            }
            '-' if word.ends_with('^') => word.push('-'),
            '<' | '>' | '≤' | '≥' if spaced(at + 1) => {
                end(&mut word);
                word.push(c);
                end(&mut word);
            }
            '<' | '>' if chars.get(at + 1) == Some(&'=') && spaced(at + 2) => {
                end(&mut word);
                word.push(if c == '<' { '≤' } else { '≥' });
                end(&mut word);
            }
            'x' | '×' | '*' | '/' if digit_before() && spaced(at + 1) => {
                end(&mut word);
                word.push(if c == '/' { '/' } else { 'x' });
                end(&mut word);
            }
            c if is_cjk(c) => {
                end(&mut word);
                let said = POLAR_ZH
                    .iter()
                    .find(|p| p.chars().eq(chars[at..].iter().take(p.chars().count()).copied()));
                n = said.map_or(1, |p| p.chars().count());
                word.extend(&chars[at..at + n]);
                end(&mut word);
            }
            '%' | '°' => {
                end(&mut word);
                word.push(c);
                end(&mut word);
            }
            c if c.is_alphanumeric() || c == '+' => word.push(c),
            // A minus only where a number starts.
            '-' | '–'
                if next_digit && word.is_empty() && before.is_none_or(|b| b.is_whitespace() || *b == '(') =>
            {
                word.push('-');
            }
            _ => end(&mut word),
        }
        at += n;
    }
    end(&mut word);
    // An article stands before a word; at the end it is a name ("A", "Image A", "hepatitis A").
    let mut left = found.len();
    found.retain(|w| {
        left -= 1;
        left == 0 || !matches!(w.as_str(), "a" | "an" | "the")
    });
    let mut found: Vec<String> = found.into_iter().flat_map(number_and_unit).map(usual).collect();
    found.dedup_by(|ray, x| {
        let joined = ray == "ray" && x == "x";
        if joined {
            x.push_str("ray");
        }
        joined
    });
    found
}

/// Chinese words for normal and not normal, the longest first.
const POLAR_ZH: [&str; 7] = ["未见异常", "没有异常", "不正常", "无异常", "正常", "异常", "異常"];

fn plain_arabic(c: char) -> char {
    match c {
        'أ' | 'إ' | 'آ' => 'ا',
        'ى' => 'ي',
        'ة' => 'ه',
        c => c,
    }
}

/// Is the comma at `at` one between thousands: one to three digits before it, or three behind another comma, and
/// exactly three behind it?
fn thousands(chars: &[char], at: usize) -> bool {
    let behind = chars[at + 1..].iter().take_while(|c| c.is_ascii_digit()).count();
    let before = chars[..at].iter().rev().take_while(|c| c.is_ascii_digit()).count();
    behind == 3 && (1..=3).contains(&before)
}

/// Units that may touch their number, as they are written when they do.
const UNITS: [&str; 20] = [
    "mm", "cm", "dm", "m", "ml", "l", "cc", "mg", "kg", "g", "hu", "mm2", "cm2", "mm3", "cm3", "ms", "kv",
    "kvp", "mas", "ma",
];

/// Is the word a unit or a percent sign?
pub(super) fn is_unit(word: &str) -> bool {
    matches!(word, "%" | "°") || UNITS.contains(&word)
}

/// `3.5cm` as `3.5` and `cm`.
fn number_and_unit(word: String) -> Vec<String> {
    let digits = word.trim_start_matches('-').find(|c: char| !c.is_ascii_digit() && c != '.');
    let cut = digits.map(|at| at + word.len() - word.trim_start_matches('-').len()).filter(|at| *at > 0);
    match cut {
        Some(at) if word[..at].ends_with(|c: char| c.is_ascii_digit()) && UNITS.contains(&&word[at..]) => {
            vec![word[..at].to_owned(), word[at..].to_owned()]
        }
        _ => vec![word],
    }
}

/// The usual way of writing a number or a unit.
fn usual(word: String) -> String {
    if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let (sign, digits) = word.strip_prefix('-').map_or(("", word.as_str()), |d| ("-", d));
        if digits.chars().all(|c| c.is_ascii_digit() || c == '.') && digits.matches('.').count() < 2 {
            let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
            let whole = whole.trim_start_matches('0');
            let (whole, part) = (if whole.is_empty() { "0" } else { whole }, part.trim_end_matches('0'));
            let sign = if whole == "0" && part.is_empty() { "" } else { sign };
            return if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") };
        }
        return word;
    }
    if let Some(at) = NUMBERS.iter().position(|n| *n == word) {
        return at.to_string();
    }
    let unit = match word.as_str() {
        "millimetre" | "millimetres" | "millimeter" | "millimeters" => "mm",
        "centimetre" | "centimetres" | "centimeter" | "centimeters" => "cm",
        "millilitre" | "millilitres" | "milliliter" | "milliliters" | "cc" => "ml",
        "milligram" | "milligrams" => "mg",
        "kilogram" | "kilograms" => "kg",
        "percent" => "%",
        "degree" | "degrees" | "deg" => "°",
        _ => return word,
    };
    unit.to_owned()
}

const NUMBERS: [&str; 11] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// The words as one string.
pub(super) fn normal(text: &str) -> String {
    words(text).join(" ")
}

/// A character of Chinese, Japanese or Korean.
pub(super) fn is_cjk(c: char) -> bool {
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
