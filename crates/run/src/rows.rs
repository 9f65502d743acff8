//! Rows of a dataset, and the order in which they are drawn.

use loupe_core::guard::caught;
use loupe_core::{DataError, Dataset, Sample, Spot};
use sha2::{Digest, Sha256};

/// Why an item has no reply after a panic.
pub(crate) const PANICKED: &str =
    "the program failed on this item in a way that it should not; please report it";

/// A row of the dataset; one that its reader panics at is an error like another.
pub(crate) fn sample(dataset: &dyn Dataset, row: usize) -> Result<Sample, DataError> {
    caught(|| dataset.get(row)).unwrap_or_else(|| {
        Err(DataError::Row {
            file: dataset.info().name.clone(),
            at: Spot::Row(row + 1),
            problem: PANICKED.to_owned(),
        })
    })
}

/// Where a sample stands in the order of a draw. It follows from seed and id alone, so that a larger draw holds a smaller one, and other
/// rows change nothing.
pub(crate) fn rank(seed: u64, id: &str) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(id).finalize().into()
}
