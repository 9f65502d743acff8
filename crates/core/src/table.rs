//! Tables for terminals, Markdown, LaTeX and spreadsheets.

use serde::Serialize;
use std::fmt::Write;

/// A table; the first column is words, the others are set to the right where they are numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Title above the table.
    pub title: String,
    /// A sentence below it, or nothing.
    pub note: String,
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Cells, each row as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns.
    Terminal,
    /// GitHub's Markdown.
    Markdown,
    /// `tabular` with booktabs rules.
    Latex,
    /// RFC 4180 with a header; title and note left out.
    Csv,
}

impl Table {
    /// A table without rows.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        Self { title: title.into(), note: String::new(), columns, rows: Vec::new() }
    }

    /// The table in that format, with a line break at the end.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Terminal => self.terminal(),
            Format::Markdown => self.markdown(),
            Format::Latex => self.latex(),
            Format::Csv => self.csv(),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.columns).chain(&self.rows)
    }

    /// A column of figures is set to the right.
    fn right(&self, column: usize) -> bool {
        let figure = |cell: &String| {
            cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '–' | '<'))
        };
        column > 0 && self.rows.iter().filter_map(|r| r.get(column)).all(|c| c.is_empty() || figure(c))
    }

    fn terminal(&self) -> String {
        let clean: Vec<Vec<String>> =
            self.lines().map(|row| row.iter().map(|c| printable(c)).collect()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| clean.iter().filter_map(|row| row.get(c)).map(|cell| width(cell)).max().unwrap_or(0))
            .collect();
        let mut out = format!("{}\n", printable(&self.title));
        for (at, row) in clean.iter().enumerate() {
            let cells = row.iter().enumerate().map(|(c, cell)| {
                let space = " ".repeat(widths.get(c).copied().unwrap_or(0).saturating_sub(width(cell)));
                if self.right(c) { format!("{space}{cell}") } else { format!("{cell}{space}") }
            });
            let _ = writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
            if at == 0 {
                let rules = widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>().join("  ");
                let _ = writeln!(out, "  {rules}");
            }
        }
        if !self.note.is_empty() {
            let _ = writeln!(out, "  {}", printable(&self.note));
        }
        out
    }

    fn markdown(&self) -> String {
        let escape = |c: &String| printable(c).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;");
        let line =
            |row: &Vec<String>| format!("| {} |\n", row.iter().map(escape).collect::<Vec<_>>().join(" | "));
        let mut out = format!("**{}**\n\n", escape(&self.title));
        for (at, row) in self.lines().enumerate() {
            out.push_str(&line(row));
            if at == 0 {
                let marks = (0..self.columns.len()).map(|c| if self.right(c) { "---:" } else { "---" });
                let _ = writeln!(out, "| {} |", marks.collect::<Vec<_>>().join(" | "));
            }
        }
        if !self.note.is_empty() {
            let _ = writeln!(out, "\n{}", escape(&self.note));
        }
        out
    }

    fn latex(&self) -> String {
        let line = |row: &Vec<String>| {
            format!("{} \\\\\n", row.iter().map(|c| latex(c)).collect::<Vec<_>>().join(" & "))
        };
        let marks: String = (0..self.columns.len()).map(|c| if self.right(c) { 'r' } else { 'l' }).collect();
        let mut out = format!("% {}\n\\begin{{tabular}}{{{marks}}}\n\\toprule\n", printable(&self.title));
        out.push_str(&line(&self.columns));
        out.push_str("\\midrule\n");
        self.rows.iter().for_each(|row| out.push_str(&line(row)));
        out.push_str("\\bottomrule\n\\end{tabular}\n");
        if !self.note.is_empty() {
            let _ = writeln!(out, "% {}", printable(&self.note));
        }
        out
    }

    fn csv(&self) -> String {
        let cell = |c: &String| {
            let quoted = c.contains(['"', ',', '\n', '\r']);
            if quoted { format!("\"{}\"", c.replace('"', "\"\"")) } else { c.clone() }
        };
        self.lines().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n").collect()
    }
}

/// Without control and direction characters: a tag of a dataset must not steer a terminal.
pub fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if hidden(c) { ' ' } else { c }).collect()
}

/// Columns a terminal uses: wide East Asian characters take two.
fn width(text: &str) -> usize {
    let wide = |c: char| matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{20000}'..='\u{3fffd}');
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '–' => out.push_str("--"),
            c => out.push(c),
        }
    }
    out
}
