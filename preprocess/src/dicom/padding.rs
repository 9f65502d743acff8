//! Pixels that only fill a frame up (PS3.3 C.7.5.1.1.2, C.7.6.24): they are shown, but take no part in
//! windows, ranges or statistics.

use super::format::{Format, Stored};
use loupe_dicom::object::Dataset;
use loupe_dicom::tags;
use std::fmt;

/// The stored values that are padding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Padding {
    low: f64,
    high: f64,
}

impl Padding {
    /// Pixel Padding Value, up to Pixel Padding Range Limit where there is one; `None` without it.
    pub(super) fn read(data: &Dataset, format: &Format) -> Option<Self> {
        let [value, limit] = match format.stored {
            Stored::Integer => [tags::PIXEL_PADDING_VALUE, tags::PIXEL_PADDING_RANGE_LIMIT],
            Stored::Float => [tags::FLOAT_PIXEL_PADDING_VALUE, tags::FLOAT_PIXEL_PADDING_RANGE_LIMIT],
            Stored::Double => {
                [tags::DOUBLE_FLOAT_PIXEL_PADDING_VALUE, tags::DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT]
            }
        };
        let read = |tag| match format.stored {
            Stored::Integer => data.integer(tag).map(|v| stored_value(v, format)),
            Stored::Float | Stored::Double => data.number(tag).filter(|v| v.is_finite()),
        };
        let first = read(value)?;
        let last = read(limit).unwrap_or(first);
        Some(Self { low: first.min(last), high: first.max(last) })
    }

    /// Is this stored value padding?
    pub(super) fn holds(&self, stored: f64) -> bool {
        stored >= self.low && stored <= self.high
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.low == self.high {
            true => write!(f, "stored value {} is padding", self.low),
            false => write!(f, "stored values {} to {} are padding", self.low, self.high),
        }
    }
}

/// The attribute's VR depends on Pixel Representation, which implicit files do not repeat.
fn stored_value(value: i64, format: &Format) -> f64 {
    let bits = i64::from(format.bits_stored.min(32));
    match format.signed {
        true => (value << (64 - bits) >> (64 - bits)) as f64,
        false => (value & ((1 << bits) - 1)) as f64,
    }
}
