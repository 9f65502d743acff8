//! A place in the tree of tensor names.

use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::layers::norm::LayerNorm;
use candle_core::Tensor;
use candle_nn::{Conv2d, Conv2dConfig, Linear};

/// The tensors whose names begin with a prefix.
#[derive(Clone)]
pub(crate) struct Vars<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl<'a> Vars<'a> {
    /// All tensors.
    pub(crate) fn root(weights: &'a Weights) -> Self {
        Self { weights, prefix: String::new() }
    }

    /// The canonical name of `name` in this subtree.
    pub(crate) fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    /// The subtree `name`.
    pub(crate) fn pp(&self, name: &str) -> Self {
        Self { weights: self.weights, prefix: self.name(name) }
    }

    /// The tensor, which must be there with this shape.
    pub(crate) fn get(&self, shape: &[usize], name: &str) -> Result<Tensor, LoadError> {
        self.weights.tensor(&self.name(name), shape)
    }

    /// Shape of a tensor, when there is one.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.weights.shape(&self.name(name))
    }

    /// `y = x·Wᵀ + b` with `W` of shape `(to, from)`.
    pub(crate) fn linear(&self, from: usize, to: usize, bias: bool, name: &str) -> Result<Linear, LoadError> {
        let vars = self.pp(name);
        let bias = if bias { Some(vars.get(&[to], "bias")?) } else { None };
        Ok(Linear::new(vars.get(&[to, from], "weight")?, bias))
    }

    /// A convolution with a bias; `side` is the kernel's.
    pub(crate) fn conv(
        &self,
        from: usize,
        to: usize,
        side: usize,
        how: Conv2dConfig,
        name: &str,
    ) -> Result<Conv2d, LoadError> {
        let vars = self.pp(name);
        Ok(Conv2d::new(vars.get(&[to, from, side, side], "weight")?, Some(vars.get(&[to], "bias")?), how))
    }

    /// Two vectors.
    pub(crate) fn pair(&self, width: usize, one: &str, other: &str) -> Result<(Tensor, Tensor), LoadError> {
        Ok((self.get(&[width], one)?, self.get(&[width], other)?))
    }

    /// Weight and bias of a norm.
    pub(crate) fn norm(&self, width: usize, name: &str) -> Result<(Tensor, Tensor), LoadError> {
        self.pp(name).pair(width, "weight", "bias")
    }

    /// Layer norm over the last dimension.
    pub(crate) fn layer_norm(&self, width: usize, eps: f64, name: &str) -> Result<LayerNorm, LoadError> {
        let (weight, bias) = self.norm(width, name)?;
        Ok(LayerNorm(candle_nn::LayerNorm::new(weight, bias, eps)))
    }
}
