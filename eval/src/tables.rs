//! Tables of figures for terminals, Markdown, LaTeX and spreadsheets.

use crate::compare::{Comparison, Difference};
use crate::profile::Verdict;
use crate::stats::Interval;
use crate::summary::{Figure, ProfileSummary, Summary};
use loupe_core::table::{Format, Table};
use std::fmt::Write;

/// Shares as percentages, everything else as it is.
fn number(name: &str, value: f64) -> String {
    if is_share(name) { format!("{:.1}", 100.0 * value) } else { format!("{value:.3}") }
}

/// Is the figure of that name a share, shown in per cent?
pub fn is_share(name: &str) -> bool {
    // Harnesses write mean errors by their initials (`avgMAE`, `count_mse`).
    let initials =
        |end: &str| name.get(name.len().saturating_sub(3)..).is_some_and(|n| n.eq_ignore_ascii_case(end));
    !name.contains("error") && !name.contains("distance") && !["mae", "mre", "mse"].into_iter().any(initials)
}

fn range(name: &str, interval: Option<&Interval>) -> String {
    interval.map_or_else(String::new, |i| format!("{} – {}", number(name, i.lo), number(name, i.hi)))
}

/// Columns of [`figure_cells`].
pub const FIGURE: [&str; 7] = ["%", "95 % interval", "n", "groups", "unparsed", "unscored", "method"];

/// A figure as a row of every table shows it, without its name.
pub fn figure_cells(figure: &Figure) -> [String; 7] {
    let value = figure.value.map_or_else(|| "–".to_owned(), |v| number(&figure.name, v));
    [
        value,
        range(&figure.name, figure.interval.as_ref()),
        figure.n.to_string(),
        figure.groups.to_string(),
        figure.unparsed.to_string(),
        figure.unscored.to_string(),
        figure.interval.as_ref().map_or_else(String::new, |i| i.method.clone()),
    ]
}

/// A table of figures under their own names.
pub fn figures<'a>(title: impl Into<String>, of: impl IntoIterator<Item = &'a Figure>) -> Table {
    let mut table = Table::new(title, &[&["figure"][..], &FIGURE].concat());
    table.rows = of.into_iter().map(|f| [&[f.name.clone()][..], &figure_cells(f)].concat()).collect();
    table
}

/// All tables of a summary: per profile its figures, what its harness prints and its subgroups; then
/// metrics, calibration, rollouts and, with several profiles, how much the parser matters.
pub fn summary(summary: &Summary) -> Vec<Table> {
    let mut tables = Vec::new();
    for profile in &summary.profiles {
        let profile_name = short_profile(&profile.name);
        let title = format!("{} · {} · {profile_name}", summary.run.dataset, summary.run.model);
        let mut table = figures(title, &profile.figures);
        table.note = verdicts(profile, summary);
        table.rows.extend(profile.printed.iter().map(|(name, value)| {
            let mut row = vec![format!("as printed: {name}"), format!("{value:.4}")];
            row.resize(1 + FIGURE.len(), String::new());
            row
        }));
        tables.push(table);
        tables.extend(subgroups(profile));
        tables.extend(rollouts(profile));
        tables.extend(calibration(profile));
    }
    tables.extend(metrics(summary));
    tables.extend(grounding(summary));
    tables.extend(failures(summary));
    tables.extend(sensitivity(summary));
    tables
}

/// The commonest reasons why items have no reply, and what helps.
pub fn failures(summary: &Summary) -> Option<Table> {
    let mut table = Table::new("items without a reply", &["reason", "n"]);
    table.rows = summary.failures.iter().map(|f| vec![f.reason.clone(), f.n.to_string()]).collect();
    let may_pass = summary.failed.saturating_sub(summary.failed_for_good) + summary.unreadable;
    if summary.run.imported && !table.rows.is_empty() {
        table.note =
            "another tool wrote the replies: ask these again there, and score its new file".to_owned();
    } else if may_pass > 0 {
        table.note = format!(
            "once the reason is mended, the same command with --retry-failed asks {may_pass} of them again"
        );
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Several replies to each sample, when the run has them.
pub fn rollouts(profile: &ProfileSummary) -> Option<Table> {
    let r = profile.rollouts?;
    let mut table = Table::new(
        format!("{} replies per sample · {}", r.k, short_profile(&profile.name)),
        &["figure", "%"],
    );
    let figures = [
        ("expected accuracy", r.expected),
        ("majority right", r.majority_right),
        ("any right (pass@k)", r.any),
        ("all right", r.all),
        ("pairs that agree", r.consistency),
    ];
    table.rows = figures.iter().map(|(name, v)| vec![(*name).to_owned(), number("share", *v)]).collect();
    Some(table)
}

/// Confidence against correctness, when the replies carry log-probabilities.
pub fn calibration(profile: &ProfileSummary) -> Option<Table> {
    let c = profile.calibration.as_ref()?;
    let mut table = Table::new(
        format!("calibration · {} (n {})", short_profile(&profile.name), c.n),
        &["figure", "value"],
    );
    let figures = [("ECE, 15 bins", c.errors.ece), ("largest gap", c.errors.mce), ("Brier", c.brier)];
    table.rows = figures.iter().map(|(name, v)| vec![(*name).to_owned(), format!("{v:.4}")]).collect();
    table.rows.extend(c.auroc.map(|v| vec!["AUROC".to_owned(), format!("{v:.4}")]));
    table.rows.extend(c.selective.iter().map(|(coverage, accuracy)| {
        vec![format!("accuracy of the most confident {:.0} %", 100.0 * coverage), format!("{accuracy:.4}")]
    }));
    Some(table)
}

/// Text and other metrics, when any were asked for.
pub fn metrics(summary: &Summary) -> Option<Table> {
    if summary.metrics.is_empty() {
        return None;
    }
    let mut table = Table::new("metrics", &["metric", "mean", "95 % interval", "n", "unscored"]);
    table.rows = summary
        .metrics
        .iter()
        .map(|f| {
            let value = f.value.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"));
            let interval =
                f.interval.as_ref().map_or_else(String::new, |i| format!("{:.4} – {:.4}", i.lo, i.hi));
            vec![f.name.clone(), value, interval, f.n.to_string(), f.unscored.to_string()]
        })
        .collect();
    let made_with = summary.bertscore.as_ref().map(|facts| facts.note());
    let made_with = made_with.into_iter().chain(summary.wordnet.as_ref().map(|facts| facts.note()));
    let annotated = summary.annotations.as_ref().and_then(|facts| facts.note());
    table.note =
        summary.texts.iter().cloned().chain(made_with).chain(annotated).collect::<Vec<_>>().join("; ");
    Some(table)
}

/// Boxes and points of a run: COCO's figures, and how the replies could be read.
pub fn grounding(summary: &Summary) -> Vec<Table> {
    let Some(of) = &summary.grounding else { return Vec::new() };
    let mut tables = Vec::new();
    if let Some(boxes) = &of.boxes {
        let mut table = Table::new("boxes over all questions (COCO)", &["figure", "value"]);
        table.note = format!(
            "{} images, {} reference boxes, {} boxes of replies; one category, each picture of a question an image",
            boxes.images, boxes.references, boxes.answers
        );
        let figures = [
            ("mAP @ IoU 0.50:0.95", boxes.map),
            ("AP @ IoU 0.50", boxes.ap50),
            ("AP @ IoU 0.75", boxes.ap75),
            ("AR, 100 boxes an image", boxes.ar100),
        ];
        let shown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"));
        table.rows = figures.iter().map(|(name, v)| vec![(*name).to_owned(), shown(*v)]).collect();
        tables.push(table);
    }
    let mut table = Table::new("how boxes and points were read", &["replies", "n"]);
    let counts = [("read", of.read), ("repaired", of.repaired), ("no box or point", of.nothing)];
    table.rows = counts.iter().map(|(name, n)| vec![(*name).to_owned(), n.to_string()]).collect();
    table.rows.extend(
        of.repairs.iter().map(|(name, n)| vec![format!("repair: {}", name.replace('_', " ")), n.to_string()]),
    );
    tables.push(table);
    tables
}

fn verdicts(profile: &ProfileSummary, summary: &Summary) -> String {
    let incomplete = summary.run.incomplete();
    let extra = [(summary.unreadable, "unreadable in the dataset"), (summary.missing, "not asked yet")];
    let extra = extra.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    let notes = summary.run.notes.iter().cloned();
    let counts: Vec<String> = incomplete.into_iter().chain(by_verdict(profile)).chain(extra).collect();
    std::iter::once(counts.join(", ")).chain(notes).collect::<Vec<_>>().join("; ")
}

/// How many items became what. Masks and reports have figures, which are neither right nor wrong; what has no reference has none.
fn by_verdict(profile: &ProfileSummary) -> Vec<String> {
    let all = [Verdict::Correct, Verdict::Wrong, Verdict::Unparsed, Verdict::Failed];
    let of = |verdict: &Verdict| profile.verdicts.get(verdict).copied().unwrap_or(0);
    let are_judged = profile.verdicts.keys().any(|v| matches!(v, Verdict::Correct | Verdict::Wrong));
    let unscored = of(&Verdict::Unscored);
    let measured = if are_judged { 0 } else { profile.measured.min(unscored) };
    let counts = all.iter().map(|verdict| (of(verdict), verdict.word()));
    let rest = [(measured, "by figures alone"), (unscored - measured, Verdict::Unscored.word())];
    counts.chain(rest).filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect()
}

fn subgroups(profile: &ProfileSummary) -> Option<Table> {
    let mut table = Table::new(
        format!("subgroups · {}", short_profile(&profile.name)),
        &[&["subgroup", "figure"][..], &FIGURE].concat(),
    );
    for group in &profile.subgroups {
        let name = format!("{} = {}", group.tag, group.value);
        table.rows.extend(
            group.figures.iter().map(|f| [&[name.clone(), f.name.clone()][..], &figure_cells(f)].concat()),
        );
    }
    (!table.rows.is_empty()).then_some(table)
}

/// A profile as it is called on the command line, without the commit that its rules are of.
pub fn short_profile(name: &str) -> &str {
    name.strip_prefix("compat:").and_then(|n| n.split('@').next()).unwrap_or(name)
}

/// The same replies under every profile that is meant for them, and under those that the summary has, lowest first:
/// how much the parser matters. The note names those left out. Nothing with fewer than two.
pub fn sensitivity(summary: &Summary) -> Option<Table> {
    let short = short_profile;
    let without = || summary.sensitivity.iter().flat_map(|s| &s.without);
    let mut left: Vec<(&str, &str)> = without().map(|(name, why)| (name.as_str(), why.as_str())).collect();
    let mut scores: Vec<(String, f64)> = Vec::new();
    for asked in &summary.profiles {
        let Some(figure) = asked.figures.first() else { continue };
        let Some(value) = figure.value else { continue };
        if left.iter().any(|(name, _)| *name == short(&asked.name)) {
            continue;
        }
        if is_share(&figure.name) && (0.0..=1.0).contains(&value) {
            scores.push((short(&asked.name).to_owned(), value));
        } else {
            left.push((short(&asked.name), "its figure is no share"));
        }
    }
    for (name, value) in summary.sensitivity.iter().flat_map(|s| &s.by_profile) {
        if scores.iter().any(|(have, _)| have == short(name)) {
            continue;
        }
        match (0.0..=1.0).contains(value) {
            true => scores.push((short(name).to_owned(), *value)),
            false => left.push((name, "its figure is no share")),
        }
    }
    scores.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let (low, high) = (scores.first()?, scores.last()?);
    if scores.len() < 2 {
        return None;
    }
    let mut table = Table::new("the same replies under every profile", &["profile", "%"]);
    let ends = |(name, v): &(String, f64)| format!("{} ({name})", number("share", *v));
    table.note = format!("parser sensitivity: {} to {}{}", ends(low), ends(high), left_out(&left));
    table.rows = scores.iter().map(|(name, value)| vec![name.clone(), number("share", *value)]).collect();
    Some(table)
}

/// `; left out: a, b (made for slake), c (asks a judge)`: names by their reason.
fn left_out(left: &[(&str, &str)]) -> String {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, why) in left {
        match by_reason.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((why, vec![name])),
        }
    }
    let parts: Vec<String> =
        by_reason.iter().map(|(why, names)| format!("{} ({why})", names.join(", "))).collect();
    if parts.is_empty() { String::new() } else { format!("; left out: {}", parts.join(", ")) }
}

/// Subgroups with fewer items are not on the terminal unless asked for.
const FEWEST: u64 = 10;

/// How much a terminal shows of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Subgroups of any size, not only those of at least 10.
    pub all_subgroups: bool,
    /// How tables are written.
    pub format: Format,
}

/// The first figure in a line: `accuracy 72.3 % (68.0 – 76.1), n 321, 3 unparsed, 2 failed · strict · MODEL on SET SPLIT`.
pub fn headline(of: &Summary) -> Option<String> {
    let profile = of.profiles.first()?;
    let figure = profile.figures.iter().find(|f| f.value.is_some())?;
    let unit = if is_share(&figure.name) { " %" } else { "" };
    let mut words = format!("{} {}{unit}", figure.name, figure.value.map(|v| number(&figure.name, v))?);
    if let Some(interval) = &figure.interval {
        let _ = write!(words, " ({})", range(&figure.name, Some(interval)));
    }
    let _ = write!(words, ", n {}", figure.n);
    let counts =
        [(figure.unparsed, "unparsed"), (of.failed + of.unreadable, "failed"), (of.missing, "not asked yet")];
    for (n, what) in counts.iter().filter(|(n, _)| *n > 0) {
        let _ = write!(words, ", {n} {what}");
    }
    let run = &of.run;
    let _ =
        write!(words, " · {} · {} on {} {}", short_profile(&profile.name), run.model, run.dataset, run.split);
    Some(words)
}

/// A summary for the terminal: the headline first and last; subgroups show the profile's first figure only, and the
/// small ones on request.
pub fn terminal(of: &Summary, shown: Shown) -> String {
    let mut short = of.clone();
    let mut small = 0;
    for profile in &mut short.profiles {
        let first = profile.figures.first().map(|f| f.name.clone());
        for group in &mut profile.subgroups {
            group.figures.retain(|f| Some(&f.name) == first.as_ref());
        }
        let all = profile.subgroups.len();
        profile.subgroups.retain(|g| shown.all_subgroups || g.figures.iter().any(|f| f.n >= FEWEST));
        small += all - profile.subgroups.len();
    }
    let mut out = join(&summary(&short), shown.format);
    if small > 0 {
        let _ =
            writeln!(out, "{small} subgroups of fewer than {FEWEST} are not shown (--subgroups shows them)");
    }
    match headline(of) {
        Some(line) => format!("{line}\n\n{out}\n{line}\n"),
        None => out,
    }
}

/// Tables one after the other.
pub fn join(tables: &[Table], format: Format) -> String {
    tables.iter().map(|t| t.write(format)).collect::<Vec<_>>().join("\n")
}

/// Tables of a comparison: settings that differ, figures, subgroups.
pub fn comparison_tables(c: &Comparison) -> Vec<Table> {
    let mut tables = Vec::new();
    if !c.settings.is_empty() {
        let mut table = Table::new("what the runs differ in", &["field", "first", "second"]);
        table.rows =
            c.settings.iter().map(|(field, a, b)| vec![field.clone(), a.clone(), b.clone()]).collect();
        tables.push(table);
    }
    let columns = [
        "figure",
        "first",
        "second",
        "difference",
        "95 % interval",
        "p",
        "McNemar exact",
        "mid-p",
        "paired t",
        "detectable",
        "n",
        "groups",
    ];
    let [first, second] = &c.runs;
    let mut table = Table::new(format!("{first} → {second} · {}", c.profile), &columns);
    table.rows = c
        .figures
        .iter()
        .map(|d| {
            let [a, b, difference, interval] = difference_cells(d);
            let m = d.mcnemar.as_ref();
            vec![
                d.name.clone(),
                a,
                b,
                difference,
                interval,
                p(d.bootstrap_p),
                p(m.map(|m| m.exact_p)),
                p(m.map(|m| m.mid_p)),
                p(d.paired_t.as_ref().map(|t| t.p)),
                d.minimum_detectable.map_or_else(String::new, |v| number(&d.name, v)),
                d.n.to_string(),
                d.groups.to_string(),
            ]
        })
        .collect();
    table.note = format!(
        "{} samples in both, {} in the first only, {} in the second only; interval and p by bootstrap over groups; detectable: smallest true difference shown with 80 % power",
        c.shared, c.only_a, c.only_b
    );
    tables.push(table);
    if !c.subgroups.is_empty() {
        let columns =
            ["subgroup", "first", "second", "difference", "95 % interval", "p", "Holm", "FDR", "n", "groups"];
        let name = c.figures.first().map_or("", |f| f.name.as_str());
        let mut table = Table::new(format!("{name} by subgroup"), &columns);
        table.rows = c
            .subgroups
            .iter()
            .map(|s| {
                let [a, b, difference, interval] = difference_cells(&s.figure);
                vec![
                    format!("{} = {}", s.tag, s.value),
                    a,
                    b,
                    difference,
                    interval,
                    p(s.figure.clustered_p),
                    p(s.holm_p),
                    p(s.bh_p),
                    s.figure.n.to_string(),
                    s.figure.groups.to_string(),
                ]
            })
            .collect();
        table.note =
            "p: Student's t on the cluster-robust error; Holm and FDR count all subgroups of the table"
                .to_owned();
        tables.push(table);
    }
    if let Some(d) = c.dependence {
        let mut table =
            Table::new("image dependence: the same questions with altered pictures", &["figure", "%"]);
        let figures = [
            ("right with the true pictures", Some(d.accuracy)),
            ("right under the probe", Some(d.accuracy_under_probe)),
            ("of the right ones, still right", d.still_right),
            ("answers that do not change", Some(d.unchanged)),
            ("readable answers under the probe", Some(d.answered_under_probe)),
        ];
        table.rows = figures
            .iter()
            .map(|(name, v)| {
                vec![(*name).to_owned(), v.map_or_else(|| "–".to_owned(), |v| number("share", v))]
            })
            .collect();
        table.note = format!("{} samples; what stays right did not need its picture", d.n);
        tables.push(table);
    }
    tables
}

fn difference_cells(d: &Difference) -> [String; 4] {
    let shown = number(&d.name, d.difference.abs());
    let zero = shown.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if zero {
        ""
    } else if d.difference > 0.0 {
        "+"
    } else {
        "−"
    };
    [
        number(&d.name, d.a),
        number(&d.name, d.b),
        format!("{sign}{shown}"),
        range(&d.name, d.interval.as_ref()),
    ]
}

fn p(value: Option<f64>) -> String {
    value.map_or_else(String::new, |p| if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") })
}

/// A comparison for the terminal.
pub fn comparison(c: &Comparison) -> String {
    join(&comparison_tables(c), Format::Terminal)
}

/// Many runs under one profile, best first by the first figure, unfinished ones last. After the name stand the first figure and how many
/// replies it counts, could not be read and failed, then what ran on what, then the other figures, each with its interval. Runs without
/// the profile are left out.
pub fn leaderboard(runs: &[(String, Summary)], profile: &str) -> Table {
    let mut names: Vec<&str> = Vec::new();
    let mut found: Vec<(&str, &Summary, &ProfileSummary)> = Vec::new();
    for (label, summary) in runs {
        let Some(of) = summary.profiles.iter().find(|p| p.name == profile) else { continue };
        for figure in &of.figures {
            if !names.contains(&figure.name.as_str()) {
                names.push(&figure.name);
            }
        }
        found.push((label, summary, of));
    }
    let value = |of: &ProfileSummary| of.figures.first().and_then(|f| f.value).unwrap_or(f64::NEG_INFINITY);
    // What a run scores that has not come to all its samples is no place among those that have.
    let unfinished = |summary: &Summary| summary.missing > 0;
    found.sort_by(|a, b| {
        let order = unfinished(a.1).cmp(&unfinished(b.1));
        order.then(value(b.2).total_cmp(&value(a.2))).then(a.0.cmp(b.0))
    });
    let (first, others) = names.split_at(names.len().min(1));
    let counts = ["n", "unparsed", "failed", "model", "dataset", "split"];
    let mut table = Table::new(
        format!("leaderboard · {profile}"),
        &[&["run"][..], first, &counts, others, &["rows of the set"]].concat(),
    );
    for (label, summary, of) in found {
        let figures = |names: &[&str]| names.iter().map(|name| board_cell(of, name)).collect::<Vec<_>>();
        let count = |count: fn(&Figure) -> u64| of.figures.first().map_or(0, count).to_string();
        let missing = unfinished(summary).then(|| format!("unfinished, {} not asked yet", summary.missing));
        let rows = missing.into_iter().chain(summary.run.incomplete()).collect::<Vec<_>>().join("; ");
        let run = &summary.run;
        let mut row = vec![label.to_owned()];
        row.extend(figures(first));
        row.extend([
            count(|f| f.n),
            count(|f| f.unparsed),
            (summary.failed + summary.unreadable).to_string(),
        ]);
        row.extend([run.model.clone(), run.dataset.clone(), run.split.clone()]);
        row.extend(figures(others));
        row.push(rows);
        table.rows.push(row);
    }
    table.note =
        "percent with 95 % intervals; rows are comparable when dataset, split and n agree".to_owned();
    table
}

/// A figure of a profile with its interval; empty where the profile gives none of that name.
fn board_cell(of: &ProfileSummary, name: &str) -> String {
    let Some(figure) = of.figures.iter().find(|f| f.name == name) else { return String::new() };
    match (figure.value, &figure.interval) {
        (Some(v), Some(i)) => format!("{} ({})", number(name, v), range(name, Some(i))),
        (Some(v), None) => number(name, v),
        (None, _) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_figures_counts_as_measured() {
        let counted = |verdicts: &[(Verdict, u64)], measured: u64| {
            let profile = ProfileSummary {
                name: "strict".to_owned(),
                verdicts: verdicts.iter().copied().collect(),
                measured,
                figures: Vec::new(),
                printed: Vec::new(),
                subgroups: Vec::new(),
                rules: std::collections::BTreeMap::new(),
                confusion: None,
                rollouts: None,
                calibration: None,
            };
            by_verdict(&profile).join(", ")
        };
        let masks = [(Verdict::Unscored, 63), (Verdict::Failed, 2)];
        assert_eq!(counted(&masks, 63), "2 failed, 63 by figures alone");
        assert_eq!(counted(&masks, 60), "2 failed, 60 by figures alone, 3 unscored");
        assert_eq!(counted(&masks, 0), "2 failed, 63 unscored");
        // Beside right and wrong answers the word would say too little.
        let mixed = [(Verdict::Correct, 5), (Verdict::Unscored, 3)];
        assert_eq!(counted(&mixed, 2), "5 correct, 3 unscored");
    }
}
