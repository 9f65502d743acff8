//! The plots of a run and of a comparison: the numbers of the summary, drawn.

use crate::pages::kit::plot::{
    Axis, Bar, Cell, ForestAxis, ForestRow, Mark, Matrix, Plot, Series, bars, curves, forest, histogram,
    matrix, reliability,
};
use loupe_core::Table;
use loupe_core::sample::Outcome;
use loupe_eval::baselines::{Baseline, Baselines};
use loupe_eval::compare::{Comparison, Difference};
use loupe_eval::confusion::{Answered, Confusion};
use loupe_eval::grounding::BoxFigures;
use loupe_eval::strict::{ACCURACY, CHOICE, CLOSED_BY_TYPE, OPEN_EXACT};
use loupe_eval::summary::{CalibrationSummary, Figure, ProfileSummary, Summary};
use loupe_eval::{JudgedItem, Verdict, tables};

/// Subgroups with fewer samples are in the table alone.
const FEWEST: u64 = 10;
/// Rows of a forest.
const MOST_ROWS: usize = 48;
/// Bars of a plot.
const MOST_BARS: usize = 15;

/// What the replies of a run took, one entry a reply.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    prompt_tokens: Vec<f64>,
    reply_tokens: Vec<f64>,
    seconds: Vec<f64>,
}

impl Effort {
    pub(crate) fn add(&mut self, judged: &JudgedItem) {
        let Some(Outcome::Reply(reply)) = judged.item.reply.as_ref().map(|r| &r.prediction.outcome) else {
            return;
        };
        if reply.counts.prompt_tokens > 0 {
            self.prompt_tokens.push(reply.counts.prompt_tokens as f64);
            self.reply_tokens.push(reply.counts.new_tokens as f64);
        }
        let seconds = reply.timing.prefill_s + reply.timing.decode_s;
        self.seconds.extend((seconds > 0.0).then_some(seconds));
    }
}

/// Every plot that the run has data for, those first that say most about it.
pub(crate) fn run(summary: &Summary, effort: &Effort) -> Vec<Plot> {
    let mut all = Vec::new();
    if let Some(profile) = summary.profiles.first() {
        all.extend(headline(profile, &summary.baselines));
        all.extend(profile.confusion.as_ref().map(|c| confusion(c, &profile.name)));
        all.extend(subgroups(profile));
        all.extend(rules(profile));
        all.extend(profile.calibration.iter().flat_map(|c| [calibration(c), risk_coverage(c)]));
    }
    all.extend(summary.grounding.as_ref().and_then(|g| g.boxes.as_ref()).and_then(precision_recall));
    all.extend(sensitivity(summary));
    all.extend(amounts(&effort.reply_tokens, "Tokens of the replies", "tokens"));
    all.extend(amounts(&effort.prompt_tokens, "Tokens of the prompts", "tokens, pictures included"));
    all.extend(amounts(&effort.seconds, "Seconds for each reply", "seconds"));
    all
}

fn percent(value: f64) -> String {
    format!("{:.1}", 100.0 * value)
}

/// Does the figure lie between 0 and 1 by what it is?
fn is_share(figure: &Figure) -> bool {
    tables::is_share(&figure.name) && figure.value.is_some_and(|v| (0.0..=1.0).contains(&v))
}

fn row(name: String, figure: &Figure) -> ForestRow {
    let interval = figure.interval.as_ref().map(|i| [i.lo, i.hi]);
    ForestRow { name, value: figure.value, interval, ..ForestRow::default() }
}

/// From 0 to 100 %.
fn percents(name: &str) -> ForestAxis {
    ForestAxis { name: name.to_owned(), scale: 100.0, range: Some([0.0, 1.0]), line: None }
}

/// The figures of a profile that are shares, with what needs no model beside them.
fn headline(profile: &ProfileSummary, baselines: &Baselines) -> Option<Plot> {
    let all = baselines.all();
    let beside = |name: &str| -> Option<&Baseline> {
        match name {
            ACCURACY => Some(&all),
            CLOSED_BY_TYPE => Some(&baselines.closed),
            CHOICE => Some(&baselines.choice),
            OPEN_EXACT => Some(&baselines.open),
            _ => None,
        }
    };
    let mut table =
        Table::new("figures", &["figure", "%", "95 % from", "to", "n", "commonest answer", "chance"]);
    let mut rows = Vec::new();
    for figure in profile.figures.iter().filter(|f| is_share(f)) {
        let baseline = beside(&figure.name).filter(|b| b.n > 0);
        let marks = [
            ("always the commonest answer", baseline.and_then(|b| b.commonest)),
            ("chance", baseline.and_then(|b| b.chance)),
        ];
        let marks = marks.into_iter().filter_map(|(name, v)| Some(Mark { name: name.to_owned(), value: v? }));
        rows.push(ForestRow { marks: marks.collect(), ..row(figure.name.clone(), figure) });
        let end =
            |of: fn(&loupe_eval::stats::Interval) -> f64| figure.interval.as_ref().map(|i| percent(of(i)));
        let cells = [
            figure.value.map(percent),
            end(|i| i.lo),
            end(|i| i.hi),
            Some(figure.n.to_string()),
            baseline.and_then(|b| b.commonest).map(percent),
            baseline.and_then(|b| b.chance).map(percent),
        ];
        let cells = cells.into_iter().map(Option::unwrap_or_default);
        table.rows.push(std::iter::once(figure.name.clone()).chain(cells).collect());
    }
    let with_marks = rows.iter().any(|r| !r.marks.is_empty());
    let about = match with_marks {
        true => {
            "With 95 % intervals. Ticks: what always giving the commonest answer would score (orange) and chance (green), over the samples asked."
        }
        false => "With 95 % intervals.",
    };
    (!rows.is_empty()).then(|| Plot {
        title: "Figures and what needs no model".to_owned(),
        about: about.to_owned(),
        drawing: forest(&rows, &percents("%")),
        table,
    })
}

/// Counts of a row of a confusion, with their columns.
fn counts(of: &Answered, with_other: bool) -> Vec<(&'static str, u64)> {
    let all = [
        ("yes", of.yes),
        ("no", of.no),
        ("neither", of.other),
        ("unparsed", of.unparsed),
        ("failed", of.failed),
    ];
    all.into_iter().filter(|(name, _)| with_other || *name != "neither").collect()
}

fn confusion(of: &Confusion, profile: &str) -> Plot {
    let with_other = of.yes.other + of.no.other > 0;
    let columns: Vec<&str> = counts(&of.yes, with_other).into_iter().map(|(name, _)| name).collect();
    let mut table = Table::new("answers by reference", &[&["reference"][..], &columns, &["all"]].concat());
    let mut rows = Vec::new();
    for (name, answered) in [("yes", &of.yes), ("no", &of.no)] {
        let n = answered.n();
        let cell = |(column, count): (&str, u64)| {
            let share = if n == 0 { 0.0 } else { count as f64 / n as f64 };
            let colour = if column == name {
                2
            } else if matches!(column, "yes" | "no" | "neither") {
                1
            } else {
                6
            };
            let note = if n == 0 { String::new() } else { format!("{:.0} %", 100.0 * share) };
            Some(Cell { words: count.to_string(), note, value: count as f64, shade: share, colour })
        };
        let all = counts(answered, with_other);
        let words = all.iter().map(|(_, count)| count.to_string()).chain([n.to_string()]);
        table.rows.push(std::iter::once(name.to_owned()).chain(words).collect());
        rows.push((format!("{name} (n {n})"), all.into_iter().map(cell).collect()));
    }
    let columns = columns.into_iter().map(str::to_owned).collect();
    let drawing =
        matrix(&Matrix { across: "answered".to_owned(), down: "reference".to_owned(), columns, rows });
    Plot {
        title: "Yes or no".to_owned(),
        about: format!(
            "Questions whose reference is yes or no, by what was answered; read by “{profile}”. Per cent of the row."
        ),
        drawing,
        table,
    }
}

/// The first figure of each subgroup that is large enough, under its tag.
fn subgroups(profile: &ProfileSummary) -> Option<Plot> {
    let first = profile.figures.first()?;
    let mut table = Table::new("by subgroup", &["subgroup", "value", "95 % from", "to", "n"]);
    let (mut rows, mut left_out): (Vec<ForestRow>, usize) = (Vec::new(), 0);
    let scale = if tables::is_share(&first.name) { 100.0 } else { 1.0 };
    for groups in profile.subgroups.chunk_by(|a, b| a.tag == b.tag) {
        let figures =
            groups.iter().filter_map(|g| Some((g, g.figures.iter().find(|f| f.name == first.name)?)));
        let large: Vec<_> = figures.filter(|(_, f)| f.n >= FEWEST && f.value.is_some()).collect();
        left_out += groups.len() - large.len();
        if large.len() < 2 {
            left_out += large.len();
            continue;
        }
        if rows.len() + large.len() + 1 > MOST_ROWS {
            left_out += large.len();
            continue;
        }
        rows.push(ForestRow::heading(groups[0].tag.replace('_', " ")));
        for (group, figure) in large {
            rows.push(row(format!("{} (n {})", group.value, figure.n), figure));
            let shown = |v: f64| format!("{:.1$}", v * scale, if scale > 1.0 { 1 } else { 3 });
            let end = |of: fn(&loupe_eval::stats::Interval) -> f64| {
                figure.interval.as_ref().map(|i| shown(of(i))).unwrap_or_default()
            };
            table.rows.push(vec![
                format!("{}: {}", group.tag, group.value),
                figure.value.map(shown).unwrap_or_default(),
                end(|i| i.lo),
                end(|i| i.hi),
                figure.n.to_string(),
            ]);
        }
    }
    let left_out = match left_out {
        0 => String::new(),
        n => format!(" {n} smaller ones or of tags with many values are in the tables alone."),
    };
    let is_share = is_share(first);
    let axis = ForestAxis {
        name: if is_share { "%".to_owned() } else { first.name.clone() },
        scale,
        range: is_share.then_some([0.0, 1.0]),
        line: first.value,
    };
    (!rows.is_empty()).then(|| Plot {
        title: format!("{} by subgroup", capital(&first.name)),
        about: format!(
            "Subgroups of at least {FEWEST} with 95 % intervals; the broken line is the whole run.{left_out}"
        ),
        drawing: forest(&rows, &axis),
        table,
    })
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

/// How replies were read: the rules that fired, most frequent first.
fn rules(profile: &ProfileSummary) -> Option<Plot> {
    let mut all: Vec<(&String, u64)> = profile.rules.iter().map(|(rule, n)| (rule, *n)).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    if all.len() < 2 {
        return None;
    }
    let mut table = Table::new("rules", &["rule", "n"]);
    table.rows = all.iter().map(|(rule, n)| vec![rule.replace('_', " "), n.to_string()]).collect();
    let bar = |name: String, n: u64| Bar { name, value: n as f64, colour: 0 };
    let mut drawn: Vec<Bar> =
        all.iter().take(MOST_BARS).map(|(rule, n)| bar(rule.replace('_', " "), *n)).collect();
    let rest: u64 = all.iter().skip(MOST_BARS).map(|(_, n)| n).sum();
    if rest > 0 {
        drawn.push(Bar { colour: 6, ..bar(format!("{} other rules", all.len() - MOST_BARS), rest) });
    }
    Some(Plot {
        title: "Rules that fired".to_owned(),
        about: format!(
            "How “{}” read the replies, or why it read nothing; a count of replies each.",
            profile.name
        ),
        drawing: bars(&drawn),
        table,
    })
}

fn calibration(of: &CalibrationSummary) -> Plot {
    let bins: Vec<(f64, f64, usize)> = of.bins.iter().map(|b| (b.confidence, b.accuracy, b.n)).collect();
    let mut table = Table::new("reliability", &["bin", "mean confidence %", "right %", "n"]);
    let wide = 1.0 / bins.len().max(1) as f64;
    for (n, bin) in of.bins.iter().enumerate().filter(|(_, b)| b.n > 0) {
        let edges = format!("{} – {}", percent(wide * n as f64), percent(wide * (n + 1) as f64));
        table.rows.push(vec![edges, percent(bin.confidence), percent(bin.accuracy), bin.n.to_string()]);
    }
    Plot {
        title: "Reliability of the confidence".to_owned(),
        about: format!(
            "On the broken line confidence equals the share that is right. ECE {:.4}, largest gap {:.4}, Brier {:.4}, n {}. Below: how many replies have which confidence.",
            of.errors.ece, of.errors.mce, of.brier, of.n
        ),
        drawing: reliability(&bins),
        table,
    }
}

fn risk_coverage(of: &CalibrationSummary) -> Plot {
    let points: Vec<(f64, f64)> =
        of.selective.iter().map(|(coverage, right)| (*coverage, 1.0 - right)).collect();
    let most = points.iter().map(|p| p.1).fold(0.0, f64::max);
    let end = [0.04, 0.08, 0.2, 0.4, 0.6, 0.8, 1.0].into_iter().find(|end| *end >= most).unwrap_or(1.0);
    let mut table = Table::new("risk and coverage", &["answered %", "wrong %"]);
    table.rows = points.iter().map(|(coverage, risk)| vec![percent(*coverage), percent(*risk)]).collect();
    let auroc = of.auroc.map(|v| format!(" AUROC of the confidence {v:.4}.")).unwrap_or_default();
    let series = [Series { name: String::new(), points, colour: Some(0), marked: true }];
    let y = Axis { name: "wrong among them (%)".to_owned(), end, scale: 100.0 };
    Plot {
        title: "Risk and coverage".to_owned(),
        about: format!("What share is wrong when only the replies with most confidence count.{auroc}"),
        drawing: curves(&Axis::percent("answered, the most confident (%)"), &y, &series, false),
        table,
    }
}

fn precision_recall(of: &BoxFigures) -> Option<Plot> {
    let named = [("IoU ≥ 0.50", of.ap50, &of.precision50), ("IoU ≥ 0.75", of.ap75, &of.precision75)];
    let mut table =
        Table::new("precision by recall", &["recall %", "precision % at IoU 0.50", "at IoU 0.75"]);
    let last = of.precision50.len().checked_sub(1).filter(|n| *n > 0)?;
    let recall = |n: usize| n as f64 / last as f64;
    table.rows = of
        .precision50
        .iter()
        .enumerate()
        .map(|(n, p)| {
            vec![
                percent(recall(n)),
                percent(*p),
                of.precision75.get(n).map(|p| percent(*p)).unwrap_or_default(),
            ]
        })
        .collect();
    let series: Vec<Series> = named
        .into_iter()
        .enumerate()
        .filter(|(_, (_, _, precisions))| !precisions.is_empty())
        .map(|(colour, (name, ap, precisions))| Series {
            name: ap.map_or_else(|| name.to_owned(), |ap| format!("{name}, AP {ap:.4}")),
            points: precisions.iter().enumerate().map(|(n, p)| (recall(n), *p)).collect(),
            colour: Some(colour),
            marked: false,
        })
        .collect();
    Some(Plot {
        title: "Precision and recall of boxes".to_owned(),
        about: format!(
            "COCO's interpolated precision at 101 recalls; {} reference boxes, {} boxes of replies. A box without a confidence has 1.",
            of.references, of.answers
        ),
        drawing: curves(&Axis::percent("recall (%)"), &Axis::percent("precision (%)"), &series, false),
        table,
    })
}

/// The same replies by whose rules they are read.
fn sensitivity(summary: &Summary) -> Option<Plot> {
    let table = tables::sensitivity(summary)?;
    let of = summary.sensitivity.as_ref()?;
    let asked = summary.profiles.iter().filter_map(|p| {
        let figure = p.figures.first().filter(|f| is_share(f))?;
        Some(row(tables::short_profile(&p.name).to_owned(), figure))
    });
    let mut rows: Vec<ForestRow> = asked.collect();
    let more = of.by_profile.iter().filter(|(name, value)| {
        (0.0..=1.0).contains(value) && rows.iter().all(|r| r.name != tables::short_profile(name))
    });
    let more: Vec<ForestRow> = more
        .map(|(name, value)| ForestRow { name: name.clone(), value: Some(*value), ..ForestRow::default() })
        .collect();
    rows.extend(more);
    rows.sort_by(|a, b| {
        a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)).then_with(|| a.name.cmp(&b.name))
    });
    Some(Plot {
        title: "The same replies under every profile".to_owned(),
        about: "How much the score depends on whose rules read the replies.".to_owned(),
        drawing: forest(&rows, &percents("%")),
        table,
    })
}

/// A histogram of what each reply took.
fn amounts(values: &[f64], title: &str, unit: &str) -> Option<Plot> {
    if values.len() < 2 {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let (drawing, bins) = histogram(values, unit);
    let mut table = Table::new(title, &["from", "to", "replies"]);
    let full = bins.iter().filter(|(_, n)| *n > 0);
    table.rows = full.map(|([from, to], n)| vec![shown(*from), shown(*to), n.to_string()]).collect();
    Some(Plot {
        title: title.to_owned(),
        about: format!(
            "{} replies; half take at most {}, 95 % at most {}, the most {}.",
            sorted.len(),
            shown(at(0.5)),
            shown(at(0.95)),
            shown(at(1.0))
        ),
        drawing,
        table,
    })
}

/// Whole numbers as they are, others with two decimals, and what is below 1 with two digits.
fn shown(value: f64) -> String {
    match value.abs() {
        v if v.fract() == 0.0 => format!("{value:.0}"),
        v if v < 1.0 => format!("{value:.0$}", (1.0 - v.log10().floor()).clamp(2.0, 9.0) as usize),
        _ => format!("{value:.2}"),
    }
}

/// Verdicts of the first run by those of another, over the samples of both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flips([[u64; 5]; 5]);

const VERDICTS: [Verdict; 5] =
    [Verdict::Correct, Verdict::Wrong, Verdict::Unparsed, Verdict::Failed, Verdict::Unscored];

impl Flips {
    pub(crate) fn add(&mut self, first: &JudgedItem, other: &JudgedItem) {
        let at = |judged: &JudgedItem| {
            let verdict = judged.verdicts.first().map_or(Verdict::Unscored, |(_, j)| j.verdict);
            VERDICTS.iter().position(|v| *v == verdict).unwrap_or(VERDICTS.len() - 1)
        };
        self.0[at(first)][at(other)] += 1;
    }

    pub(crate) fn n(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    /// The verdicts that either run has.
    fn met(&self) -> Vec<usize> {
        let any = |n: &usize| (0..5).any(|other| self.0[*n][other] + self.0[other][*n] > 0);
        (0..5).filter(any).collect()
    }
}

/// The plots of two runs.
pub(crate) fn comparison(of: &Comparison, flips: &Flips, first: &str, second: &str) -> Vec<Plot> {
    let mut all = vec![flipped(flips, first, second)];
    all.extend(differences(of, first, second));
    all
}

fn flipped(of: &Flips, first: &str, second: &str) -> Plot {
    let met = of.met();
    let words: Vec<&str> = met.iter().map(|n| VERDICTS[*n].word()).collect();
    let mut table = Table::new("flips", &[&[""][..], &words].concat());
    let mut rows = Vec::new();
    let most = met.iter().flat_map(|a| met.iter().filter(move |b| a != *b).map(move |b| (*a, *b)));
    let most = most.map(|(a, b)| of.0[a][b]).max().unwrap_or(0).max(1) as f64;
    for &a in &met {
        let cell = |&b: &usize| {
            let n = of.0[a][b];
            let colour = if b == 0 { 2 } else { 1 };
            let shade = if a == b { 0.0 } else { n as f64 / most };
            Some(Cell { words: n.to_string(), note: String::new(), value: n as f64, shade, colour })
        };
        rows.push((VERDICTS[a].word().to_owned(), met.iter().map(cell).collect()));
        let counts = met.iter().map(|b| of.0[a][*b].to_string());
        table.rows.push(std::iter::once(VERDICTS[a].word().to_owned()).chain(counts).collect());
    }
    let (gained, lost): (u64, u64) = ((1..5).map(|n| of.0[n][0]).sum(), (1..5).map(|n| of.0[0][n]).sum());
    let columns = words.into_iter().map(str::to_owned).collect();
    let drawing = matrix(&Matrix { across: second.to_owned(), down: first.to_owned(), columns, rows });
    Plot {
        title: "Flips".to_owned(),
        about: format!(
            "Verdicts of {first} (rows) by those of {second} (columns): {gained} become right, {lost} are right no more."
        ),
        drawing,
        table,
    }
}

/// Differences of all figures, then of the first by subgroup.
fn differences(of: &Comparison, first: &str, second: &str) -> Option<Plot> {
    let share = |d: &Difference| tables::is_share(&d.name);
    let mut table = Table::new("differences", &["figure", "difference", "95 % from", "to", "n"]);
    let mut rows: Vec<ForestRow> = Vec::new();
    let mut add = |rows: &mut Vec<ForestRow>, name: String, d: &Difference| {
        let interval = d.interval.as_ref().map(|i| [i.lo, i.hi]);
        rows.push(ForestRow {
            name: format!("{name} (n {})", d.n),
            value: Some(d.difference),
            interval,
            ..ForestRow::default()
        });
        let end = |n: usize| interval.map(|i| format!("{:+.1}", 100.0 * i[n])).unwrap_or_default();
        table.rows.push(vec![name, format!("{:+.1}", 100.0 * d.difference), end(0), end(1), d.n.to_string()]);
    };
    for difference in of.figures.iter().filter(|d| share(d)) {
        add(&mut rows, difference.name.clone(), difference);
    }
    let headline = of.figures.first().filter(|d| share(d))?;
    for groups in of.subgroups.chunk_by(|a, b| a.tag == b.tag) {
        if groups.len() < 2 || rows.len() + groups.len() + 1 > MOST_ROWS {
            continue;
        }
        rows.push(ForestRow::heading(format!("{}: {}", headline.name, groups[0].tag.replace('_', " "))));
        groups.iter().for_each(|g| add(&mut rows, g.value.clone(), &g.figure));
    }
    let axis = ForestAxis {
        name: format!("{second} minus {first}, percentage points"),
        scale: 100.0,
        range: None,
        line: Some(0.0),
    };
    (!rows.is_empty()).then(|| Plot {
        title: "Differences".to_owned(),
        about: format!("What {second} scores above {first} on the same samples, with 95 % intervals; right of the broken line is better."),
        drawing: forest(&rows, &axis),
        table,
    })
}
