//! What an adapter makes of the values of a weight.

/// What an adapter adds to one weight.
#[derive(Debug)]
pub(super) struct Delta {
    /// The factors' name in the file, without their ending.
    pub(super) module: String,
    pub(super) rank: usize,
    pub(super) scale: f32,
    pub(super) out: usize,
    pub(super) input: usize,
    /// (rank, input).
    pub(super) a: Vec<f32>,
    /// (out, rank).
    pub(super) b: Vec<f32>,
}

impl Delta {
    /// Adds the part from value `from` on of the weight in row-major order.
    fn add(&self, from: usize, values: &mut [f32]) {
        let mut at = from;
        let mut rest = values;
        while !rest.is_empty() {
            let (row, column) = (at / self.input, at % self.input);
            let (part, after) = rest.split_at_mut((self.input - column).min(rest.len()));
            let mut sum = vec![0f32; part.len()];
            for (r, factor) in self.b[row * self.rank..(row + 1) * self.rank].iter().enumerate() {
                let line = &self.a[r * self.input + column..][..part.len()];
                sum.iter_mut().zip(line).for_each(|(sum, v)| *sum += factor * v);
            }
            part.iter_mut().zip(sum).for_each(|(value, sum)| *value += self.scale * sum);
            at += part.len();
            rest = after;
        }
    }
}

/// What an adapter makes of a weight.
#[derive(Debug)]
pub(super) enum Change {
    Added(Delta),
    /// Modules that were trained whole (`modules_to_save`), and biases.
    Replaced {
        name: String,
        shape: Vec<usize>,
        values: Vec<f32>,
    },
}

impl Change {
    /// Its name in the file of the adapter.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Added(delta) => &delta.module,
            Self::Replaced { name, .. } => name,
        }
    }

    /// True when it is about a weight of this shape.
    pub(super) fn fits(&self, weight: &[usize]) -> bool {
        match self {
            Self::Replaced { shape, .. } => shape == weight,
            Self::Added(delta) => weight.split_first().is_some_and(|(out, rest)| {
                *out == delta.out && rest.iter().product::<usize>() == delta.input
            }),
        }
    }

    /// Changes the part of the weight from value `from` on.
    pub(super) fn apply(&self, from: usize, values: &mut [f32]) {
        match self {
            Self::Added(delta) => delta.add(from, values),
            Self::Replaced { values: own, .. } => {
                let end = own.len().min(from + values.len());
                values[..end - from].copy_from_slice(&own[from..end]);
            }
        }
    }
}
