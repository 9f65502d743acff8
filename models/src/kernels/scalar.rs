//! What every kernel computes: sums over the inputs in order, each product added with one rounding.

use super::formats::{Format, LANES};

/// See [`super::InstructionSet::add`].
pub(super) fn add<F: Format>(panels: &[&[F::Unit]], x: &[&[f32]], sums: &mut [[f32; LANES]]) {
    for (row, sums) in x.iter().zip(sums.chunks_exact_mut(panels.len().max(1))) {
        for (panel, sums) in panels.iter().zip(sums) {
            for (unit, x) in panel.iter().zip(row.chunks_exact(F::INPUTS)) {
                for (input, x) in x.iter().enumerate() {
                    let weights = F::widen(unit, input);
                    sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum = x.mul_add(w, *sum));
                }
            }
        }
    }
}

/// See [`super::InstructionSet::widen`].
pub(super) fn widen<F: Format>(panel: &[F::Unit], out: &mut [[f32; LANES]]) {
    for (unit, lines) in panel.iter().zip(out.chunks_exact_mut(F::INPUTS)) {
        lines.iter_mut().enumerate().for_each(|(input, line)| *line = F::widen(unit, input));
    }
}
