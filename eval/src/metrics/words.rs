//! Words, n-grams and subsequences: what the text metrics share.

use std::collections::HashMap;
use std::hash::Hash;

/// How often each item occurs.
pub fn counts<T: Eq + Hash>(items: impl IntoIterator<Item = T>) -> HashMap<T, usize> {
    let mut map = HashMap::new();
    for item in items {
        *map.entry(item).or_insert(0) += 1;
    }
    map
}

/// Size of the multiset intersection of two bags.
pub fn overlap<T: Eq + Hash>(left: &HashMap<T, usize>, right: &HashMap<T, usize>) -> usize {
    left.iter().map(|(k, n)| right.get(k).map_or(0, |m| *n.min(m))).sum()
}

/// The bag of runs of `n` tokens.
pub fn ngrams<T: Eq + Hash>(tokens: &[T], n: usize) -> HashMap<&[T], usize> {
    counts(tokens.windows(n.max(1)))
}

/// Length of the longest common subsequence.
pub fn lcs_len<T: PartialEq>(left: &[T], right: &[T]) -> usize {
    let mut row = vec![0usize; right.len() + 1];
    for a in left {
        let mut diagonal = 0;
        for (j, b) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if a == b { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[right.len()]
}

/// Which way a walk back through the table goes when both neighbours are equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// Drop the last item of the left side (`rouge_score`).
    Left,
    /// Drop the last item of the right side (`rouge` 1.0.1).
    Right,
}

/// Positions in `left` of one longest common subsequence, in ascending order.
pub fn lcs_positions<T: PartialEq>(left: &[T], right: &[T], tie: Tie) -> Vec<usize> {
    let width = right.len() + 1;
    let mut table = vec![0u32; (left.len() + 1) * width];
    for (i, a) in left.iter().enumerate() {
        for (j, b) in right.iter().enumerate() {
            table[(i + 1) * width + j + 1] = if a == b {
                table[i * width + j] + 1
            } else {
                table[i * width + j + 1].max(table[(i + 1) * width + j])
            };
        }
    }
    let (mut i, mut j, mut found) = (left.len(), right.len(), Vec::new());
    while i > 0 && j > 0 {
        if left[i - 1] == right[j - 1] {
            found.push(i - 1);
            (i, j) = (i - 1, j - 1);
            continue;
        }
        let (drop_left, drop_right) = (table[(i - 1) * width + j], table[i * width + j - 1]);
        let go_left = match tie {
            Tie::Left => drop_right <= drop_left,
            Tie::Right => drop_left > drop_right,
        };
        if go_left { i -= 1 } else { j -= 1 }
    }
    found.reverse();
    found
}

/// `2pr / (p + r)`, 0 when both are 0.
pub fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

/// `part / whole`, 0 for an empty whole.
pub fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The ASCII punctuation of Python's `string.punctuation`.
pub fn is_ascii_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
}

/// White space as Python's `str.strip` and `str.split` have it: four control characters more.
pub fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Runs of letters, digits and underscores (Python's `\w+`).
pub fn word_runs(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect()
}

/// Arithmetic mean, 0 for nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, n) = values.into_iter().fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    if n == 0 { 0.0 } else { sum / n as f64 }
}
