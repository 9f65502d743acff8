//! What must hold for any study.

use loupe_study::stats::design::Design;
use loupe_study::stats::estimate::Estimate;
use loupe_study::stats::kappa::{Weights, kappa};
use loupe_study::stats::krippendorff::{Metric, alpha};
use loupe_study::stats::obuchowski_rockette::{Analysis, Inference, analyse};
use loupe_study::stats::roe_metz::{HIGH_CASES_LOW_READERS, Normals};
use proptest::prelude::*;

fn cells(seed: u32, readers: usize) -> Vec<Vec<Option<Estimate>>> {
    HIGH_CASES_LOW_READERS.simulate(readers, 12, 9, &mut Normals::new(seed)).areas(Design::FullyCrossed)
}

fn random(analysis: &Analysis) -> (f64, f64, f64) {
    let result = analysis.result(Inference::RandomReadersRandomCases).unwrap();
    (result.differences[0].value, result.differences[0].se, result.p)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_of_readers_and_tests_is_of_no_importance(seed in 0u32..10_000, readers in 2usize..6) {
        let there = cells(seed, readers);
        let mut turned = there.clone();
        turned.reverse();
        turned.iter_mut().for_each(|row| row.reverse());
        let (a, b) = (random(&analyse(&there, 0.95).unwrap()), random(&analyse(&turned, 0.95).unwrap()));
        prop_assert!(near(a.0, -b.0) && near(a.1, b.1) && near(a.2, b.2), "{a:?} {b:?}");
    }

    #[test]
    fn degrees_of_freedom_never_fall_below_their_floor(seed in 0u32..10_000, readers in 2usize..6) {
        let found = analyse(&cells(seed, readers), 0.95).unwrap();
        prop_assert_eq!(found.design, Design::FullyCrossed);
        let result = found.result(Inference::RandomReadersRandomCases).unwrap();
        prop_assert!(result.df2.is_none_or(|df| df >= (readers - 1) as f64 - 1e-9));
        prop_assert!((0.0..=1.0).contains(&result.p));
    }

    #[test]
    fn agreement_does_not_depend_on_who_is_first(pairs in prop::collection::vec((0usize..4, 0usize..4), 2..40)) {
        let turned: Vec<(usize, usize)> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
        for weights in [Weights::None, Weights::Linear, Weights::Quadratic] {
            match (kappa(&pairs, 4, weights), kappa(&turned, 4, weights)) {
                (Some(a), Some(b)) => prop_assert!(near(a, b) && a <= 1.0 + 1e-12),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
        let units = |pairs: &[(usize, usize)]| -> Vec<Vec<f64>> {
            pairs.iter().map(|(a, b)| vec![*a as f64, *b as f64]).collect()
        };
        for metric in Metric::ALL {
            match (alpha(&units(&pairs), metric), alpha(&units(&turned), metric)) {
                (Some(a), Some(b)) => prop_assert!(near(a, b) && a <= 1.0 + 1e-12),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }
}
