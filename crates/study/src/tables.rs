//! An analysis as tables.

use crate::analysis::{Coefficient, MeritAnalysis, RatingChange, Scale, StudyAnalysis};
use crate::merit::Merit;
use crate::stats::krippendorff::Metric;
use crate::stats::obuchowski_rockette::{Inference, Overall};
use loupe_core::Table;
use loupe_eval::stats::Interval;

fn three(value: f64) -> String {
    format!("{value:.3}")
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".to_owned() } else { format!("{p:.3}") }
}

/// The same in a sentence: `p = 0.036`, `p < 0.001`.
fn p_words(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

fn ends(interval: &Interval) -> String {
    format!("{:.3} to {:.3}", interval.lo, interval.hi)
}

fn maybe(interval: Option<&Interval>) -> String {
    interval.map_or_else(String::new, ends)
}

fn freedom(df: Option<f64>) -> String {
    df.map_or_else(|| "∞".to_owned(), |df| format!("{df:.1}"))
}

fn coefficient(found: Option<&Coefficient>) -> [String; 2] {
    found.map_or_else(Default::default, |c| [three(c.value), maybe(c.interval.as_ref())])
}

/// What a result holds for, in words.
pub(crate) fn inference_words(inference: Inference) -> &'static str {
    match inference {
        Inference::RandomReadersRandomCases => "readers and cases like these",
        Inference::FixedReadersRandomCases => "these readers, cases like these",
        Inference::RandomReadersFixedCases => "readers like these, these cases",
    }
}

fn scale_word(scale: Scale) -> &'static str {
    match scale {
        Scale::Rating => "rating",
        Scale::Decision => "decision",
        Scale::Category => "category",
        Scale::Preference => "preference",
    }
}

fn metric_word(metric: Metric) -> &'static str {
    match metric {
        Metric::Nominal => "nominal",
        Metric::Ordinal => "ordinal",
        Metric::Interval => "interval",
        Metric::Ratio => "ratio",
    }
}

impl StudyAnalysis {
    fn arm(&self, number: usize) -> String {
        self.contents.arms.get(number).cloned().unwrap_or_default()
    }

    fn reader(&self, number: usize) -> String {
        self.contents.readers.get(number).cloned().unwrap_or_default()
    }

    fn interval_head(&self) -> String {
        format!("{:.0} % interval", self.options.level * 100.0)
    }

    fn table(&self, title: String, columns: &[&str]) -> Table {
        let head = self.interval_head();
        let columns: Vec<&str> =
            columns.iter().map(|c| if *c == "interval" { head.as_str() } else { *c }).collect();
        Table::new(title, &columns)
    }

    /// Everything as tables, what matters most first.
    pub fn tables(&self) -> Vec<Table> {
        let mut all = vec![self.contents_table()];
        for merit in &self.merits {
            all.extend(self.merit_tables(merit));
        }
        all.extend(self.share_table());
        all.extend(self.froc_table());
        all.extend(self.change_tables());
        all.extend(self.preference_table());
        all.extend(self.agreement_tables());
        all.extend(self.own_agreement_table());
        all.extend(self.time_table());
        all
    }

    fn contents_table(&self) -> Table {
        let c = &self.contents;
        let mut table = Table::new("Study", &["what", "number"]);
        let rows = [
            ("arms", c.arms.len()),
            ("readers", c.readers.len()),
            ("cases", c.cases),
            ("  with disease", c.positive),
            ("  without", c.negative),
            ("units (patients)", c.units),
            ("readings", c.readings),
            ("readings repeated", c.repeats),
            ("readings missing", c.missing),
            ("preferences", c.preferences),
        ];
        table.rows = rows.map(|(what, n)| vec![what.to_owned(), n.to_string()]).to_vec();
        table
    }

    fn merit_tables(&self, m: &MeritAnalysis) -> Vec<Table> {
        let name = m.merit.name();
        let mut each =
            self.table(format!("{name} of each reader"), &["arm", "reader", name, "se", "interval"]);
        for r in &m.each {
            let reader = self.reader(r.reader) + if self.model == Some(r.reader) { " (model)" } else { "" };
            each.rows.push(vec![self.arm(r.arm), reader, three(r.value), three(r.se), ends(&r.interval)]);
        }
        each.note = format!(
            "errors over cases by {}",
            if m.errors == crate::stats::estimate::ErrorMethod::DeLong {
                "DeLong's method"
            } else {
                "the jackknife"
            }
        );
        for mean in &m.means {
            let row = [
                self.arm(mean.test),
                "mean".to_owned(),
                three(mean.value),
                three(mean.se),
                ends(&mean.interval),
            ];
            each.rows.push(row.to_vec());
        }
        let mut all = vec![each];
        if let Some(found) = &m.comparison {
            for result in &found.results {
                all.push(self.comparison_table(m, result));
            }
        } else if let Some(reason) = m.refused.as_ref().filter(|_| self.contents.arms.len() > 1) {
            let mut table = Table::new(format!("{name}: arms not compared"), &["reason"]);
            table.rows.push(vec![reason.clone()]);
            all.push(table);
        }
        all.extend(self.model_table(m));
        if let Some(difference) = self.options.difference.filter(|_| !m.plan.is_empty()) {
            let title = format!("{name}: cases that a study needs to find a difference of {difference}");
            let mut table = Table::new(title, &["readers", "cases", "power with as many cases as here"]);
            for planned in &m.plan {
                let cases = planned.cases.map_or_else(|| "more than 100000".to_owned(), |n| n.to_string());
                table.rows.push(vec![
                    planned.readers.to_string(),
                    cases,
                    three(planned.power_with_these_cases),
                ]);
            }
            table.note = format!(
                "power {:.0} %, two-sided level {:.0} %, readers and cases like these in the same mix",
                self.options.power * 100.0,
                (1.0 - self.options.level) * 100.0
            );
            all.push(table);
        }
        all
    }

    fn comparison_table(&self, m: &MeritAnalysis, result: &Overall) -> Table {
        let words = inference_words(result.inference);
        let time = m.merit == Merit::LogSeconds;
        let columns: &[&str] = if time {
            &["difference", "log ratio", "ratio of times", "interval of the ratio", "df", "p"]
        } else {
            &["difference", m.merit.name(), "se", "interval", "df", "p"]
        };
        let mut table = self.table(format!("{} between arms: {words}", m.merit.name()), columns);
        for d in &result.differences {
            let arms = [d.first, d.second].map(|i| self.arm(m.arms.get(i).copied().unwrap_or(i)));
            let figures = if time {
                let ratio = format!("{:.3} to {:.3}", d.interval.lo.exp(), d.interval.hi.exp());
                [three(d.value), three(d.value.exp()), ratio]
            } else {
                [three(d.value), three(d.se), ends(&d.interval)]
            };
            let mut row = vec![format!("{} − {}", arms[0], arms[1])];
            row.extend(figures);
            row.extend([freedom(d.df), p_value(d.p)]);
            table.rows.push(row);
        }
        let design = m.comparison.as_ref().map(|c| c.design.words()).unwrap_or_default();
        let mut notes = vec![format!(
            "{design}; all arms alike: F({:.0}, {}) = {:.3}, {}",
            result.df1,
            freedom(result.df2),
            result.f,
            p_words(result.p)
        )];
        notes.extend(result.notes.iter().cloned());
        table.note = notes.join("; ");
        table
    }

    fn model_table(&self, m: &MeritAnalysis) -> Option<Table> {
        let model = self.reader(self.model?);
        let columns = [
            "readers of arm",
            "model",
            "readers",
            "difference",
            "interval",
            "df",
            "p",
            "not worse by the margin",
        ];
        let mut table = self.table(format!("{}: {model} against readers", m.merit.name()), &columns);
        let mut notes = Vec::new();
        for found in &m.model {
            let arm = self.arm(found.arm);
            if let Some(reason) = &found.refused {
                notes.push(format!("{arm}: {reason}"));
            }
            let Some(r) = &found.result else { continue };
            notes.extend(r.notes.iter().map(|note| format!("{arm}: {note}")));
            let shown = r.non_inferiority.as_ref().map_or_else(String::new, |n| {
                format!(
                    "{} (margin {}, one-sided p {})",
                    if n.shown { "shown" } else { "not shown" },
                    n.margin,
                    p_value(n.p)
                )
            });
            let figures = [r.model, r.readers, r.difference].map(three);
            let mut row = vec![arm];
            row.extend(figures);
            row.extend([ends(&r.interval), freedom(r.df), p_value(r.p), shown]);
            table.rows.push(row);
        }
        table.note = notes.join("; ");
        (!table.rows.is_empty() || !table.note.is_empty()).then_some(table)
    }

    fn share_table(&self) -> Option<Table> {
        let columns = ["arm", "of", "decisions", "share", "over cases", "over readers", "over both"];
        let mut table = Table::new("Decisions of all readers", &columns);
        for s in &self.shares {
            let f = &s.found;
            let mut row = vec![self.arm(s.arm), s.share.name().to_owned(), f.n.to_string(), three(f.value)];
            row.extend([&f.over_cases, &f.over_readers, &f.over_both].map(|i| maybe(i.as_ref())));
            table.rows.push(row);
        }
        table.note = format!("{} with cases, readers, or both as what was sampled", self.interval_head());
        (!table.rows.is_empty()).then_some(table)
    }

    fn froc_table(&self) -> Option<Table> {
        let columns = ["arm", "reader", "1/8", "1/4", "1/2", "1", "2", "4", "8", "mean"];
        let mut table = Table::new("Lesions localised by false marks a case (FROC)", &columns);
        for f in &self.froc {
            let mut row = vec![self.arm(f.arm), self.reader(f.reader)];
            row.extend(f.sensitivities.iter().map(|s| three(*s)));
            row.push(three(f.mean_sensitivity));
            table.rows.push(row);
        }
        (!table.rows.is_empty()).then_some(table)
    }

    fn change_tables(&self) -> Vec<Table> {
        let columns = [
            "reader",
            "pairs",
            "helped",
            "disease found",
            "alarms withdrawn",
            "harmed",
            "disease missed",
            "alarms raised",
            "McNemar p",
        ];
        let of_arm = |change: &crate::analysis::ArmChanges| {
            let title = format!(
                "Decisions in {} that were others in {}",
                self.arm(change.arm),
                self.arm(change.baseline)
            );
            let mut table = Table::new(title, &columns);
            let row = |name: String, c: &crate::stats::decisions::Changes, p: String| {
                let counts =
                    [c.n, c.helped(), c.found, c.alarms_withdrawn, c.harmed(), c.missed, c.alarms_raised];
                let mut row = vec![name];
                row.extend(counts.map(|n| n.to_string()));
                row.push(p);
                row
            };
            for r in &change.readers {
                table.rows.push(row(self.reader(r.reader), &r.changes, p_value(r.mcnemar.exact_p)));
            }
            let p = change.over_readers.map_or_else(String::new, |(_, p)| p_value(p));
            table.rows.push(row("all".to_owned(), &change.all, p));
            table.note = format!(
                "exact p for each reader; over readers with cases as clusters (Durkalski); {} of {} readers were harmed more often than helped",
                change.readers_harmed,
                change.readers.len()
            );
            if change.unpaired > 0 {
                table.note += &format!("; {} decisions have no partner and are left out", change.unpaired);
            }
            table
        };
        self.changes.iter().map(of_arm).collect()
    }

    fn preference_table(&self) -> Option<Table> {
        let columns = [
            "first arm",
            "second arm",
            "votes",
            "wins",
            "losses",
            "ties",
            "neither",
            "win rate",
            "interval",
            "at equal length",
            "shown first wins",
        ];
        let mut table = self.table("Preferences".to_owned(), &columns);
        for p in &self.preferences {
            let Some(rate) = &p.rate else { continue };
            let mut row = vec![self.arm(p.arms[0]), self.arm(p.arms[1]), rate.n.to_string()];
            row.extend(p.counts.iter().map(usize::to_string));
            row.extend([three(rate.value), maybe(rate.over_both.as_ref().or(rate.over_cases.as_ref()))]);
            row.push(p.length_controlled.as_ref().map_or_else(String::new, |l| {
                format!("{} ({})", three(l.value), maybe(l.interval.as_ref()))
            }));
            row.push(three(p.shown_first_wins));
            table.rows.push(row);
        }
        table.note = "ties and neither are halves; the interval holds for readers and cases like these where there are two readers or more, else for cases".to_owned();
        (!table.rows.is_empty()).then_some(table)
    }

    fn agreement_tables(&self) -> Vec<Table> {
        let mut over = self.table(
            "Agreement of all readers".to_owned(),
            &["arm", "of", "coefficient", "cases", "value", "interval"],
        );
        let mut pairs = self.table(
            "Agreement of two readers".to_owned(),
            &[
                "arm",
                "of",
                "readers",
                "cases",
                "same",
                "κ",
                "interval of κ",
                "linear κ",
                "quadratic κ",
                "interval",
            ],
        );
        for a in &self.agreement {
            let head = || vec![self.arm(a.arm), scale_word(a.scale).to_owned()];
            let mut row = |name: String, cases: usize, found: [String; 2]| {
                let mut row = head();
                row.extend([name, cases.to_string()]);
                row.extend(found);
                over.rows.push(row);
            };
            if a.fleiss.is_some() {
                row("Fleiss' κ".to_owned(), a.complete, coefficient(a.fleiss.as_ref()));
            }
            for (metric, found) in &a.alpha {
                row(format!("Krippendorff's α, {}", metric_word(*metric)), a.n, coefficient(Some(found)));
            }
            for icc in &a.icc {
                row(icc.form.name().to_owned(), a.complete, [three(icc.value), maybe(icc.interval.as_ref())]);
            }
            for p in &a.pairs {
                let mut row = head();
                row.push(p.readers.map(|r| self.reader(r)).join(", "));
                row.extend([p.n.to_string(), three(p.same)]);
                row.extend(coefficient(p.kappa.as_ref()));
                row.push(p.linear.map_or_else(String::new, three));
                row.extend(coefficient(p.quadratic.as_ref()));
                pairs.rows.push(row);
            }
        }
        [over, pairs].into_iter().filter(|t| !t.rows.is_empty()).collect()
    }

    fn own_agreement_table(&self) -> Option<Table> {
        let columns = [
            "arm",
            "of",
            "reader",
            "cases",
            "same",
            "κ",
            "interval of κ",
            "quadratic κ",
            "interval",
            "ICC(2,1)",
            "interval of the ICC",
            "mean change",
            "limits of agreement",
        ];
        let mut table = self.table("Agreement of readers with themselves".to_owned(), &columns);
        for own in &self.own_agreement {
            let arms: Vec<String> = own.arms.iter().map(|arm| self.arm(*arm)).collect();
            let reader = own.reader.map_or_else(|| "all".to_owned(), |reader| self.reader(reader));
            let mut row = vec![arms.join(", "), scale_word(own.scale).to_owned(), reader];
            row.extend([own.n.to_string(), three(own.same)]);
            row.extend(coefficient(own.kappa.as_ref()));
            row.extend(coefficient(own.quadratic.as_ref()));
            let icc = own.icc.as_ref();
            row.extend([
                icc.map_or_else(String::new, |i| three(i.value)),
                maybe(icc.and_then(|i| i.interval.as_ref())),
            ]);
            let change =
                |shown: fn(&RatingChange) -> String| own.change.as_ref().map_or_else(String::new, shown);
            row.push(change(|c| three(c.mean)));
            row.push(change(|c| format!("{:.3} to {:.3}", c.limits[0], c.limits[1])));
            table.rows.push(row);
        }
        table.note = "second less first reading; limits of agreement are the mean ∓ 1.96 standard deviations; repeated readings are in no other table".to_owned();
        (!table.rows.is_empty()).then_some(table)
    }

    fn time_table(&self) -> Option<Table> {
        let mut table = Table::new(
            "Reading times in seconds",
            &["arm", "reader", "readings", "median", "lower quartile", "upper quartile"],
        );
        for t in &self.times {
            let mut row = vec![self.arm(t.arm), self.reader(t.reader), t.n.to_string()];
            row.extend([t.median, t.quartiles[0], t.quartiles[1]].map(|s| format!("{s:.1}")));
            table.rows.push(row);
        }
        (!table.rows.is_empty()).then_some(table)
    }
}
