//! What the caller decides about series.

use loupe_core::limits::DecodeLimits;

/// What to do when slices are missing or not evenly spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Irregular {
    /// An error that says where.
    Refuse,
    /// An even grid of the median step; each place takes the nearest slice.
    Nearest,
    /// An even grid of the smallest step; values between neighbours linearly.
    Resample,
    /// One volume for each evenly spaced stretch.
    Split,
}

/// What to do where a series is not what a volume needs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Missing or irregular slices.
    pub irregular: Irregular,
    /// Use one slice of each position when a position occurs more than once for no reason that the
    /// attributes give. Off, duplicates are an error.
    pub drop_duplicates: bool,
    /// Resample a tilted acquisition to perpendicular slices instead of keeping the shear.
    pub deskew: bool,
    /// Largest share of the median step by which a step may differ from it.
    pub tolerance: f64,
    /// Which series, counted from 0 as [`super::load_folder`] lists them; without a number there must be one
    /// only that makes volumes.
    pub series: Option<usize>,
    /// Bounds on memory.
    pub limits: DecodeLimits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            irregular: Irregular::Refuse,
            drop_duplicates: false,
            deskew: false,
            tolerance: 0.01,
            series: None,
            limits: DecodeLimits::default(),
        }
    }
}
