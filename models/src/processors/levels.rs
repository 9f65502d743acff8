//! From 8-bit levels to the values that networks read.

use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use loupe_core::Picture;
use serde_json::{Value, json};

/// Mean and deviation of ImageNet.
pub(crate) const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// Mean and deviation of SigLIP and others: levels from -1 to 1.
pub(crate) const HALVES: [[f64; 3]; 2] = [[0.5; 3], [0.5; 3]];
/// Mean and deviation of CLIP's training pictures.
pub(crate) const CLIP: [[f64; 3]; 2] =
    [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_58, 0.275_777_11]];

/// The value of every 8-bit level of every channel.
#[derive(Clone, PartialEq)]
pub(crate) struct Levels {
    values: [[f32; 256]; 3],
    factor: f64,
    mean: [f64; 3],
    deviation: [f64; 3],
}

impl std::fmt::Debug for Levels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Levels({})", self.settings())
    }
}

impl Levels {
    /// A level becomes `(level · factor − mean) / deviation`.
    pub(crate) fn new(factor: f64, [mean, deviation]: [[f64; 3]; 2]) -> Self {
        let value = |channel: usize, level: usize| {
            ((level as f64 * factor - mean[channel]) / deviation[channel]) as f32
        };
        let values = std::array::from_fn(|channel| std::array::from_fn(|level| value(channel, level)));
        Self { values, factor, mean, deviation }
    }

    /// The numbers behind the values, for the record.
    pub(crate) fn settings(&self) -> Value {
        json!({ "rescale_factor": self.factor, "image_mean": self.mean, "image_std": self.deviation })
    }

    /// As the settings of an image processor say; `default` are its mean and deviation.
    pub(crate) fn read(fields: &Fields<'_>, default: [[f64; 3]; 2]) -> Result<Self, LoadError> {
        let factor = fields.f64_or("rescale_factor", 1.0 / 255.0)?;
        let factor = if fields.bool_or("do_rescale", true)? { factor } else { 1.0 };
        let mean = fields.numbers("image_mean", default[0])?;
        let deviation = fields.numbers("image_std", default[1])?;
        if deviation.contains(&0.0) {
            return Err(fields.bad("image_std", "has a zero"));
        }
        let normalised = fields.bool_or("do_normalize", true)?;
        Ok(Self::new(factor, if normalised { [mean, deviation] } else { [[0.0; 3], [1.0; 3]] }))
    }

    /// The mean of each channel, from 0 to 1 where levels are rescaled so.
    pub(crate) fn mean(&self) -> [f64; 3] {
        self.mean
    }

    /// Values by level of each channel.
    pub(crate) fn channels(&self) -> &[[f32; 256]; 3] {
        &self.values
    }

    /// An RGB picture plane after plane: (3, height, width).
    pub(crate) fn planes(&self, rgb: &Picture) -> Vec<f32> {
        let mut out = Vec::with_capacity(rgb.pixels().len());
        for (channel, values) in self.values.iter().enumerate() {
            out.extend(rgb.pixels().iter().skip(channel).step_by(3).map(|v| values[usize::from(*v)]));
        }
        out
    }
}
