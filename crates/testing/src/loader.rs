//! Loaders that need no files.

use loupe_core::media::SliceAt;
use loupe_core::{LpsFromIndex, MediaError, MediaLoader, MediaRef, MediaSource, Origin, Picture};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// 2 × 2 pictures of one grey level that follows from the name. Unless it is `sound`, `image1.png` is missing
/// and `image2.png` makes the decoder panic. Counts its calls by name.
#[derive(Debug, Default)]
pub struct FlatPictures {
    /// How often each name was loaded.
    pub loads: Mutex<BTreeMap<String, usize>>,
    /// Does every picture load?
    pub sound: bool,
}

impl FlatPictures {
    /// One from which every picture loads.
    pub fn sound() -> Self {
        Self { sound: true, ..Self::default() }
    }
}

impl MediaLoader for FlatPictures {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        *self.loads.lock().unwrap().entry(media.name.clone()).or_default() += 1;
        let MediaSource::File(_) = &media.source else { return Err(MediaError::NotFound) };
        match media.name.as_str() {
            "image1.png" if !self.sound => Err(MediaError::NotFound),
            "image2.png" if !self.sound => panic!("a hostile file"),
            name => {
                let level = name.bytes().map(usize::from).sum::<usize>() as u8;
                Ok(Picture::new(2, 2, 1, vec![level; 4]).unwrap())
            }
        }
    }
}

/// For what must not look at a picture: none loads.
#[derive(Debug, Clone, Copy)]
pub struct NoPictures;

impl MediaLoader for NoPictures {
    fn load(&self, _: &MediaRef) -> Result<Picture, MediaError> {
        Err(MediaError::NotFound)
    }
}

/// A volume of ten slices of 40 × 30 pixels (0.5 × 0.7 × 3 mm) whose grey level is the number of the slice;
/// the window asked for stands in the origin's steps.
#[derive(Debug, Clone, Copy)]
pub struct Slices;

impl MediaLoader for Slices {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let slice = match media.view.slice {
            None => 5,
            Some(SliceAt::Index(n)) if n < 10 => n,
            Some(_) => return Err(MediaError::View("the volume has 10 slices".into())),
        };
        let mut origin = Origin::of_size(40, 30);
        origin.slice = Some(slice);
        origin.plane = Some(media.view.plane);
        let lps_from_index = LpsFromIndex::from_columns(
            [0.5, 0.0, 0.0],
            [0.0, 0.7, 0.0],
            [0.0, 0.0, 3.0],
            [-10.0, -20.0, 30.0],
        );
        origin.lps_from_source = Some(lps_from_index.plane(slice as f64));
        origin.steps.push(format!("{:?}", media.view.window));
        Ok(Picture::new(40, 30, 1, vec![slice as u8; 1200]).unwrap().with_origin(origin))
    }
}
