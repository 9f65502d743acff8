//! How many items a comparison needs, and how small a difference a set can show.

use super::special::{normal_cdf, normal_quantile};

/// A paired comparison of two accuracies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// Share of items on which the two systems are not both right or both wrong.
    pub discordant: f64,
    /// Variance inflation by clusters; 1 for independent items.
    pub design_effect: f64,
    /// Two-sided level of the test, such as 0.05.
    pub alpha: f64,
}

impl Design {
    /// Variance of one item's difference when the true difference is `delta` (Connor 1987).
    fn variance(&self, delta: f64) -> f64 {
        (self.discordant - delta * delta).max(0.0) * self.design_effect
    }

    /// Power to show the true difference `delta` with `n` items (normal approximation of McNemar's
    /// test, both tails).
    pub fn power(&self, delta: f64, n: f64) -> f64 {
        let z = normal_quantile(1.0 - self.alpha / 2.0);
        let null = (self.discordant * self.design_effect).sqrt();
        let spread = self.variance(delta).sqrt();
        if spread <= 0.0 {
            return if delta.abs() * n.sqrt() > z * null { 1.0 } else { self.alpha };
        }
        let shift = delta.abs() * n.sqrt();
        normal_cdf((shift - z * null) / spread) + normal_cdf((-shift - z * null) / spread)
    }

    /// Items needed to show `delta` with the given power; `None` when it cannot be (no difference,
    /// or more difference than discordance).
    pub fn items_needed(&self, delta: f64, power: f64) -> Option<u64> {
        if delta == 0.0 || delta.abs() > self.discordant || !(0.0..1.0).contains(&power) {
            return None;
        }
        let z = normal_quantile(1.0 - self.alpha / 2.0) * (self.discordant * self.design_effect).sqrt()
            + normal_quantile(power) * self.variance(delta).sqrt();
        Some((z / delta).powi(2).ceil() as u64)
    }

    /// The smallest true difference that `n` items show with the given power; `None` when not even
    /// the largest possible one.
    pub fn minimum_detectable(&self, n: f64, power: f64) -> Option<f64> {
        let (mut lo, mut hi) = (0.0, self.discordant.min(1.0));
        if self.power(hi, n) < power {
            return None;
        }
        for _ in 0..100 {
            let mid = 0.5 * (lo + hi);
            if self.power(mid, n) < power { lo = mid } else { hi = mid }
        }
        Some(hi)
    }
}
