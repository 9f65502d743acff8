//! The volumes whose slices a page shows: a reader scrolls through the neighbours of each.

use crate::pages::kit::series::{Series, SeriesError};
use crate::pages::kit::slices::{VolumeSlices, around};
use crate::pages::kit::store::ImageStore;
use loupe_core::loader::DisplayMaterial;
use loupe_core::{MediaLoader, MediaRef, MediaSource, Origin, Plane, SliceAt, View};
use std::collections::BTreeMap;

/// Slices on either side of one that a model was given.
pub(crate) const RADIUS: usize = 12;
/// The most urgent samples, whose volumes can be scrolled: pages of more would take long to make.
const SCROLLED: usize = 100;

/// A volume and which of its slices are on the page.
#[derive(Debug)]
struct WantedVolume {
    /// How soon a reader comes to it, the lowest first.
    place: usize,
    media: MediaRef,
    plane: Plane,
    own: Vec<usize>,
}

/// The volumes of a run's page, each once.
#[derive(Debug)]
pub(crate) struct WantedVolumes {
    /// Number of the first on the page.
    base: usize,
    all: Vec<WantedVolume>,
}

impl WantedVolumes {
    /// None yet; their numbers go on from those of the page.
    pub(crate) fn of_page(images: &ImageStore) -> Self {
        Self { base: images.numbered_volumes(), all: Vec::new() }
    }

    /// The number of the volume that the picture with this origin is a slice of, which is numbered here when it is new; nothing for a
    /// picture that is none, or of a sample that comes late.
    pub(crate) fn number(&mut self, place: usize, media: &MediaRef, origin: &Origin) -> Option<usize> {
        // Bytes out of a dataset's file would have to be kept for all of the page.
        let (slice, plane) = (origin.slice?, origin.plane?);
        if matches!(media.source, MediaSource::Bytes(_)) || place >= SCROLLED {
            return None;
        }
        let same = |v: &WantedVolume| (&v.media.source, v.plane) == (&media.source, plane);
        let number = self.all.iter().position(same).unwrap_or_else(|| {
            self.all.push(WantedVolume { place, media: media.clone(), plane, own: Vec::new() });
            self.all.len() - 1
        });
        let wanted = &mut self.all[number];
        wanted.place = wanted.place.min(place);
        if !wanted.own.contains(&slice) {
            wanted.own.push(slice);
        }
        Some(self.base + number)
    }

    /// Puts the slices on the page, those of the most urgent samples first, while there is room.
    pub(crate) fn place(&self, loader: &dyn MediaLoader, images: &mut ImageStore) {
        images.number_volumes(self.all.len());
        let mut order: Vec<(usize, &WantedVolume)> = self.all.iter().enumerate().collect();
        order.sort_by_key(|(_, v)| v.place);
        for (done, (number, wanted)) in order.iter().enumerate() {
            // What cannot be read again has been shown as a picture; there is nothing to scroll.
            let Ok(slices) = wanted.read(loader) else { continue };
            if slices.len() < 2 {
                continue;
            }
            match wanted.within(slices, images.volume_share(order.len() - done)) {
                Ok(Some(found)) => images.add_volume(self.base + number, found),
                Ok(None) => {
                    // The next ones are as large.
                    images.leave_out_volumes(order.len() - done);
                    return;
                }
                // Slices that do not belong together.
                Err(_) => {}
            }
        }
    }
}

impl WantedVolume {
    /// Its own slices and their neighbours by number.
    fn read(
        &self,
        loader: &dyn MediaLoader,
    ) -> Result<BTreeMap<usize, DisplayMaterial>, loupe_core::MediaError> {
        let mut all = BTreeMap::new();
        for slice in &self.own {
            let view =
                View { slice: Some(SliceAt::Index(*slice)), plane: self.plane, ..self.media.view.clone() };
            let media = MediaRef { view, ..self.media.clone() };
            let own = loader.load_for_display(&media)?;
            let (slices, _) = around(loader, &media, own, Some(RADIUS))?;
            all.extend(slices.into_iter().filter_map(|m| Some((m.picture.origin.slice?, m))));
        }
        Ok(all)
    }

    /// As many neighbours as fit into so many bytes; nothing when there is no room for one.
    fn within(
        &self,
        mut slices: BTreeMap<usize, DisplayMaterial>,
        bytes: usize,
    ) -> Result<Option<VolumeSlices>, SeriesError> {
        let mut radius = RADIUS;
        loop {
            let numbers: Vec<usize> = slices.keys().copied().collect();
            let first = self.own.first().and_then(|own| numbers.iter().position(|n| n == own));
            let all: Vec<DisplayMaterial> = slices.values().cloned().collect();
            let found =
                VolumeSlices { slice_numbers: numbers, series: Series::of(&all, first.unwrap_or(0))? };
            let size = found.series.size();
            if size <= bytes {
                return Ok(Some(found));
            }
            radius = (radius * bytes / size).min(radius - 1);
            if radius == 0 {
                return Ok(None);
            }
            slices.retain(|n, _| self.own.iter().any(|own| n.abs_diff(*own) <= radius));
        }
    }
}
