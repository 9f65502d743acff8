//! A small CT.

use loupe_app::open::{ImageOptions, reference};
use loupe_core::media::WindowChoice;
use loupe_core::{LpsFromIndex, MediaRef, Modality, SliceAt, View, Volume, Window};
use loupe_preprocess::Loader;
use ndarray::Array3;
use std::path::PathBuf;
use tempfile::TempDir;

/// 12 × 10 × 6 voxels of 0.5 × 2 × 3 mm: slices 1 to 4 are 10 HU a slice, the first and the last are air.
pub(crate) fn volume() -> Volume {
    let voxels = Array3::from_shape_fn((6, 10, 12), |(k, _, _)| match k {
        1..=4 => 10.0 * k as f32,
        _ => -1000.0,
    });
    let lps_from_index =
        LpsFromIndex::from_columns([0.5, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [-10.0, -20.0, 30.0]);
    Volume { voxels, lps_from_index, modality: Modality::Ct }
}

/// That volume as a NIfTI file.
pub(crate) struct Ct {
    pub(crate) dir: TempDir,
    pub(crate) file: PathBuf,
}

impl Ct {
    pub(crate) fn write() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ct.nii.gz");
        std::fs::write(&file, loupe_preprocess::nifti::volume_bytes(&volume()).unwrap()).unwrap();
        Self { dir, file }
    }

    /// As it is named on a command line.
    pub(crate) fn name(&self) -> String {
        self.file.display().to_string()
    }

    pub(crate) fn media(&self, view: View) -> MediaRef {
        reference(&self.file, view).unwrap()
    }
}

/// A slice as it is shown without a window.
pub(crate) fn slice(n: usize) -> View {
    View { slice: Some(SliceAt::Index(n)), ..View::default() }
}

/// A slice in a window in which all of the object is bright.
pub(crate) fn bright_slice(n: usize) -> View {
    View { window: Some(WindowChoice::Numbers(Window::linear(20.0, 100.0))), ..slice(n) }
}

pub(crate) fn loader() -> Loader {
    ImageOptions::default().loader()
}
