//! The pictures of a page, each read once.

use crate::pages::document::{PageItem, PictureVolume};
use crate::pages::kit::store::ImageStore;
use crate::pages::volumes::WantedVolumes;
use loupe_core::loader::DisplayMaterial;
use loupe_core::{Dataset, MediaLoader, MediaRef, MediaSource, Picture, Resampler};

/// Where the pictures of a page come from.
#[derive(Clone, Copy)]
pub struct PictureSource<'a> {
    /// The set, for pictures that are bytes inside its files.
    pub dataset: Option<&'a dyn Dataset>,
    /// Decodes references.
    pub loader: &'a dyn MediaLoader,
    /// Brings a picture to the grid of its reference mask.
    pub resampler: &'a dyn Resampler,
}

/// A picture with its place on the page, once it has one.
struct HeldPicture {
    /// What it was read from, bytes included.
    media: MediaRef,
    read: Result<DisplayMaterial, String>,
    placed: Option<Result<PlacedPicture, String>>,
}

/// Numbers of a picture on the page.
#[derive(Debug, Clone)]
pub(crate) struct PlacedPicture {
    pub(crate) picture: Picture,
    /// In the [`ImageStore`].
    pub(crate) image: usize,
    /// Among its values, when the reader can window the picture.
    pub(crate) values: Option<usize>,
}

/// Reads pictures when their turn comes and keeps those of the item at hand and of the one before: samples
/// come grouped by image, so that is all that can be shared.
pub(crate) struct PictureReader<'a> {
    source: PictureSource<'a>,
    pub(crate) images: &'a mut ImageStore,
    /// Are the names of files kept from the page?
    pub(crate) hide_names: bool,
    row: usize,
    /// Does the item at hand come with its pictures?
    shown: bool,
    /// How soon a reader comes to it.
    place: usize,
    volumes: WantedVolumes,
    /// References of the row as the dataset has them, once they were needed.
    own: Option<Result<Vec<MediaRef>, String>>,
    before: Vec<HeldPicture>,
    now: Vec<HeldPicture>,
}

impl<'a> PictureReader<'a> {
    pub(crate) fn new(source: PictureSource<'a>, images: &'a mut ImageStore, hide_names: bool) -> Self {
        Self {
            source,
            volumes: WantedVolumes::of_page(images),
            images,
            hide_names,
            row: 0,
            shown: true,
            place: 0,
            own: None,
            before: Vec::new(),
            now: Vec::new(),
        }
    }

    pub(crate) fn resampler(&self) -> &'a dyn Resampler {
        self.source.resampler
    }

    /// Goes on to the item of this row of the dataset.
    pub(crate) fn turn_to(&mut self, row: usize) {
        (self.row, self.own) = (row, None);
        self.before = std::mem::take(&mut self.now);
    }

    /// Whether pictures of the items that follow are on the page, and how soon a reader comes to them.
    pub(crate) fn show(&mut self, shown: bool, place: usize) {
        (self.shown, self.place) = (shown, place);
    }

    /// The volume that the picture of `media` is a slice of; its neighbours come onto the page with [`PictureReader::finish`].
    pub(crate) fn volume(&mut self, media: &MediaRef, picture: &Picture) -> Option<PictureVolume> {
        let number = self.volumes.number(self.place, media, &picture.origin)?;
        Some(PictureVolume { number, slice: picture.origin.slice? })
    }

    /// Puts the neighbours of the slices onto the page, once all pictures of `items` are there, and drops the masks of those that had no
    /// room.
    pub(crate) fn finish(self, items: &mut [PageItem]) {
        self.volumes.place(self.source.loader, self.images);
        for picture in items.iter_mut().flat_map(|item| &mut item.pictures) {
            let Some(volume) = picture.volume else { continue };
            let slices = self.images.slices_of(volume.number);
            picture.masks.retain(|m| m.slice == volume.slice || slices.contains(&m.slice));
        }
    }

    /// The picture of image `number` of the item, or why it cannot be had.
    pub(crate) fn picture(&mut self, number: usize, media: &MediaRef) -> Result<Picture, String> {
        let at = self.held(number, media)?;
        self.now[at].read.as_ref().map(|m| m.picture.clone()).map_err(Clone::clone)
    }

    /// The same on the page.
    pub(crate) fn place(&mut self, number: usize, media: &MediaRef) -> Result<PlacedPicture, String> {
        let at = self.held(number, media)?;
        let held = &mut self.now[at];
        if let Some(placed) = &held.placed {
            return placed.clone();
        }
        let material = held.read.as_mut().map_err(|e| e.clone())?;
        // Not needed a second time, and several times as large as the pixels.
        let (values, encoded) = (material.intensities.take(), material.encoded.take());
        let picture = material.picture.clone();
        let image = self.images.add(&picture, encoded.as_deref()).map_err(|e| e.to_string());
        let placed = image.map(|image| {
            let values = values.and_then(|values| self.images.add_values(&picture, &values));
            PlacedPicture { picture, image, values }
        });
        held.placed = Some(placed.clone());
        placed
    }

    /// Where in `now` the picture is.
    fn held(&mut self, number: usize, media: &MediaRef) -> Result<usize, String> {
        if !self.shown {
            return Err("left out: the page has the pictures of other samples".to_owned());
        }
        let media = self.with_bytes(number, media)?;
        let known = |all: &[HeldPicture]| all.iter().position(|h| h.media == media);
        if let Some(at) = known(&self.now) {
            return Ok(at);
        }
        let held = match known(&self.before) {
            Some(at) => self.before.swap_remove(at),
            None => {
                let read = self.source.loader.load_for_display(&media).map_err(|e| e.to_string());
                HeldPicture { media, read, placed: None }
            }
        };
        self.now.push(held);
        Ok(self.now.len() - 1)
    }

    /// The reference with its bytes: those inside a dataset's file are not in the run folder, but the
    /// dataset has them.
    fn with_bytes(&mut self, number: usize, media: &MediaRef) -> Result<MediaRef, String> {
        let missing = matches!(&media.source, MediaSource::Bytes(bytes) if bytes.is_empty());
        let Some(dataset) = self.source.dataset.filter(|_| missing) else {
            return match missing {
                true => {
                    Err("the picture lies in the dataset's file; name the set with --data to see it"
                        .to_owned())
                }
                false => Ok(media.clone()),
            };
        };
        let row = self.row;
        let own = self.own.get_or_insert_with(|| {
            let sample = dataset.get(row).map_err(|e| e.to_string());
            sample.map(|sample| sample.media)
        });
        let own = own.as_ref().map_err(|e| e.clone())?;
        let own = own.get(number).ok_or("the dataset has changed")?;
        Ok(MediaRef { view: media.view.clone(), ..own.clone() })
    }
}
