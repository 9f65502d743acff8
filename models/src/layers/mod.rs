//! Parts that networks are made of.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod fused;
pub(crate) mod kv;
pub(crate) mod linear;
pub(crate) mod local;
pub(crate) mod multi_head;
pub(crate) mod norm;
pub(crate) mod packed;
pub(crate) mod product;
pub(crate) mod rope;
pub(crate) mod sight;
mod tiling;
pub(crate) mod vars;

use candle_core::{DType, Device, Result, Tensor};

/// Computes on a thread of the pool. Products share out their parts there: from any other thread each of them wakes the
/// pool and waits to be woken, which for a single row takes longer than the product itself.
pub(crate) fn on_pool<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    if device.is_cpu() { rayon::scope(|_| work()) } else { work() }
}

/// Is every value a finite number? What a network gives is read only then: NaN and infinity compare, round and
/// sort like any other value, and would end as a mask or a reply.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    // Part by part without a way out, so that it is done many at a time.
    values.chunks(1 << 10).all(|part| part.iter().fold(true, |all, v| all & v.is_finite()))
}

/// The same of a tensor of any number type, wherever it lies.
///
/// # Errors
/// When it cannot be computed.
pub(crate) fn is_finite(values: &Tensor) -> Result<bool> {
    // 0 times a number that is not finite is none.
    let zero = values.to_dtype(DType::F32)?.affine(0.0, 0.0)?.sum_all()?.to_scalar::<f32>()?;
    Ok(zero == 0.0)
}
