//! From a picture to what a network reads, and how many tokens it is.

pub(crate) mod centred;
pub(crate) mod grey_square;
pub(crate) mod letterbox;
pub(crate) mod levels;
pub(crate) mod qwen_vl;
pub(crate) mod sam;
pub(crate) mod sam2;
pub(crate) mod shared_budget;
pub(crate) mod sliver;
pub(crate) mod square;
pub(crate) mod tiles;
