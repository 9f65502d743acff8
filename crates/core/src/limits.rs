//! Bounds that are checked before memory is taken, and memory that is asked for instead of taken.

use crate::files::open_regular;
use crate::media::MediaError;
use serde::{Deserialize, Serialize};

/// How large a decoded image or volume may be. The defaults admit a whole-body CT of 1 600 slices
/// of 512 × 512 and refuse what would drive an ordinary machine into swapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeLimits {
    /// Most pixels of a picture, or voxels of a volume over all its frames (`--decode-max-pixels`).
    pub max_pixels: u64,
    /// Most bytes that one file may take while it is read, with its own bytes, what it is inflated to,
    /// every intermediate result and what is made of it (`--max-memory`).
    pub max_memory_bytes: u64,
}

/// Most bytes that all texts of a row have together: question, options, references, tags; and most bytes of a reply. About 250 000
/// tokens, more than nearly every model reads or says.
pub const LONGEST_TEXT: usize = 1 << 20;
/// Most bytes of what a row is called: its id, its group, its image.
pub const LONGEST_NAME: usize = 1 << 12;
/// What a text counts beside its bytes, so that many empty ones are many.
const EACH_TEXT: usize = 8;

/// Why a text is refused; nothing where it is not. `what` has a verb.
pub fn too_long(what: &str, bytes: usize, most: usize) -> Option<String> {
    (bytes > most)
        .then(|| format!("{what} {bytes} bytes, the most is {most}; shorten it, or leave the row out"))
}

/// Why the texts of a row cannot be read and judged in reasonable time; nothing where they can. `names` are what it is called, `parts`
/// the bytes of its texts, each with the word for it; none of the texts is told.
pub fn row_too_long(names: &[(&str, &str)], parts: &[(&str, usize)]) -> Option<String> {
    let name =
        names.iter().find_map(|(what, name)| too_long(&format!("its {what} has"), name.len(), LONGEST_NAME));
    name.or_else(|| {
        let (largest, _) = parts.iter().max_by_key(|(_, bytes)| *bytes)?;
        let together = parts.iter().fold(0usize, |sum, (_, bytes)| sum.saturating_add(*bytes));
        too_long(&format!("its texts, above all the {largest}, have"), together, LONGEST_TEXT)
    })
}

/// What texts count together.
pub fn text_bytes<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts.into_iter().fold(0, |sum, text| sum + text.len() + EACH_TEXT)
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 1 << 29, max_memory_bytes: 4 << 30 }
    }
}

impl DecodeLimits {
    /// The defaults, on a machine or in a container that gives this process less than twice the default
    /// of memory: half of what it gives.
    pub fn of_this_process() -> Self {
        let usual = Self::default();
        let most = crate::available::hard_limit().map_or(u64::MAX, |bytes| bytes / 2);
        Self { max_memory_bytes: usual.max_memory_bytes.min(most), ..usual }
    }

    /// The same with `share` of the memory (at least a byte).
    #[must_use]
    pub fn with_memory(self, bytes: u64) -> Self {
        Self { max_memory_bytes: bytes.max(1), ..self }
    }

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
        self.together(&[(count, size)])
    }

    /// Bytes of everything that is in memory at one time, each part as a number of items and their size,
    /// when that is allowed.
    ///
    /// # Errors
    /// [`MediaError::Limit`] naming `--max-memory`.
    pub fn together(&self, parts: &[(usize, usize)]) -> Result<usize, MediaError> {
        let sum = |sum: u64, &(count, size): &(usize, usize)| {
            sum.saturating_add((count as u64).saturating_mul(size as u64))
        };
        let bytes = parts.iter().fold(0u64, sum);
        match usize::try_from(bytes) {
            Ok(fits) if bytes <= self.max_memory_bytes => Ok(fits),
            _ => Err(too_much_memory(bytes, self.max_memory_bytes)),
        }
    }

    /// The bytes of a file, when it is not larger than the memory allowed.
    ///
    /// # Errors
    /// When the file is missing, unreadable, too large, or none (a pipe, a device).
    pub fn read_file(&self, path: &std::path::Path) -> Result<Vec<u8>, MediaError> {
        use std::io::Read;
        let file = open_regular(path).map_err(|e| io_error(&e))?;
        let size = file.metadata().map_err(|e| io_error(&e))?.len();
        let size = self.memory(1, usize::try_from(size).unwrap_or(usize::MAX))?;
        let mut bytes = room(size)?;
        // A file that grows meanwhile stays within the bound too.
        file.take(self.max_memory_bytes).read_to_end(&mut bytes).map_err(|e| io_error(&e))?;
        Ok(bytes)
    }
}

/// An empty list with room for `count` items. The size comes from a file, so the memory is asked for: where
/// there is none, that file fails and not the program.
///
/// # Errors
/// [`MediaError::OutOfMemory`].
pub fn room<T>(count: usize) -> Result<Vec<T>, MediaError> {
    let mut list = Vec::new();
    let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
    list.try_reserve_exact(count).map_err(|_| MediaError::OutOfMemory { bytes })?;
    Ok(list)
}

/// `count` times `value`; as [`room`].
///
/// # Errors
/// [`MediaError::OutOfMemory`].
pub fn filled<T: Clone>(count: usize, value: T) -> Result<Vec<T>, MediaError> {
    let mut list = room(count)?;
    list.resize(count, value);
    Ok(list)
}

/// The items of `from`, of which there are about `count`; as [`room`].
///
/// # Errors
/// [`MediaError::OutOfMemory`].
pub fn gathered<T>(count: usize, from: impl IntoIterator<Item = T>) -> Result<Vec<T>, MediaError> {
    let mut list = room(count)?;
    list.extend(from);
    Ok(list)
}

/// A file error without the path, which may identify a patient.
pub fn io_error(error: &std::io::Error) -> MediaError {
    match error.kind() {
        std::io::ErrorKind::NotFound => MediaError::NotFound,
        // Our own words, about what it is instead of a file.
        std::io::ErrorKind::InvalidInput => MediaError::Io(error.to_string()),
        kind => MediaError::Io(kind.to_string()),
    }
}

fn too_much_memory(got: u64, limit: u64) -> MediaError {
    MediaError::Limit { what: "the memory needed in bytes", got, limit, option: "--max-memory" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn what_is_in_memory_at_one_time_counts_together() {
        let limits = DecodeLimits { max_memory_bytes: 100, ..DecodeLimits::default() };
        assert_eq!(limits.together(&[(10, 4), (20, 3)]).unwrap(), 100);
        let refused = limits.together(&[(10, 4), (20, 3), (1, 1)]).unwrap_err().to_string();
        assert!(refused.contains("101") && refused.contains("--max-memory"), "{refused}");
        assert!(limits.together(&[(usize::MAX, usize::MAX), (usize::MAX, 2)]).is_err());
    }

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        let refused = room::<u64>(usize::MAX / 16).unwrap_err();
        assert!(matches!(refused, MediaError::OutOfMemory { bytes } if bytes == usize::MAX as u64 / 16 * 8));
        assert!(filled(usize::MAX, 0u8).is_err());
        assert_eq!(filled(3, 7u8).unwrap(), [7, 7, 7]);
        assert_eq!(gathered(2, [1, 2, 3]).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn the_memory_of_this_process_is_no_more_than_the_default() {
        let limits = DecodeLimits::of_this_process();
        assert!((1..=4 << 30).contains(&limits.max_memory_bytes));
    }
}
