//! Masks drawn as pictures.

use crate::error::AppError;
use loupe_core::{Mask, Picture};

/// What is not 0 in a drawn mask.
pub(super) fn drawn_mask(drawn: &Picture) -> Result<Mask, AppError> {
    let bits = drawn.pixels().chunks_exact(drawn.channels()).map(|p| p.iter().any(|v| *v > 0)).collect();
    Mask::new(drawn.width(), drawn.height(), bits).ok_or_else(|| AppError::input("the mask has no pixels"))
}
