//! Voxel volumes in rescaled units.

use crate::geometry::LpsFromIndex;
use ndarray::Array3;
use serde::{Deserialize, Serialize};

/// What took the image, as far as it changes how intensities are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Modality {
    /// Computed tomography; voxels are Hounsfield units.
    Ct,
    /// Magnetic resonance; voxels have no unit.
    Mr,
    /// Positron emission tomography.
    Pt,
    /// Ultrasound.
    Us,
    /// Projection radiography (CR, DX, MG, XA, RF).
    Xray,
    /// A label map or segmentation.
    Labels,
    /// Anything else, or not said.
    Other,
}

impl Modality {
    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ct => "CT",
            Self::Mr => "MR",
            Self::Pt => "PT",
            Self::Us => "US",
            Self::Xray => "X-ray",
            Self::Labels => "labels",
            Self::Other => "other modality",
        }
    }
}

/// Voxels with their place in the patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Rescaled values in (slice k, row j, column i) order; HU for CT.
    pub voxels: Array3<f32>,
    /// Voxel index (i, j, k) at centres to patient mm.
    pub lps_from_index: LpsFromIndex,
    /// What took it.
    pub modality: Modality,
}

impl Volume {
    /// Number of slices, rows and columns.
    pub fn shape(&self) -> [usize; 3] {
        let (k, j, i) = self.voxels.dim();
        [k, j, i]
    }

    /// Voxel sizes along i, j and k in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.lps_from_index.spacing_mm()
    }
}
