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
    /// Aligned columns, as wide as they are.
    Terminal,
    /// Aligned columns for a terminal of so many: words are wrapped, then columns left out from the right, which the
    /// table says.
    Within(usize),
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
            Format::Terminal => self.terminal(usize::MAX),
            Format::Within(columns) => self.terminal(columns),
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

    fn terminal(&self, most: usize) -> String {
        let clean: Vec<Vec<String>> =
            self.lines().map(|row| row.iter().map(|c| printable(c)).collect()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| clean.iter().filter_map(|row| row.get(c)).map(|cell| width(cell)).max().unwrap_or(0))
            .collect();
        let (widths, left_out) = self.fitted(widths, most);
        let mut out = String::new();
        let say = |out: &mut String, indent: &str, words: &str| {
            for line in wrapped(&printable(words), most.saturating_sub(indent.len())) {
                let _ = writeln!(out, "{indent}{line}");
            }
        };
        say(&mut out, "", &self.title);
        for (at, row) in clean.iter().enumerate() {
            let cells: Vec<Vec<String>> =
                row.iter().zip(&widths).map(|(cell, space)| wrapped(cell, *space)).collect();
            let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
            for line in 0..lines {
                let cells = cells.iter().enumerate().map(|(c, lines)| {
                    let cell = lines.get(line).map_or("", String::as_str);
                    let space = widths.get(c).copied().unwrap_or(0).saturating_sub(width(cell));
                    let space = " ".repeat(space);
                    if self.is_right(c) { format!("{space}{cell}") } else { format!("{cell}{space}") }
                });
                let _ = writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
            }
            if at == 0 {
                let rules = widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>().join("  ");
                let _ = writeln!(out, "  {rules}");
            }
        }
        if !self.note.is_empty() {
            say(&mut out, "  ", &self.note);
        }
        if !left_out.is_empty() {
            say(&mut out, "  ", &format!("left out at this width: {}", left_out.join(", ")));
        }
        out
    }

    /// Widths of the columns that have room, and the names of those that have none.
    fn fitted(&self, mut widths: Vec<usize>, most: usize) -> (Vec<usize>, Vec<String>) {
        /// What words keep at least, and the first column, which says what a row is.
        const WORDS: usize = 14;
        const FIRST: usize = 24;
        let total = |widths: &[usize]| widths.iter().sum::<usize>() + 2 * widths.len();
        let over = |widths: &[usize]| total(widths).saturating_sub(most);
        let words: Vec<usize> = (0..widths.len()).filter(|c| !self.is_right(*c)).collect();
        let shrink = |widths: &mut Vec<usize>, column: usize, least: usize| {
            let too_many = over(widths);
            if let Some(width) = widths.get_mut(column).filter(|w| **w > least) {
                *width = width.saturating_sub(too_many).max(least);
            }
        };
        for &column in words.iter().filter(|c| **c > 0).rev() {
            shrink(&mut widths, column, WORDS);
        }
        shrink(&mut widths, 0, FIRST);
        let mut left_out = Vec::new();
        while over(&widths) > 0 && widths.len() > 2 {
            widths.pop();
            left_out.extend(self.columns.get(widths.len()).map(|name| printable(name)));
        }
        left_out.reverse();
        (widths, left_out)
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
        let rows: String = self.rows.iter().map(line).collect();
        let head = line(&self.columns);
        let mut out = format!("% {}\n", printable(&self.title));
        if [&head, &rows].iter().any(|text| text.contains("\\loupechar")) {
            out.push_str(LATEX_UNICODE);
        }
        let _ = writeln!(out, "\\begin{{tabular}}{{{marks}}}\n\\toprule");
        out.push_str(&head);
        out.push_str("\\midrule\n");
        out.push_str(&rows);
        out.push_str("\\bottomrule\n\\end{tabular}\n");
        if !self.note.is_empty() {
            let _ = writeln!(out, "% {}", printable(&self.note));
        }
        out
    }

    fn csv(&self) -> String {
        self.lines()
            .map(|row| row.iter().map(|c| csv_cell(c)).collect::<Vec<_>>().join(",") + "\r\n")
            .collect()
    }
}

/// Without control and direction characters: a tag of a dataset must not steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_active(c) { ' ' } else { c }).collect()
}

/// A cell of a CSV file (RFC 4180) in which a spreadsheet computes nothing: what it would take for a formula has an apostrophe in front
/// ([`plain_cell`]).
pub fn csv_cell(cell: &str) -> String {
    let cell = plain_cell(cell);
    let plain = !cell.contains(['"', ',', '\n', '\r']) && cell.trim() == cell;
    if plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

/// A cell that spreadsheets take as words or a number: what they would compute gets an apostrophe in front
/// (OWASP, CSV injection), and so does what looks like such a cell. [`cell_words`] is the way back.
pub fn plain_cell(cell: &str) -> String {
    if is_formula(cell.trim_start_matches('\'')) { format!("'{cell}") } else { cell.to_owned() }
}

/// The words of a cell that [`plain_cell`] made, for files that are written here and read again.
pub fn cell_words(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest.trim_start_matches('\''))).unwrap_or(cell)
}

/// Would a spreadsheet compute a cell?
fn is_formula(cell: &str) -> bool {
    let mut chars = cell.chars();
    match chars.next() {
        Some('=' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => true,
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
    }
}

/// Words in lines of at most so many columns of a terminal; a word that is longer is broken.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    if width(text) <= most {
        return vec![text.to_owned()];
    }
    let most = most.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or("", String::as_str);
        if !line.is_empty() && width(line) + 1 + width(word) > most {
            lines.push(String::new());
        } else if let Some(line) = lines.last_mut().filter(|l| !l.is_empty()) {
            line.push(' ');
        }
        for c in word.chars() {
            let mut buffer = [0u8; 4];
            let full = lines
                .last()
                .is_some_and(|l| !l.is_empty() && width(l) + width(c.encode_utf8(&mut buffer)) > most);
            if full {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
        }
    }
    lines
}

/// Columns a terminal uses: wide East Asian characters take two.
fn width(text: &str) -> usize {
    let wide = |c: char| matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{20000}'..='\u{3fffd}');
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

/// What LaTeX sets for characters that its default fonts and encodings do not have, or that it takes for commands and
/// ligatures.
const LATEX: &[(char, &str)] = &[
    ('\\', "\\textbackslash{}"),
    ('~', "\\textasciitilde{}"),
    ('^', "\\textasciicircum{}"),
    ('<', "\\textless{}"),
    ('>', "\\textgreater{}"),
    ('|', "\\textbar{}"),
    ('"', "''"),
    ('`', "\\`{}"),
    // Behind `\\`, and in options, these mean something else.
    ('[', "{[}"),
    (']', "{]}"),
    ('*', "{*}"),
    ('–', "--"),
    ('—', "---"),
    ('‘', "`{}"),
    ('’', "'{}"),
    ('“', "``"),
    ('”', "''"),
    ('…', "\\ldots{}"),
    ('·', "\\textperiodcentered{}"),
    ('•', "\\textbullet{}"),
    ('\u{a0}', "~"),
    ('°', "\\ensuremath{^\\circ}"),
    ('±', "\\ensuremath{\\pm}"),
    ('×', "\\ensuremath{\\times}"),
    ('÷', "\\ensuremath{\\div}"),
    ('−', "\\ensuremath{-}"),
    ('≤', "\\ensuremath{\\leq}"),
    ('≥', "\\ensuremath{\\geq}"),
    ('≠', "\\ensuremath{\\neq}"),
    ('≈', "\\ensuremath{\\approx}"),
    ('→', "\\ensuremath{\\rightarrow}"),
    ('←', "\\ensuremath{\\leftarrow}"),
    ('↑', "\\ensuremath{\\uparrow}"),
    ('↓', "\\ensuremath{\\downarrow}"),
    ('∞', "\\ensuremath{\\infty}"),
    ('²', "\\ensuremath{^2}"),
    ('³', "\\ensuremath{^3}"),
    ('µ', "\\ensuremath{\\mu}"),
    ('α', "\\ensuremath{\\alpha}"),
    ('β', "\\ensuremath{\\beta}"),
    ('δ', "\\ensuremath{\\delta}"),
    ('Δ', "\\ensuremath{\\Delta}"),
    ('κ', "\\ensuremath{\\kappa}"),
    ('μ', "\\ensuremath{\\mu}"),
    ('σ', "\\ensuremath{\\sigma}"),
];

/// Defines what [`latex`] writes other characters with: as they are in XeLaTeX and LuaLaTeX, their number where the engine has
/// only fonts of 256 characters.
const LATEX_UNICODE: &str =
    "\\providecommand{\\loupechar}[2]{\\ifdefined\\Umathchar#2\\else{[}U+#1{]}\\fi}\n";

/// Words that LaTeX sets as they are, whatever they hold.
fn latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in printable(text).chars() {
        // Two of these make another sign.
        if c == before && matches!(c, '-' | '\'' | ',') {
            out.push_str("{}");
        }
        before = c;
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            c => match LATEX.iter().find(|(this, _)| *this == c) {
                Some((_, words)) => out.push_str(words),
                // Letters with accents are in every encoding.
                None if c.is_ascii()
                    || (matches!(c, 'À'..='ÿ') && !matches!(c, 'Ð' | 'Þ' | 'ð' | 'þ' | '×' | '÷')) =>
                {
                    out.push(c);
                }
                None => out.push_str(&format!("\\loupechar{{{:04X}}}{{{c}}}", u32::from(c))),
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_table_fits_its_terminal_and_says_what_it_left_out() {
        let mut table =
            Table::new("figures of a run with a title that is long", &["figure", "%", "interval", "method"]);
        table.note = "a note of some words that goes on and on".to_owned();
        table.rows.push(
            ["closed accuracy by answer type", "72.5", "68.0 – 76.1", "clustered wilson"]
                .map(str::to_owned)
                .to_vec(),
        );
        table.rows.push(["open", "−1.5", "", ""].map(str::to_owned).to_vec());
        let whole = table.write(Format::Terminal);
        assert!(
            whole.contains("closed accuracy by answer type  72.5  68.0 – 76.1  clustered wilson"),
            "{whole}"
        );
        assert_eq!(table.write(Format::Within(200)), whole);
        for columns in [20, 44, 62, 66] {
            let narrow = table.write(Format::Within(columns));
            assert!(narrow.lines().all(|line| width(line) <= columns.max(34)), "{columns}:\n{narrow}");
            assert!(narrow.contains("72.5"), "{narrow}");
            let words = narrow.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words.contains("left out at this width"), columns < 62, "{columns}:\n{narrow}");
        }
        // Numbers are aligned at their right, signs included.
        assert!(whole.contains(&format!("open{}−1.5", " ".repeat(28))), "{whole}");
        assert_eq!(wrapped("abcdef gh", 4), ["abcd", "ef", "gh"]);
    }

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

    #[test]
    fn latex_takes_every_character_as_a_letter() {
        let words = |text: &str| latex(text);
        assert_eq!(words("[1] a_b & 50 % of $x"), "{[}1{]} a\\_b \\& 50 \\% of \\$x");
        assert_eq!(words("--model <id> ''"), "-{}-model \\textless{}id\\textgreater{} '{}'");
        assert_eq!(
            words("κ ≥ 0.6 · Größe 1–2"),
            "\\ensuremath{\\kappa} \\ensuremath{\\geq} 0.6 \\textperiodcentered{} Größe 1--2"
        );
        assert_eq!(words("肺"), "\\loupechar{80BA}{肺}");
        let mut table = Table::new("t", &["肺"]);
        assert!(table.write(Format::Latex).contains("\\providecommand{\\loupechar}"));
        table.columns = vec!["lung".to_owned()];
        assert!(!table.write(Format::Latex).contains("loupechar"));
    }

    #[test]
    fn cells_compute_nothing() {
        for formula in ["=1", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1+1", "-2 \" 3"] {
            let cell = csv_cell(formula);
            assert!(cell.trim_start_matches('"').starts_with('\''), "{cell}");
        }
        for plain in ["-3.5", "+1", "a=b", "0.1 – 0.2", "left, right", "'s", "it's"] {
            assert_eq!(csv_cell(plain).trim_matches('"'), plain);
        }
        // There and back, what begins with an apostrophe already included.
        for words in ["=1", "'=1", "''@a", "'", "'a", "-2+3", "-3", "", "'-3"] {
            assert_eq!(cell_words(&plain_cell(words)), words);
        }
    }
}
