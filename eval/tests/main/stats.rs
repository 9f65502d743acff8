//! Statistics held against the packages people cite (fixtures/stats.json by make/stats.py) and
//! against figures measured on other harnesses (fixtures/stats_golden.json).

use loupe_eval::stats::special::{
    beta_cdf, chi2_sf, chi2_upper, f_sf, f_upper, fair_binomial, fair_binomial_cdf, noncentral_f_sf,
    normal_quantile, normal_sf, t_quantile, t_two_sided,
};
use loupe_eval::stats::{
    Clusters, Interval, agreement, bootstrap, calibration, interval, multiple, numpy_rng::NumpyRng, paired,
    power, rollouts,
};
use serde_json::Value;

const FIXTURE: &str = include_str!("../fixtures/stats.json");
const GOLDEN: &str = include_str!("../fixtures/stats_golden.json");

fn load(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn clusters(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect()
}

#[track_caller]
fn near(got: f64, want: &Value) {
    let want = want.as_f64().unwrap();
    let tolerance = 1e-9 * want.abs().max(1e-3);
    assert!((got - want).abs() <= tolerance, "got {got:.15e}, want {want:.15e}");
}

#[track_caller]
fn ends(got: &Interval, want: &Value) {
    near(got.lo, &want[0]);
    near(got.hi, &want[1]);
}

#[test]
fn intervals_errors_and_tests_equal_the_packages() {
    let f = load(FIXTURE);
    let (a, b) = (numbers(&f["a"]), numbers(&f["b"]));
    let (n, k) = (a.len() as f64, a.iter().sum::<f64>());
    let all = Clusters::of(&a, clusters(&f["cluster"]));
    near(all.se_independent().unwrap(), &f["se_clt"]);
    near(all.se_lmms().unwrap(), &f["se_lmms"]);
    near(all.se_clustered().unwrap(), &f["se_inspect"]);
    ends(&interval::wilson(k, n, 0.95).unwrap(), &f["wilson"]);
    ends(&interval::clopper_pearson(k as u64, n as u64, 0.95).unwrap(), &f["clopper"]);
    ends(&interval::agresti_coull(k, n, 0.95).unwrap(), &f["agresti"]);
    ends(&interval::t(k / n, all.se_independent().unwrap(), n - 1.0, 0.95).unwrap(), &f["t_interval"]);
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let t = paired::t_test(&differences, 0.95).unwrap();
    near(t.t, &f["paired_t"]["t"]);
    near(t.p, &f["paired_t"]["p"]);
    ends(&t.interval, &f["paired_t"]["ci"]);
    let m = paired::mcnemar(a.iter().zip(&b).map(|(a, b)| (*a == 1.0, *b == 1.0)));
    assert_eq!(serde_json::json!([[m.both, m.only_a], [m.only_b, m.neither]]), f["mcnemar"]["table"]);
    near(m.exact_p, &f["mcnemar"]["exact"]);
    near(m.chi2_p, &f["mcnemar"]["chi2"]);
    near(m.chi2_corrected_p, &f["mcnemar"]["chi2_corrected"]);
    for row in f["mcnemar_pairs"].as_array().unwrap() {
        let count = |i: usize| row[i].as_u64().unwrap() as usize;
        let pairs = [vec![(true, false); count(0)], vec![(false, true); count(1)]].concat();
        let m = paired::mcnemar(pairs);
        near(m.exact_p, &row[2]);
        near(m.mid_p, &row[3]);
    }
    let p = numbers(&f["multiple"]["p"]);
    for (got, want) in multiple::holm(&p).iter().zip(f["multiple"]["holm"].as_array().unwrap()) {
        near(*got, want);
    }
    for (got, want) in multiple::benjamini_hochberg(&p).iter().zip(f["multiple"]["bh"].as_array().unwrap()) {
        near(*got, want);
    }
    let (x, y): (Vec<u8>, Vec<u8>) =
        (a.iter().map(|v| *v as u8).collect(), b.iter().map(|v| *v as u8).collect());
    near(agreement::kappa(&x, &y).unwrap(), &f["kappa"]);
    let (plain, weighted) = agreement::f1(&x, &y).unwrap();
    near(plain, &f["f1"][0]);
    near(weighted, &f["f1"][1]);
}

#[test]
fn calibration_equals_the_packages() {
    let f = load(FIXTURE);
    let pairs: Vec<(f64, bool)> =
        numbers(&f["confidence"]).into_iter().zip(numbers(&f["a"]).into_iter().map(|v| v == 1.0)).collect();
    for bins in [10, 15] {
        let got = calibration::errors(&pairs, bins).unwrap();
        let want = &f[format!("ece{bins}")];
        near(got.ece, &want[0]);
        near(got.rms, &want[1]);
        near(got.mce, &want[2]);
    }
    near(calibration::brier(&pairs).unwrap(), &f["brier"]);
    near(calibration::auroc(&pairs).unwrap(), &f["auroc"]);
    let curve = calibration::selective(&pairs);
    let (coverage, accuracy) = *curve.last().unwrap();
    assert!((coverage - 1.0).abs() < 1e-12);
    assert!((accuracy - pairs.iter().filter(|p| p.1).count() as f64 / pairs.len() as f64).abs() < 1e-12);
    assert_eq!(calibration::auroc(&[(0.5, true)]), None);
}

#[test]
fn the_random_stream_and_the_bootstrap_are_numpys() {
    let f = load(FIXTURE);
    let mut rng = NumpyRng::new(u32::MAX);
    for want in f["stream"]["u64"].as_array().unwrap() {
        assert_eq!(rng.next_u64().to_string(), want.as_str().unwrap());
    }
    for want in clusters(&f["stream"]["below_1000"]) {
        assert_eq!(u64::from(rng.below(1000)), want);
    }
    for want in clusters(&f["stream"]["below_3e9"]) {
        assert_eq!(u64::from(rng.below(3_000_000_000)), want);
    }
    for want in numbers(&f["stream"]["unit"]) {
        assert_eq!(rng.unit(), want);
    }
    let (a, b) = (numbers(&f["a"]), numbers(&f["b"]));
    ends(&bootstrap::rows(&a, 2000, 42, 0.95).unwrap().interval, &f["bootstrap"]);
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let got = bootstrap::rows(&differences, 2000, 0, 0.95).unwrap();
    ends(&got.interval, &f["bootstrap_difference"]["ci"]);
    near(got.p, &f["bootstrap_difference"]["p"]);
}

#[test]
fn distribution_functions_equal_scipys() {
    let f = load(FIXTURE);
    let each = |name: &str, check: &dyn Fn(&[f64])| {
        for row in f["functions"][name].as_array().unwrap() {
            check(&numbers(row));
        }
    };
    let close = |got: f64, want: f64| {
        assert!((got - want).abs() <= 1e-10 * want.abs().max(1e-12), "{got:e} {want:e}");
    };
    each("normal_quantile", &|r| close(normal_quantile(r[0]), r[1]));
    each("t_quantile", &|r| close(t_quantile(r[0], r[1]), r[2]));
    each("t_two_sided", &|r| close(t_two_sided(r[0], r[1]), r[2]));
    each("beta_cdf", &|r| close(beta_cdf(r[0], r[1], r[2]), r[3]));
    each("chi2_sf", &|r| close(chi2_sf(r[0], r[1]), r[2]));
    each("normal_sf", &|r| close(normal_sf(r[0]), r[1]));
    for n in [1u64, 7, 60] {
        let sum: f64 = (0..=n).map(|k| fair_binomial(k, n)).sum();
        close(sum, 1.0);
        close(fair_binomial_cdf(n / 2, n), (0..=n / 2).map(|k| fair_binomial(k, n)).sum());
    }
}

#[test]
fn figures_measured_on_other_harnesses_are_met() {
    let g = load(GOLDEN);
    let (a, b) = (numbers(&g["A"]), numbers(&g["B"]));
    let all = Clusters::of(&a, clusters(&g["cluster"]));
    assert_eq!((all.n(), all.clusters()), (451, 203));
    near(all.mean().unwrap(), &g["meanA"]);
    near(all.se_independent().unwrap(), &g["se_clt"]);
    near(all.se_lmms().unwrap(), &g["clustered_se_lmms"]);
    near(all.se_clustered().unwrap(), &g["clustered_se_inspect"]);
    ends(&interval::wilson(all.sum(), 451.0, 0.95).unwrap(), &g["wilson95"]);
    ends(&interval::clopper_pearson(all.sum() as u64, 451, 0.95).unwrap(), &g["clopper95"]);
    ends(&interval::agresti_coull(all.sum(), 451.0, 0.95).unwrap(), &g["agresti95"]);
    ends(
        &interval::t(all.mean().unwrap(), all.se_independent().unwrap(), 450.0, 0.95).unwrap(),
        &g["t_ci95_inspect"],
    );
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let t = paired::t_test(&differences, 0.95).unwrap();
    let want = &g["paired_ttest_lmms"];
    for (got, name) in [(t.difference, "mean_diff"), (t.se, "se_diff"), (t.t, "t_stat"), (t.p, "p_value")] {
        near(got, &want[name]);
    }
    near(t.interval.lo, &want["ci_lower"]);
    near(t.interval.hi, &want["ci_upper"]);
    let m = paired::mcnemar(a.iter().zip(&b).map(|(a, b)| (*a == 1.0, *b == 1.0)));
    assert_eq!(serde_json::json!([[m.both, m.only_a], [m.only_b, m.neither]]), g["mcnemar_table"]);
    near(m.exact_p, &g["mcnemar_exact_p"]);
    near(m.chi2_p, &g["mcnemar_chi2_p"]);
    near(m.chi2_corrected_p, &g["mcnemar_chi2_cc_p"]);
    let boot = bootstrap::rows(&differences, 10_000, 0, 0.95).unwrap();
    ends(&boot.interval, &g["paired_bootstrap_10000_numpy_seed0"]["ci"]);
    near(boot.p, &g["paired_bootstrap_10000_numpy_seed0"]["p"]);
    let (x, y): (Vec<u8>, Vec<u8>) =
        (a.iter().map(|v| *v as u8).collect(), b.iter().map(|v| *v as u8).collect());
    near(agreement::kappa(&x, &y).unwrap(), &g["sk"]["kappa"]);
    near(agreement::f1(&x, &y).unwrap().0, &g["sk"]["f1_macro"]);
    near(agreement::f1(&x, &y).unwrap().1, &g["sk"]["f1_weighted"]);
    let pairs: Vec<(f64, bool)> = numbers(&g["conf"]).into_iter().zip(a.iter().map(|v| *v == 1.0)).collect();
    for bins in [10, 15] {
        let got = calibration::errors(&pairs, bins).unwrap();
        let want = &g["ece"][format!("bins{bins}")];
        near(got.ece, &want["ece"]);
        near(got.mce, &want["mce"]);
    }
    near(calibration::brier(&pairs).unwrap(), &g["brier"]);
    near(calibration::auroc(&pairs).unwrap(), &g["auroc"]);
}

/// Rows in clusters whose members share a mood, so that neighbours are not independent.
fn simulate(rng: &mut NumpyRng, groups: u32, most: u32, rate: f64, likeness: f64) -> Clusters {
    let mut all = Clusters::default();
    for group in 0..groups {
        let shared = rng.unit();
        for _ in 0..=rng.below(most) {
            let own = rng.unit();
            let draw = if rng.unit() < likeness { shared } else { own };
            all.add(group, f64::from(draw < rate));
        }
    }
    all
}

#[test]
fn the_default_interval_covers_93_to_97_percent_of_clustered_data() {
    for (groups, most, rate, likeness) in
        [(203, 4, 0.7, 0.4), (60, 12, 0.5, 0.5), (40, 20, 0.85, 0.3), (300, 1, 0.6, 0.0), (100, 6, 0.3, 0.8)]
    {
        let mut rng = NumpyRng::new(20_260_101);
        let times = 3000;
        let covered = (0..times)
            .filter(|_| {
                simulate(&mut rng, groups, most, rate, likeness).interval(0.95).unwrap().contains(rate)
            })
            .count();
        let share = f64::from(u32::try_from(covered).unwrap()) / f64::from(times);
        assert!(
            (0.93..=0.97).contains(&share),
            "{groups} clusters of up to {most}, rate {rate}, likeness {likeness}: {share}"
        );
    }
}

#[test]
fn intervals_at_the_edges_stay_sensible() {
    let none = Clusters::default();
    assert_eq!((none.mean(), none.interval(0.95)), (None, None));
    let all_right = Clusters::of(&[1.0; 20], (0..20).map(|i| i / 4));
    let found = all_right.interval(0.95).unwrap();
    assert!(found.hi == 1.0 && found.lo < 0.75, "{found:?}: five clusters are five facts, not twenty");
    assert_eq!(Clusters::of(&[1.0, 0.0], [1, 1]).interval(0.95), None);
    let shares = Clusters::of(&[0.9, 1.0, 0.95, 1.0], [1, 2, 3, 4]).interval(0.95).unwrap();
    assert!(shares.hi <= 1.0);
    let mut odd = Clusters::default();
    odd.add(0, f64::NAN);
    assert_eq!(odd.n(), 0);
}

#[test]
fn power_and_needed_items_are_each_others_inverse() {
    let design = power::Design { discordant: 0.3, design_effect: 1.4, alpha: 0.05 };
    for delta in [0.02, 0.05, 0.2] {
        let n = design.items_needed(delta, 0.8).unwrap();
        let reached = design.power(delta, n as f64);
        assert!((0.8..0.82).contains(&reached), "{delta}: {n} items give {reached}");
        let least = design.minimum_detectable(n as f64, 0.8).unwrap();
        assert!((least - delta).abs() < 0.01 * delta, "{least} {delta}");
    }
    assert_eq!(design.items_needed(0.0, 0.8), None);
    assert_eq!(design.minimum_detectable(5.0, 0.8), None);
    // Connor (1987): p_disc 0.4, difference 0.2, two-sided 5 %, power 90 %: (1.96√.4 + 1.2816√.36)²/.04.
    let connor = power::Design { discordant: 0.4, design_effect: 1.0, alpha: 0.05 };
    assert_eq!(connor.items_needed(0.2, 0.9), Some(101));
}

#[test]
fn rollouts_count_what_they_say() {
    let r = rollouts::summarise(&[4, 3, 2, 0], 4).unwrap();
    assert_eq!((r.expected, r.majority_right, r.any, r.all), (9.0 / 16.0, 0.5, 0.75, 0.25));
    // Variances with divisor 3 of {4,3,2,0} right out of 4: 0, 1/4, 1/3, 0.
    assert!((r.internal_variance - (0.25 + 1.0 / 3.0) / 4.0).abs() < 1e-12);
    // Agreeing pairs: 6/6, 3/6, 2/6, 6/6.
    assert!((r.consistency - (1.0 + 0.5 + 1.0 / 3.0 + 1.0) / 4.0).abs() < 1e-12);
    assert_eq!(rollouts::pass_at(1, 5, 2), Some(2.0 / 5.0));
    assert!((rollouts::pass_at(2, 5, 2).unwrap() - 0.7).abs() < 1e-12);
    assert_eq!(rollouts::pass_at(4, 5, 2), Some(1.0));
    assert_eq!(rollouts::pass_at(6, 5, 2), None);
    assert_eq!(rollouts::majority(&[None, Some('B'), Some('A'), Some('A'), Some('B')]), Some(&'B'));
    assert_eq!(rollouts::majority::<char>(&[None, None]), None);
}

#[test]
fn published_bootstrap_intervals_are_reproduced() {
    let Ok(root) = std::env::var("LOUPE_TEST_DATA") else {
        println!("skipped: LOUPE_TEST_DATA names no folder");
        return;
    };
    let root = std::path::Path::new(&root);
    let expected = load(&std::fs::read_to_string(root.join("EXPECTED/expected.json")).unwrap());
    let mut seen = 0;
    for check in expected["checks"].as_array().unwrap() {
        let Some(file) = check["file"].as_str().filter(|f| f.starts_with("pred_gr5293/")) else { continue };
        let rows = std::fs::read_to_string(root.join(file)).unwrap();
        // Its own rule: lower case, ASCII punctuation dropped, spaces collapsed.
        let normal = |text: &str| {
            let kept: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
            kept.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let hits: Vec<f64> = rows
            .lines()
            .map(load)
            .filter(|r| r["qtype"] == "closed")
            .map(|r| {
                f64::from(
                    normal(r["prediction"].as_str().unwrap()) == normal(r["reference"].as_str().unwrap()),
                )
            })
            .collect();
        assert_eq!(hits.len() as u64, check["value"]["closed_n"].as_u64().unwrap());
        ends(&bootstrap::rows(&hits, 10_000, 42, 0.95).unwrap().interval, &check["value"]["closed_ci95"]);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// Values that torchmetrics printed for confidences on two decimals, many of them on edges of bins.
#[test]
fn calibration_in_torchmetrics_bins() {
    let golden = load(GOLDEN);
    let confidence = numbers(&golden["conf"]);
    let right = numbers(&golden["A"]);
    let pairs: Vec<(f64, bool)> = confidence.into_iter().zip(right).map(|(c, a)| (c, a == 1.0)).collect();
    for (bins, of) in [(10, "bins10"), (15, "bins15")] {
        let got = calibration::errors_torchmetrics(&pairs, bins).unwrap();
        let want = |norm: &str| golden["ece"][of][format!("torchmetrics_{norm}")].as_f64().unwrap();
        for (got, want) in [(got.ece, want("l1")), (got.rms, want("l2")), (got.mce, want("max"))] {
            assert!((got - want).abs() < 2e-7, "{bins} bins: {got} instead of {want}");
        }
    }
}

/// Values of scipy 1.17.
#[test]
fn central_and_noncentral_f_equal_scipy() {
    let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "got {got:.15}, want {want:.15}");
    near(f_sf(4.484_854, 1.0, 15.066_11), 0.051_233_035_768_043_49);
    near(f_sf(0.3, 4.0, 9.0), 0.870_793_033_883_864_4);
    near(f_upper(0.05, 2.0, 7.5), 4.586_285_884_568_561);
    near(f_upper(0.05, 3.0, f64::INFINITY), 2.604_909_301_083_726);
    near(chi2_upper(0.9, 2.0), 0.210_721_031_315_652_56);
    near(noncentral_f_sf(4.2, 1.0, 12.3, 7.9), 0.771_465_310_862_286_5);
    near(noncentral_f_sf(0.5, 3.0, 20.0, 0.7), 0.755_195_818_628_568);
    near(noncentral_f_sf(60.0, 2.0, 9.0, 120.0), 0.563_164_686_748_355_3);
    near(noncentral_f_sf(3.84, 1.0, f64::INFINITY, 7.85), 0.800_161_093_911_407_1);
    near(noncentral_f_sf(2.0, 4.0, f64::INFINITY, 250.0), 1.0);
    near(noncentral_f_sf(4.0, 1.0, 10.0, 0.0), f_sf(4.0, 1.0, 10.0));
}

#[test]
fn a_bootstrap_of_any_figure_is_that_of_the_mean() {
    let values: Vec<f64> = (0..30).map(|i| f64::from(i % 7)).collect();
    let mean = |drawn: &[usize]| Some(drawn.iter().map(|&i| values[i]).sum::<f64>() / drawn.len() as f64);
    assert_eq!(bootstrap::figure(30, 200, 3, 0.95, mean), bootstrap::rows(&values, 200, 3, 0.95));
    assert_eq!(bootstrap::figure(30, 200, 3, 0.95, |_| None), None);
    assert_eq!(bootstrap::figure(0, 200, 3, 0.95, mean), None);
}
