//! Figures of MRMCaov 0.3.0 and RJafroc 2.1.3 on the files in `fixtures/`, made by `tests/oracles.R`.

use loupe_study::stats::design::Design;
use loupe_study::stats::estimate::{ErrorMethod, Estimate, Unit};
use loupe_study::stats::obuchowski_rockette::{Analysis, Components, Inference, analyse};
use loupe_study::stats::roc;
use loupe_study::{Merit, Options, Readings, input};
use loupe_testing::near::assert_near;

const RATINGS: &str = include_str!("../fixtures/imrmc_example.csv");

/// Areas by arm and reader from the readings that `reads(arm, reader, case)` keeps; readers without any are left out.
fn areas(
    readings: &Readings,
    method: ErrorMethod,
    reads: impl Fn(usize, usize, usize) -> bool,
) -> Vec<Vec<Option<Estimate>>> {
    let reads = &reads;
    let of = |arm: usize, reader: usize| {
        let kept = || {
            readings
                .readings
                .iter()
                .filter(move |r| (r.arm, r.reader) == (arm, reader) && reads(arm, reader, r.case))
        };
        let units = |truth: bool| -> Vec<Unit<f64>> {
            let own = kept().filter(|r| readings.cases[r.case].truth == Some(truth));
            own.map(|r| Unit { unit: r.case, value: r.rating.unwrap() }).collect()
        };
        roc::area(&units(false), &units(true), method)
    };
    let any = |reader: &usize| (0..2).any(|arm| of(arm, *reader).is_some());
    let readers: Vec<usize> = (0..readings.readers.len()).filter(any).collect();
    (0..2).map(|arm| readers.iter().map(|reader| of(arm, *reader)).collect()).collect()
}

fn crossed(method: ErrorMethod) -> Analysis {
    analyse(&areas(&input::read_csv(RATINGS).unwrap(), method, |_, _, _| true), 0.95).unwrap()
}

#[track_caller]
fn components(found: &Components, want: [f64; 4]) {
    for (name, got, want) in [
        ("error", found.variance, want[0]),
        ("Cov1", found.cov1, want[1]),
        ("Cov2", found.cov2, want[2]),
        ("Cov3", found.cov3, want[3]),
    ] {
        assert_near(name, got, want, 1e-14);
    }
}

#[test]
fn three_inferences_equal_mrmcaov() {
    let found = crossed(ErrorMethod::DeLong);
    let delong = [0.003_068_601_762_821, 0.001_785_576_923_077, 0.001_741_646_634_615, 0.001_174_043_469_551];
    components(&found.components, delong);
    assert_near("tests by readers", found.components.variance_test_reader, 0.000_486_199_419_071, 1e-14);
    let random = found.result(Inference::RandomReadersRandomCases).unwrap();
    for (mean, [value, se, df, lo, hi]) in random.means.iter().zip([
        [0.692_875, 0.055_135_208_587_3, 28.641_090_497_2, 0.580_049_425_501, 0.805_700_574_499],
        [0.765_625, 0.063_584_556_248_1, 10.773_136_320_3, 0.625_315_932_234, 0.905_934_067_766],
    ]) {
        assert_near("mean", mean.value, value, 1e-12);
        assert_near("se", mean.se, se, 1e-12);
        assert_near("df", mean.df.unwrap(), df, 1e-9);
        assert_near("low", mean.interval.lo, lo, 1e-11);
        assert_near("high", mean.interval.hi, hi, 1e-11);
    }
    let readers = found.result(Inference::FixedReadersRandomCases).unwrap();
    assert_near("χ²", readers.f, 3.723_551_138_862, 1e-11);
    assert_near("p", readers.p, 0.053_650_154_320_806_6, 1e-11);
    let d = &readers.differences[0];
    assert_near("se", d.se, 0.037_701_127_304_100_6, 1e-14);
    assert_near("low", d.interval.lo, -0.146_642_851_692_596_83, 1e-11);
    assert_near("high", d.interval.hi, 0.001_142_851_692_596_86, 1e-11);
    for (mean, se) in readers.means.iter().zip([0.046_961_445_930_104_8, 0.042_528_789_268_760_8]) {
        assert_near("se", mean.se, se, 1e-14);
    }
    for (d, [value, se, p]) in found.by_reader.iter().zip([
        [-0.091_25, 0.044_217_737_768_155_1, 0.039_050_772_786_543_9],
        [-0.081_875, 0.048_865_125_404_210_7, 0.093_830_224_137_910_98],
        [-0.034_375, 0.051_851_728_638_691_6, 0.507_363_859_826_617],
        [-0.016_25, 0.057_707_957_279_159_8, 0.778_257_692_158_178_3],
        [-0.14, 0.049_683_291_831_152_7, 0.004_834_658_376_452_69],
    ]) {
        assert_near("difference", d.value, value, 1e-12);
        assert_near("se", d.se, se, 1e-14);
        assert_near("p", d.p, p, 1e-10);
    }
    let cases = found.result(Inference::RandomReadersFixedCases).unwrap();
    assert_near("F", cases.f, 11.011_296_588_267_8, 1e-10);
    assert_near("p", cases.p, 0.029_424_469_043_734_3, 1e-11);
    let d = &cases.differences[0];
    assert_near("se", d.se, 0.021_923_695_799_294_4, 1e-14);
    assert_near("low", d.interval.lo, -0.133_619_937_889_796_3, 1e-11);
    assert_near("high", d.interval.hi, -0.011_880_062_110_203_6, 1e-11);
}

#[test]
fn the_jackknife_equals_that_of_mrmcaov() {
    let found = crossed(ErrorMethod::Jackknife);
    let want = [
        0.003_107_942_811_061_8,
        0.001_808_468_934_911_24,
        0.001_763_975_437_623_27,
        0.001_189_095_308_904_5,
    ];
    components(&found.components, want);
    let random = found.result(Inference::RandomReadersRandomCases).unwrap();
    assert_near("F", random.f, 3.246_156_939_933_85, 1e-11);
    assert_near("df", random.df2.unwrap(), 46.025_433_443_681_8, 1e-9);
    assert_near("p", random.p, 0.078_143_426_425_083_1, 1e-11);
    assert_near("se", random.differences[0].se, 0.040_378_319_615_079_8, 1e-14);
}

/// MRMCaov leaves each case of the whole study out in turn, also for a reader who has not read it; a figure here rests on its own cases.
const ALL_CASES_FOR_HALF: f64 = (79.0 / 80.0) / (39.0 / 40.0);

/// Readers r1 and r2 read every other case, r3 and r4 the rest. MRMCaov's Cov2 and Cov3 are means over all pairs, of which one in three
/// shares its cases.
#[test]
fn a_split_plot_equals_mrmcaov() {
    let readings = input::read_csv(RATINGS).unwrap();
    let reads = |_: usize, reader: usize, case: usize| reader < 4 && (case % 2 == 0) == (reader < 2);
    let found = analyse(&areas(&readings, ErrorMethod::Jackknife, reads), 0.95).unwrap();
    assert_eq!(found.design, Design::SplitPlot { groups: 2 });
    let c = &found.components;
    let scaled = Components {
        variance: c.variance * ALL_CASES_FOR_HALF,
        cov1: c.cov1 * ALL_CASES_FOR_HALF,
        cov2: c.cov2 * ALL_CASES_FOR_HALF,
        cov3: c.cov3 * ALL_CASES_FOR_HALF,
        ..c.clone()
    };
    let pairs = Components { cov2: scaled.cov2 / 3.0, cov3: scaled.cov3 / 3.0, ..scaled.clone() };
    let want = [
        0.006_568_430_791_204_98,
        0.003_040_973_424_515_23,
        0.000_862_295_850_646_352,
        0.000_364_727_608_494_921,
    ];
    components(&pairs, want);
    assert_near("MS(T)", c.ms_test, 0.007_050_781_25, 1e-14);
    assert_near("MS(TR)", c.ms_test_reader, 0.002_144_531_25, 1e-14);
    let random = Inference::RandomReadersRandomCases;
    let (f, _, df, p) = scaled.overall(random);
    assert_near("F", f, 1.705_227_352_306_79, 1e-11);
    assert_near("df", df.unwrap(), 11.152_350_184_433, 1e-9);
    assert_near("p", p, 0.217_899_640_527_54, 1e-11);
    assert_near("se", scaled.difference(-0.059_375, random, 0.95).se, 0.045_468_693_727_694_2, 1e-13);
}

#[test]
fn cases_nested_in_tests_equal_mrmcaov() {
    let readings = input::read_csv(RATINGS).unwrap();
    let reads = |arm: usize, _: usize, case: usize| case % 2 == arm;
    let found = analyse(&areas(&readings, ErrorMethod::Jackknife, reads), 0.95).unwrap();
    assert_eq!(found.design, Design::CasesNestedInTests);
    let c = &found.components;
    let scaled = Components {
        cov2: c.cov2 * ALL_CASES_FOR_HALF,
        variance: c.variance * ALL_CASES_FOR_HALF,
        ..c.clone()
    };
    components(&scaled, [0.006_290_251_904_432_13, 0.0, 0.003_346_660_751_385_04, 0.0]);
    let random = Inference::RandomReadersRandomCases;
    let (f, _, df, p) = scaled.overall(random);
    assert_near("F", f, 2.170_769_063_174_76, 1e-11);
    assert_near("df", df.unwrap(), 1_782.125_217_657_46, 1e-6);
    assert_near("p", p, 0.140_832_474_128_08, 1e-11);
    assert_near("se", scaled.difference(-0.1235, random, 0.95).se, 0.083_822_410_504_411_6, 1e-13);
}

/// Readers r1 and r2 read with A, r3 and r5 with B. The components are MRMCaov's; its denominator is not, as it takes Cov2 − Cov3 off
/// MS(R(T)) where the expectations of the mean squares add it J times.
#[test]
fn readers_nested_in_tests_have_the_components_of_mrmcaov() {
    let readings = input::read_csv(RATINGS).unwrap();
    let reads =
        |arm: usize, reader: usize, _: usize| if arm == 0 { reader < 2 } else { reader == 2 || reader == 4 };
    let found = analyse(&areas(&readings, ErrorMethod::Jackknife, reads), 0.95).unwrap();
    assert_eq!(found.design, Design::ReadersNestedInTests);
    let c = &found.components;
    components(c, [0.002_909_764_148_278_27, 0.0, 0.001_764_584_103_796_84, 0.001_226_056_562_294_54]);
    assert_near("MS(T)", c.ms_test, 4.306_640_624_999_88e-5, 1e-15);
    assert_near("MS(R(T))", c.ms_test_reader, 0.003_693_847_656_25, 1e-15);
    let (denominator, _) = c.denominator(Inference::RandomReadersRandomCases);
    assert_near("denominator", denominator, c.ms_test_reader + 2.0 * (c.cov2 - c.cov3), 1e-15);
    // Each test over its own readers.
    let means = &found.result(Inference::RandomReadersRandomCases).unwrap().means;
    for (mean, [se, df]) in means.iter().zip([
        [0.045_591_600_319_162_1, 28.759_217_304_556_23],
        [0.071_724_625_089_166_3, 2.421_038_905_803_01],
    ]) {
        assert_near("se", mean.se, se, 1e-13);
        assert_near("df", mean.df.unwrap(), df, 1e-8);
    }
}

/// The study of marks through the whole analysis: RJafroc 2.1.3 on the written workbook.
#[test]
fn marks_equal_rjafroc() {
    let readings = input::read_csv(include_str!("../fixtures/froc_example.csv")).unwrap();
    let options = Options { resamples: 0, ..Options::default() };
    let found = loupe_study::analyse(&readings, &options).unwrap();
    for (merit, values, [variance, cov1, cov2, cov3], [ms_test, ms_test_reader], ses, chi2, f) in [
        (
            Merit::Wafroc,
            [
                [0.679_220_779_220_779, 0.812_133_116_883_117, 0.772_775_974_025_974, 0.810_373_376_623_377],
                [0.779_824_675_324_676, 0.710_064_935_064_935, 0.689_535_714_285_714, 0.728_571_428_571_428],
            ],
            [
                8.634_942_160_271_39e-3,
                -7.689_455_814_859_58e-5,
                -4.702_736_664_025_49e-5,
                1.275_502_367_709_11e-3,
            ],
            [0.003_465_551_547_478_51, 0.004_538_075_683_785_94],
            [0.031_153_154_550_37, 0.027_013_772_289_747_5],
            0.397_798_037_255_574,
            0.763_661_029_246_506,
        ),
        (
            Merit::HrAuc,
            [
                [0.889_610_389_610_39, 0.935_064_935_064_935, 0.876_623_376_623_377, 0.983_766_233_766_234],
                [0.974_025_974_025_974, 0.928_571_428_571_429, 0.798_701_298_701_299, 0.857_142_857_142_857],
            ],
            [
                0.004_772_877_122_877_13,
                -0.000_522_942_741_574_11,
                -6.803_286_623_466_5e-5,
                0.000_957_603_086_224_465,
            ],
            [0.002_004_184_938_438_18, 0.004_210_852_729_521_56],
            [0.024_654_477_522_003_4, 0.038_689_530_155_237],
            0.378_446_584_237_407,
            0.475_957_025_138_206,
        ),
    ] {
        let name = merit.name();
        let own = found.merits.iter().find(|m| m.merit == merit).unwrap().comparison.as_ref().unwrap();
        for (got, want) in own.values.iter().flatten().zip(values.iter().flatten()) {
            assert_near(name, got.unwrap(), *want, 1e-14);
        }
        components(&own.components, [variance, cov1, cov2, cov3]);
        assert_near(name, own.components.ms_test, ms_test, 1e-14);
        assert_near(name, own.components.ms_test_reader, ms_test_reader, 1e-14);
        let random = own.result(Inference::RandomReadersRandomCases).unwrap();
        assert_near(name, random.f, f, 1e-12);
        assert_near(name, random.df2.unwrap(), 3.0, 1e-12);
        for (mean, se) in random.means.iter().zip(ses) {
            assert_near(name, mean.se, se, 1e-14);
        }
        assert_near(name, own.result(Inference::FixedReadersRandomCases).unwrap().f, chi2, 1e-12);
        assert_near(name, own.result(Inference::RandomReadersFixedCases).unwrap().f, f, 1e-12);
    }
}
