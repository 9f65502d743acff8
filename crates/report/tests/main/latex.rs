//! Tables that LaTeX sets: `pdflatex` itself, where it is there.

use loupe_core::table::{Format, Table};
use std::process::{Command, Stdio};

#[test]
fn latex_compiles_a_table_of_the_worst_characters() {
    let dir = loupe_testing::scratch();
    let mut table = Table::new("100 % \\end{x}", &["*name", "figure"]);
    let ascii: String = (' '..='~').collect();
    let letters: String = ('\u{a0}'..='\u{17f}').collect();
    let symbols = "–—‘’“”…·•°±×÷−≤≥≠≈→←↑↓∞²³µαβδΔκμσ∑肺🫁".to_owned();
    table.rows = [ascii, letters, symbols, "[3mm]".to_owned(), "*".to_owned(), String::new()]
        .map(|words| vec![words, "1.5 – 2".to_owned()])
        .to_vec();
    let document = format!(
        "\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{}\\end{{document}}\n",
        table.write(Format::Latex)
    );
    std::fs::write(dir.path().join("table.tex"), document).unwrap();
    let mut command = Command::new("pdflatex");
    command.args(["-interaction=nonstopmode", "-halt-on-error", "table.tex"]).current_dir(dir.path());
    match command.stdout(Stdio::piped()).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            if said.contains("`booktabs.sty' not found") {
                eprintln!("skipped: LaTeX has no booktabs");
            } else {
                assert!(output.status.success(), "{said}");
            }
        }
        Err(_) => eprintln!("skipped: no pdflatex on the path"),
    }
}
