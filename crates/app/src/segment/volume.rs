//! Whole volumes, labelled without prompts.

use super::label_files::write_labels;
use super::objects::SegmentOptions;
use crate::error::{AppError, InStep};
use crate::files;
use crate::instances::{InstanceEntry, instances_of};
use crate::open::ReadingRecord;
use loupe_core::measure::{self, IntensityStats, SolidMeasures};
use loupe_core::{ModelInfo, VolumeSegmenter};
use loupe_preprocess::Loader;
use loupe_preprocess::nifti::shear_note;
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
    /// How the image was read, by which version.
    pub reading: ReadingRecord,
    /// What reading decided, and what has to be said of the measures.
    pub notes: Vec<String>,
    /// The DICOM objects behind the slices; only when asked for, as they identify the study.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceEntry>,
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
    let labels = model.label(&read.without_padding())?;
    let mut present: Vec<u16> = labels.labels.iter().copied().filter(|v| *v != 0).collect();
    present.sort_unstable();
    present.dedup();
    let structures = present.into_iter().map(|label| {
        let padded = |at: (usize, usize, usize)| read.facts.padding.as_ref().is_some_and(|p| p[at]);
        let voxels = labels.labels.indexed_iter().zip(&read.volume.voxels);
        let under = voxels.filter(|((at, l), _)| **l == label && !padded(*at));
        StructureEntry {
            label,
            name: labels.names.get(&label).cloned(),
            solid: measure::solid(&labels, label),
            intensities: measure::intensities(under.map(|(_, v)| f64::from(*v))),
        }
    });
    let structures: Vec<StructureEntry> = structures.collect();
    let mut notes = read.notes.clone();
    if structures.is_empty() {
        notes.push("the model labelled no voxel".to_owned());
    }
    if options.output.is_some() {
        notes.extend(shear_note(&labels.lps_from_index));
    }
    let instances = match options.instances {
        true => instances_of(loader, &options.media, &image)?,
        false => Vec::new(),
    };
    let (model, reading) = (model.info().clone(), options.reading.record());
    let document = VolumeDocument { image, model, reading, notes, instances, structures };
    if let Some(dir) = &options.output {
        files::make_folder(dir)?;
        write_labels(dir, &labels)?;
        files::write(&dir.join("measures.json"), serde_json::to_string_pretty(&document)?.as_bytes())?;
    }
    Ok(document)
}
