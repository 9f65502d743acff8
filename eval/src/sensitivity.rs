//! How much a score depends on who reads the replies.

use crate::profile::{Case, Judgement, Profile, Verdict};
use crate::profiles::{AsProfile, PROFILES};
use loupe_core::Score;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much the score of the same replies depends on who reads them: the mean verdict by every profile that is
/// meant for the set, applies to all of the samples, reads something in the replies, gives shares from 0 to 1 and
/// asks no judge. Gathered one reply at a time.
#[derive(Debug, Clone)]
pub struct Sensitivity {
    n: u64,
    sums: Vec<f64>,
    /// Replies in which each one found something.
    read: Vec<u64>,
    without: BTreeMap<usize, String>,
    /// Where among the profiles that judge every reply each one stands.
    known: Vec<Option<usize>>,
}

/// The ends of the range and what lies between.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Profile and mean verdict, lowest first.
    pub by_profile: Vec<(String, f64)>,
    /// Profiles that are made for other sets, do not apply, read nothing, would have crashed or ask a judge, with the
    /// reason.
    pub without: Vec<(String, String)>,
}

impl Sensitivity {
    /// Nothing gathered yet, beside profiles of these names that judge every reply anyway: what they
    /// decide is read, and they are not asked twice.
    pub fn beside<'p>(asked: impl IntoIterator<Item = &'p str>) -> Self {
        let asked: Vec<&str> = asked.into_iter().collect();
        let known = PROFILES.iter().map(|rules| {
            let profile = AsProfile::new(*rules);
            asked.iter().position(|have| *have == profile.name())
        });
        let known: Vec<Option<usize>> = known.collect();
        let none = known.len();
        Self { n: 0, sums: vec![0.0; none], read: vec![0; none], without: BTreeMap::new(), known }
    }

    /// Counts a reply in with the verdicts of the profiles that were asked, in their order; a profile that
    /// does not apply to it is asked no more. An item that failed does not count.
    pub fn add(&mut self, case: &Case<'_>, verdicts: &[(String, Judgement)]) {
        let (sample, Some(reply)) = (case.sample, case.prediction.text()) else { return };
        self.n += 1;
        for (at, profile) in PROFILES.iter().enumerate() {
            if self.without.contains_key(&at) {
                continue;
            }
            if profile.asks_judge(sample).is_some() {
                self.without.insert(at, "asks a judge".to_owned());
                continue;
            }
            let known = self.known.get(at).copied().flatten();
            let judgement = known.and_then(|n| verdicts.get(n)).map(|(_, judgement)| judgement);
            let (verdict, read) = match judgement {
                Some(made) => (AsProfile::verdict_in(made), made.verdict != Verdict::Unparsed),
                None => {
                    let made = profile.score_seen(sample, reply, case.pictures);
                    (made.verdict, made.extracted.is_some())
                }
            };
            match verdict {
                Score::Value(v) if !(0.0..=1.0).contains(&v) => {
                    self.without.insert(at, "its verdicts are no shares".to_owned());
                }
                Score::Value(v) => {
                    self.sums[at] += v;
                    self.read[at] += u64::from(read);
                }
                Score::Unscored(why) => drop(self.without.insert(at, why.into_owned())),
            }
        }
    }

    /// The means over a set called `dataset`, lowest first.
    pub fn finish(self, dataset: &str) -> Spread {
        let mut out = Spread::default();
        for (at, profile) in PROFILES.iter().enumerate() {
            let (name, sets) = (profile.name().to_owned(), profile.sets());
            if !sets.is_empty() && !sets.contains(&dataset) {
                out.without.push((name, format!("made for {}", sets.join(", "))));
                continue;
            }
            match self.without.get(&at) {
                Some(why) => out.without.push((name, why.clone())),
                None if self.n == 0 => {}
                None if self.read[at] == 0 => {
                    out.without.push((name, "reads nothing in these replies".to_owned()));
                }
                None => out.by_profile.push((name, self.sums[at] / self.n as f64)),
            }
        }
        out.by_profile.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        out
    }
}
