//! Two runs side by side: paired by sample, never by position; tables in every format.

use loupe_core::table::Format;
use loupe_core::{Dataset, Direct, Metric};
use loupe_eval::compare::{CompareError, compare};
use loupe_eval::metrics::{METRICS, Texts};
use loupe_eval::profiles::{self, AsProfile};
use loupe_eval::strict::{self, Strict};
use loupe_eval::tables;
use loupe_eval::{Profile, Scoring, Summary, score};
use loupe_run::templates::default_template;
use loupe_run::{Plan, run};
use loupe_testing::{FlatPictures, PromptHash, QuestionSet, scratch};
use tempfile::TempDir;

fn made(set: &QuestionSet, salt: u64, limit: Option<usize>) -> TempDir {
    let dir = scratch();
    let mut plan = Plan::new(default_template());
    plan.selection.limit = limit;
    let mut model = PromptHash { salt, ..PromptHash::new() }.with_weights(&salt.to_string());
    let loader = FlatPictures::sound();
    run(dir.path(), &plan, set, &mut Direct(&mut model), &loader, &mut ()).unwrap();
    dir
}

#[test]
fn differences_are_paired_by_sample_and_the_settings_that_differ_are_named() {
    let set = QuestionSet::new(240);
    let (a, b) = (made(&set, 0, None), made(&set, 1, Some(200)));
    let c = compare(a.path(), b.path(), &Strict).unwrap();
    assert_eq!((c.shared, c.only_a, c.only_b), (200, 40, 0));
    let fields: Vec<&str> = c.settings.iter().map(|s| s.0.as_str()).collect();
    assert!(
        fields.contains(&"model.from.checkpoint.weights_sha256") && fields.contains(&"selection.limit"),
        "{fields:?}"
    );
    let headline = &c.figures[0];
    assert_eq!(headline.name, strict::ACCURACY);
    assert!((headline.b - headline.a - headline.difference).abs() < 1e-12);
    let m = headline.mcnemar.as_ref().unwrap();
    assert_eq!((m.both + m.only_a + m.only_b + m.neither) as usize, headline.n);
    assert!((m.only_b as f64 - m.only_a as f64 - headline.difference * headline.n as f64).abs() < 1e-9);
    let interval = headline.interval.as_ref().unwrap();
    assert_eq!(interval.method, "clustered bootstrap");
    assert!(interval.contains(headline.difference));
    assert!(headline.minimum_detectable.unwrap() > 0.0);
    assert!(c.subgroups.iter().any(|s| s.tag == "organ"));
    for s in &c.subgroups {
        let (p, holm, bh) = (s.figure.clustered_p.unwrap(), s.holm_p.unwrap(), s.bh_p.unwrap());
        assert!(p <= bh && bh <= holm, "{p} {bh} {holm}");
    }
    // The other way round is the same with the sign changed.
    let back = compare(b.path(), a.path(), &Strict).unwrap();
    assert_eq!(back.figures[0].difference, -headline.difference);
    assert_eq!(back.figures[0].mcnemar.as_ref().unwrap().exact_p, m.exact_p);
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let run = made(&QuestionSet::new(60), 0, None);
    let c = compare(run.path(), run.path(), &Strict).unwrap();
    assert!(c.settings.is_empty());
    for f in &c.figures {
        assert_eq!((f.difference, f.bootstrap_p, f.clustered_p), (0.0, Some(1.0), Some(1.0)), "{f:?}");
    }
}

#[test]
fn runs_of_other_data_are_refused() {
    let a = made(&QuestionSet::new(10), 0, None);
    let mut other = QuestionSet::new(10);
    other.info.name = "other".into();
    struct Renamed(QuestionSet);
    impl Dataset for Renamed {
        fn info(&self) -> &loupe_core::DatasetInfo {
            &self.0.info
        }
        fn len(&self) -> usize {
            self.0.len()
        }
        fn get(&self, index: usize) -> Result<loupe_core::Sample, loupe_core::DataError> {
            let mut sample = self.0.get(index)?;
            sample.question.push('!');
            Ok(sample)
        }
    }
    let b = tempfile::tempdir().unwrap();
    let plan = Plan::new(default_template());
    let loader = FlatPictures::sound();
    run(b.path(), &plan, &Renamed(other), &mut Direct(&mut PromptHash::new()), &loader, &mut ()).unwrap();
    let refused = compare(a.path(), b.path(), &Strict);
    assert!(matches!(refused, Err(CompareError::OtherSample { .. })), "{refused:?}");
}

fn scored(dir: &TempDir) -> Summary {
    let others: Vec<AsProfile> = profiles::PROFILES.iter().copied().map(AsProfile::new).collect();
    let mut all: Vec<&dyn Profile> = vec![&Strict];
    all.extend(others.iter().map(|p| p as &dyn Profile));
    let f1 = METRICS.by_name("token_f1").unwrap().as_metric(Texts::default()).unwrap();
    let bleu = METRICS.by_name("bleu4_coco").unwrap().as_corpus_metric(Texts::default()).unwrap();
    let scoring = Scoring {
        profiles: &all,
        metrics: &[&f1 as &dyn Metric],
        corpus: &[bleu],
        sensitivity: true,
        ..Scoring::default()
    };
    score(dir.path(), &scoring).unwrap()
}

#[test]
fn every_profile_scores_a_run_and_tables_come_in_every_format() {
    let run = made(&QuestionSet::new(90), 0, None);
    let summary = scored(&run);
    assert_eq!(summary.profiles.len(), 1 + profiles::PROFILES.iter().copied().count());
    let closed = summary.figure("strict", strict::CLOSED_BY_TYPE).unwrap();
    assert_eq!(closed.n + closed.unscored, 45);
    assert!(closed.interval.as_ref().unwrap().contains(closed.value.unwrap()));
    // Written and read back, nothing is lost.
    let text = std::fs::read_to_string(run.path().join("summary.json")).unwrap();
    let back: Summary = serde_json::from_str(&text).unwrap();
    assert_eq!(back.profiles[0].verdicts, summary.profiles[0].verdicts);

    for table in tables::summary(&summary)
        .iter()
        .chain([&tables::leaderboard(&[("one".into(), summary.clone())], "strict")])
    {
        assert!(table.rows.iter().all(|r| r.len() == table.columns.len()), "{}", table.title);
        for format in [Format::Terminal, Format::Markdown, Format::Latex, Format::Csv] {
            let text = table.write(format);
            assert!(text.ends_with('\n') && !text.contains("NaN"), "{text}");
        }
    }
    let terminal =
        tables::terminal(&summary, tables::Shown { all_subgroups: false, format: Format::Terminal });
    assert!(
        terminal.contains("parser sensitivity") && terminal.contains("closed accuracy (yes/no)"),
        "{terminal}"
    );
}

#[test]
fn cells_cannot_break_out_of_their_table() {
    let table = loupe_core::Table {
        title: "a".into(),
        note: String::new(),
        columns: vec!["x|y".into(), "50 %".into()],
        rows: vec![vec!["\u{1b}[31m, \"q\"\n\u{202e}肝".into(), "1_2".into()]],
    };
    let terminal = table.write(Format::Terminal);
    assert!(!terminal.contains(['\u{1b}', '\u{202e}']) && terminal.lines().count() == 4, "{terminal:?}");
    assert!(table.write(Format::Markdown).contains("x\\|y"));
    assert!(table.write(Format::Latex).contains("50 \\%") && table.write(Format::Latex).contains("1\\_2"));
    assert!(table.write(Format::Csv).contains("\"\u{1b}[31m, \"\"q\"\"\n"));
}

#[test]
fn the_leaderboard_puts_the_best_first() {
    let set = QuestionSet::new(120);
    let runs: Vec<(String, Summary)> =
        (0..4).map(|salt| (format!("run {salt}"), scored(&made(&set, salt, None)))).collect();
    let board = tables::leaderboard(&runs, "strict");
    let values: Vec<f64> =
        board.rows.iter().map(|r| r[1].split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(values.len(), 4);
    assert_eq!(
        board.columns[..8],
        ["run", "accuracy", "n", "unparsed", "failed", "model", "dataset", "split"]
    );
    // The figure that ranks and what it counts are there in a narrow terminal.
    let narrow = board.write(Format::Within(80));
    assert!(
        board.columns[1..5].iter().all(|c| narrow.lines().nth(1).unwrap().contains(c.as_str())),
        "{narrow}"
    );
    assert!(values.windows(2).all(|w| w[0] >= w[1]), "{values:?}");
    // A run that has not come to all its samples stands behind them, and says so.
    let mut runs = runs;
    let best = runs.iter_mut().find(|(label, _)| *label == board.rows[0][0]).unwrap();
    best.1.missing = 7;
    let last = tables::leaderboard(&runs, "strict").rows.pop().unwrap();
    assert_eq!((&last[0], last.last().unwrap().as_str()), (&board.rows[0][0], "unfinished, 7 not asked yet"));
}
