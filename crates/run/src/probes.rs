//! Probes of what an answer owes to the picture: the same questions with no picture worth the name.
//!
//! A set is asked again with blank pictures, with those of other patients, or with shuffled patches;
//! an answer that stays right did not need the picture, and one that stays the same did not look.

use loupe_core::picture::PictureError;
use loupe_core::{
    DataError, Dataset, DatasetInfo, DisplayMaterial, Intensities, MediaError, MediaLoader, MediaRef,
    Picture, Sample, Spot,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What is done to the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "probe")]
pub enum Probe {
    /// One grey level everywhere, size kept.
    Blank {
        /// 0 for black, 128 for grey, 255 for white.
        level: u8,
    },
    /// The pictures of a sample of another group.
    Swapped,
    /// Square patches in random order; the border that fills no patch stays.
    ShuffledPatches {
        /// Side of a patch in pixels.
        side_px: usize,
    },
}

impl Probe {
    /// The probes of a full table: black, other patient, patches of 16 pixels.
    pub const ALL: [Self; 3] =
        [Self::Blank { level: 0 }, Self::Swapped, Self::ShuffledPatches { side_px: 16 }];

    /// Name in tables.
    pub fn name(self) -> String {
        match self {
            Self::Blank { level } => format!("blank-{level}"),
            Self::Swapped => "swapped".to_owned(),
            Self::ShuffledPatches { side_px } => format!("shuffled-{side_px}px"),
        }
    }

    /// What is done, for people: `every pixel at level 0`.
    pub fn about(self) -> String {
        match self {
            Self::Blank { level } => format!("every pixel at level {level}"),
            Self::Swapped => "pictures of another group".to_owned(),
            Self::ShuffledPatches { side_px } => format!("patches of {side_px} px in random order"),
        }
    }

    /// The changed picture; [`Probe::Swapped`] leaves it (see [`swap`]). The same picture and seed
    /// give the same pixels.
    ///
    /// # Errors
    /// When the pixels make no picture, which does not happen for a valid one.
    pub fn apply(self, picture: &Picture, seed: u64) -> Result<Picture, PictureError> {
        let (width, height, channels) = (picture.width(), picture.height(), picture.channels());
        let pixels: Vec<u8> = match self {
            Self::Swapped => return Ok(picture.clone()),
            Self::Blank { level } => vec![level; picture.pixels().len()],
            Self::ShuffledPatches { side_px } => {
                let side = side_px.max(1);
                let (across, down) = (width / side, height / side);
                let mut order: Vec<usize> = (0..across * down).collect();
                let mut draw = Draw::new(seed, &[&picture.content_key()]);
                for i in (1..order.len()).rev() {
                    order.swap(i, draw.below(i + 1));
                }
                let mut out = picture.pixels().to_vec();
                for (to, from) in order.iter().enumerate() {
                    for row in 0..side {
                        let start = |patch: usize| {
                            ((patch / across * side + row) * width + patch % across * side) * channels
                        };
                        let (t, f) = (start(to), start(*from));
                        out[t..t + side * channels]
                            .copy_from_slice(&picture.pixels()[f..f + side * channels]);
                    }
                }
                out
            }
        };
        let mut changed = Picture::new(width, height, channels, pixels)?;
        changed.origin = picture.origin.clone();
        changed.origin.steps.push(format!("probe {}", self.name()));
        Ok(changed)
    }
}

impl FromStr for Probe {
    type Err = String;

    /// `blank`, `blank:LEVEL`, `swapped`, `shuffled`, `shuffled:SIDE`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once(':').map_or((text, None), |(n, v)| (n, Some(v)));
        let unknown =
            || format!("{text:?} is no probe; there are blank[:LEVEL], swapped and shuffled[:SIDE]");
        match (name, number) {
            ("blank", None) => Ok(Self::Blank { level: 0 }),
            ("blank", Some(level)) => level.parse().map(|level| Self::Blank { level }).map_err(|_| unknown()),
            ("swapped", None) => Ok(Self::Swapped),
            ("shuffled", None) => Ok(Self::ShuffledPatches { side_px: 16 }),
            ("shuffled", Some(side)) => match side.parse() {
                Ok(side_px @ 1..) => Ok(Self::ShuffledPatches { side_px }),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }
}

/// A probe with the seed of its shuffles and swaps, as the settings of a run record it: `shuffled-16px seed 7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeSetting {
    /// What is done to the pictures.
    pub probe: Probe,
    /// Seed of the shuffles and swaps.
    pub seed: u64,
}

impl ProbeSetting {
    /// Its name among the settings of a run.
    pub const NAME: &str = "probe";
}

impl fmt::Display for ProbeSetting {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} seed {}", self.probe.name(), self.seed)
    }
}

impl FromStr for ProbeSetting {
    type Err = String;

    /// What [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is no recorded probe, such as \"blank-0 seed 0\"");
        let (name, seed) = text.split_once(" seed ").ok_or_else(unknown)?;
        let probe = match name.split_once('-') {
            None if name == "swapped" => Probe::Swapped,
            Some(("blank", level)) => Probe::Blank { level: level.parse().map_err(|_| unknown())? },
            Some(("shuffled", side)) => {
                let side_px =
                    side.strip_suffix("px").and_then(|side| side.parse().ok()).ok_or_else(unknown)?;
                Probe::ShuffledPatches { side_px }
            }
            _ => return Err(unknown()),
        };
        Ok(Self { probe, seed: seed.parse().map_err(|_| unknown())? })
    }
}

/// Random numbers from SHA-256 of a seed and a text, the same on every machine.
struct Draw {
    base: Vec<u8>,
    counter: u64,
}

impl Draw {
    fn new(seed: u64, parts: &[&[u8]]) -> Self {
        let mut base = seed.to_le_bytes().to_vec();
        parts.iter().for_each(|p| base.extend_from_slice(p));
        Self { base, counter: 0 }
    }

    /// A number below `n`; its bias is below 2⁻³² for any set there is.
    fn below(&mut self, n: usize) -> usize {
        self.counter += 1;
        let mut hash = Sha256::new();
        hash.update(&self.base);
        hash.update(self.counter.to_le_bytes());
        let digest = hash.finalize();
        let word = digest.iter().take(8).fold(0u64, |w, b| (w << 8) | u64::from(*b));
        ((u128::from(word) * n as u128) >> 64) as usize
    }
}

/// What decides whose pictures a sample may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The sample's id.
    pub id: String,
    /// Its group.
    pub group: String,
    /// How many pictures it has.
    pub pictures: usize,
}

impl Owner {
    /// Of a sample.
    pub fn of(sample: &Sample) -> Self {
        Self { id: sample.id.clone(), group: sample.group.clone(), pictures: sample.media.len() }
    }
}

/// For each sample the index of the one whose pictures it gets: of another group, with as many
/// pictures, by seed. `None` where there is no such sample.
pub fn swap(owners: &[Owner], seed: u64) -> Vec<Option<usize>> {
    let mut alike: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, owner) in owners.iter().enumerate().filter(|(_, o)| o.pictures > 0) {
        alike.entry(owner.pictures).or_default().push(at);
    }
    let stranger = |owner: &Owner| {
        let alike = alike.get(&owner.pictures)?;
        let is_other = |at: &usize| owners.get(*at).is_some_and(|o| o.group != owner.group);
        let mut draw = Draw::new(seed, &[owner.id.as_bytes()]);
        // Groups are small, so nearly every first draw is of another one.
        let drawn = (0..64).find_map(|_| alike.get(draw.below(alike.len())).copied().filter(is_other));
        drawn.or_else(|| {
            let others: Vec<usize> = alike.iter().copied().filter(is_other).collect();
            if others.is_empty() { None } else { others.get(draw.below(others.len())).copied() }
        })
    };
    owners.iter().map(stranger).collect()
}

/// A set under a probe: its questions, and the pictures of others where the probe swaps them.
pub struct ProbedSet<'a> {
    of: &'a dyn Dataset,
    swapped: Option<Vec<Option<usize>>>,
}

impl<'a> ProbedSet<'a> {
    /// The set under `probe`.
    pub fn new(of: &'a dyn Dataset, probe: Probe, seed: u64) -> Self {
        let owner = |row| {
            let nobody = || Owner { id: String::new(), group: String::new(), pictures: 0 };
            of.get(row).map_or_else(|_| nobody(), |sample| Owner::of(&sample))
        };
        let swapped =
            (probe == Probe::Swapped).then(|| swap(&(0..of.len()).map(owner).collect::<Vec<_>>(), seed));
        Self { of, swapped }
    }
}

impl Dataset for ProbedSet<'_> {
    fn info(&self) -> &DatasetInfo {
        self.of.info()
    }

    fn root(&self) -> Option<&Path> {
        self.of.root()
    }

    fn len(&self) -> usize {
        self.of.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let mut sample = self.of.get(index)?;
        let Some(swapped) = &self.swapped else { return Ok(sample) };
        match swapped.get(index).copied().flatten() {
            Some(other) => {
                sample.media = self.of.get(other)?.media;
                Ok(sample)
            }
            None => Err(DataError::Row {
                file: self.of.info().name.clone(),
                at: Spot::Row(index + 1),
                problem: "no sample of another group has as many pictures to swap with".to_owned(),
            }),
        }
    }
}

/// A loader whose pictures went through a probe.
pub struct ProbedLoader<'a> {
    /// What decodes.
    pub of: &'a dyn MediaLoader,
    /// What is done to the pictures.
    pub probe: Probe,
    /// Seed of the shuffles.
    pub seed: u64,
}

impl MediaLoader for ProbedLoader<'_> {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let picture = self.of.load(media)?;
        self.probe.apply(&picture, self.seed).map_err(|e| MediaError::View(e.to_string()))
    }

    /// Nothing where the pixels are no longer those of the values.
    fn intensities(&self, media: &MediaRef) -> Result<Option<Intensities>, MediaError> {
        if self.probe == Probe::Swapped { self.of.intensities(media) } else { Ok(None) }
    }

    fn load_for_display(&self, media: &MediaRef) -> Result<DisplayMaterial, MediaError> {
        match self.probe {
            Probe::Swapped => self.of.load_for_display(media),
            _ => Ok(DisplayMaterial { picture: self.load(media)?, intensities: None, encoded: None }),
        }
    }
}

/// What a probe shows, from verdicts and normalised answers with the true pictures and with the
/// probe's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dependence {
    /// Pairs that went in.
    pub n: usize,
    /// Accuracy with the true pictures.
    pub accuracy: f64,
    /// Accuracy under the probe.
    pub accuracy_under_probe: f64,
    /// Share of right answers that stay right: not owed to the picture.
    pub still_right: Option<f64>,
    /// Share of answers that do not change at all.
    pub unchanged: f64,
    /// Share of readable answers under the probe; an abstention would be unparsed.
    pub answered_under_probe: f64,
}

/// One question with and without its picture: right, and the answer as it was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Right with the true picture.
    pub right: bool,
    /// Right under the probe.
    pub right_under_probe: bool,
    /// The answer with the true picture, when one was found.
    pub answer: Option<String>,
    /// The answer under the probe, when one was found.
    pub answer_under_probe: Option<String>,
}

/// The figures of a probe; `None` without pairs.
pub fn dependence(pairs: &[Pair]) -> Option<Dependence> {
    let n = pairs.len();
    let share = |f: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|p| f(p)).count() as f64 / n as f64;
    let right = pairs.iter().filter(|p| p.right).count();
    let kept = pairs.iter().filter(|p| p.right && p.right_under_probe).count();
    (n > 0).then(|| Dependence {
        n,
        accuracy: share(&|p| p.right),
        accuracy_under_probe: share(&|p| p.right_under_probe),
        still_right: (right > 0).then(|| kept as f64 / right as f64),
        unchanged: share(&|p| p.answer.is_some() && p.answer == p.answer_under_probe),
        answered_under_probe: share(&|p| p.answer_under_probe.is_some()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn pixels_are_moved_not_changed() {
        let pixels: Vec<u8> = (0..5 * 7 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let picture = Picture::new(5, 7, 3, pixels.clone()).unwrap();
        let shuffled = Probe::ShuffledPatches { side_px: 2 }.apply(&picture, 1).unwrap();
        assert_eq!(shuffled, Probe::ShuffledPatches { side_px: 2 }.apply(&picture, 1).unwrap());
        let (mut a, mut b) = (pixels, shuffled.pixels().to_vec());
        assert_ne!(a, b);
        a.sort_unstable();
        b.sort_unstable();
        assert_eq!(a, b);
        let blank = Probe::Blank { level: 9 }.apply(&picture, 1).unwrap();
        assert!(blank.pixels().iter().all(|p| *p == 9));
        assert!(Probe::ShuffledPatches { side_px: 0 }.apply(&picture, 1).is_ok());
    }

    #[test]
    fn a_stranger_is_of_another_group() {
        let owner = |id: &str, group: &str| Owner { id: id.into(), group: group.into(), pictures: 1 };
        let owners = [owner("1", "a"), owner("2", "a"), owner("3", "b")];
        assert_eq!(swap(&owners, 7)[0], Some(2));
        assert!(matches!(swap(&owners, 7)[2], Some(0 | 1)));
        assert_eq!(swap(&owners[..2], 7), [None, None]);
        // Of one large group, the few others are still found.
        let mut many = vec![owner("x", "big"); 500];
        many.push(owner("y", "small"));
        assert_eq!(swap(&many, 1)[0], Some(500));
    }

    #[test]
    fn probes_by_name() {
        assert_eq!("blank:128".parse(), Ok(Probe::Blank { level: 128 }));
        assert_eq!("shuffled".parse(), Ok(Probe::ShuffledPatches { side_px: 16 }));
        assert_eq!("swapped".parse(), Ok(Probe::Swapped));
        for bad in ["blank:300", "shuffled:0", "swapped:1", "black"] {
            assert!(bad.parse::<Probe>().is_err(), "{bad}");
        }
        for probe in Probe::ALL {
            let setting = ProbeSetting { probe, seed: 7 };
            assert_eq!(setting.to_string().parse(), Ok(setting));
        }
        for bad in ["blank-0", "blank-300 seed 1", "shuffled-16 seed 1", "swapped seed x", "black-1 seed 1"] {
            assert!(bad.parse::<ProbeSetting>().is_err(), "{bad}");
        }
    }

    #[test]
    fn figures_of_a_probe() {
        let pair = |right, under, a: &str, b: Option<&str>| Pair {
            right,
            right_under_probe: under,
            answer: Some(a.into()),
            answer_under_probe: b.map(str::to_owned),
        };
        let got = dependence(&[pair(true, true, "yes", Some("yes")), pair(true, false, "no", None)]).unwrap();
        assert_eq!((got.accuracy, got.accuracy_under_probe, got.still_right), (1.0, 0.5, Some(0.5)));
        assert_eq!((got.unchanged, got.answered_under_probe), (0.5, 0.5));
        assert!(dependence(&[]).is_none());
    }
}
