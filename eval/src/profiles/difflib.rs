//! The likeness of two strings as Python's `difflib.SequenceMatcher(None, a, b).ratio()` has it,
//! "popular" characters of long strings included.

use std::collections::HashMap;

/// Above this length of `b`, characters that make up more than 1 % of it are not anchors.
const AUTO_JUNK_FROM: usize = 200;

/// `b` prepared for many comparisons.
#[derive(Debug)]
pub struct Matcher {
    b: Vec<char>,
    places: HashMap<char, Vec<usize>>,
}

impl Matcher {
    /// Prepares the string that others are compared with.
    pub fn new(b: &str) -> Self {
        let b: Vec<char> = b.chars().collect();
        let mut places: HashMap<char, Vec<usize>> = HashMap::new();
        for (at, c) in b.iter().enumerate() {
            places.entry(*c).or_default().push(at);
        }
        if b.len() >= AUTO_JUNK_FROM {
            let most = b.len() / 100 + 1;
            places.retain(|_, at| at.len() <= most);
        }
        Self { b, places }
    }

    /// Twice the matched characters over all characters; 1 for two empty strings.
    pub fn ratio(&self, a: &str) -> f64 {
        let a: Vec<char> = a.chars().collect();
        let all = a.len() + self.b.len();
        if all == 0 {
            return 1.0;
        }
        let mut matched = 0;
        let mut todo = vec![(0, a.len(), 0, self.b.len())];
        while let Some((a_from, a_to, b_from, b_to)) = todo.pop() {
            let (i, j, size) = self.longest(&a, a_from, a_to, b_from, b_to);
            if size > 0 {
                matched += size;
                todo.push((a_from, i, b_from, j));
                todo.push((i + size, a_to, j + size, b_to));
            }
        }
        2.0 * matched as f64 / all as f64
    }

    /// Start in `a`, start in `b` and length of the longest common run, the earliest of equals.
    fn longest(
        &self,
        a: &[char],
        a_from: usize,
        a_to: usize,
        b_from: usize,
        b_to: usize,
    ) -> (usize, usize, usize) {
        let (mut i0, mut j0, mut size) = (a_from, b_from, 0);
        let mut ending: HashMap<usize, usize> = HashMap::new();
        for (i, c) in a.iter().enumerate().take(a_to).skip(a_from) {
            let mut next = HashMap::new();
            for &j in self.places.get(c).map_or(&[][..], Vec::as_slice) {
                if j < b_from {
                    continue;
                }
                if j >= b_to {
                    break;
                }
                let k = if j == 0 { 1 } else { ending.get(&(j - 1)).copied().unwrap_or(0) + 1 };
                next.insert(j, k);
                if k > size {
                    (i0, j0, size) = (i + 1 - k, j + 1 - k, k);
                }
            }
            ending = next;
        }
        // Characters that are no anchors may still lengthen a run.
        while i0 > a_from && j0 > b_from && a[i0 - 1] == self.b[j0 - 1] {
            (i0, j0, size) = (i0 - 1, j0 - 1, size + 1);
        }
        while i0 + size < a_to && j0 + size < b_to && a[i0 + size] == self.b[j0 + size] {
            size += 1;
        }
        (i0, j0, size)
    }
}

/// The index of the string most like `target`, 0 when none has anything in common with it.
pub fn most_similar<'a>(strings: impl IntoIterator<Item = &'a str>, target: &str) -> usize {
    let matcher = Matcher::new(target);
    let (mut best, mut at) = (0.0, 0);
    for (i, s) in strings.into_iter().enumerate() {
        let ratio = matcher.ratio(s);
        if ratio > best {
            (best, at) = (ratio, i);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::Matcher;

    /// Values of CPython 3.11.
    #[test]
    fn ratios_of_python() {
        let long = format!("{}xyz quadrant", "the left lower lobe shows an opacity ".repeat(8));
        for (a, b, expected) in [
            ("abcd", "bcde", 0.75),
            ("", "", 1.0),
            ("lung", "", 0.0),
            ("pleural effusion", "effusion of the pleura", 0.421_052_631_578_947_35),
            ("左肺", "右肺上叶", 1.0 / 3.0),
            ("quadrant lower", long.as_str(), 0.049689440993788817),
            ("no", &long, 0.0),
        ] {
            let got = Matcher::new(b).ratio(a);
            assert!((got - expected).abs() < 1e-12, "{a:?} {b:?}: {got} instead of {expected}");
        }
    }
}
