//! Products of activations with each other, as attention has them.

use candle_core::{Device, Layout, Result, Tensor};

/// Most scores of an attention held at a time. On the processor 32 MiB of f32; a device is kept busy by fewer and larger steps.
pub(crate) fn most_scores(device: &Device) -> usize {
    if device.is_cpu() { 8 << 20 } else { 32 << 20 }
}

/// `a b` over the last two dimensions of each; either may be a view. The processor reads views as they are; cuBLAS those that
/// [`is_even`] describes, and others are copied. So the stored keys and values of a prompt are not copied at each step.
pub(crate) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.device().is_cpu() { a.matmul(b) } else { even(a)?.matmul(&even(b)?) }
}

fn even(t: &Tensor) -> Result<Tensor> {
    if is_even(t.layout()) { Ok(t.clone()) } else { t.contiguous() }
}

/// Do the rows or the columns of each matrix follow one another without a gap, and the matrices at even distances? candle
/// hands such views to cuBLAS (`gemm_config` of its CUDA backend) and refuses others.
fn is_even(layout: &Layout) -> bool {
    let ([sides @ .., rows, columns], [steps @ .., down, along]) = (layout.dims(), layout.stride()) else {
        return false;
    };
    let by_rows = *along == 1 && down == columns;
    let by_columns = *down == 1 && along == rows;
    let spaced = match (sides, steps) {
        ([], []) | ([_], [_]) => true,
        ([outer, inner], [far, near]) => *outer == 1 || *inner == 1 || *far == near * inner,
        _ => false,
    };
    (by_rows || by_columns) && spaced
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    /// What candle's `gemm_config` takes, on either side of a product.
    fn is_taken(t: &Tensor) -> bool {
        let (dims, steps) = (t.dims(), t.layout().stride());
        let n = dims.len();
        let (rows, columns) = (dims[n - 2], dims[n - 1]);
        let (down, along) = (steps[n - 2], steps[n - 1]);
        let whole = (along == 1 || columns == 1) && (down == columns || rows == 1);
        let turned = (along == rows || columns == 1) && (down == 1 || rows == 1);
        let spaced = match steps[..n - 2] {
            [far, near] => far == near * dims[1] || dims[0] == 1 || dims[1] == 1,
            [_] | [] => true,
            _ => false,
        };
        (whole || turned) && spaced
    }

    proptest! {
        #[test]
        fn every_operand_is_one_that_cublas_takes(
            sides in prop::collection::vec(1usize..4, 2..=4),
            cut in 0usize..4,
            turned: bool,
        ) {
            let whole: Vec<usize> = sides.iter().map(|n| n + 2).collect();
            let count = whole.iter().product::<usize>();
            let t = Tensor::arange(0f32, count as f32, &Device::Cpu).unwrap().reshape(whole).unwrap();
            // A part along one dimension, or along none.
            let mut t = if cut < sides.len() { t.narrow(cut, 1, sides[cut]).unwrap() } else { t };
            if turned {
                t = t.transpose(sides.len() - 2, sides.len() - 1).unwrap();
            }
            let operand = even(&t).unwrap();
            prop_assert!(is_taken(&operand));
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            prop_assert_eq!(values(&operand), values(&t));
        }
    }

    /// Keys and values as they are stored, in buffers with room to grow: a copy at each step would cost more than the product.
    #[test]
    fn stored_keys_and_values_are_not_copied() {
        let room = Tensor::zeros((2, 3, 64, 8), candle_core::DType::F32, &Device::Cpu).unwrap();
        let used = room.narrow(2, 0, 40).unwrap();
        let prefix = room.get_on_dim(1, 0).unwrap().contiguous().unwrap().narrow(1, 0, 33).unwrap();
        for view in [used.transpose(2, 3).unwrap(), used, prefix.transpose(1, 2).unwrap(), prefix] {
            assert!(is_even(view.layout()), "{:?}", view.layout());
        }
    }
}
