//! Small help for messages.

/// `1 file`, `2 files`, `2 studies`: a number and what it counts, for nouns with a regular plural.
pub fn counted(n: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_not_plural() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "file")), ["0 files", "1 file", "2 files"]);
        assert_eq!([1, 2].map(|n| counted(n, "study")), ["1 study", "2 studies"]);
    }
}
