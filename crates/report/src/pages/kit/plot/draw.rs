//! What every plot is drawn with.

use crate::pages::kit::html::escaped;
use std::fmt::Write;

/// Colours of series that can be told apart with impaired colour vision (Okabe and Ito); classes `f0` and `l0` to
/// `f6` and `l6`.
pub const COLOURS: usize = 7;

/// What is drawn, in pixels.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) inside: String,
}

/// A text of the drawing.
pub(super) fn text(out: &mut String, at: (f64, f64), class: &str, words: &str) {
    let _ =
        write!(out, "<text x=\"{:.1}\" y=\"{:.1}\" class=\"{class}\">{}</text>", at.0, at.1, escaped(words));
}

/// Words that have room for so many characters, the last of them `…` where they do not fit.
pub(super) fn shortened(words: &str, most: usize) -> String {
    match words.char_indices().nth(most) {
        None => words.to_owned(),
        Some(_) => words.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A number with as many decimals as its axis of this length needs.
pub(super) fn tick(value: f64, span: f64) -> String {
    let decimals = match span {
        s if s >= 20.0 => 0,
        s if s >= 2.0 => 1,
        s if s >= 0.2 => 2,
        _ => 3,
    };
    let shown = format!("{value:.decimals$}");
    if shown.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) { "0".to_owned() } else { shown }
}

/// The round number at or above `value` that an axis may end at.
pub(super) fn round_end(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|n| n * unit).find(|end| *end >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_and_words_are_cut_between_characters() {
        assert_eq!([0.0, 0.07, 3.0, 21.0, 100.0].map(round_end), [1.0, 0.1, 5.0, 25.0, 100.0]);
        assert_eq!(
            (tick(0.25, 1.0).as_str(), tick(-0.0, 1.0).as_str(), tick(50.0, 100.0).as_str()),
            ("0.25", "0", "50")
        );
        assert_eq!((shortened("肺部结节", 3).as_str(), shortened("lung", 4).as_str()), ("肺部…", "lung"));
    }
}
