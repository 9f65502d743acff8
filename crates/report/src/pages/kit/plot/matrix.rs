//! Counts or coefficients in a grid.

use super::draw::{Drawing, shortened, text};
use crate::pages::kit::html::escaped;
use std::fmt::Write;

const CELL: (f64, f64) = (74.0, 46.0);
const NAMES: f64 = 110.0;
const HEAD: f64 = 46.0;

/// A cell of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What stands in it.
    pub words: String,
    /// A smaller line under that, or nothing.
    pub note: String,
    /// The number that it says.
    pub value: f64,
    /// How strongly it is shaded, 0 to 1.
    pub shade: f64,
    /// Number of its colour.
    pub colour: usize,
}

/// A grid with names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// Over the columns.
    pub across: String,
    /// Over the names of the rows.
    pub down: String,
    /// Of the columns.
    pub columns: Vec<String>,
    /// Of the rows, each with a cell a column; nothing where there is none.
    pub rows: Vec<(String, Vec<Option<Cell>>)>,
}

/// The matrix drawn.
pub fn matrix(of: &Matrix) -> Drawing {
    let mut out = String::new();
    let (wide, high) = CELL;
    let side = wide * of.columns.len() as f64;
    text(&mut out, (NAMES + side / 2.0, 14.0), "soft middle", &of.across);
    text(&mut out, (NAMES - 10.0, HEAD - 8.0), "soft end", &of.down);
    for (n, name) in of.columns.iter().enumerate() {
        text(&mut out, (NAMES + wide * (n as f64 + 0.5), HEAD - 8.0), "middle", &shortened(name, 11));
    }
    for (i, (name, cells)) in of.rows.iter().enumerate() {
        let y = HEAD + high * i as f64;
        text(&mut out, (NAMES - 10.0, y + high / 2.0 + 4.0), "end", &shortened(name, 16));
        for (j, cell) in cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let x = NAMES + wide * j as f64;
            let column = of.columns.get(j).map_or("", String::as_str);
            let title = escaped(&format!("{name}, {column}: {}", cell.words));
            let _ = write!(
                out,
                "<g data-row=\"{}\" data-column=\"{}\" data-value=\"{}\"><title>{title}</title>",
                escaped(name),
                escaped(column),
                cell.value
            );
            let _ = write!(
                out,
                "<rect class=\"f{}\" fill-opacity=\"{:.3}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"4\"/>",
                cell.colour,
                0.5 * cell.shade.clamp(0.0, 1.0),
                x + 1.5,
                y + 1.5,
                wide - 3.0,
                high - 3.0
            );
            let _ = write!(
                out,
                "<rect class=\"grid\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide}\" height=\"{high}\"/>"
            );
            let down = if cell.note.is_empty() { 4.0 } else { -2.0 };
            text(&mut out, (x + wide / 2.0, y + high / 2.0 + down), "middle strong", &cell.words);
            if !cell.note.is_empty() {
                text(&mut out, (x + wide / 2.0, y + high / 2.0 + 14.0), "middle soft", &cell.note);
            }
            out.push_str("</g>");
        }
    }
    Drawing { width: NAMES + side + 6.0, height: HEAD + high * of.rows.len() as f64 + 6.0, inside: out }
}
