//! How much a score depends on who reads the replies.

use crate::profiles::PROFILES;
use loupe_core::{Sample, Score};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much the score of the same replies depends on who reads them: the mean verdict by every profile
/// that applies to all of the samples and asks no judge. Gathered one reply at a time.
#[derive(Debug, Clone)]
pub struct Sensitivity {
    n: u64,
    sums: Vec<f64>,
    without: BTreeMap<usize, String>,
}

/// The ends of the range and what lies between.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Profile and mean verdict, lowest first.
    pub by_profile: Vec<(String, f64)>,
    /// Profiles that do not apply, would have crashed or ask a judge, with the reason.
    pub without: Vec<(String, String)>,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self { n: 0, sums: vec![0.0; PROFILES.iter().count()], without: BTreeMap::new() }
    }
}

impl Sensitivity {
    /// Counts a reply in; a profile that does not apply to it is asked no more.
    pub fn add(&mut self, sample: &Sample, reply: &str) {
        self.n += 1;
        for (at, (profile, sum)) in PROFILES.iter().zip(&mut self.sums).enumerate() {
            if self.without.contains_key(&at) {
                continue;
            }
            if profile.asks_judge(sample).is_some() {
                self.without.insert(at, "asks a judge".to_owned());
                continue;
            }
            match profile.score(sample, reply).verdict {
                Score::Value(v) => *sum += v,
                Score::Unscored(why) => drop(self.without.insert(at, why.into_owned())),
            }
        }
    }

    /// The means, lowest first.
    pub fn finish(self) -> Spread {
        let mut out = Spread::default();
        for (at, (profile, sum)) in PROFILES.iter().zip(&self.sums).enumerate() {
            let name = profile.name().to_owned();
            match self.without.get(&at) {
                Some(why) => out.without.push((name, why.clone())),
                None if self.n == 0 => {}
                None => out.by_profile.push((name, sum / self.n as f64)),
            }
        }
        out.by_profile.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        out
    }
}
