//! The pictures of a page within its size: as they are while there is room, then smaller ones.

use crate::encode::{EncodeError, browser_type, data_uri, jpeg, png};
use crate::pages::kit::slices::VolumeSlices;
use crate::pages::kit::values::PackedValues;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::imageops::FilterType;
use loupe_core::{Intensities, Picture};
use serde::Serialize;
use std::collections::HashMap;
use thiserror::Error;

/// What is given up in turn when a page is full: the longer side in pixels and the quality of a JPEG.
const STEPS: [(u32, u8); 6] = [(u32::MAX, 90), (1024, 85), (768, 85), (512, 80), (384, 75), (256, 70)];

/// Encoded images of a page, each stored once, and the values behind some of them.
#[derive(Debug, Default)]
pub struct ImageStore {
    kept: Vec<StoredImage>,
    seen: HashMap<[u8; 32], usize>,
    values: Vec<PackedValues>,
    values_of: HashMap<[u8; 32], Option<usize>>,
    /// By their numbers on the page.
    volumes: Vec<(usize, VolumeSlices)>,
    numbered_volumes: usize,
    volume_bytes: usize,
    volumes_left_out: usize,
    most: Option<usize>,
    bytes: usize,
    left_out: usize,
}

/// A picture as the page holds it.
#[derive(Debug)]
struct StoredImage {
    uri: String,
    /// Of the picture itself.
    width: usize,
    height: usize,
    /// Steps of [`STEPS`] taken.
    steps: usize,
    /// Did any of them change it?
    shrunk: bool,
}

impl StoredImage {
    fn data(&self) -> ImageData<'_> {
        match self.shrunk {
            false => ImageData::Whole(&self.uri),
            true => ImageData::Shrunk { uri: &self.uri, width: self.width, height: self.height },
        }
    }
}

/// A picture in the page's data: its URI, with the size that boxes refer to where that is not its own.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ImageData<'a> {
    Whole(&'a str),
    Shrunk { uri: &'a str, width: usize, height: usize },
}

/// Why a picture is not on the page.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The page is as large as it may be.
    #[error("left out, as the page would exceed its size")]
    Full,
}

impl ImageStore {
    /// A store of at most so many bytes; nothing means as many as there are.
    pub fn of_size(most: Option<usize>) -> Self {
        Self { most, ..Self::default() }
    }

    fn over(&self) -> bool {
        self.most.is_some_and(|most| self.bytes > most)
    }

    /// Adds `picture` and returns its number. When `original` holds bytes that a browser shows just
    /// as they are, and the picture is the whole of that image, they are kept; otherwise the pixels
    /// become PNG, so nothing is lost either way. When the page is full, the largest pictures are
    /// re-encoded and made smaller, one step of one picture at a time and only as far as it takes.
    ///
    /// # Errors
    /// When the picture cannot be encoded, or there is no room for it even so.
    pub fn add(&mut self, picture: &Picture, original: Option<&[u8]>) -> Result<usize, StoreError> {
        if let Some(&at) = self.seen.get(&picture.content_key()) {
            return Ok(at);
        }
        let kept = original.and_then(|bytes| browser_type(bytes).map(|t| data_uri(t, bytes)));
        let uri = match kept {
            Some(uri) => uri,
            None => data_uri("image/png", &png(picture)?),
        };
        self.bytes += uri.len();
        let (width, height) = (picture.width(), picture.height());
        self.kept.push(StoredImage { uri, width, height, steps: 0, shrunk: false });
        if self.over() && !self.make_room() {
            let dropped = self.kept.pop().map_or(0, |k| k.uri.len());
            self.bytes -= dropped;
            self.left_out += 1;
            return Err(StoreError::Full);
        }
        let at = self.kept.len() - 1;
        self.seen.insert(picture.content_key(), at);
        Ok(at)
    }

    /// The largest picture takes its next step until everything has room; false when none is left to.
    fn make_room(&mut self) -> bool {
        while self.over() {
            let largest = self.kept.iter_mut().filter(|k| k.steps < STEPS.len()).max_by_key(|k| k.uri.len());
            let Some(kept) = largest else { return false };
            let step = STEPS.get(kept.steps);
            kept.steps += 1;
            let smaller = step.and_then(|(side, quality)| smaller(&kept.uri, *side, *quality));
            if let Some(smaller) = smaller.filter(|s| s.len() < kept.uri.len()) {
                self.bytes -= kept.uri.len() - smaller.len();
                (kept.uri, kept.shrunk) = (smaller, true);
            }
        }
        true
    }

    /// Adds the values behind `picture`, for windowing on the page, and returns their number; nothing
    /// when they do not fit the picture, are none, or would take room that pictures may need (half of
    /// the page).
    pub fn add_values(&mut self, picture: &Picture, intensities: &Intensities) -> Option<usize> {
        let key = picture.content_key();
        if let Some(known) = self.values_of.get(&key) {
            return *known;
        }
        let fits = (intensities.width, intensities.height) == (picture.width(), picture.height());
        let values = fits.then(|| PackedValues::of(picture, intensities)).flatten();
        let room = |more: usize| self.most.is_none_or(|most| self.bytes + more <= most / 2);
        let at = values.filter(|v| room(v.uri.len())).map(|values| {
            self.bytes += values.uri.len();
            self.values.push(values);
            self.values.len() - 1
        });
        self.values_of.insert(key, at);
        at
    }

    /// Bytes that one of `left` volumes may take, half of the page being the most for all of them: what is left in equal shares, or an
    /// eighth of the half, so that few large ones can be scrolled rather than none.
    pub(crate) fn volume_share(&self, left: usize) -> usize {
        let Some(most) = self.most else { return usize::MAX };
        let free = (most / 2).saturating_sub(self.volume_bytes).min(most.saturating_sub(self.bytes));
        (free / left.max(1)).max(most / 16).min(free)
    }

    /// How many numbers of volumes are given away, to those without slices too.
    pub(crate) fn numbered_volumes(&self) -> usize {
        self.numbered_volumes
    }

    /// Gives away so many more.
    pub(crate) fn number_volumes(&mut self, n: usize) {
        self.numbered_volumes += n;
    }

    /// Adds the slices of a volume, for which there is room.
    pub(crate) fn add_volume(&mut self, number: usize, slices: VolumeSlices) {
        self.volume_bytes += slices.series.size();
        self.bytes += slices.series.size();
        self.volumes.push((number, slices));
    }

    /// So many volumes have no room.
    pub(crate) fn leave_out_volumes(&mut self, n: usize) {
        self.volumes_left_out += n;
    }

    /// Numbers of the slices of a volume that are on the page.
    pub(crate) fn slices_of(&self, number: usize) -> &[usize] {
        let found = self.volumes.iter().find(|(n, _)| *n == number);
        found.map_or(&[], |(_, slices)| slices.slice_numbers.as_slice())
    }

    pub(crate) fn volumes(&self) -> &[(usize, VolumeSlices)] {
        &self.volumes
    }

    /// Bytes of all the images as they stand in the page.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many pictures are not as they were given.
    pub fn shrunk(&self) -> usize {
        self.kept.iter().filter(|k| k.shrunk).count()
    }

    /// How many had no room.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    pub(crate) fn pictures(&self) -> Vec<ImageData<'_>> {
        self.kept.iter().map(StoredImage::data).collect()
    }

    pub(crate) fn values(&self) -> &[PackedValues] {
        &self.values
    }

    /// What became of the pictures, in words; nothing while all of them are as they were given.
    pub(crate) fn note(&self) -> Option<String> {
        let (shrunk, left_out) = (self.shrunk(), self.left_out);
        let mut said = Vec::new();
        if shrunk > 0 {
            said.push(format!("{shrunk} are shown smaller or re-compressed"));
        }
        if left_out > 0 {
            said.push(format!("{left_out} are left out"));
        }
        let megabytes = self.most.map_or(0, |most| most >> 20);
        let mut sentences = Vec::new();
        if !said.is_empty() {
            let (all, what) = (self.kept.len() + left_out, said.join(" and "));
            sentences
                .push(format!("Of {all} pictures {what}, to keep them within {megabytes} MB (--page-mb)."));
        }
        if self.volumes_left_out > 0 {
            let (some, all) = (self.volumes.len(), self.volumes.len() + self.volumes_left_out);
            sentences.push(format!(
                "The slices beside those asked about are there for {some} of {all} volumes (--page-mb)."
            ));
        }
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}

/// The image of a data URI as a JPEG with at most this longer side.
fn smaller(uri: &str, side: u32, quality: u8) -> Option<String> {
    let bytes = STANDARD.decode(uri.split_once("base64,")?.1).ok()?;
    let image = image::load_from_memory(&bytes).ok()?;
    let image = match image.width().max(image.height()) > side {
        true => image.resize(side, side, FilterType::Triangle),
        false => image,
    };
    Some(data_uri("image/jpeg", &jpeg(&image, quality).ok()?))
}
