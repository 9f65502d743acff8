//! How tables are written.

use crate::printer::columns;
use clap::ValueEnum;
use loupe_core::table::Format;

/// A format of tables by its name.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum FormatName {
    #[default]
    Terminal,
    Markdown,
    Latex,
    Csv,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Terminal => columns().map_or(Self::Terminal, Self::Within),
            FormatName::Markdown => Self::Markdown,
            FormatName::Latex => Self::Latex,
            FormatName::Csv => Self::Csv,
        }
    }
}
