//! `dump.safetensors`: what the model saw and computed, to hold against a reference.

use crate::error::computation;
use candle_core::{DType, Device, Result, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// What the model saw and computed for one ask.
#[derive(Default)]
pub(crate) struct Dump {
    pub(crate) input_ids: Vec<u32>,
    pub(crate) positions: Vec<[u32; 3]>,
    /// Frames, rows and columns of patches of each picture, where the family has them.
    pub(crate) grids: Vec<[usize; 3]>,
    /// Patches of each picture.
    pub(crate) patches: Vec<Tensor>,
    /// Features of each picture.
    pub(crate) features: Vec<Tensor>,
    /// Of the last prompt position.
    pub(crate) logits: Vec<f32>,
    pub(crate) generated: Vec<u32>,
}

impl Dump {
    /// Writes `folder/dump.safetensors`: integers as i64, the rest as f32. Without pictures the
    /// entries about pictures are left out.
    pub(crate) fn write(&self, folder: &Path) -> std::result::Result<(), String> {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let tensors = self.tensors().map_err(|e| computation(&e))?;
        let path = folder.join("dump.safetensors");
        candle_core::safetensors::save(&tensors, &path)
            .map_err(|e| format!("{}: {}", path.display(), computation(&e)))
    }

    fn tensors(&self) -> Result<HashMap<&'static str, Tensor>> {
        let ids = |list: &[u32]| -> Result<Tensor> {
            Tensor::new(list.iter().map(|v| i64::from(*v)).collect::<Vec<_>>(), &Device::Cpu)
        };
        let axis = |a: usize| self.positions.iter().map(move |p| i64::from(p[a]));
        let positions: Vec<i64> = (0..3).flat_map(axis).collect();
        let mut out = HashMap::from([
            ("input_ids", ids(&self.input_ids)?),
            ("position_ids", Tensor::from_vec(positions, (3, self.positions.len()), &Device::Cpu)?),
            ("logits", Tensor::new(self.logits.as_slice(), &Device::Cpu)?),
            ("generated_ids", ids(&self.generated)?),
        ]);
        if !self.grids.is_empty() {
            let grids: Vec<i64> = self.grids.iter().flatten().map(|v| *v as i64).collect();
            out.insert("image_grid_thw", Tensor::from_vec(grids, (self.grids.len(), 3), &Device::Cpu)?);
        }
        if !self.patches.is_empty() {
            let cat = |list: &[Tensor]| Tensor::cat(list, 0)?.to_dtype(DType::F32)?.to_device(&Device::Cpu);
            out.insert("pixel_values", cat(&self.patches)?);
            out.insert("vision_features", cat(&self.features)?);
        }
        Ok(out)
    }
}
