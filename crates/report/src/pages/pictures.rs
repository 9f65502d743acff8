//! The pictures of a page, each read once.

use crate::pages::document::{PageItem, PictureVolume};
use crate::pages::kit::store::ImageStore;
use crate::pages::volumes::WantedVolumes;
use loupe_core::{Dataset, DisplayMaterial, MediaLoader, MediaRef, MediaSource, Picture, Resampler, Sample};
use loupe_run::probes::{Probe, ProbeSetting, ProbedLoader, ProbedSet};

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
    /// What was done to it then.
    probe: Option<ProbeSetting>,
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
    /// What the run at hand did to its pictures.
    probe: Option<ProbeSetting>,
    /// The dataset with the pictures of others, once they were needed, by the seed that swaps them.
    swapped: Vec<(u64, ProbedSet<'a>)>,
    /// The row as the dataset has it, or as that seed swaps its pictures, once it was needed.
    own: Vec<(Option<u64>, Result<Sample, String>)>,
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
            probe: None,
            swapped: Vec::new(),
            own: Vec::new(),
            before: Vec::new(),
            now: Vec::new(),
        }
    }

    pub(crate) fn resampler(&self) -> &'a dyn Resampler {
        self.source.resampler
    }

    /// Goes on to the item of this row of the dataset.
    pub(crate) fn turn_to(&mut self, row: usize) {
        self.row = row;
        self.own.clear();
        self.before = std::mem::take(&mut self.now);
    }

    /// Whether pictures of the items that follow are on the page, and how soon a reader comes to them.
    pub(crate) fn show(&mut self, shown: bool, place: usize) {
        (self.shown, self.place) = (shown, place);
    }

    /// From here on pictures are those that a run with this probe asked about; the probe before.
    pub(crate) fn look_through(&mut self, probe: Option<ProbeSetting>) -> Option<ProbeSetting> {
        std::mem::replace(&mut self.probe, probe)
    }

    /// The probe of the run at hand.
    pub(crate) fn probe(&self) -> Option<ProbeSetting> {
        self.probe
    }

    /// The volume that the picture of `media` is a slice of; its neighbours come onto the page with [`PictureReader::finish`].
    pub(crate) fn volume(&mut self, media: &MediaRef, picture: &Picture) -> Option<PictureVolume> {
        // A volume has the slices of the file, and not what a probe made of them.
        if self.probe.is_some_and(|p| p.probe != Probe::Swapped) {
            return None;
        }
        let number = self.volumes.number(self.place, media, &picture.origin)?;
        Some(PictureVolume { number, slice: picture.origin.slice? })
    }

    /// Puts the neighbours of the slices onto the page, once all pictures of `items` are there, and drops the masks of those that had no
    /// room.
    pub(crate) fn finish(self, items: &mut [PageItem]) {
        self.volumes.place(self.source.loader, self.images);
        let all = items.iter_mut().flat_map(|item| {
            let others = item.others.iter_mut().flat_map(|other| &mut other.pictures);
            item.pictures.iter_mut().chain(&mut item.unaltered).chain(others)
        });
        for picture in all {
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
        let probe = self.probe;
        let known = |all: &[HeldPicture]| all.iter().position(|h| h.probe == probe && h.media == media);
        if let Some(at) = known(&self.now) {
            return Ok(at);
        }
        let held = match known(&self.before) {
            Some(at) => self.before.swap_remove(at),
            None => {
                let of = self.source.loader;
                let read = match probe {
                    Some(ProbeSetting { probe, seed }) => {
                        ProbedLoader { of, probe, seed }.load_for_display(&media)
                    }
                    None => of.load_for_display(&media),
                };
                HeldPicture { media, probe, read: read.map_err(|e| e.to_string()), placed: None }
            }
        };
        self.now.push(held);
        Ok(self.now.len() - 1)
    }

    /// The reference with its bytes: those inside a dataset's file are not in the run folder, but the
    /// dataset has them.
    fn with_bytes(&mut self, number: usize, media: &MediaRef) -> Result<MediaRef, String> {
        let missing = matches!(&media.source, MediaSource::Bytes(bytes) if bytes.is_empty());
        if !missing {
            return Ok(media.clone());
        }
        let own = self
            .of_row()?
            .ok_or("the picture lies in the dataset's file; name the set with --data to see it")?;
        let own = own.media.get(number).ok_or("the dataset has changed")?;
        Ok(MediaRef { view: media.view.clone(), ..own.clone() })
    }

    /// The row as the dataset has it, or as the probe at hand swaps its pictures; nothing without a dataset.
    pub(crate) fn of_row(&mut self) -> Result<Option<&Sample>, String> {
        let Some(dataset) = self.source.dataset else { return Ok(None) };
        let swap = self.probe.filter(|p| p.probe == Probe::Swapped).map(|p| p.seed);
        if self.own.iter().all(|(of, _)| *of != swap) {
            let row = self.row;
            let sample = match swap {
                Some(seed) => self.swapped_set(dataset, seed).get(row),
                None => dataset.get(row),
            };
            self.own.push((swap, sample.map_err(|e| e.to_string())));
        }
        let own = self.own.iter().find(|(of, _)| *of == swap);
        own.map(|(_, sample)| sample.as_ref().map_err(Clone::clone)).transpose()
    }

    fn swapped_set(&mut self, dataset: &'a dyn Dataset, seed: u64) -> &ProbedSet<'a> {
        let at = self.swapped.iter().position(|(of, _)| *of == seed).unwrap_or_else(|| {
            self.swapped.push((seed, ProbedSet::new(dataset, Probe::Swapped, seed)));
            self.swapped.len() - 1
        });
        &self.swapped[at].1
    }
}
