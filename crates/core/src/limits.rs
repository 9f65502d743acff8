//! Bounds that are checked before memory is taken.

use crate::media::MediaError;
use serde::{Deserialize, Serialize};

/// How large a decoded image or volume may be. The defaults admit a whole-body CT of 1 600 slices
/// of 512 × 512 and refuse what would drive an ordinary machine into swapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeLimits {
    /// Most pixels of a picture, or voxels of a volume over all its frames (`--decode-max-pixels`).
    pub max_pixels: u64,
    /// Most bytes that one decoded or inflated object may take (`--max-memory`).
    pub max_memory_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 1 << 29, max_memory_bytes: 4 << 30 }
    }
}

impl DecodeLimits {
    /// The product of `sides`, when it is allowed.
    ///
    /// # Errors
    /// [`MediaError::Limit`] naming `--decode-max-pixels`.
    pub fn pixels(&self, sides: &[u64]) -> Result<usize, MediaError> {
        let product = sides.iter().try_fold(1u64, |n, &side| n.checked_mul(side)).unwrap_or(u64::MAX);
        if product > self.max_pixels {
            return Err(MediaError::Limit {
                what: "the number of pixels",
                got: product,
                limit: self.max_pixels,
                option: "--decode-max-pixels",
            });
        }
        usize::try_from(product).map_err(|_| too_much_memory(product, self.max_memory_bytes))
    }

    /// `count` items of `size` bytes, when that is allowed.
    ///
    /// # Errors
    /// [`MediaError::Limit`] naming `--max-memory`.
    pub fn memory(&self, count: usize, size: usize) -> Result<usize, MediaError> {
        let bytes = (count as u64).saturating_mul(size as u64);
        match usize::try_from(bytes) {
            Ok(fits) if bytes <= self.max_memory_bytes => Ok(fits),
            _ => Err(too_much_memory(bytes, self.max_memory_bytes)),
        }
    }

    /// The bytes of a file, when it is not larger than the memory allowed.
    ///
    /// # Errors
    /// When the file is missing, unreadable or too large.
    pub fn read_file(&self, path: &std::path::Path) -> Result<Vec<u8>, MediaError> {
        use std::io::Read;
        let file = std::fs::File::open(path).map_err(|e| io_error(&e))?;
        let size = file.metadata().map_err(|e| io_error(&e))?.len();
        self.memory(1, usize::try_from(size).unwrap_or(usize::MAX))?;
        // A device or pipe says it has length 0, so the bound holds while reading too.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(self.max_memory_bytes).read_to_end(&mut bytes).map_err(|e| io_error(&e))?;
        Ok(bytes)
    }
}

/// A file error without the path, which may identify a patient.
pub fn io_error(error: &std::io::Error) -> MediaError {
    match error.kind() {
        std::io::ErrorKind::NotFound => MediaError::NotFound,
        kind => MediaError::Io(kind.to_string()),
    }
}

fn too_much_memory(got: u64, limit: u64) -> MediaError {
    MediaError::Limit { what: "the memory needed", got, limit, option: "--max-memory" }
}
