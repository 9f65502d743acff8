//! Weights as GGML stores them: row by row, in blocks that share scales.

use super::formats::{Format, LANES, Storable};
use half::f16;

/// A kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    Q8_0,
    Q4_0,
    Q4K,
    Q6K,
}

/// Evaluates an expression with `$format` standing for the format of a kind of block.
macro_rules! with_block {
    ($block:expr, $format:ident => $what:expr) => {
        match $block {
            $crate::kernels::Block::Q8_0 => {
                type $format = $crate::kernels::Q8_0;
                $what
            }
            $crate::kernels::Block::Q4_0 => {
                type $format = $crate::kernels::Q4_0;
                $what
            }
            $crate::kernels::Block::Q4K => {
                type $format = $crate::kernels::Q4K;
                $what
            }
            $crate::kernels::Block::Q6K => {
                type $format = $crate::kernels::Q6K;
                $what
            }
        }
    };
}
pub(crate) use with_block;

impl Block {
    /// All that there are.
    pub(crate) const ALL: [Self; 4] = [Self::Q8_0, Self::Q4_0, Self::Q4K, Self::Q6K];

    /// Name in files and records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4K => "q4_k",
            Self::Q6K => "q6_k",
        }
    }

    /// Weights of a block.
    pub(crate) fn inputs(self) -> usize {
        with_block!(self, F => F::INPUTS)
    }

    /// Bytes of a block.
    pub(crate) fn bytes(self) -> usize {
        with_block!(self, F => F::BYTES)
    }

    /// Are the scales of these blocks finite? What they multiply always is.
    pub(crate) fn are_finite(self, blocks: &[u8]) -> bool {
        with_block!(self, F => blocks.chunks_exact(F::BYTES).all(|block| {
            F::HALVES.iter().all(|at| f16::from_le_bytes([block[*at], block[at + 1]]).is_finite())
        }))
    }

    /// The weights of successive blocks.
    ///
    /// # Panics
    /// When `out` has not as many: a mistake of the caller.
    pub(crate) fn widen(self, blocks: &[u8], out: &mut [f32]) {
        with_block!(self, F => {
            assert_eq!(blocks.len() * F::INPUTS, out.len() * F::BYTES, "blocks of another number of weights");
            let mut lanes = Vec::with_capacity(LANES);
            let groups = blocks.chunks(LANES * F::BYTES).zip(out.chunks_mut(LANES * F::INPUTS));
            for (blocks, out) in groups {
                // Sixteen blocks of one row stand where sixteen rows do.
                lanes.clear();
                lanes.extend(blocks.chunks_exact(F::BYTES));
                let unit = F::gather(&lanes);
                for input in 0..F::INPUTS {
                    let values = F::widen(&unit, input);
                    out.iter_mut().skip(input).step_by(F::INPUTS).zip(values).for_each(|(o, v)| *o = v);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn bytes(hexadecimal: &str) -> Vec<u8> {
        (0..hexadecimal.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap())
            .collect()
    }

    /// `tests/parity/gguf/blocks.json` has blocks and what gguf-py makes of them (`make_gguf.py`).
    #[test]
    fn blocks_mean_what_gguf_py_says() {
        let file = include_bytes!("../../tests/parity/gguf/blocks.json");
        let cases: serde_json::Value = serde_json::from_slice(file).unwrap();
        for block in Block::ALL {
            let case = &cases[block.name()];
            let stored = bytes(case["stored"].as_str().unwrap());
            let wanted = bytes(case["values"].as_str().unwrap());
            assert!(stored.len() > 16 * block.bytes(), "more than one unit");
            let wanted: Vec<f32> = wanted.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let mut found = vec![f32::NAN; wanted.len()];
            block.widen(&stored, &mut found);
            assert_eq!(found, wanted, "{}", block.name());
            assert!(block.are_finite(&stored));
        }
    }

    #[test]
    fn scales_that_are_not_finite_are_found() {
        for block in Block::ALL {
            let sound = vec![0u8; 3 * block.bytes()];
            assert!(block.are_finite(&sound));
            let found = (0..sound.len() - 1).filter(|at| {
                let mut bad = sound.clone();
                bad[at + 1] = 0x7c;
                !block.are_finite(&bad)
            });
            let halves = if block == Block::Q4K { 2 } else { 1 };
            assert_eq!(found.count(), 3 * halves, "{}", block.name());
        }
    }
}
