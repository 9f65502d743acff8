//! What Qwen2-VL and Qwen2.5-VL share.

pub(crate) mod config;
pub(crate) mod model;
pub(crate) mod vision;
