//! Whole analyses held against published ones.

use loupe_study::stats::estimate::{ErrorMethod, Unit};
use loupe_study::stats::model_vs_readers::model_vs_readers;
use loupe_study::stats::obuchowski_rockette::{Components, Inference};
use loupe_study::stats::roc;
use loupe_study::{Merit, Options, analyse, input};
use loupe_testing::near::assert_near;

const IMRMC: &str = include_str!("../fixtures/imrmc_example.csv");
const MODEL: &str = include_str!("../fixtures/model_vs_readers.txt");

/// `dfMRMC_example` of the FDA's iMRMC (CC0): five readers, 40 and 40 cases, two modalities.
#[test]
fn the_example_of_imrmc_has_its_analysis() {
    let readings = input::read_csv(IMRMC).unwrap();
    let options = Options { resamples: 0, ..Options::default() };
    let found = analyse(&readings, &options).unwrap();
    let auc = found.merits.iter().find(|m| m.merit == Merit::Auc).unwrap();
    let comparison = auc.comparison.as_ref().unwrap();
    let wanted =
        [[0.780_625, 0.741_25, 0.675_625, 0.581_875, 0.685], [0.871_875, 0.823_125, 0.71, 0.598_125, 0.825]];
    for (row, want) in comparison.values.iter().zip(wanted) {
        assert_eq!(row.iter().map(|v| v.unwrap()).collect::<Vec<_>>(), want);
    }
    let result = comparison.result(Inference::RandomReadersRandomCases).unwrap();
    assert_near("F", result.f, 3.275_394_921_641_718, 1e-9);
    assert_near("df", result.df2.unwrap(), 45.207_404_092_052_33, 1e-8);
    assert_near("p", result.p, 0.076_976_914_496_712_6, 1e-9);
    let d = &result.differences[0];
    assert_near("difference", d.value, -0.072_75, 1e-12);
    assert_near("se", d.se, 0.040_197_696_048_756_39, 1e-12);
    assert_near("low", d.interval.lo, -0.153_702_065_067_234_3, 1e-9);
    assert_near("high", d.interval.hi, 0.008_202_065_067_234_296, 1e-9);
}

/// The Roe and Metz data of Google's `reader_study_test.py` (seed 1987, 200 + 800 cases, ranks), for which RJafroc's
/// results are known.
#[test]
fn a_model_against_ten_readers_equals_rjafroc() {
    let scores: Vec<Vec<f64>> =
        MODEL.lines().map(|line| line.split(' ').map(|rank| rank.parse().unwrap()).collect()).collect();
    let areas: Vec<_> = scores
        .iter()
        .map(|ranks| {
            let units: Vec<Unit<f64>> =
                ranks.iter().enumerate().map(|(unit, &value)| Unit { unit, value }).collect();
            let (positive, negative) = units.split_at(200);
            roc::area(negative, positive, ErrorMethod::Jackknife).unwrap()
        })
        .collect();
    let readers: Vec<_> = areas[1..].iter().collect();
    let found = model_vs_readers(&areas[0], &readers, Some(0.05), 0.95).unwrap();
    assert_near("effect", found.difference, -0.005_841_25, 1e-9);
    assert_near("p", found.p, 0.656_045_3, 1e-7);
    assert_near("low", found.interval.lo, -0.032_331_84, 5e-9);
    assert_near("high", found.interval.hi, 0.020_649_34, 5e-9);
    assert_near("df", found.df.unwrap(), 31.009_05, 5e-6);
    let margin = found.non_inferiority.unwrap();
    assert_near("t", margin.t, 3.399_746_524_758_502_4, 1e-7);
    assert_near("one-sided p", margin.p, 0.000_936_007_845_746_666_6, 1e-9);
    assert!(margin.shown);
}

/// What the Iowa program OR-DBM 2.51 prints for the Van Dyke study with the jackknife, from its components.
#[test]
fn three_inferences_equal_the_iowa_program() {
    let c = Components {
        tests: 2,
        readers: 5,
        readers_sharing: 5,
        nested_readers: false,
        ms_test: 0.004_796_17,
        ms_test_reader: 0.000_551_03,
        variance: 0.000_802_29,
        cov1: 0.000_346_61,
        cov2: 0.000_344_07,
        cov3: 0.000_239_03,
        variance_test_reader: 0.000_200_40,
    };
    let difference = |inference| c.difference(-0.043_800_32, inference, 0.95);
    let random = difference(Inference::RandomReadersRandomCases);
    let (f, _, df, p) = c.overall(Inference::RandomReadersRandomCases);
    assert_near("F", f, 4.46, 0.005);
    assert_near("df", df.unwrap(), 15.26, 0.005);
    assert_near("p", p, 0.0517, 5e-5);
    assert_near("se", random.se, 0.020_75, 5e-6);
    assert_near("low", random.interval.lo, -0.087_96, 5e-6);
    assert_near("high", random.interval.hi, 0.000_36, 5e-6);
    let fixed = difference(Inference::FixedReadersRandomCases);
    assert_near("χ²", c.overall(Inference::FixedReadersRandomCases).0, 5.475_95, 5e-4);
    assert_near("se", fixed.se, 0.018_72, 5e-6);
    assert_near("low", fixed.interval.lo, -0.080_49, 5e-6);
    // From areas of eight digits: the last printed one may be one more.
    assert_near("high", fixed.interval.hi, -0.007_11, 1e-5);
    let cases = difference(Inference::RandomReadersFixedCases);
    assert_near("F", c.overall(Inference::RandomReadersFixedCases).0, 8.70, 0.005);
    assert_near("p", cases.p, 0.0420, 5e-5);
    assert_near("se", cases.se, 0.014_85, 5e-6);
    assert_near("low", cases.interval.lo, -0.085_02, 5e-6);
    assert_near("high", cases.interval.hi, -0.002_58, 5e-6);
}
