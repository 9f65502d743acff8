//! Parts of a run: which samples each of several machines answers.

use crate::sample_line::SampleLine;
use loupe_core::words::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use thiserror::Error;

/// Most parts of a run.
const MOST_SHARDS: usize = 100_000;

/// Why no part of a run is meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("shard: {0}")]
pub struct ShardError(pub(crate) String);

/// One of so many parts of a run.
///
/// A sample's group (its picture, patient or volume) decides alone to which part it belongs, so that questions on one
/// picture stay together, and neither the number of samples nor their order moves one to another part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl Shard {
    /// Part `index`, from 1, of `count`.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn new(index: usize, count: usize) -> Result<Self, ShardError> {
        let refused = |problem| Err(ShardError(problem));
        match (index, count) {
            (_, 0) => refused("a run has at least one part".to_owned()),
            (_, n) if n > MOST_SHARDS => refused(format!("{n} parts; {MOST_SHARDS} at most")),
            (0, n) => refused(format!("parts are counted from 1: the first is 1/{n}")),
            (i, n) if i > n => refused(format!("there is no part {i} of {n}")),
            (index, count) => Ok(Self { index, count }),
        }
    }

    /// From words such as `2/4`.
    ///
    /// # Errors
    /// When they are no such words, or there is no such part.
    pub fn parse(words: &str) -> Result<Self, ShardError> {
        let numbers = words.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let Some((index, count)) = numbers else {
            return Err(ShardError(format!("{words:?} is not of the form i/n, such as 2/4")));
        };
        Self::new(index, count)
    }

    /// Does the sample belong to this part? By the first 64 bits of the SHA-256 of its group, shared out evenly; a row that cannot be
    /// read has no group and goes by its number.
    pub fn holds(&self, line: &SampleLine) -> bool {
        let digest = match &line.sample {
            Some(sample) => Sha256::digest(&sample.group),
            None => Sha256::digest(line.id()),
        };
        let hash = digest.iter().take(8).fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let at = (u128::from(hash) * self.count as u128) >> 64;
        at == self.index.saturating_sub(1) as u128
    }
}

/// `2/4`
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// What run.json says of a folder that holds a part of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// Which part.
    #[serde(flatten)]
    pub shard: Shard,
    /// The samples of all parts.
    pub whole: WholeSamples,
}

/// The samples of all parts of a run, each part's own being some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeSamples {
    /// How many there are.
    pub n: usize,
    /// SHA-256 over them, as `samples_sha256` of a run that is not in parts.
    pub samples_sha256: String,
}

/// Number and digest of samples, in order.
#[derive(Default)]
pub(crate) struct SampleDigest {
    /// How many there were.
    pub(crate) n: usize,
    hash: Sha256,
}

impl SampleDigest {
    pub(crate) fn add(&mut self, line: &SampleLine) -> std::io::Result<()> {
        self.take(line.clone())
    }

    /// The same with a line that is not needed any more.
    pub(crate) fn take(&mut self, line: SampleLine) -> std::io::Result<()> {
        self.n += 1;
        self.hash.update(serde_json::to_vec(&line.without_paths())?);
        Ok(())
    }

    pub(crate) fn finish(self) -> WholeSamples {
        WholeSamples { n: self.n, samples_sha256: hex(&self.hash.finalize()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::{Dataset, Sample};
    use loupe_testing::QuestionSet;
    use std::collections::BTreeMap;

    fn line(sample: Sample) -> SampleLine {
        SampleLine { row: 0, sample: Some(sample), error: None }
    }

    #[test]
    fn words_name_a_part_or_are_refused() {
        assert_eq!(Shard::parse("2/4").unwrap(), Shard { index: 2, count: 4 });
        assert_eq!(Shard::parse("2/4").unwrap().to_string(), "2/4");
        for wrong in ["", "2", "0/4", "5/4", "1/0", "-1/4", "a/4", "1/4/2", "1/100001", "1 / 4"] {
            assert!(Shard::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_sample_is_in_one_part_and_pictures_are_never_torn_apart() {
        let set = QuestionSet::new(600);
        for count in [1, 2, 3, 7, 64] {
            let mut by_group: BTreeMap<String, usize> = BTreeMap::new();
            let mut sizes = vec![0usize; count];
            for row in 0..set.len() {
                let sample = set.get(row).unwrap();
                let group = sample.group.clone();
                let one = line(sample);
                let holding: Vec<usize> =
                    (1..=count).filter(|i| Shard::new(*i, count).unwrap().holds(&one)).collect();
                assert_eq!(holding.len(), 1, "row {row} of {count}");
                assert_eq!(*by_group.entry(group).or_insert(holding[0]), holding[0]);
                sizes[holding[0] - 1] += 1;
            }
            let even = 600 / count;
            assert!(sizes.iter().all(|n| *n < 3 * even + 12), "{count}: {sizes:?}");
        }
        // A row that cannot be read has its part too.
        let torn = SampleLine { row: 5, sample: None, error: Some("no question".to_owned()) };
        assert_eq!((1..=4).filter(|i| Shard::new(*i, 4).unwrap().holds(&torn)).count(), 1);
    }

    #[test]
    fn where_a_group_belongs_stays_as_it_is() {
        // printf %s image0.png | sha256sum: the first digits, of 2^64, times the number of parts.
        let of = |group: &str, count| {
            let mut sample = QuestionSet::new(1).get(0).unwrap();
            sample.group = group.to_owned();
            let one = line(sample);
            (1..=count).find(|i| Shard::new(*i, count).unwrap().holds(&one)).unwrap()
        };
        assert_eq!((of("image0.png", 4), of("image0.png", 10)), (2, 4));
        assert_eq!((of("", 4), of("", 10)), (4, 9)); // e3b0…: 0.8894 of the range
    }
}
