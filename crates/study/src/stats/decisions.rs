//! Decisions of the same readers in two arms: who was helped, who was harmed, and is it chance?

use loupe_eval::stats::paired::{McNemar, mcnemar};
use loupe_eval::stats::special::chi2_sf;
use serde::Serialize;

/// A case that one reader decided in both arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Number of the reader.
    pub reader: usize,
    /// Number of the unit.
    pub unit: usize,
    /// Is the disease there?
    pub truth: bool,
    /// Called positive without the aid (in the baseline arm).
    pub before: bool,
    /// Called positive with it.
    pub after: bool,
}

impl Pair {
    fn right(&self) -> (bool, bool) {
        (self.before == self.truth, self.after == self.truth)
    }
}

/// What changed between two arms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Pairs of decisions.
    pub n: usize,
    /// Right in both.
    pub both_right: usize,
    /// Wrong in both.
    pub both_wrong: usize,
    /// Helped: disease that was missed and is found.
    pub found: usize,
    /// Helped: false alarms taken back.
    pub alarms_withdrawn: usize,
    /// Harmed: disease that was found and is missed.
    pub missed: usize,
    /// Harmed: new false alarms.
    pub alarms_raised: usize,
}

impl Changes {
    /// Decisions that became right.
    pub fn helped(&self) -> usize {
        self.found + self.alarms_withdrawn
    }

    /// Decisions that became wrong.
    pub fn harmed(&self) -> usize {
        self.missed + self.alarms_raised
    }

    /// Counts the changes of pairs.
    pub fn of<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Self {
        let mut changes = Self::default();
        for pair in pairs {
            changes.n += 1;
            let count = match (pair.right(), pair.truth) {
                ((true, true), _) => &mut changes.both_right,
                ((false, false), _) => &mut changes.both_wrong,
                ((false, true), true) => &mut changes.found,
                ((false, true), false) => &mut changes.alarms_withdrawn,
                ((true, false), true) => &mut changes.missed,
                ((true, false), false) => &mut changes.alarms_raised,
            };
            *count += 1;
        }
        changes
    }
}

/// McNemar's test of the decisions of one reader (rows are independent cases): is right in the baseline arm against
/// right in the other.
pub fn of_reader<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> McNemar {
    mcnemar(pairs.into_iter().map(Pair::right))
}

/// McNemar's test over readers, whose decisions on one case are not independent: Durkalski et al. (2003), with units
/// as clusters. With b and c the discordant pairs among the n of a unit, χ² = (Σ (b − c)/n)² / Σ ((b − c)/n)², one degree of
/// freedom. Gives (χ², p); `None` when no unit changed.
pub fn over_readers(pairs: &[Pair]) -> Option<(f64, f64)> {
    let mut units = std::collections::BTreeMap::new();
    for pair in pairs {
        let (before, after) = pair.right();
        let (net, n) = units.entry(pair.unit).or_insert((0.0, 0.0));
        *net += f64::from(after) - f64::from(before);
        *n += 1.0;
    }
    let shares: Vec<f64> = units.values().map(|(net, n)| net / n).collect();
    let squares: f64 = shares.iter().map(|s| s * s).sum();
    (squares > 0.0).then(|| {
        let chi2 = shares.iter().sum::<f64>().powi(2) / squares;
        (chi2, chi2_sf(chi2, 1.0))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `only_before` pairs that were right before alone, `only_after` that are right after alone.
    fn pairs(only_before: usize, only_after: usize) -> Vec<Pair> {
        let pair = |unit, before| Pair { reader: 0, unit, truth: true, before, after: !before };
        (0..only_before + only_after).map(|unit| pair(unit, unit < only_before)).collect()
    }

    #[test]
    fn one_reader_has_the_exact_test() {
        for ((a, b), want) in
            [((5, 15), 0.041_389_5), ((0, 6), 0.031_25), ((10, 12), 0.831_811_9), ((1, 9), 0.021_484_4)]
        {
            let got = of_reader(&pairs(a, b)).exact_p;
            assert!((got - want).abs() < 5e-8, "{a} {b}: {got}");
        }
    }

    #[test]
    fn single_pairs_have_mcnemars_chi_square() {
        let (chi2, p) = over_readers(&pairs(5, 15)).unwrap();
        assert!((chi2 - 5.0).abs() < 1e-12 && (p - of_reader(&pairs(5, 15)).chi2_p).abs() < 1e-12);
        // The same decisions by a second reader add nothing.
        let twice: Vec<Pair> = pairs(5, 15).into_iter().flat_map(|p| [p, Pair { reader: 1, ..p }]).collect();
        assert!((over_readers(&twice).unwrap().0 - 5.0).abs() < 1e-12);
        assert_eq!(over_readers(&[]), None);
    }

    #[test]
    fn harm_is_counted_by_what_it_does() {
        let pair = |truth, before, after| Pair { reader: 0, unit: 0, truth, before, after };
        let all = [
            pair(true, true, false),
            pair(true, false, true),
            pair(false, false, true),
            pair(false, false, true),
            pair(false, true, false),
            pair(true, true, true),
            pair(false, true, true),
        ];
        let changes = Changes::of(&all);
        assert_eq!(
            (changes.missed, changes.found, changes.alarms_raised, changes.alarms_withdrawn),
            (1, 1, 2, 1)
        );
        assert_eq!(
            (changes.helped(), changes.harmed(), changes.both_right, changes.both_wrong, changes.n),
            (2, 3, 1, 1, 7)
        );
    }
}
