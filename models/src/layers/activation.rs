//! What MLPs put between their layers.

use super::fused;
use candle_core::{Result, Tensor};
use candle_nn::ops::{sigmoid, silu};

/// A function of each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    /// GELU by its tanh approximation.
    GeluTanh,
    /// GELU by a sigmoid.
    QuickGelu,
}

impl Activation {
    /// By the name that `transformers` has for it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "silu" => Self::Silu,
            "gelu" => Self::Gelu,
            "gelu_pytorch_tanh" => Self::GeluTanh,
            "quick_gelu" => Self::QuickGelu,
            _ => return None,
        })
    }

    /// The same shape; the tensor may be overwritten.
    pub(crate) fn apply(self, x: Tensor) -> Result<Tensor> {
        match self {
            Self::Silu => silu(&x),
            Self::Gelu => fused::gelu(x),
            Self::GeluTanh => fused::gelu_tanh(x),
            Self::QuickGelu => &x * sigmoid(&(&x * 1.702)?)?,
        }
    }
}
