//! Which template a model is asked by: the one that did best on another split, with all that was tried on record.

use super::planned::Planned;
use loupe_core::Table;
use loupe_eval::Summary;
use serde::Serialize;

/// How a template did on the split on which templates are chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChoiceLine {
    /// The model's name in the suite.
    pub model: String,
    /// The set's name in the suite.
    pub set: String,
    /// The seed.
    pub seed: u64,
    /// The split.
    pub split: String,
    /// The template.
    pub template: String,
    /// The first figure of `strict`, by which is chosen.
    pub figure: String,
    /// Its value; nothing where no item has one.
    pub value: Option<f64>,
    /// Items in it.
    pub n: u64,
    /// Items that failed; each counts as 0 in the choice.
    pub failed: u64,
    /// Is it the one that was chosen?
    pub chosen: bool,
}

impl ChoiceLine {
    pub(super) fn new(run: &Planned, summary: &Summary) -> Self {
        let strict = summary.profiles.iter().find(|p| p.name == "strict");
        let figure = strict.and_then(|p| p.figures.first());
        Self {
            model: run.model.clone(),
            set: run.set.clone(),
            seed: run.seed,
            split: summary.run.split.clone(),
            template: run.template.clone(),
            figure: figure.map_or_else(String::new, |f| f.name.clone()),
            value: figure.and_then(|f| f.value),
            n: figure.map_or(0, |f| f.n),
            failed: summary.failed,
            chosen: false,
        }
    }

    /// What is compared: the mean over all items, those that failed as 0.
    fn rank(&self) -> f64 {
        let all = (self.n + self.failed) as f64;
        self.value.filter(|_| all > 0.0).map_or(f64::NEG_INFINITY, |value| value * self.n as f64 / all)
    }

    /// Is it about the same model, set and seed as this run?
    fn is_for(&self, run: &Planned) -> bool {
        (&self.model, &self.set, self.seed) == (&run.model, &run.set, run.seed)
    }
}

/// Marks the best of those that are for this run's model, set and seed, the first declared of equals; none where no
/// template has a figure.
fn mark(lines: &mut [ChoiceLine], run: &Planned) {
    let mut best: Option<&mut ChoiceLine> = None;
    for line in lines.iter_mut().filter(|line| line.is_for(run)) {
        line.chosen = false;
        let least = best.as_ref().map_or(f64::NEG_INFINITY, |best| best.rank());
        if line.rank() > least {
            best = Some(line);
        }
    }
    if let Some(best) = best {
        best.chosen = true;
    }
}

/// Is this run, on the set itself, the one by the chosen template? Marks that first; `Err` where not all templates could
/// be tried, so that none is chosen.
pub(super) fn is_chosen(lines: &mut [ChoiceLine], run: &Planned, templates: usize) -> Result<bool, String> {
    let tried = lines.iter().filter(|line| line.is_for(run)).count();
    if tried < templates {
        return Err(format!("no template was chosen: {tried} of {templates} could be tried"));
    }
    mark(lines, run);
    if !lines.iter().any(|line| line.chosen && line.is_for(run)) {
        return Err("no template was chosen: none has a figure where they were tried".to_owned());
    }
    Ok(lines.iter().any(|line| line.chosen && line.is_for(run) && line.template == run.template))
}

/// What was tried, as a table whose cells are numbers.
pub fn choices(lines: &[ChoiceLine]) -> Table {
    let columns = ["model", "set", "seed", "split", "template", "figure", "value", "n", "failed", "chosen"];
    let mut table = Table::new("templates chosen", &columns);
    table.rows = lines
        .iter()
        .map(|l| {
            let value = l.value.map_or_else(String::new, |v| v.to_string());
            vec![
                l.model.clone(),
                l.set.clone(),
                l.seed.to_string(),
                l.split.clone(),
                l.template.clone(),
                l.figure.clone(),
                value,
                l.n.to_string(),
                l.failed.to_string(),
                u8::from(l.chosen).to_string(),
            ]
        })
        .collect();
    table.note =
        "by the first figure of `strict` with failed items as 0; the first declared of equals".to_owned();
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::suite::{Suite, SuiteOptions};

    fn planned() -> Planned {
        let suite: Suite = toml::from_str(
            "[[models]]\nname = \"m\"\n[[sets]]\nname = \"s\"\ndata = \"vqa-rad=none\"\n[[templates]]\nname = \"loupe\"\n",
        )
        .unwrap();
        let options = SuiteOptions {
            suite,
            load: crate::open::LoadOptions::default(),
            images: crate::open::ImageOptions::default(),
            retry_failed: false,
            invocation: crate::evaluate::Invocation::default(),
        };
        options.planned().unwrap().remove(0)
    }

    fn line(template: &str, value: Option<f64>, n: u64, failed: u64) -> ChoiceLine {
        ChoiceLine {
            model: "m".to_owned(),
            set: "s".to_owned(),
            seed: 0,
            split: "val".to_owned(),
            template: template.to_owned(),
            figure: "accuracy".to_owned(),
            value,
            n,
            failed,
            chosen: false,
        }
    }

    #[test]
    fn the_best_is_chosen_with_failures_as_nought_and_only_when_all_were_tried() {
        let run = |template: &str| Planned { template: template.to_owned(), ..planned() };
        // 0.9 of 5 and five failures is 0.45; of the two with 0.6 the first declared.
        let mut lines = vec![
            line("a", Some(0.9), 5, 5),
            line("b", Some(0.6), 10, 0),
            line("c", Some(0.6), 10, 0),
            line("d", None, 0, 0),
            ChoiceLine { seed: 1, ..line("a", Some(1.0), 10, 0) },
        ];
        let chosen: Vec<bool> =
            ["a", "b", "c", "d"].iter().map(|t| is_chosen(&mut lines, &run(t), 4).unwrap()).collect();
        assert_eq!(chosen, [false, true, false, false]);
        assert_eq!(lines.iter().filter(|l| l.chosen).count(), 1);
        assert!(is_chosen(&mut lines, &run("b"), 5).unwrap_err().contains("4 of 5"));
        assert_eq!(choices(&lines).rows[1].last().unwrap(), "1");
        let mut none = [line("a", None, 0, 0), line("b", None, 0, 9)];
        assert!(is_chosen(&mut none, &run("a"), 2).unwrap_err().contains("none has a figure"));
    }
}
