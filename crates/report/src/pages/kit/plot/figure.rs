//! A drawing with its words and its numbers, as HTML.

use super::draw::Drawing;
use crate::pages::kit::html::{escaped, table};
use loupe_core::Table;

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
        // A table of the page may have the same name, and regions are told apart by it.
        let numbers = Table { title: format!("Numbers: {}", numbers.title), ..numbers.clone() };
        let (title, about) = (escaped(title), escaped(about));
        let Drawing { width, height, inside } = drawing;
        let names = format!("plot-{number}-title plot-{number}-about");
        let note = if about.is_empty() { String::new() } else { format!("<p class=\"note\">{about}</p>") };
        format!(
            "<figure class=\"plot\"><figcaption>{title}</figcaption>\
             <svg width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{names}\">\
             <title id=\"plot-{number}-title\">{title}</title><desc id=\"plot-{number}-about\">{about}</desc>{inside}</svg>{note}\
             <details><summary>Its numbers</summary>{}</details></figure>",
            table(&numbers)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::kit::plot::forest::{ForestAxis, ForestRow, forest};

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
