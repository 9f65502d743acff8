//! Whole volumes, labelled without prompts.

use super::objects::SegmentOptions;
use crate::error::{AppError, InStep};
use crate::files;
use loupe_core::measure::{self, IntensityStats, SolidMeasures};
use loupe_core::{ModelInfo, VolumeSegmenter};
use loupe_preprocess::Loader;
use loupe_preprocess::nifti::label_bytes;
use serde::Serialize;

/// A label of a volume.
#[derive(Debug, Clone, Serialize)]
pub struct StructureEntry {
    /// The label's number.
    pub label: u16,
    /// Its name, where the model says one.
    pub name: Option<String>,
    /// Volume and diameters.
    #[serde(flatten)]
    pub solid: SolidMeasures,
    /// Values under it in the volume's own unit.
    pub intensities: Option<IntensityStats>,
}

/// Every label of a volume, as a JSON document.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeDocument {
    /// The image as it was named.
    pub image: String,
    /// What made the labels.
    pub model: ModelInfo,
    /// The labels that occur, in order.
    pub structures: Vec<StructureEntry>,
}

/// Labels every voxel, measures each label and writes the files; the prompts of `options` are not looked at.
///
/// # Errors
/// When the volume cannot be read, the model fails, or a file cannot be written.
pub fn segment_volume(
    options: &SegmentOptions,
    loader: &Loader,
    model: &mut dyn VolumeSegmenter,
) -> Result<VolumeDocument, AppError> {
    let image = options.image.clone();
    let read = loader.load_volume(&options.media).step(|| format!("{image} could not be used"))?;
    let labels = model.label(&read.volume)?;
    let mut present: Vec<u16> = labels.labels.iter().copied().filter(|v| *v != 0).collect();
    present.sort_unstable();
    present.dedup();
    let structures = present.into_iter().map(|label| {
        let under = labels.labels.iter().zip(&read.volume.voxels).filter(|(l, _)| **l == label);
        StructureEntry {
            label,
            name: labels.names.get(&label).cloned(),
            solid: measure::solid(&labels, label),
            intensities: measure::intensities(under.map(|(_, v)| f64::from(*v))),
        }
    });
    let document = VolumeDocument { image, model: model.info().clone(), structures: structures.collect() };
    if let Some(dir) = &options.output {
        files::make_folder(dir)?;
        files::write(&dir.join("labels.nii.gz"), &label_bytes(&labels)?)?;
        files::write(&dir.join("measures.json"), serde_json::to_string_pretty(&document)?.as_bytes())?;
    }
    Ok(document)
}
