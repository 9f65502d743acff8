//! What came of segmenting objects, as a JSON document.

use super::prompts::ObjectPrompt;
use super::salient::SaliencyEntry;
use crate::findings::ViewEntry;
use crate::instances::InstanceEntry;
use crate::open::ReadingRecord;
use loupe_core::measure::{FlatMeasures, IntensityStats, SolidMeasures};
use loupe_core::{ModelInfo, PictureRecord};
use serde::Serialize;

/// A segmented object.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectEntry {
    /// Its name.
    pub label: String,
    /// What described it.
    pub prompt: ObjectPrompt,
    /// The model's own estimate of the mask's IoU.
    pub predicted_iou: Option<f32>,
    /// `[x0, y0, x1, y1]` around the mask in source pixels; none when it is empty.
    pub box_xyxy: Option<[f64; 4]>,
    /// Area and diameters on the picture.
    #[serde(flatten)]
    pub flat: FlatMeasures,
    /// Centre of the mask in patient millimetres (LPS).
    pub centre_lps_mm: Option<[f64; 3]>,
    /// Values under the mask in the image's own unit.
    pub intensities: Option<IntensityStats>,
    /// `HU` where the file says that it is CT.
    pub unit: Option<&'static str>,
    /// Of the mask through the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solid: Option<SolidMeasures>,
    /// What has to be said of it: that the mask is empty, that a propagation ended at once, how far millimetres
    /// can be trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An object without a mask.
#[derive(Debug, Clone, Serialize)]
pub struct FailedPrompt {
    /// What described it.
    pub prompt: ObjectPrompt,
    /// Why there is no mask.
    pub reason: String,
}

/// What came of all objects.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentDocument {
    /// Where they lie.
    #[serde(flatten)]
    pub view: ViewEntry,
    /// What made the masks.
    pub model: ModelInfo,
    /// The picture that prompts and masks are on: its window, plane and every step, its pixel size and what has to
    /// be said of it.
    pub picture: PictureRecord,
    /// How the image was read, by which version.
    pub reading: ReadingRecord,
    /// The DICOM objects behind the slices; only when asked for, as they identify the study.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceEntry>,
    /// Those with a mask.
    pub objects: Vec<ObjectEntry>,
    /// Those without.
    pub failed: Vec<FailedPrompt>,
    /// What an encoder of pictures and texts showed of phrases; `saliency-NN` is the map of the `NN`-th.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub saliency: Vec<SaliencyEntry>,
    /// What has to be said of the files that were written, and of masks that were given as prompts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
