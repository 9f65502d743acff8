//! The DICOM objects that slices and frames were taken from.

use crate::error::{AppError, InStep};
use loupe_core::MediaRef;
use loupe_preprocess::Loader;
use loupe_preprocess::volume_facts::SliceInstance;
use serde::Serialize;

/// The object behind a slice of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceEntry {
    /// The image as it was named.
    pub image: String,
    /// Slice in the order of the volume, from 0; none for an image that is no volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<usize>,
    /// Its UID, number and frame.
    #[serde(flatten)]
    pub instance: SliceInstance,
}

/// The objects behind every slice of `image`, in order; a slice between two has both.
///
/// # Errors
/// When the image cannot be read.
pub fn instances_of(loader: &Loader, media: &MediaRef, image: &str) -> Result<Vec<InstanceEntry>, AppError> {
    let mut opened = loader.open(&media.source).step(|| format!("{image} could not be used"))?;
    let found = opened.instances(&media.view).step(|| format!("{image} could not be used"))?;
    let entry = |(slice, instance)| InstanceEntry { image: image.to_owned(), slice, instance };
    Ok(found.into_iter().map(entry).collect())
}
