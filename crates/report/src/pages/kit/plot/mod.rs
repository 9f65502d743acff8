//! Plots as inline SVG, each with its data as a table beside it. Colours are classes of [`STYLE`], so that a plot
//! follows the page into the dark and onto paper. Marks say their value (`data-value`), which is the number that the
//! plot was given, to the last digit.

mod bars;
mod curves;
mod draw;
mod figure;
mod forest;
mod matrix;

pub use bars::{Bar, bars, histogram};
pub use curves::{Axis, Series, curves, reliability};
pub use draw::{COLOURS, Drawing};
pub use figure::Plot;
pub use forest::{ForestAxis, ForestRow, Mark, forest};
pub use matrix::{Cell, Matrix, matrix};

/// The style of plots, for a page that holds them.
pub const STYLE: &str = include_str!("plot.css");
