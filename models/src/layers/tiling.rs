//! Products of rows with weights in panels, tile by tile and on all cores.

use crate::kernels::{BrainKernel, F32, InstructionSet, Kernel, LANES, Panel, Ready, Rounded, Row};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Most rows of a task: with [`DEPTH_BYTES`] of each, they stay in a core's second cache.
const TASK_ROWS: usize = 192;
/// Bytes of the inputs of a row that many rows go through at a time, so that a panel stays in a core's caches for all of them.
const DEPTH_BYTES: usize = 2048;
/// Inputs of blocks that are made ready for a single tile, which stay in a core's first cache.
const READY: usize = 128;
/// Tasks of a product for each thread: of few rows, and of many, which are shared out less evenly.
const TASKS: [usize; 2] = [4, 8];
/// Most panels and rows of any tile.
const MOST: usize = 12;

/// Rows and weights that are multiplied by tiles.
pub(super) trait Tiles: Sync {
    /// What a task keeps between its tiles.
    type Space: Default;

    /// Most panels of a tile by its rows; as many rows as the last place at most.
    fn shapes(&self) -> &'static [usize];
    /// Units of a panel.
    fn depth(&self) -> usize;
    /// Units that so many tiles of rows go through at a time.
    fn step(&self, tiles: usize) -> usize;
    /// Makes units of some panels ready.
    fn take(&self, space: &mut Self::Space, panels: Range<usize>, units: Range<usize>);
    /// Adds the products of these units for some rows: `sums[row × panels + panel]`.
    fn add(
        &self,
        space: &Self::Space,
        panels: Range<usize>,
        units: Range<usize>,
        rows: Range<usize>,
        sums: &mut [[f32; LANES]],
    );
}

/// A part of `depth` as long as the others, at most `most`.
fn even_step(depth: usize, most: usize) -> usize {
    depth.div_ceil(depth.div_ceil(most.max(1)).max(1)).max(1)
}

/// Inputs in f32.
pub(super) struct Exact<'a, F: Kernel> {
    units: &'a [F::Unit],
    x: Cow<'a, [f32]>,
    depth: usize,
    set: InstructionSet,
    /// Are weights widened before they are multiplied? What takes more than a shift is, for many rows.
    widened: bool,
}

impl<'a, F: Kernel> Exact<'a, F> {
    /// `units` of panels of `input` inputs each, and rows of as many.
    pub(super) fn new(units: &'a [F::Unit], x: &'a [f32], input: usize) -> Self {
        let depth = input.div_ceil(F::INPUTS);
        let width = depth * F::INPUTS;
        let x = match width == input {
            true => Cow::Borrowed(x),
            false => {
                let mut wide = vec![0f32; x.len() / input.max(1) * width];
                let rows = wide.chunks_exact_mut(width).zip(x.chunks_exact(input));
                rows.for_each(|(to, from)| to[..input].copy_from_slice(from));
                Cow::Owned(wide)
            }
        };
        let set = InstructionSet::best();
        let few = 2 * (set.tiles::<F>().len() - 1);
        Self { units, depth, set, widened: F::INPUTS > 2 && x.len() / width.max(1) > few, x }
    }

    fn panel(&self, panel: usize, units: &Range<usize>) -> &[F::Unit] {
        &self.units[panel * self.depth..][units.clone()]
    }
}

impl<F: Kernel> Tiles for Exact<'_, F> {
    /// Widened weights, panel by panel; empty where they are not widened.
    type Space = Vec<[f32; LANES]>;

    fn shapes(&self) -> &'static [usize] {
        if self.widened { self.set.tiles::<F32>() } else { self.set.tiles::<F>() }
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn step(&self, tiles: usize) -> usize {
        if tiles == 1 { self.depth } else { even_step(self.depth, DEPTH_BYTES / 4 / F::INPUTS) }
    }

    fn take(&self, space: &mut Self::Space, panels: Range<usize>, units: Range<usize>) {
        if self.widened {
            let length = units.len() * F::INPUTS;
            space.resize(panels.len() * length, [0.0; LANES]);
            for (panel, place) in panels.zip(space.chunks_exact_mut(length.max(1))) {
                self.set.widen::<F>(self.panel(panel, &units), place);
            }
        }
    }

    fn add(
        &self,
        space: &Self::Space,
        panels: Range<usize>,
        units: Range<usize>,
        rows: Range<usize>,
        sums: &mut [[f32; LANES]],
    ) {
        let width = self.depth * F::INPUTS;
        let mut lines = [&self.x[..0]; MOST];
        for (line, row) in lines.iter_mut().zip(rows.clone()) {
            *line = &self.x[row * width..][units.start * F::INPUTS..units.end * F::INPUTS];
        }
        let lines = &lines[..rows.len()];
        if self.widened {
            let mut parts = [&space[..0]; MOST];
            for (part, panel) in parts.iter_mut().zip(space.chunks_exact((units.len() * F::INPUTS).max(1))) {
                *part = panel;
            }
            return self.set.add::<F32>(&parts[..panels.len()], lines, sums);
        }
        let mut parts = [&self.units[..0]; MOST];
        let count = panels.len();
        for (part, panel) in parts.iter_mut().zip(panels) {
            *part = self.panel(panel, &units);
        }
        self.set.add::<F>(&parts[..count], lines, sums);
    }
}

/// Inputs that are rounded to bf16.
pub(super) struct InBrain<'a, F: BrainKernel> {
    units: &'a [F::Unit],
    x: Rounded,
    depth: usize,
    set: InstructionSet,
    /// Are blocks multiplied as they are?
    as_blocks: bool,
}

impl<'a, F: BrainKernel> InBrain<'a, F> {
    /// `units` of panels of `input` inputs each, and rows of as many.
    pub(super) fn new(units: &'a [F::Unit], x: &[f32], input: usize) -> Self {
        let (set, rows) = (InstructionSet::best(), x.len() / input.max(1));
        let as_blocks = F::SCALED && set.adds_blocks() && rows < set.rounded_tiles(true).len();
        let x = Rounded::new(x, input, F::LOWERED.then_some(F::SHARED));
        Self { units, x, depth: input.div_ceil(F::INPUTS), set, as_blocks }
    }

    fn panels(&self, panels: Range<usize>, units: &Range<usize>) -> [&[F::Unit]; MOST] {
        let mut parts = [&self.units[..0]; MOST];
        for (part, panel) in parts.iter_mut().zip(panels) {
            *part = &self.units[panel * self.depth..][units.clone()];
        }
        parts
    }
}

impl<F: BrainKernel> Tiles for InBrain<'_, F> {
    type Space = Ready;

    fn shapes(&self) -> &'static [usize] {
        self.set.rounded_tiles(F::SCALED)
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn step(&self, tiles: usize) -> usize {
        match tiles {
            1 if F::SCALED && !self.as_blocks => even_step(self.depth, READY / F::INPUTS),
            1 => self.depth,
            _ => even_step(self.depth, DEPTH_BYTES / 2 / F::INPUTS),
        }
    }

    fn take(&self, space: &mut Ready, panels: Range<usize>, units: Range<usize>) {
        if F::SCALED && !self.as_blocks {
            self.set.ready::<F>(&self.panels(panels.clone(), &units)[..panels.len()], space);
        }
    }

    fn add(
        &self,
        space: &Ready,
        panels: Range<usize>,
        units: Range<usize>,
        rows: Range<usize>,
        sums: &mut [[f32; LANES]],
    ) {
        let half = F::INPUTS / 2;
        let mut lines = [Row { pairs: &[], sums: &[] }; MOST];
        for (line, row) in lines.iter_mut().zip(rows.clone()) {
            *line = self.x.row(row, units.start * half, units.end * half);
        }
        let (lines, blocks) = (&lines[..rows.len()], self.panels(panels.clone(), &units));
        if self.as_blocks {
            return self.set.add_blocks::<F>(&blocks[..panels.len()], lines, sums);
        }
        let mut parts = [Panel { pairs: &[], scales: &[], offs: &[] }; MOST];
        for (at, (part, block)) in parts.iter_mut().zip(blocks).enumerate().take(panels.len()) {
            *part = match F::SCALED {
                true => space.panel(at),
                // Weights that are numbers are pairs.
                false => Panel { pairs: bytemuck::cast_slice(block), scales: &[], offs: &[] },
            };
        }
        self.set.add_rounded(&parts[..panels.len()], lines, sums);
    }
}

/// Panels, the first of the rows that go through them, and the places of what comes out.
type Task<'a> = (Range<usize>, usize, Vec<&'a mut [f32]>);

/// (rows, in) to (rows, out).
pub(super) fn by_tiles<T: Tiles>(tiles: &T, rows: usize, out: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let mut y = vec![0f32; rows * out];
    let panels = out.div_ceil(LANES);
    if rows == 0 || panels == 0 {
        return y;
    }
    let shapes = tiles.shapes();
    let row_parts = rows.div_ceil(TASK_ROWS);
    let row_share = rows.div_ceil(row_parts).next_multiple_of(shapes.len() - 1);
    let column_parts = (rayon::current_num_threads() * TASKS[usize::from(row_parts > 1)]).div_ceil(row_parts);
    // Whole tiles of a single row; those of more rows are narrower.
    let share = panels.div_ceil(column_parts).next_multiple_of(shapes[1]);
    let parts = panels.div_ceil(share);
    // All rows of some outputs follow one another, so that their weights come from memory once.
    let row_parts = rows.div_ceil(row_share);
    let mut tasks: Vec<Task<'_>> = Vec::with_capacity(parts * row_parts);
    for part in 0..parts {
        let columns = part * share..((part + 1) * share).min(panels);
        tasks.extend((0..row_parts).map(|n| (columns.clone(), n * row_share, Vec::with_capacity(row_share))));
    }
    for (row, line) in y.chunks_mut(out).enumerate() {
        for (part, place) in line.chunks_mut(share * LANES).enumerate() {
            tasks[part * row_parts + row / row_share].2.push(place);
        }
    }
    tasks.into_par_iter().for_each(|(columns, first, mut y)| rectangle(tiles, columns, first, &mut y, bias));
    y
}

/// The outputs of some panels for the rows from `first_row` on; `y` holds the places of each row.
fn rectangle<T: Tiles>(
    tiles: &T,
    columns: Range<usize>,
    first_row: usize,
    y: &mut [&mut [f32]],
    bias: Option<&[f32]>,
) {
    let (shapes, depth, rows) = (tiles.shapes(), tiles.depth(), y.len());
    let blocks = rows.div_ceil(shapes.len() - 1);
    let at_once = if blocks == 1 { shapes[rows] } else { shapes[shapes.len() - 1] };
    let step = tiles.step(blocks);
    let mut space = T::Space::default();
    for from in (0..depth).step_by(step.max(1)) {
        let to = (from + step).min(depth);
        for first in columns.clone().step_by(at_once) {
            let count = at_once.min(columns.end - first);
            let panels = first..first + count;
            tiles.take(&mut space, panels.clone(), from..to);
            let column = (first - columns.start) * LANES;
            for block in 0..blocks {
                let range = block * rows / blocks..(block + 1) * rows / blocks;
                let tile = &mut y[range.clone()];
                let mut sums = [[0f32; LANES]; 2 * MOST];
                let sums = &mut sums[..tile.len() * count];
                if from > 0 {
                    for (line, sums) in tile.iter().zip(sums.chunks_exact_mut(count)) {
                        for (place, sums) in line[column..].chunks(LANES).zip(sums) {
                            match place.try_into() {
                                Ok(whole) => *sums = whole,
                                Err(_) => sums[..place.len()].copy_from_slice(place),
                            }
                        }
                    }
                }
                let own = first_row + range.start..first_row + range.end;
                tiles.add(&space, panels.clone(), from..to, own, sums);
                let bias = bias.filter(|_| to == depth);
                for (line, sums) in tile.iter_mut().zip(sums.chunks_exact(count)) {
                    for (p, (place, sums)) in line[column..].chunks_mut(LANES).zip(sums).enumerate() {
                        match <&mut [f32; LANES]>::try_from(&mut *place) {
                            // Of known length: no call.
                            Ok(whole) => *whole = *sums,
                            Err(_) => place.copy_from_slice(&sums[..place.len()]),
                        }
                        if let Some(bias) = bias.and_then(|b| b.get((first + p) * LANES..)) {
                            place.iter_mut().zip(bias).for_each(|(p, b)| *p += b);
                        }
                    }
                }
            }
        }
    }
}
