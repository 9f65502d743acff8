//! Leakage between a training and a test set: the same image, the same question, or both.
//!
//! Images are compared by the SHA-256 of their encoded bytes, so that a renamed copy is found, and by a
//! perceptual hash, when there is one, so that a re-encoded one is (that needs pixels, which are
//! decoded elsewhere).

use crate::digest::{file_sha256, sha256_hex};
use loupe_core::{DataError, Dataset, MediaRef, MediaSource, Sample};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// What one row of the test set shares with the training set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// Id of the test row.
    pub id: String,
    /// One of its images is in the training set, byte for byte.
    pub image: bool,
    /// Bits in which the perceptual hash of one of its images differs from that of the nearest training
    /// image; nothing without perceptual hashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_bits: Option<u32>,
    /// One of its images has the name of an image of the training set.
    pub image_name: bool,
    /// Its question is in the training set (case, white space and final punctuation aside).
    pub question: bool,
    /// A training row has both its question and one of its images.
    pub image_and_question: bool,
    /// A training row has its question, one of its images and its reference answer.
    pub whole_row: bool,
    /// How many of its images could not be read and were compared by name only.
    pub unread_images: usize,
}

/// A 64-bit hash of an image's pixels that copies share up to a few bits; nothing when it cannot be
/// read.
pub type Perceptual<'a> = dyn FnMut(&MediaRef) -> Option<u64> + 'a;

/// Flags every row of `test` by what it shares with `train`; rows that cannot be read are left out.
///
/// # Errors
/// The first row error when no row of one of the sets can be read.
pub fn overlap(
    train: &dyn Dataset,
    test: &dyn Dataset,
    mut perceptual: Option<&mut Perceptual<'_>>,
) -> Result<Vec<Overlap>, DataError> {
    let mut hashes = Hashes::default();
    let mut looks: HashMap<String, Option<u64>> = HashMap::new();
    // By content: many questions share an image, and two sets share many.
    let mut look = |media: &MediaRef, hash: Option<&String>| {
        let perceptual = perceptual.as_deref_mut()?;
        match hash {
            Some(hash) => {
                *looks.entry(format!("{hash} {:?}", media.view)).or_insert_with(|| perceptual(media))
            }
            None => perceptual(media),
        }
    };
    let mut seen = Seen::default();
    each(train, |sample| {
        let question = plain(&sample.question);
        let answer = plain(sample.target.text().unwrap_or_default());
        for (media, source) in keys(&sample, &mut hashes).into_iter().zip(&sample.media) {
            seen.looks.extend(look(source, media.hash.as_ref()));
            seen.names.insert(media.name);
            if let Some(image) = media.hash {
                seen.rows.insert((image.clone(), question.clone(), answer.clone()));
                seen.pairs.insert((image.clone(), question.clone()));
                seen.images.insert(image);
            }
        }
        seen.questions.insert(question);
    })?;
    let mut nearest: HashMap<u64, Option<u32>> = HashMap::new();
    let mut found = Vec::with_capacity(test.len());
    each(test, |sample| {
        let question = plain(&sample.question);
        let answer = plain(sample.target.text().unwrap_or_default());
        let media = keys(&sample, &mut hashes);
        let images = || media.iter().filter_map(|m| m.hash.clone());
        let looks = media.iter().zip(&sample.media).filter_map(|(m, s)| look(s, m.hash.as_ref()));
        let bits = |look: u64| {
            *nearest
                .entry(look)
                .or_insert_with(|| seen.looks.iter().map(|other| (look ^ other).count_ones()).min())
        };
        let nearest_bits = looks.filter_map(bits).min();
        found.push(Overlap {
            nearest_bits,
            image: images().any(|i| seen.images.contains(&i)),
            image_name: media.iter().any(|m| seen.names.contains(&m.name)),
            image_and_question: images().any(|i| seen.pairs.contains(&(i, question.clone()))),
            whole_row: images().any(|i| seen.rows.contains(&(i, question.clone(), answer.clone()))),
            unread_images: media.iter().filter(|m| m.hash.is_none()).count(),
            question: seen.questions.contains(&question),
            id: sample.id,
        });
    })?;
    Ok(found)
}

#[derive(Default)]
struct Seen {
    looks: HashSet<u64>,
    images: HashSet<String>,
    names: HashSet<String>,
    questions: HashSet<String>,
    pairs: HashSet<(String, String)>,
    rows: HashSet<(String, String, String)>,
}

/// Hashes of image files already read: many questions share an image.
type Hashes = HashMap<PathBuf, Option<String>>;

struct Key {
    name: String,
    hash: Option<String>,
}

fn keys(sample: &Sample, hashes: &mut Hashes) -> Vec<Key> {
    let hash = |source: &MediaSource, hashes: &mut Hashes| match source {
        MediaSource::Bytes(bytes) => Some(sha256_hex(&[bytes])),
        MediaSource::File(path) => {
            hashes.entry(path.clone()).or_insert_with(|| file_sha256(path).ok()).clone()
        }
        MediaSource::Folder(_) => None,
    };
    sample.media.iter().map(|m| Key { name: m.name.clone(), hash: hash(&m.source, hashes) }).collect()
}

fn each(set: &dyn Dataset, mut visit: impl FnMut(Sample)) -> Result<(), DataError> {
    let mut error = None;
    let mut read = 0usize;
    for index in 0..set.len() {
        match set.get(index) {
            Ok(sample) => {
                read += 1;
                visit(sample);
            }
            Err(e) => error = error.or(Some(e)),
        }
    }
    match error {
        Some(error) if read == 0 => Err(error),
        _ => Ok(()),
    }
}

/// Words in lower case with single spaces and without final punctuation.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', '?', '!', ' ', '？', '。', '！']).to_lowercase()
}
