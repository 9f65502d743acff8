//! Numbers that went different ways.

/// Do both lie within `tolerance` of each other?
pub fn near(got: f64, expected: f64, tolerance: f64) -> bool {
    got == expected || (got - expected).abs() <= tolerance
}

/// The same, with a tolerance that is a share of the expected number where that is above 1.
pub fn close(got: f64, expected: f64, tolerance: f64) -> bool {
    near(got, expected, tolerance * expected.abs().max(1.0))
}

/// Fails where they are not [`near`] and says what was compared.
///
/// # Panics
/// When they differ by more.
#[track_caller]
pub fn assert_near(what: &str, got: f64, expected: f64, tolerance: f64) {
    assert!(near(got, expected, tolerance), "{what}: got {got}, expected {expected} (within {tolerance})");
}

/// Fails where they are not [`close`] and says what was compared.
///
/// # Panics
/// When they differ by more.
#[track_caller]
pub fn assert_close(what: &str, got: f64, expected: f64, tolerance: f64) {
    assert!(
        close(got, expected, tolerance),
        "{what}: got {got}, expected {expected} (a share of {tolerance})"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_compared_absolutely_and_large_ones_as_asked() {
        assert!(near(1e-7, 0.0, 1e-6) && !near(1e-5, 0.0, 1e-6));
        assert!(!near(1_000_001.0, 1_000_000.0, 1e-6) && close(1_000_001.0, 1_000_000.0, 1e-6));
        assert!(near(f64::INFINITY, f64::INFINITY, 0.0) && !near(f64::NAN, f64::NAN, 1.0));
    }
}
