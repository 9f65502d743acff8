//! A picture as patches on a grid, each token for a square of them: Qwen's and Hulu-Med's.

use crate::engine::architecture::{PromptPicture, Span};
use crate::processors::qwen_vl::PatchLayout;

/// A picture as patches on a grid, with what else a family knows of it.
pub(super) struct PatchedPicture<T = ()> {
    pub(super) layout: PatchLayout,
    pub(super) span: Span,
    pub(super) digest: [u8; 32],
    pub(super) own: T,
}

impl<T: Send> PromptPicture for PatchedPicture<T> {
    fn spans(&self) -> &[Span] {
        std::slice::from_ref(&self.span)
    }

    fn frame(&self) -> [usize; 2] {
        self.layout.resized
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn grid(&self) -> Option<[usize; 3]> {
        Some(self.layout.grid)
    }
}
