//! Tables for terminals, Markdown, LaTeX and spreadsheets.

use crate::words::is_active;
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
    pub fn is_right(&self, column: usize) -> bool {
        let figure = |cell: &String| {
            cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '–' | '−' | '<'))
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
                if self.is_right(c) { format!("{space}{cell}") } else { format!("{cell}{space}") }
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
        // Neither a link nor a picture: names come from others.
        let escape = |c: &String| {
            printable(c)
                .replace('\\', "\\\\")
                .replace('|', "\\|")
                .replace('<', "&lt;")
                .replace('[', "\\[")
                .replace(']', "\\]")
        };
        let line =
            |row: &Vec<String>| format!("| {} |\n", row.iter().map(escape).collect::<Vec<_>>().join(" | "));
        let mut out = format!("**{}**\n\n", escape(&self.title));
        for (at, row) in self.lines().enumerate() {
            out.push_str(&line(row));
            if at == 0 {
                let marks = (0..self.columns.len()).map(|c| if self.is_right(c) { "---:" } else { "---" });
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
        let marks: String =
            (0..self.columns.len()).map(|c| if self.is_right(c) { 'r' } else { 'l' }).collect();
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
            let c = no_formula(c);
            let quoted = c.contains(['"', ',', '\n', '\r']);
            if quoted { format!("\"{}\"", c.replace('"', "\"\"")) } else { c }
        };
        self.lines().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n").collect()
    }
}

/// Without control and direction characters: a tag of a dataset must not steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_active(c) { ' ' } else { c }).collect()
}

/// A cell that spreadsheets take as words or a number: what they would compute gets an apostrophe in front
/// (OWASP, CSV injection).
fn no_formula(cell: &str) -> String {
    let mut chars = cell.chars();
    let computes = match chars.next() {
        Some('=' | '@' | '\t' | '\r') => true,
        // A number, an interval of two; nothing that goes on to compute.
        Some('+' | '-') => {
            let mut before = ' ';
            !chars.all(|c| {
                let fits = c.is_ascii_digit()
                    || matches!(c, '.' | ',' | '%' | ' ' | '–' | '—')
                    || (c == '-' && matches!(before, '–' | ' '));
                before = c;
                fits
            })
        }
        _ => false,
    };
    if computes { format!("'{cell}") } else { cell.to_owned() }
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

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn cells_neither_compute_nor_lead_elsewhere() {
        let names = [
            "=HYPERLINK(\"http://x\")",
            "+1+1",
            "@SUM(1)",
            "-2+3",
            "\t=1",
            "[a](javascript:x)",
            "![i](http://x)",
            "a\u{1b}[31m",
        ];
        let mut table = Table::new("t", &["name", "figure"]);
        for (name, figure) in
            names.iter().zip(["-0.5", "+12 %", "-1.0–-0.5", "-1.0 – 2.0", "1", "2", "3", "-"])
        {
            table.rows.push(vec![(*name).to_owned(), figure.to_owned()]);
        }
        let csv = table.write(Format::Csv);
        assert!(csv.contains("\"'=HYPERLINK(\"\"http://x\"\")\",-0.5\r\n"), "{csv}");
        for expected in ["'+1+1,+12 %\r\n", "'@SUM(1),-1.0–-0.5\r\n", "'-2+3,-1.0 – 2.0\r\n", "'\t=1,1\r\n"]
        {
            assert!(csv.contains(expected), "{expected:?} in {csv}");
        }
        let markdown = table.write(Format::Markdown);
        assert!(markdown.contains("\\[a\\](javascript:x)") && markdown.contains("!\\[i\\]"), "{markdown}");
        assert!(!table.write(Format::Terminal).contains('\u{1b}'));
    }
}
