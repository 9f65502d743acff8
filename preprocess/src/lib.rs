//! Medical images to [`loupe_core::Picture`]s and [`loupe_core::Volume`]s, right or refused.

pub mod resampler;
pub mod resize;
