//! Plots say the numbers of summary.json, to the last digit.

use crate::runs::{Images, ROOM, from, html, made, media, sample, scored, words};
use loupe_core::answer::Answer;
use loupe_core::ask::{Counts, OptionScore, OptionScores, Timing, TokenLogprob};
use loupe_core::{Box2, Failure, Finding, Labelled, Reply, Target, Work};
use loupe_eval::compare::compare_judged;
use loupe_eval::strict::Strict;
use loupe_eval::{JudgedRun, tables};
use loupe_report::Page;
use loupe_report::pages::{compare, run};
use serde_json::Value;
use std::path::Path;

/// Yes-or-no questions answered with confidence, open ones and boxes; `lean` turns some answers.
fn answered(work: &Work, lean: usize) -> Answer {
    let n: usize = work.sample.id.trim_start_matches('q').parse().unwrap();
    if n % 19 == 7 {
        return Answer::single(Err(Failure::lasting("too large")));
    }
    let text = match n % 6 {
        0 if (n + lean).is_multiple_of(4) => "no",
        0 | 1 | 3 => "yes",
        2 if n.is_multiple_of(5) => "I cannot tell.",
        2 => "no",
        _ => "the left lung",
    };
    let mut reply = Reply::from_text(text);
    reply.counts = Counts { prompt_tokens: 90 + n, new_tokens: 3 + n % 9, ..Counts::default() };
    reply.timing = Timing { prefill_s: 0.25, decode_s: 0.125 * (n % 4) as f64 };
    let probability = 0.5 + 0.49 * ((n * 7) % 11) as f64 / 10.0;
    if n.is_multiple_of(6) {
        let each = [("yes", probability), ("no", 1.0 - probability)];
        let each =
            each.map(|(text, probability)| OptionScore { text: text.to_owned(), probability }).to_vec();
        reply.options = Some(OptionScores { mass: 0.97, each });
    } else {
        let logprob = probability.ln() as f32;
        reply.logprobs = Some(vec![TokenLogprob { id: 17, logprob, top: Vec::new() }]);
    }
    if let Target::Boxes(_) = work.sample.target {
        let found = Finding::region(
            0,
            Box2::new(4.0, 6.0, 20.0, 16.0 + (n % 5) as f64),
            work.ask.pictures[0].origin.clone(),
        );
        reply.findings.push(found.with(Some("nodule".into()), Some(probability)));
    }
    Answer::single(Ok(reply))
}

fn questions() -> Vec<loupe_core::Sample> {
    let target = |n: usize| match n % 6 {
        0..=3 => words(if n.is_multiple_of(3) { "yes" } else { "no" }),
        4 => words("left lung"),
        _ => Target::Boxes(vec![Labelled {
            picture: 0,
            label: "nodule".into(),
            at: Box2::new(5.0, 6.0, 20.0, 16.0),
            reader: None,
        }]),
    };
    let one = |n: usize| {
        let mut sample = sample(&format!("q{n}"), media(&format!("flat{}.png", n / 3)), target(n));
        sample.tags.insert("organ".to_owned(), ["CHEST", "HEAD", "ABDOMEN"][n / 3 % 3].to_owned());
        sample.tags.insert("rare".to_owned(), if n < 3 { "yes" } else { "no" }.to_owned());
        sample
    };
    (0..120).map(one).collect()
}

/// What the mark of these attributes says in the plot of that title.
fn marked(html: &str, plot: &str, mark: &str) -> f64 {
    let plot = html.split("<figure class=\"plot\">").find(|p| p.contains(&format!("<figcaption>{plot}")));
    let plot = plot.unwrap_or_else(|| panic!("no plot {mark}"));
    let behind = plot.split(mark).nth(1).unwrap_or_else(|| panic!("no mark {mark} in {plot}"));
    let value = behind.split("data-value=\"").nth(1).unwrap().split('"').next().unwrap();
    value.parse().unwrap()
}

fn summary(dir: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(dir.join("summary.json")).unwrap()).unwrap()
}

fn page() -> (tempfile::TempDir, Page) {
    let (dir, _) = made("run", questions(), |work| answered(work, 0));
    let page = run::page(&scored(&dir.path().join("run")), from(&Images::default()), &ROOM).unwrap();
    (dir, page)
}

#[test]
fn every_number_of_a_plot_is_the_summary_s() {
    let (dir, page) = page();
    let (html, summary) = (html(&page), summary(&dir.path().join("run")));
    let profile = &summary["profiles"][0];
    let number = |v: &Value| v.as_f64().unwrap_or_else(|| panic!("{v} in {profile}"));

    let figure = &profile["figures"][0];
    assert_eq!(figure["name"], "accuracy");
    let title = "Figures and what needs no model";
    assert_eq!(marked(&html, title, "data-name=\"accuracy\""), number(&figure["value"]));
    let interval =
        format!("data-lo=\"{}\" data-hi=\"{}\"", figure["interval"]["lo"], figure["interval"]["hi"]);
    assert!(html.contains(&interval), "{interval}");
    let baselines = &summary["baselines"];
    assert_eq!(
        marked(&html, title, "data-name=\"open exact match\""),
        number(
            &profile["figures"].as_array().unwrap().iter().find(|f| f["name"] == "open exact match").unwrap()
                ["value"]
        )
    );
    // Every question is one of words without a type, so that all of them are the open ones.
    let commonest = marked(&html, title, "data-mark=\"always the commonest answer\"");
    assert!((commonest - number(&baselines["open"]["commonest"])).abs() < 1e-12);

    let confusion = &profile["confusion"];
    for row in ["yes", "no"] {
        let counts = &confusion[row];
        let n: f64 = ["yes", "no", "other", "unparsed", "failed"].iter().map(|c| number(&counts[*c])).sum();
        for column in ["yes", "no", "unparsed", "failed"] {
            let mark = format!("data-row=\"{row} (n {n})\" data-column=\"{column}\"");
            assert_eq!(marked(&html, "Yes or no", &mark), number(&counts[column]), "{mark}");
        }
    }
    assert!(
        number(&confusion["no"]["unparsed"]) > 0.0 && number(&confusion["yes"]["failed"]) > 0.0,
        "{confusion}"
    );

    let group = profile["subgroups"].as_array().unwrap().iter().find(|g| g["value"] == "HEAD").unwrap();
    let mark = format!("data-name=\"HEAD (n {})\"", group["figures"][0]["n"]);
    assert_eq!(marked(&html, "Accuracy by subgroup", &mark), number(&group["figures"][0]["value"]));
    assert!(!html.contains("data-name=\"yes (n"), "three samples are no subgroup of a plot");

    for (rule, n) in profile["rules"].as_object().unwrap() {
        let name = rule.replace('_', " ").replace('<', "&lt;").replace('>', "&gt;");
        let mark = format!("data-name=\"{name}\"");
        assert_eq!(marked(&html, "Rules that fired", &mark), number(n), "{mark}");
    }

    let calibration = &profile["calibration"];
    let reliability =
        html.split("<figcaption>Reliability").nth(1).unwrap().split("</figure>").next().unwrap();
    for bin in calibration["bins"].as_array().unwrap().iter().filter(|b| b["n"] != 0) {
        let mark =
            format!("data-x=\"{}\" data-value=\"{}\"", number(&bin["confidence"]), number(&bin["accuracy"]));
        assert!(reliability.contains(&mark), "{mark} in {reliability}");
        assert!(reliability.contains(&format!("data-n=\"{}\"", bin["n"])));
    }
    for point in calibration["selective"].as_array().unwrap() {
        let mark = format!("data-x=\"{}\" data-value=\"{}\"", number(&point[0]), 1.0 - number(&point[1]));
        assert!(html.contains(&mark), "{mark}");
    }

    let boxes = &summary["grounding"]["boxes"];
    let mean = |of: &Value| {
        let all: Vec<f64> = of.as_array().unwrap().iter().map(number).collect();
        (all.len(), all.iter().sum::<f64>() / all.len() as f64)
    };
    for (curve, ap) in [("precision50", "ap50"), ("precision75", "ap75")] {
        let (n, mean) = mean(&boxes[curve]);
        assert_eq!(n, 101);
        assert!((mean - number(&boxes[ap])).abs() < 1e-12, "{curve}");
    }
    assert!(html.contains(&format!("IoU ≥ 0.50, AP {:.4}", number(&boxes["ap50"]))));
    for title in
        ["Tokens of the replies", "Tokens of the prompts", "Seconds for each reply", "Risk and coverage"]
    {
        assert!(html.contains(&format!("<figcaption>{title}</figcaption>")), "{title}");
    }
    // Each plot has its numbers beside it and a name.
    assert_eq!(
        html.matches("<figure class=\"plot\">").count(),
        html.matches("Its numbers</summary>").count()
    );
    assert_eq!(page.plots.len(), html.matches("role=\"img\" aria-labelledby=\"plot-").count());
}

#[test]
fn items_say_how_sure_the_model_was_and_what_it_was_asked() {
    let (_dir, page) = page();
    let item = |id: &str| page.items.iter().find(|i| i.id == id).unwrap();
    let options = item("q6").certainty.as_ref().unwrap();
    assert_eq!((options.options.len(), options.options[0].0.as_str(), options.mass), (2, "yes", Some(0.97)));
    let tokens = item("q1").certainty.as_ref().unwrap();
    assert_eq!((tokens.tokens[0].0, tokens.of), (17, 1));
    let numbers = &item("q1").numbers;
    assert_eq!((numbers["prompt tokens"], numbers["reply tokens"], numbers["seconds"]), (91.0, 4.0, 0.375));
    assert_eq!(numbers["accuracy"], 0.0);
    assert!((numbers["confidence"] - f64::from(tokens.tokens[0].1).exp()).abs() < 1e-12);
    assert!(item("q1").prompt.as_ref().unwrap().contains("Is there a nodule?"));
    assert_eq!(item("q5").gold, "nodule [5, 6, 20, 16]");
}

#[test]
fn a_page_of_three_runs_has_flips_and_differences_of_each_pair() {
    let runs = [0, 1, 2].map(|lean| {
        let name = ["first", "second", "third"][lean];
        let (dir, _) = made(name, questions(), |work| answered(work, lean));
        (JudgedRun::open(&dir.path().join(name), &Strict).unwrap(), dir)
    });
    let [(first, _), (second, _), (third, _)] = &runs;
    let found = [second, third].map(|other| compare_judged(first, other).unwrap());
    let others = [(second, &found[0]), (third, &found[1])];
    let tables: Vec<_> = found.iter().flat_map(tables::comparison_tables).collect();
    let set = compare::RunSet { first, others: &others, tables: &tables };
    let page = compare::page(set, from(&Images::default()), &ROOM).unwrap();
    assert_eq!(page.runs, ["first", "second", "third"]);
    assert!(page.lead.starts_with("120 samples in all runs"), "{}", page.lead);
    assert!(page.items.iter().all(|i| i.others.len() == 2 && i.right.is_some()));
    assert!(page.items.iter().any(|i| i.right.as_deref() == Some("only second, third")), "some flip");
    let html = html(&page);
    assert_eq!(html.matches("<figcaption>Flips</figcaption>").count(), 2);
    assert_eq!(html.matches("<figcaption>Differences</figcaption>").count(), 2);
    // Flips are those of McNemar's test on the same replies.
    let test = found[0].figures[0].mcnemar.as_ref().unwrap();
    let flips = html.split("<figcaption>Flips</figcaption>").nth(1).unwrap();
    let cell = |row: &str, column: &str| -> f64 {
        let behind = flips
            .split(&format!("data-row=\"{row}\" data-column=\"{column}\" data-value=\""))
            .nth(1)
            .unwrap();
        behind.split('"').next().unwrap().parse().unwrap()
    };
    let lost: f64 = ["wrong", "unparsed"].iter().map(|v| cell("correct", v)).sum();
    let gained: f64 = ["wrong", "unparsed"].iter().map(|v| cell(v, "correct")).sum();
    assert_eq!([lost, gained], [test.only_a as f64, test.only_b as f64], "{test:?}");
    let difference = &found[0].figures[0];
    let mark = format!("data-name=\"accuracy (n {})\"", difference.n);
    assert_eq!(marked(&html, "Differences", &mark), difference.difference);
}
