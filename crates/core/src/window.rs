//! Windows: from stored intensities to grey levels (DICOM PS3.3 C.11.2).

use serde::{Deserialize, Serialize};

/// The formula of DICOM's VOI LUT Function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowFunction {
    /// C.11.2.1.2.1: edges at `centre - 0.5 ± (width - 1) / 2`; width at least 1.
    #[default]
    Linear,
    /// C.11.2.1.3.2: edges at `centre ± width / 2`; width above 0.
    LinearExact,
    /// C.11.2.1.3.1: logistic curve; width above 0.
    Sigmoid,
}

/// Where values lie that a window does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Below it: all are shown as the first level.
    Below,
    /// Above it: all are shown as the last level.
    Above,
}

/// A window in rescaled units (HU for CT, whatever the rescale gives elsewhere).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Centre, in rescaled units.
    pub centre: f64,
    /// Width, in rescaled units.
    pub width: f64,
    /// Which formula turns a value into a grey level.
    #[serde(default)]
    pub function: WindowFunction,
}

impl Window {
    /// A `LINEAR` window.
    pub const fn linear(centre: f64, width: f64) -> Self {
        Self { centre, width, function: WindowFunction::Linear }
    }

    /// The window whose edges are exactly `low` and `high` (`LINEAR_EXACT`).
    pub fn between(low: f64, high: f64) -> Self {
        Self { centre: (low + high) / 2.0, width: high - low, function: WindowFunction::LinearExact }
    }

    /// True when the width is allowed for the formula and both numbers are finite.
    pub fn is_valid(&self) -> bool {
        let least = match self.function {
            WindowFunction::Linear => self.width >= 1.0,
            WindowFunction::LinearExact | WindowFunction::Sigmoid => self.width > 0.0,
        };
        self.centre.is_finite() && self.width.is_finite() && least
    }

    /// True when both numbers are finite and the width is above 0, so that some formula can be used.
    pub fn has_width(&self) -> bool {
        self.centre.is_finite() && self.width.is_finite() && self.width > 0.0
    }

    /// The window that two numbers mean where nothing names a formula: `LINEAR`, which is made for whole
    /// numbers, becomes `LINEAR_EXACT` for values that are not (`whole` false) and for widths below 1, which
    /// it does not allow (C.11.2.1.2.1).
    #[must_use]
    pub fn for_values(mut self, whole: bool) -> Self {
        if self.function == WindowFunction::Linear && (!whole || self.width < 1.0) {
            self.function = WindowFunction::LinearExact;
        }
        self
    }

    /// The share of the output range, 0 to 1, that `value` maps to.
    pub fn apply(&self, value: f64) -> f64 {
        match self.function {
            WindowFunction::Linear => {
                if self.width <= 1.0 {
                    // C.11.2.1.2.1: with width 1 the window is a threshold at centre - 0.5.
                    return if value > self.centre - 0.5 { 1.0 } else { 0.0 };
                }
                (((value - (self.centre - 0.5)) / (self.width - 1.0)) + 0.5).clamp(0.0, 1.0)
            }
            WindowFunction::LinearExact => ((value - self.centre) / self.width + 0.5).clamp(0.0, 1.0),
            WindowFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - self.centre) / self.width).exp()),
        }
    }

    /// Which side of the window all of the values from `low` to `high` lie on; nothing where it reaches one of them,
    /// so that a grey level is shown that is neither the first nor the last.
    pub fn passed_by(&self, low: f64, high: f64) -> Option<Side> {
        let half = match self.function {
            WindowFunction::Linear => (self.width - 1.0) / 2.0,
            WindowFunction::LinearExact | WindowFunction::Sigmoid => self.width / 2.0,
        };
        let (below, above) = match self.function {
            WindowFunction::Linear => (high < self.centre - 0.5 - half, low > self.centre - 0.5 + half),
            WindowFunction::LinearExact => (high < self.centre - half, low > self.centre + half),
            // The curve has no edges: what is rounded to the first or last level is beyond it.
            WindowFunction::Sigmoid => (self.level(high) == 0, self.level(low) == 255),
        };
        if below {
            Some(Side::Below)
        } else if above {
            Some(Side::Above)
        } else {
            None
        }
    }

    /// `apply` on 0–255, rounded to the nearest level (numpy's `round`, half to even).
    pub fn level(&self, value: f64) -> u8 {
        (self.apply(value) * 255.0).round_ties_even() as u8
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn a_window_that_reaches_no_value_says_on_which_side_they_are() {
        let of = |centre, width, function| Window { centre, width, function };
        // LINEAR: from 29.5 to 49.5, both of which it reaches.
        let linear = of(40.0, 21.0, WindowFunction::Linear);
        assert_eq!(linear.passed_by(0.0, 29.0), Some(Side::Below));
        assert_eq!((linear.passed_by(0.0, 29.5), linear.passed_by(49.5, 90.0)), (None, None));
        assert_eq!(linear.passed_by(50.0, 90.0), Some(Side::Above));
        assert_eq!(linear.passed_by(0.0, 90.0), None);
        let exact = of(0.5, 1.0, WindowFunction::LinearExact);
        assert_eq!((exact.passed_by(0.0, 0.0), exact.passed_by(1.0, 1.0)), (None, None));
        assert_eq!(
            (exact.passed_by(-2.0, -0.1), exact.passed_by(1.1, 3.0)),
            (Some(Side::Below), Some(Side::Above))
        );
        let curve = of(0.0, 10.0, WindowFunction::Sigmoid);
        assert_eq!((curve.passed_by(-10.0, -6.0), curve.passed_by(-99.0, -20.0)), (None, Some(Side::Below)));
        assert_eq!(of(1e9, 1.0, WindowFunction::Linear).passed_by(-1024.0, 3071.0), Some(Side::Below));
    }
}
