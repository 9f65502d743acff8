//! What a checkpoint is and needs, from its settings and the headers of its files: nothing is loaded.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::Dtype;
use crate::error::LoadError;
use crate::families::find;
use crate::family::Family;
use loupe_core::available::free_memory;

/// What a checkpoint is and needs.
pub struct Summary {
    /// Its family.
    pub family: &'static Family,
    /// Numbers in its tensors.
    pub parameters: u64,
    /// Bytes of its files' tensors.
    pub stored_bytes: u64,
    /// Bytes that are free for programs; `None` where the system does not say.
    pub free_bytes: Option<u64>,
}

impl Summary {
    /// Of a checkpoint.
    ///
    /// # Errors
    /// When no family claims it, or files are missing or damaged.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        let family = find(checkpoint, None)?;
        let tensors = checkpoint.tensors()?;
        let count = |shape: &[usize]| shape.iter().map(|n| *n as u64).fold(1u64, u64::saturating_mul);
        Ok(Self {
            family,
            parameters: tensors.iter().map(|t| count(&t.shape)).fold(0, u64::saturating_add),
            stored_bytes: tensors.iter().map(|t| t.bytes).fold(0, u64::saturating_add),
            free_bytes: free_memory(),
        })
    }

    /// Bytes of the weights in a number type.
    pub fn bytes(&self, dtype: Dtype) -> u64 {
        self.parameters.saturating_mul(dtype.bytes() as u64)
    }
}
