//! What has weights.

pub(crate) mod bart;
pub(crate) mod bert;
pub(crate) mod bottleneck;
pub(crate) mod class_vit;
pub(crate) mod clip;
pub(crate) mod davit;
pub(crate) mod decoder;
pub(crate) mod gemma_projector;
pub(crate) mod meshnet;
pub(crate) mod mlp_projector;
pub(crate) mod qwen_vit;
pub(crate) mod resnet;
pub(crate) mod sam;
pub(crate) mod sam2;
pub(crate) mod siglip;
pub(crate) mod siglip_navit;
pub(crate) mod stack;
pub(crate) mod swin;
mod windows;
