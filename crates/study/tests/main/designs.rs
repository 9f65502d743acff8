//! Designs that are evenly nested, and those that are not.

use loupe_study::stats::design::{Design, DesignError, design};
use loupe_study::stats::estimate::{Estimate, Unit};
use loupe_study::stats::obuchowski_rockette::{Inference, analyse};

/// Mean of made-up values of the units from `from` on.
fn mean(values: &[f64], from: usize) -> Option<Estimate> {
    let units: Vec<Unit<f64>> =
        values.iter().enumerate().map(|(i, &value)| Unit { unit: from + i, value }).collect();
    Estimate::mean(&units)
}

const A: [f64; 4] = [1.0, 2.0, 4.0, 3.0];
const B: [f64; 4] = [2.0, 2.0, 5.0, 4.0];
const C: [f64; 4] = [0.0, 3.0, 4.0, 2.0];
const D: [f64; 4] = [1.0, 1.0, 2.0, 4.0];

#[test]
fn each_design_is_known_by_who_read_what() {
    let crossed = [vec![mean(&A, 0), mean(&B, 0)], vec![mean(&C, 0), mean(&D, 0)]];
    assert_eq!(design(&crossed), Ok(Design::FullyCrossed));
    let by_reader = [vec![mean(&A, 0), mean(&B, 9)], vec![mean(&C, 0), mean(&D, 9)]];
    assert_eq!(design(&by_reader), Ok(Design::SplitPlot { groups: 2 }));
    let by_test = [vec![mean(&A, 0), mean(&B, 0)], vec![mean(&C, 9), mean(&D, 9)]];
    assert_eq!(design(&by_test), Ok(Design::CasesNestedInTests));
    let readers = [vec![mean(&A, 0), mean(&B, 0), None, None], vec![None, None, mean(&C, 0), mean(&D, 0)]];
    assert_eq!(design(&readers), Ok(Design::ReadersNestedInTests));
}

#[test]
fn a_split_plot_adds_only_the_covariance_of_readers_who_share_cases() {
    let groups = |i: usize| {
        [mean(&A, 0), mean(&B, 0), mean(&C, 9), mean(&D, 9)].map(|e| {
            let shift = mean(
                &[0.0, 0.5, 0.0, 1.0 + i as f64],
                if e.as_ref().unwrap().units().next() == Some(0) { 0 } else { 9 },
            );
            if i == 0 { e } else { Some(e.unwrap().minus(&shift.unwrap())) }
        })
    };
    let found = analyse(&[groups(0).to_vec(), groups(1).to_vec()], 0.95).unwrap();
    assert_eq!(found.design, Design::SplitPlot { groups: 2 });
    let c = &found.components;
    assert_eq!((c.readers, c.readers_sharing), (4, 2));
    // J readers in groups of r: MS(TR) + (r − 1)J/(J − 1)·(Cov2 − Cov3).
    let want = c.ms_test_reader + (4.0 / 3.0 * (c.cov2 - c.cov3)).max(0.0);
    let (got, _) = c.denominator(Inference::RandomReadersRandomCases);
    assert!((got - want).abs() < 1e-12);
}

#[test]
fn readers_with_cases_of_their_own_leave_the_mean_square_alone() {
    let found = analyse(&[vec![mean(&A, 0), mean(&B, 9)], vec![mean(&C, 0), mean(&D, 9)]], 0.95).unwrap();
    let (denominator, df) = found.components.denominator(Inference::RandomReadersRandomCases);
    assert_eq!((denominator, df), (found.components.ms_test_reader, Some(1.0)));
    let notes = &found.result(Inference::RandomReadersRandomCases).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("floor")), "{notes:?}");
}

#[test]
fn what_is_not_balanced_is_refused_with_the_way_out() {
    let refused = |cells: &[Vec<Option<Estimate>>]| match design(cells) {
        Err(error @ DesignError::Unbalanced { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let lacking = refused(&[vec![mean(&A, 0), mean(&B, 0)], vec![mean(&C[..3], 0), mean(&D, 0)]]);
    assert!(lacking.contains("iMRMC") && lacking.contains("1 readings"), "{lacking}");
    refused(&[vec![mean(&A, 0), mean(&B, 2)], vec![mean(&C, 0), mean(&D, 2)]]);
    refused(&[vec![mean(&A, 0), None], vec![mean(&C, 0), mean(&D, 0)]]);
    let groups = |a: &[f64; 4]| vec![mean(a, 0), mean(&B, 0), mean(&D, 9)];
    refused(&[groups(&A), groups(&C)]);
    assert!(matches!(design(&[vec![mean(&A, 0)], vec![mean(&B, 0)]]), Err(DesignError::TooFew { .. })));
}
