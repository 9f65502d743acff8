//! Interpolation kernels by name, and why a resize is refused.

use loupe_core::picture::PictureError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Interpolation kernel, under Pillow's names; widened when the picture shrinks (antialiasing),
/// except [`Filter::Nearest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The source pixel under the centre (Pillow) or the corner (torchvision) of the output pixel.
    Nearest,
    /// Mean of the source pixels covered.
    Box,
    /// Triangle, support 1.
    Bilinear,
    /// Hamming-windowed sinc, support 1.
    Hamming,
    /// Keys' cubic with a = -0.5, support 2.
    Bicubic,
    /// Lanczos-windowed sinc, support 3.
    Lanczos,
}

impl Filter {
    /// The name in records and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Box => "box",
            Self::Bilinear => "bilinear",
            Self::Hamming => "hamming",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }

    /// The filter of a `resample` number in a Hugging Face processor file (PIL's constants).
    pub const fn from_pil_constant(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Nearest,
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            _ => return None,
        })
    }
}

/// Why a resize was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// A side of the input or of the output is zero, or their product does not fit in memory.
    #[error(
        "cannot resize {from_width}×{from_height} to {width}×{height}: each side needs 1 to 2³¹-1 pixels"
    )]
    Size {
        /// Columns before.
        from_width: usize,
        /// Rows before.
        from_height: usize,
        /// Columns after.
        width: usize,
        /// Rows after.
        height: usize,
    },
    /// The library has no such filter for 8-bit pictures.
    #[error(
        "torchvision has no antialiased {0} filter for 8-bit pictures; use bilinear or bicubic, or the pillow backend"
    )]
    NotInTorchvision(&'static str),
    /// The bytes do not fit the size.
    #[error(transparent)]
    Picture(#[from] PictureError),
}
