//! Preferences between arms.

use super::options::Options;
use crate::readings::{Choice, Readings};
use crate::stats::preference::{LengthControlled, Vote, length_controlled, win_rate};
use crate::stats::proportion::Proportion;
use serde::Serialize;
use std::collections::BTreeMap;

/// How two arms were preferred.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmPreference {
    /// Numbers of the arms; the rate is how often the first wins.
    pub arms: [usize; 2],
    /// Votes for the first, for the second, ties, neither.
    pub counts: [usize; 4],
    /// Win rate of the first arm, ties and neither counted as halves.
    pub rate: Option<Proportion>,
    /// The same at equal lengths, where the file has lengths.
    pub length_controlled: Option<LengthControlled>,
    /// Share of votes for the text shown first, whichever arm it was.
    pub shown_first_wins: f64,
    /// Win rate of the first arm for each reader.
    pub by_reader: Vec<(usize, f64, usize)>,
}

/// Every pair of arms with votes.
pub(super) fn preferences(readings: &Readings, options: &Options) -> Vec<ArmPreference> {
    let mut pairs: BTreeMap<[usize; 2], Vec<(Vote, Choice, bool)>> = BTreeMap::new();
    for p in &readings.preferences {
        let turned = p.first > p.second;
        let score = match p.choice {
            Choice::First => 1.0,
            Choice::Second => 0.0,
            Choice::Tie | Choice::Neither => 0.5,
        };
        let longer = p.lengths.map(|[a, b]| if turned { b - a } else { a - b });
        let vote = Vote {
            reader: p.reader,
            unit: readings.cases[p.case].unit,
            score: if turned { 1.0 - score } else { score },
            longer,
        };
        pairs
            .entry([p.first.min(p.second), p.first.max(p.second)])
            .or_default()
            .push((vote, p.choice, turned));
    }
    let made = pairs.into_iter().map(|(arms, all)| {
        let votes: Vec<Vote> = all.iter().map(|(vote, ..)| *vote).collect();
        let mut counts = [0; 4];
        let mut shown_first = 0.0;
        for (vote, choice, turned) in &all {
            let place = match choice {
                Choice::First | Choice::Second => usize::from(vote.score < 0.5),
                Choice::Tie => 2,
                Choice::Neither => 3,
            };
            counts[place] += 1;
            shown_first += if *turned { 1.0 - vote.score } else { vote.score };
        }
        let mut by_reader: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
        for vote in &votes {
            let own = by_reader.entry(vote.reader).or_default();
            *own = (own.0 + vote.score, own.1 + 1);
        }
        ArmPreference {
            arms,
            counts,
            rate: win_rate(&votes, options.level),
            length_controlled: length_controlled(&votes, options.level, options.seed),
            shown_first_wins: shown_first / all.len() as f64,
            by_reader: by_reader.into_iter().map(|(r, (sum, n))| (r, sum / n as f64, n)).collect(),
        }
    });
    made.collect()
}
