//! Matrix products with weights of the checkpoint.

use crate::LoadError;
use crate::weights::Weights;
use candle_core::{Device, Result, Tensor};

/// `x Wᵀ + b` with W of shape (out, in).
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `name.weight` and, when `bias`, `name.bias`.
    pub(crate) fn load(
        w: &Weights,
        name: &str,
        input: usize,
        out: usize,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        Self::load_stacked(w, &[(name, out)], input, bias)
    }

    /// Several layers on the same input as one product, their outputs side by side.
    pub(crate) fn load_stacked(
        w: &Weights,
        parts: &[(&str, usize)],
        input: usize,
        bias: bool,
    ) -> std::result::Result<Self, LoadError> {
        let mut values = Vec::new();
        let mut biases = Vec::new();
        let mut total = 0;
        for (name, out) in parts {
            values.extend(w.f32(&format!("{name}.weight"), &[*out, input])?);
            if bias {
                biases.extend(w.f32(&format!("{name}.bias"), &[*out])?);
            }
            total += out;
        }
        Self::from_values(w, values, bias.then_some(biases), input, total)
    }

    /// A layer from values in (out, in) order.
    pub(crate) fn from_values(
        w: &Weights,
        values: Vec<f32>,
        bias: Option<Vec<f32>>,
        input: usize,
        out: usize,
    ) -> std::result::Result<Self, LoadError> {
        let numbers = &w.numbers;
        let place = |values: Vec<f32>, shape: &[usize]| -> Result<Tensor> {
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
            // Rounded to the number type asked for, whatever the product is computed in.
            let tensor = tensor.to_dtype(numbers.weights.candle())?;
            tensor.to_dtype(numbers.activations)?.to_device(&numbers.device)
        };
        let weight = place(values, &[out, input])?;
        let bias = bias.map(|b| place(b, &[out])).transpose()?;
        Ok(Self { weight, bias })
    }

    /// (n, in) to (n, out).
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// Rows of W (an embedding table that is also the output head).
    pub(crate) fn rows(&self, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::new(ids, self.weight.device())?;
        self.weight.index_select(&ids, 0)
    }
}
