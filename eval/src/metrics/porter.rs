//! The stemmer behind `rouge_score` and METEOR: Porter (1980) with the extensions of nltk's `PorterStemmer`
//! in its default mode.

/// Words that the extensions do not stem by rule.
fn irregular(word: &str) -> Option<&'static str> {
    Some(match word {
        "sky" | "skies" => "sky",
        "dying" => "die",
        "lying" => "lie",
        "tying" => "tie",
        "news" => "news",
        "innings" | "inning" => "inning",
        "outings" | "outing" => "outing",
        "cannings" | "canning" => "canning",
        "howe" => "howe",
        "proceed" => "proceed",
        "exceed" => "exceed",
        "succeed" => "succeed",
        _ => return None,
    })
}

fn is_consonant(word: &[u8], at: usize) -> bool {
    match word.get(at) {
        Some(b'a' | b'e' | b'i' | b'o' | b'u') => false,
        Some(b'y') => at == 0 || !is_consonant(word, at - 1),
        _ => true,
    }
}

/// How many times a vowel run is followed by a consonant run.
fn measure(stem: &[u8]) -> usize {
    let kinds: Vec<bool> = (0..stem.len()).map(|i| is_consonant(stem, i)).collect();
    kinds.windows(2).filter(|w| !w[0] && w[1]).count()
}

fn has_vowel(stem: &[u8]) -> bool {
    (0..stem.len()).any(|i| !is_consonant(stem, i))
}

fn ends_double_consonant(word: &[u8]) -> bool {
    let n = word.len();
    n >= 2 && word[n - 1] == word[n - 2] && is_consonant(word, n - 1)
}

fn ends_cvc(word: &[u8]) -> bool {
    let n = word.len();
    let long = n >= 3
        && is_consonant(word, n - 3)
        && !is_consonant(word, n - 2)
        && is_consonant(word, n - 1)
        && !matches!(word[n - 1], b'w' | b'x' | b'y');
    long || (n == 2 && !is_consonant(word, 0) && is_consonant(word, 1))
}

type Condition = fn(stem: &[u8], word: &[u8]) -> bool;

fn always(_: &[u8], _: &[u8]) -> bool {
    true
}
fn positive(stem: &[u8], _: &[u8]) -> bool {
    measure(stem) > 0
}
fn above_one(stem: &[u8], _: &[u8]) -> bool {
    measure(stem) > 1
}

/// Applies the first rule whose suffix fits; when its condition fails, nothing happens.
fn apply(word: Vec<u8>, rules: &[(&str, &str, Condition)]) -> Vec<u8> {
    for (suffix, put, condition) in rules {
        if let Some(stem) = word.strip_suffix(suffix.as_bytes()) {
            return if condition(stem, &word) { [stem, put.as_bytes()].concat() } else { word };
        }
    }
    word
}

fn step_1a(word: Vec<u8>) -> Vec<u8> {
    if word.len() == 4 && word.ends_with(b"ies") {
        return word[..3].to_vec();
    }
    apply(word, &[("sses", "ss", always), ("ies", "i", always), ("ss", "ss", always), ("s", "", always)])
}

fn step_1b(word: Vec<u8>) -> Vec<u8> {
    if let Some(stem) = word.strip_suffix(b"ied") {
        return [stem, if word.len() == 4 { b"ie" as &[u8] } else { b"i" }].concat();
    }
    if let Some(stem) = word.strip_suffix(b"eed") {
        return if measure(stem) > 0 { [stem, b"ee"].concat() } else { word };
    }
    let cut =
        [b"ed" as &[u8], b"ing"].iter().filter_map(|s| word.strip_suffix(*s)).find(|stem| has_vowel(stem));
    let Some(stem) = cut else { return word };
    if [b"at", b"bl", b"iz"].iter().any(|s| stem.ends_with(*s)) {
        return [stem, b"e"].concat();
    }
    if ends_double_consonant(stem) {
        let keep = matches!(stem.last(), Some(b'l' | b's' | b'z'));
        return if keep { stem.to_vec() } else { stem[..stem.len() - 1].to_vec() };
    }
    if measure(stem) == 1 && ends_cvc(stem) { [stem, b"e"].concat() } else { stem.to_vec() }
}

fn step_1c(word: Vec<u8>) -> Vec<u8> {
    apply(word, &[("y", "i", |stem, _| stem.len() > 1 && is_consonant(stem, stem.len() - 1))])
}

fn step_2(word: Vec<u8>) -> Vec<u8> {
    if let Some(stem) = word.strip_suffix(b"alli")
        && measure(stem) > 0
    {
        return step_2([stem, b"al"].concat());
    }
    apply(
        word,
        &[
            ("ational", "ate", positive),
            ("tional", "tion", positive),
            ("enci", "ence", positive),
            ("anci", "ance", positive),
            ("izer", "ize", positive),
            ("bli", "ble", positive),
            ("alli", "al", positive),
            ("entli", "ent", positive),
            ("eli", "e", positive),
            ("ousli", "ous", positive),
            ("ization", "ize", positive),
            ("ation", "ate", positive),
            ("ator", "ate", positive),
            ("alism", "al", positive),
            ("iveness", "ive", positive),
            ("fulness", "ful", positive),
            ("ousness", "ous", positive),
            ("aliti", "al", positive),
            ("iviti", "ive", positive),
            ("biliti", "ble", positive),
            ("fulli", "ful", positive),
            // The l of the suffix counts towards the measure.
            ("logi", "log", |_, word| measure(&word[..word.len() - 3]) > 0),
        ],
    )
}

fn step_3(word: Vec<u8>) -> Vec<u8> {
    apply(
        word,
        &[
            ("icate", "ic", positive),
            ("ative", "", positive),
            ("alize", "al", positive),
            ("iciti", "ic", positive),
            ("ical", "ic", positive),
            ("ful", "", positive),
            ("ness", "", positive),
        ],
    )
}

fn step_4(word: Vec<u8>) -> Vec<u8> {
    let ion: Condition = |stem, _| measure(stem) > 1 && matches!(stem.last(), Some(b's' | b't'));
    apply(
        word,
        &[
            ("al", "", above_one),
            ("ance", "", above_one),
            ("ence", "", above_one),
            ("er", "", above_one),
            ("ic", "", above_one),
            ("able", "", above_one),
            ("ible", "", above_one),
            ("ant", "", above_one),
            ("ement", "", above_one),
            ("ment", "", above_one),
            ("ent", "", above_one),
            ("ion", "", ion),
            ("ou", "", above_one),
            ("ism", "", above_one),
            ("ate", "", above_one),
            ("iti", "", above_one),
            ("ous", "", above_one),
            ("ive", "", above_one),
            ("ize", "", above_one),
        ],
    )
}

fn step_5(word: Vec<u8>) -> Vec<u8> {
    let word = match word.strip_suffix(b"e") {
        Some(stem) if measure(stem) > 1 || (measure(stem) == 1 && !ends_cvc(stem)) => stem.to_vec(),
        _ => word,
    };
    apply(word, &[("ll", "l", |_, word| measure(&word[..word.len() - 1]) > 1)])
}

/// The stem of a word in lower case. Characters beyond ASCII count as consonants.
pub fn stem(word: &str) -> String {
    if let Some(known) = irregular(word) {
        return known.to_owned();
    }
    if word.chars().nth(2).is_none() {
        return word.to_owned();
    }
    let (bytes, beyond) = bytes(word);
    let bytes = step_5(step_4(step_3(step_2(step_1c(step_1b(step_1a(bytes)))))));
    // Rules cut and change the end only, so characters beyond ASCII keep their order.
    let mut beyond = beyond.into_iter();
    bytes
        .into_iter()
        .map(|b| if b.is_ascii() { char::from(b) } else { beyond.next().unwrap_or_default() })
        .collect()
}

/// A byte a character, and the characters beyond ASCII, whose bytes are the same for the same
/// character: of the last 127 different ones, which is more than rules ever look at.
fn bytes(word: &str) -> (Vec<u8>, Vec<char>) {
    let mut known: Vec<char> = Vec::new();
    let mut byte = |c: char| {
        if c.is_ascii() {
            return c as u8;
        }
        let at = known.iter().position(|k| *k == c).unwrap_or(known.len());
        if at == known.len() && at < 127 {
            known.push(c);
        }
        0x80 + at as u8
    };
    let mut bytes: Vec<u8> = word.chars().rev().map(&mut byte).collect();
    bytes.reverse();
    (bytes, word.chars().filter(|c| !c.is_ascii()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::stem;

    #[test]
    fn stems_of_nltk() {
        let table = include_str!("../../tests/fixtures/porter.tsv");
        let mut n = 0;
        for line in table.lines().filter(|l| !l.starts_with('#')) {
            let (word, expected) = line.split_once('\t').unwrap();
            assert_eq!(stem(word), expected, "{word}");
            n += 1;
        }
        assert!(n > 500);
    }
}
