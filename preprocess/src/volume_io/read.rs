//! What reading a research format gives, and where its second file may lie.

use crate::presentation::{Curve, GreyScale, Presentation};
use crate::render::{ChosenWindow, render, stored_slice, window_for};
use crate::volume_facts::VolumeFacts;
use loupe_core::media::{MediaError, View, WindowChoice};
use loupe_core::picture::Picture;
use loupe_core::volume::Volume;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A volume read from a research format, with what the record needs.
#[derive(Debug, Clone)]
pub struct ReadVolume {
    /// The voxels of one frame and their place.
    pub volume: Volume,
    /// Frames (time points, echoes, components) in the file.
    pub frames: usize,
    /// How its slices are shown, where they came from, and which voxels are padding.
    pub facts: VolumeFacts,
    /// Number type in the file.
    pub stored_type: &'static str,
    /// Names of labels, where the format holds them.
    pub label_names: BTreeMap<u16, String>,
    /// Decisions for the record: which matrix, which unit, what was ignored.
    pub notes: Vec<String>,
}

impl ReadVolume {
    /// A volume of which nothing else is known.
    pub fn of(volume: Volume) -> Self {
        Self {
            volume,
            frames: 1,
            facts: VolumeFacts::default(),
            stored_type: "float32",
            label_names: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// The slice that `view` asks for as an 8-bit picture, in the grey scale that it means.
    ///
    /// # Errors
    /// When the slice or window does not exist.
    pub fn picture(&self, view: &View) -> Result<Picture, MediaError> {
        let stored = stored_slice(&self.volume, view)?;
        let grey = self.grey_scale(view.window.as_ref(), stored, |choice| self.window(choice))?;
        render(&self.volume, self.facts.padding.as_ref(), view, &grey)
    }

    /// The grey scale that `choice` means for stored slice `k`, or, when it is not given, for a picture that
    /// holds voxels of many slices. What depends on the values is worked out by `of_values`, which is
    /// [`ReadVolume::window`] or remembers what that gave.
    ///
    /// Without a choice a slice is shown as its file says; pictures across slices are shown in the median of
    /// the stored windows, or as all slices are when that is the same way. Where the files say nothing, see
    /// [`window_for`].
    ///
    /// # Errors
    /// As [`window_for`], when there is no such stored window, and for planes across slices of MONOCHROME1
    /// and MONOCHROME2.
    pub fn grey_scale(
        &self,
        choice: Option<&WindowChoice>,
        k: Option<usize>,
        of_values: impl FnOnce(Option<&WindowChoice>) -> Result<ChosenWindow, MediaError>,
    ) -> Result<GreyScale, MediaError> {
        let facts = &self.facts;
        let own = match k {
            Some(k) => facts.slice(k).map(|slice| &*slice.presentation),
            None => facts.common(),
        };
        let stored = |curve: Curve| (curve, "window stored in the file".to_owned());
        let median = |n: usize| {
            let window = facts.median(n)?;
            Ok::<_, MediaError>((Curve::Window(window), format!("median of the stored windows {n}")))
        };
        let (curve, step) = match choice {
            None => match own.and_then(Presentation::first) {
                Some(curve) => stored(curve),
                None if facts.median(0).is_ok() => median(0)?,
                None => {
                    let chosen = of_values(None)?;
                    (Curve::Window(chosen.window), chosen.step)
                }
            },
            Some(WindowChoice::Stored(n)) => match own.and_then(|own| own.curve(*n)) {
                Some(curve) => stored(curve),
                None => median(*n)?,
            },
            Some(WindowChoice::Median(n)) => median(*n)?,
            Some(_) => {
                let chosen = of_values(choice)?;
                (Curve::Window(chosen.window), chosen.step)
            }
        };
        Ok(GreyScale { curve, inverted: facts.inverted(k)?, steps: vec![step] })
    }

    /// The window for a choice that depends on the values of the whole volume, padding left out.
    ///
    /// # Errors
    /// As [`window_for`].
    pub fn window(&self, choice: Option<&WindowChoice>) -> Result<ChosenWindow, MediaError> {
        let modality = Some(self.volume.modality);
        let choice = match (choice, self.facts.whole()) {
            (Some(WindowChoice::Numbers(window)), Some(whole)) => {
                Some(WindowChoice::Exactly(window.for_values(whole)))
            }
            (other, _) => other.cloned(),
        };
        window_for(choice.as_ref(), &self.image_values(), modality)
    }

    /// All values that are not padding.
    pub fn image_values(&self) -> Cow<'_, [f32]> {
        match (&self.facts.padding, self.volume.voxels.as_slice()) {
            (None, Some(values)) => Cow::Borrowed(values),
            (None, None) => Cow::Owned(self.volume.voxels.iter().copied().collect()),
            (Some(padding), _) => {
                let image = self.volume.voxels.iter().zip(padding).filter(|(_, padded)| !**padded);
                Cow::Owned(image.map(|(value, _)| *value).collect())
            }
        }
    }

    /// The volume with padding as dark as its darkest value, for models and recipes that take the smallest and
    /// largest value or percentiles of what they get.
    pub fn without_padding(&self) -> Cow<'_, Volume> {
        let Some(padding) = &self.facts.padding else { return Cow::Borrowed(&self.volume) };
        let inverted = self.facts.inverted(None).unwrap_or(false);
        let values = self.image_values();
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let dark = if inverted { finite.reduce(f32::max) } else { finite.reduce(f32::min) }.unwrap_or(0.0);
        let mut volume = self.volume.clone();
        volume.voxels.zip_mut_with(padding, |value, padded| {
            if *padded {
                *value = dark;
            }
        });
        Cow::Owned(volume)
    }
}

/// The path of `name` inside `folder`, when it stays inside: no absolute paths, no `..`, no links
/// that lead out. For file names written in headers and manifests.
///
/// # Errors
/// When it leads out ([`MediaError::View`]) or is not there.
pub fn inside(folder: &Path, name: &str) -> Result<PathBuf, MediaError> {
    let relative = Path::new(name);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let out = || MediaError::View("a file name inside the file or manifest leads out of its folder".into());
    if !plain || name.contains("://") {
        return Err(out());
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let base = folder.canonicalize().map_err(|_| MediaError::NotFound)?;
    let full = base.join(relative).canonicalize().map_err(|_| MediaError::NotFound)?;
    if full.starts_with(&base) { Ok(full) } else { Err(out()) }
}
