//! Masks on a grid of two or three dimensions, and their parts.

use loupe_core::Mask;

/// A mask on a grid, last axis fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region<const N: usize> {
    shape: [usize; N],
    bits: Vec<bool>,
}

impl<const N: usize> Region<N> {
    /// A mask of `bits`, or `None` when their number is not that of the grid.
    pub fn new(shape: [usize; N], bits: Vec<bool>) -> Option<Self> {
        let cells = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s))?;
        (cells == bits.len()).then_some(Self { shape, bits })
    }

    /// The same grid with nothing covered.
    pub fn emptied(&self) -> Self {
        Self { shape: self.shape, bits: vec![false; self.bits.len()] }
    }

    /// Cells along each axis.
    pub fn shape(&self) -> [usize; N] {
        self.shape
    }

    /// The cells, last axis fastest.
    pub fn bits(&self) -> &[bool] {
        &self.bits
    }

    /// Number of covered cells.
    pub fn count(&self) -> usize {
        self.bits.iter().filter(|b| **b).count()
    }

    /// Step from a cell to the next along each axis.
    pub fn strides(&self) -> [usize; N] {
        loupe_core::distance::strides(self.shape)
    }

    /// Is the cell covered? Cells outside are not.
    pub fn get(&self, at: [i64; N]) -> bool {
        let mut index = 0usize;
        for (i, n) in at.iter().zip(self.shape) {
            match usize::try_from(*i) {
                Ok(i) if i < n => index = index * n + i,
                _ => return false,
            }
        }
        self.bits[index]
    }

    /// First and last covered index along each axis, over both masks; `None` when both are empty.
    pub fn bounds_with(&self, other: &Self) -> Option<([usize; N], [usize; N])> {
        let mut found: Option<([usize; N], [usize; N])> = None;
        for (at, _) in self.bits.iter().zip(&other.bits).enumerate().filter(|(_, (a, b))| **a || **b) {
            let place = unravel(at, self.shape);
            let (low, high) = found.get_or_insert((place, place));
            for axis in 0..N {
                low[axis] = low[axis].min(place[axis]);
                high[axis] = high[axis].max(place[axis]);
            }
        }
        found
    }

    /// The cut from `low` to `high`, both included.
    pub fn cut(&self, low: [usize; N], high: [usize; N]) -> Self {
        let shape: [usize; N] = std::array::from_fn(|a| (high[a] + 1).saturating_sub(low[a]));
        let cells: usize = shape.iter().product();
        let bits = (0..cells)
            .map(|at| {
                let place = unravel(at, shape);
                self.get(std::array::from_fn(|a| (place[a] + low[a]) as i64))
            })
            .collect();
        Self { shape, bits }
    }

    /// The cells of the mask that touch a cell outside it through a face; the grid's edge is outside
    /// (a mask and its erosion by a cross).
    pub fn boundary(&self) -> Self {
        let bits = self
            .bits
            .iter()
            .enumerate()
            .map(|(at, covered)| {
                let place = unravel(at, self.shape);
                *covered
                    && (0..N).any(|axis| {
                        [-1, 1].into_iter().any(|step| {
                            let mut near: [i64; N] = std::array::from_fn(|a| place[a] as i64);
                            near[axis] += step;
                            !self.get(near)
                        })
                    })
            })
            .collect();
        Self { shape: self.shape, bits }
    }

    /// Number of the connected part of each covered cell, from 1 (neighbours share a face, an edge or
    /// a corner), and how many parts there are.
    pub fn parts(&self) -> (Vec<u32>, u32) {
        let mut label = vec![0u32; self.bits.len()];
        let (mut parts, mut todo) = (0u32, Vec::new());
        let steps: Vec<[i64; N]> =
            (0..3usize.pow(N as u32)).map(|n| unravel(n, [3; N]).map(|i| i as i64 - 1)).collect();
        let strides = self.strides();
        for start in 0..self.bits.len() {
            if !self.bits[start] || label[start] != 0 {
                continue;
            }
            parts += 1;
            label[start] = parts;
            todo.push(start);
            while let Some(at) = todo.pop() {
                let place = unravel(at, self.shape);
                for step in &steps {
                    let near: [i64; N] = std::array::from_fn(|a| place[a] as i64 + step[a]);
                    if !self.get(near) {
                        continue;
                    }
                    let index: usize = near.iter().zip(strides).map(|(i, s)| *i as usize * s).sum();
                    if label[index] == 0 {
                        label[index] = parts;
                        todo.push(index);
                    }
                }
            }
        }
        (label, parts)
    }
}

impl From<&Mask> for Region<2> {
    /// Rows first.
    fn from(mask: &Mask) -> Self {
        Self { shape: [mask.height(), mask.width()], bits: mask.bits().to_vec() }
    }
}

/// The place of cell number `at`.
pub fn unravel<const N: usize>(mut at: usize, shape: [usize; N]) -> [usize; N] {
    let mut place = [0; N];
    for axis in (0..N).rev() {
        let n = shape[axis].max(1);
        place[axis] = at % n;
        at /= n;
    }
    place
}
