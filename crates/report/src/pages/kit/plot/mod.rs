//! Plots as inline SVG, each with its data as a table beside it. Colours are classes of [`STYLE`], so that a plot
//! follows the page into the dark and onto paper. Marks say their value (`data-value`), which is the number that the
//! plot was given, to the last digit.

mod bars;
mod curves;
mod forest;
mod matrix;

pub use bars::{Bar, bars, histogram};
pub use curves::{Axis, Series, curves, reliability};
pub use forest::{ForestAxis, ForestRow, Mark, forest};
pub use matrix::{Cell, Matrix, matrix};

use super::html::{escaped, table};
use loupe_core::Table;
use std::fmt::Write;

/// The style of plots, for a page that holds them.
pub const STYLE: &str = include_str!("plot.css");
/// Colours of series that can be told apart with impaired colour vision (Okabe and Ito); classes `f0` and `l0` to
/// `f6` and `l6`.
pub const COLOURS: usize = 7;

/// What is drawn, in pixels.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    width: f64,
    height: f64,
    inside: String,
}

/// A drawing with its words and its numbers.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Above the drawing, and its accessible name.
    pub title: String,
    /// What is to be seen, in a sentence: under the drawing, and its accessible description.
    pub about: String,
    /// The marks.
    pub drawing: Drawing,
    /// The same numbers.
    pub table: Table,
}

impl Plot {
    /// The plot as a `figure`; `number` tells the plots of a page apart.
    pub fn html(&self, number: usize) -> String {
        let Self { title, about, drawing, table: numbers } = self;
        let (title, about) = (escaped(title), escaped(about));
        let Drawing { width, height, inside } = drawing;
        let names = format!("plot-{number}-title plot-{number}-about");
        let note = if about.is_empty() { String::new() } else { format!("<p class=\"note\">{about}</p>") };
        format!(
            "<figure class=\"plot\"><figcaption>{title}</figcaption>\
             <svg width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{names}\">\
             <title id=\"plot-{number}-title\">{title}</title><desc id=\"plot-{number}-about\">{about}</desc>{inside}</svg>{note}\
             <details><summary>Its numbers</summary>{}</details></figure>",
            table(numbers)
        )
    }
}

/// A text of the drawing.
fn text(out: &mut String, at: (f64, f64), class: &str, words: &str) {
    let _ =
        write!(out, "<text x=\"{:.1}\" y=\"{:.1}\" class=\"{class}\">{}</text>", at.0, at.1, escaped(words));
}

/// Words that have room for so many characters, the last of them `…` where they do not fit.
fn shortened(words: &str, most: usize) -> String {
    match words.char_indices().nth(most) {
        None => words.to_owned(),
        Some(_) => words.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A number with as many decimals as its axis of this length needs.
fn tick(value: f64, span: f64) -> String {
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
fn round_end(value: f64) -> f64 {
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

    #[test]
    fn what_others_wrote_stays_text() {
        let rows = [ForestRow { name: "<script>\"&".to_owned(), value: Some(0.5), ..ForestRow::default() }];
        let mut table = Table::new("<b>", &["<i>"]);
        table.rows.push(vec!["</table><script>".to_owned()]);
        let plot = Plot {
            title: "</title><script>".to_owned(),
            about: "\"><script>".to_owned(),
            drawing: forest(
                &rows,
                &ForestAxis { name: "<u>".to_owned(), scale: 100.0, range: None, line: None },
            ),
            table,
        };
        let html = plot.html(0);
        assert!(!html.contains("<script>") && !html.contains("<u>") && !html.contains("<b>"), "{html}");
        assert!(html.contains("data-value=\"0.5\""), "{html}");
    }
}
