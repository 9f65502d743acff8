//! A line of samples.jsonl, and where its images lie.

use loupe_core::{MediaRef, MediaSource, Sample, Target};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line of samples.jsonl: a sample, or why the dataset could not give it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleLine {
    /// Row of the dataset, from 0.
    pub row: usize,
    /// The sample; images in bytes are not stored, their names are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl SampleLine {
    /// The sample's id, or the row's number when there is no sample.
    pub fn id(&self) -> String {
        self.sample.as_ref().map_or_else(|| format!("row {}", self.row), |s| s.id.clone())
    }

    /// For comparisons: where the images lie does not matter, nor whether a folder of images was there yet;
    /// how they are named does. Bytes of images are left out, as in the file.
    pub(crate) fn without_paths(self) -> Self {
        self.with_media(|media| match &mut media.source {
            source @ (MediaSource::File(_) | MediaSource::Folder(_)) => {
                *source = MediaSource::File(PathBuf::new());
            }
            MediaSource::Bytes(bytes) => *bytes = Arc::from([]),
        })
    }

    /// A copy whose files are named from `root` on, where they lie below it; others by their whole path.
    pub(crate) fn relative_to(&self, root: Option<&Path>) -> Self {
        let Some(root) = root else { return self.clone() };
        self.clone().with_media(|media| {
            if let MediaSource::File(path) | MediaSource::Folder(path) = &mut media.source
                && let Ok(whole) = std::path::absolute(&*path)
            {
                *path = whole.strip_prefix(root).map(Path::to_path_buf).unwrap_or(whole);
            }
        })
    }

    /// The same with the files that are named from the set's folder on found in `root`.
    pub(crate) fn rooted(self, root: Option<&Path>) -> Self {
        let Some(root) = root else { return self };
        self.with_media(|media| {
            if let MediaSource::File(path) | MediaSource::Folder(path) = &mut media.source {
                *path = root.join(&*path);
            }
        })
    }

    /// The same after something was done to every reference to an image or mask.
    pub(crate) fn with_media(mut self, mut change: impl FnMut(&mut MediaRef)) -> Self {
        if let Some(sample) = &mut self.sample {
            sample.media.iter_mut().for_each(&mut change);
            if let Target::Masks(masks) = &mut sample.target {
                masks.iter_mut().for_each(|mask| change(&mut mask.at));
            }
        }
        self
    }
}
