//! MeshNet (Fedorov et al. 2017, arXiv 1612.00940) as brainchop ships it: a few layers of dilated
//! 3×3×3 convolutions that label every voxel of a conformed head. All of its published networks are read: with
//! ReLU, with ELU, and with channels normalised over the volume and GELU (mindgrab), of up to 104 classes.
//!
//! Weights come in the TensorFlow.js layers format (`model.json` and raw little-endian `f32`
//! shards), which holds numbers only. The network is small (5–21 channels) and the volume large
//! (256³), so the convolution is written out here: candle has none in three dimensions, and a
//! matrix product over gathered neighbours would need 27 copies of the volume.

use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::layers::all_finite;
use candle_core::cpu::erf::erf_f64;
use loupe_core::model::{CheckpointRecord, Provenance};
use loupe_core::words::hex;
use loupe_core::{LabelVolume, ModelInfo, SegmentError, Volume, VolumeSegmenter};
use ndarray::Array3;
use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// The file that describes the layers.
pub(crate) const TOPOLOGY: &str = "model.json";

/// Values in the widest vector register.
const WIDEST: usize = 16;
/// Output channels computed together.
const LANES: usize = 5;

#[derive(Debug)]
struct Layer {
    from: usize,
    to: usize,
    /// 3 or 1.
    side: usize,
    dilation: usize,
    activation: Activation,
    /// Each channel brought to mean 0 and variance 1 over the whole volume, before the activation.
    normalised: bool,
    /// `[kx][ky][kz][from][to]`, as Keras stores it.
    kernel: Vec<f32>,
    bias: Vec<f32>,
}

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    Linear,
    Relu,
    /// `exp(x) − 1` below 0.
    Elu,
    /// `x · Φ(x)`, exactly.
    Gelu,
}

impl Activation {
    fn named(name: &str, layer: &str) -> Result<Self, LoadError> {
        Ok(match name {
            "" | "linear" => Self::Linear,
            "relu" => Self::Relu,
            "elu" => Self::Elu,
            "gelu" => Self::Gelu,
            other => {
                let problem = format!("the activation {other:?} is none of relu, elu, gelu and linear");
                return Err(wrong(layer, problem));
            }
        })
    }

    fn apply(self, values: &mut [f32]) {
        match self {
            Self::Linear => {}
            Self::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
            Self::Elu => values.iter_mut().filter(|v| **v < 0.0).for_each(|v| *v = v.exp_m1()),
            Self::Gelu => values.iter_mut().for_each(|v| {
                let x = f64::from(*v);
                *v = (x * 0.5 * (1.0 + erf_f64(x / std::f64::consts::SQRT_2))) as f32;
            }),
        }
    }
}

/// How intensities become what the network was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scaling {
    /// Smallest and largest value to 0 and 1.
    MinMax,
    /// Quantiles 0.05 and 0.95 to 0 and 1, not clipped.
    Quantiles,
}

/// The networks that brainchop scales by quantiles; `model.json` does not say so
/// (`enableQuantileNorm` in brainchop-parameters.js).
const BY_QUANTILES: [&str; 2] = ["model20chan3cls", "model30chan50cls"];

/// Bytes that the channels of a tile may take; larger volumes are labelled in tiles.
const TILE_BYTES: usize = 2 << 30;

/// A loaded network.
#[derive(Debug)]
pub(crate) struct MeshNet {
    info: ModelInfo,
    layers: Vec<Layer>,
    scaling: Scaling,
    names: BTreeMap<u16, String>,
}

#[derive(Deserialize)]
struct ModelFile {
    #[serde(rename = "modelTopology")]
    topology: Topology,
    #[serde(rename = "weightsManifest")]
    manifest: Vec<Group>,
}

#[derive(Deserialize)]
struct Topology {
    model_config: ModelConfig,
}

#[derive(Deserialize)]
struct ModelConfig {
    config: Layers,
}

#[derive(Deserialize)]
struct Layers {
    layers: Vec<LayerEntry>,
}

#[derive(Deserialize)]
struct LayerEntry {
    class_name: String,
    config: LayerConfig,
}

#[derive(Deserialize)]
struct LayerConfig {
    name: String,
    #[serde(default)]
    kernel_size: Vec<usize>,
    #[serde(default)]
    dilation_rate: Vec<usize>,
    #[serde(default)]
    strides: Vec<usize>,
    #[serde(default)]
    padding: String,
    #[serde(default)]
    activation: String,
    #[serde(default = "yes")]
    use_bias: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Group {
    paths: Vec<String>,
    weights: Vec<Weight>,
}

#[derive(Deserialize)]
struct Weight {
    name: String,
    shape: Vec<usize>,
    dtype: String,
}

fn wrong(field: &str, problem: impl Into<String>) -> LoadError {
    LoadError::Field { file: TOPOLOGY, field: field.to_owned(), problem: problem.into() }
}

impl MeshNet {
    /// Reads `model.json` and its shards.
    ///
    /// # Errors
    /// When a file is missing, a tensor is missing or wrongly shaped, or the network has a layer
    /// that MeshNet does not have.
    pub(crate) fn load(checkpoint: &Checkpoint, family: &str) -> Result<Self, LoadError> {
        let file: ModelFile = serde_json::from_slice(&checkpoint.need_bytes(TOPOLOGY)?)
            .map_err(|e| wrong("the whole file", e.to_string()))?;
        let mut tensors = BTreeMap::new();
        let (mut parameters, mut digest) = (0, Sha256::new());
        for group in &file.manifest {
            let mut bytes = Vec::new();
            for name in &group.paths {
                if Path::new(name).components().count() != 1 {
                    return Err(wrong("weightsManifest.paths", "a shard must lie beside model.json"));
                }
                bytes.extend(checkpoint.need_bytes(name)?);
            }
            digest.update(&bytes);
            let mut values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            for weight in &group.weights {
                let count = weight.shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
                let taken: Vec<f32> = values.by_ref().take(count.unwrap_or(usize::MAX)).collect();
                if weight.dtype != "float32" || Some(taken.len()) != count {
                    return Err(wrong(&weight.name, "expected float32 values up to the end of the tensor"));
                }
                if !all_finite(&taken) {
                    return Err(LoadError::NotFinite { name: weight.name.clone() });
                }
                parameters += taken.len() as u64;
                tensors.insert(weight.name.clone(), (weight.shape.clone(), taken));
            }
        }
        let mut layers: Vec<Layer> = Vec::new();
        for entry in &file.topology.model_config.config.layers {
            match entry.class_name.as_str() {
                "InputLayer" => {}
                "Activation" => {
                    let activation = Activation::named(&entry.config.activation, &entry.config.name)?;
                    match layers.last_mut() {
                        Some(last) if last.activation == Activation::Linear => last.activation = activation,
                        _ => {
                            let problem = "an activation that does not follow a convolution";
                            return Err(wrong(&entry.config.name, problem));
                        }
                    }
                }
                // Is the identity once a network is trained.
                "Dropout" | "SpatialDropout3D" => {}
                "Conv3D" => layers.push(Layer::new(&entry.config, &mut tensors)?),
                other => {
                    return Err(wrong(&entry.config.name, format!("MeshNet has no layer of type {other}")));
                }
            }
        }
        let chained = layers.windows(2).all(|pair| pair[0].to == pair[1].from);
        match layers.first() {
            Some(first) if first.from == 1 && chained && tensors.is_empty() => {}
            _ => {
                let problem = "the layers do not form a chain that begins with one channel";
                return Err(wrong("modelTopology", problem));
            }
        }
        let name = checkpoint.name();
        let scaling =
            if BY_QUANTILES.contains(&name.as_str()) { Scaling::Quantiles } else { Scaling::MinMax };
        let names = label_names(checkpoint)?;
        let info = ModelInfo {
            family: family.to_owned(),
            name,
            box_dialect: "none".to_owned(),
            context_tokens: None,
            from: Provenance::Checkpoint(CheckpointRecord {
                weights_sha256: hex(&digest.finalize()),
                parameters,
                dtype: "f32".to_owned(),
                device: "cpu".to_owned(),
                ..CheckpointRecord::default()
            }),
        };
        Ok(Self { info, layers, scaling, names })
    }

    /// Labels of scaled intensities. Where all channels would take more than `budget` bytes, tiles of slices are
    /// labelled one after the other, each with as many slices around it as the network sees, so that the result
    /// is the same; a network that normalises over the whole volume has no tiles.
    fn labels(&self, scaled: Grid, budget: usize) -> Result<Vec<u16>, SegmentError> {
        let [slices, rows, columns] = scaled.shape;
        let channels = self.layers.iter().map(|l| l.to).rev().skip(1).max().unwrap_or(1);
        // The input of a layer, padded, and its output.
        let slice_bytes = 2 * channels * rows * columns * size_of::<f32>();
        let halo: usize = self.layers.iter().map(|l| l.dilation * (l.side / 2)).sum();
        let fits = budget / slice_bytes.max(1);
        if fits >= slices || self.layers.iter().any(|l| l.normalised) {
            return self.through(scaled);
        }
        let core = fits.saturating_sub(2 * halo).max(halo.max(8));
        let mut labels = Vec::with_capacity(slices * rows * columns);
        for first in (0..slices).step_by(core) {
            let last = (first + core).min(slices);
            let (low, high) = (first.saturating_sub(halo), (last + halo).min(slices));
            let plane = rows * columns;
            let values = scaled.channels.iter().map(|c| c[low * plane..high * plane].to_vec()).collect();
            let tile = self.through(Grid { shape: [high - low, rows, columns], channels: values })?;
            labels.extend_from_slice(&tile[(first - low) * plane..(last - low) * plane]);
        }
        Ok(labels)
    }

    /// The most likely class of every voxel.
    fn through(&self, mut grid: Grid) -> Result<Vec<u16>, SegmentError> {
        let Some((last, layers)) = self.layers.split_last() else { return Ok(Vec::new()) };
        for layer in layers {
            grid = layer.forward(grid);
            if !grid.channels.par_iter().all(|channel| all_finite(channel)) {
                return Err(not_finite());
            }
        }
        last.most_likely(grid)
    }
}

/// The names of the labels in `colormap.json` or `labels.json`, where the network has one.
fn label_names(checkpoint: &Checkpoint) -> Result<BTreeMap<u16, String>, LoadError> {
    let Some(found) = checkpoint.json("colormap.json")? else { return Ok(BTreeMap::new()) };
    let names = found.get("labels").and_then(serde_json::Value::as_array);
    let named = (0u16..).zip(names.into_iter().flatten()).skip(1);
    Ok(named.filter_map(|(n, name)| Some((n, name.as_str()?.to_owned()))).collect())
}

fn not_finite() -> SegmentError {
    SegmentError::NotFinite("logits of voxels")
}

/// brainchop's quantiles of sorted values: `floor(n · low)` and `ceil(n · high) − 1`.
fn quantiles(values: &[f32], low: f64, high: f64) -> Option<(f32, f32)> {
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let n = sorted.len() as f64;
    let at = [(n * low).floor(), (n * high).ceil() - 1.0];
    let mut value = |at: f64| {
        let at = at as usize;
        (at < sorted.len()).then(|| *sorted.select_nth_unstable_by(at, f32::total_cmp).1)
    };
    Some((value(at[0])?, value(at[1])?))
}

impl VolumeSegmenter for MeshNet {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Labels of a conformed head (256³ voxels of 1 mm, as FreeSurfer's `conform` gives it): intensities are scaled
    /// to 0–1 from their minimum and maximum, or their quantiles where brainchop does so; the most likely class
    /// wins. Refuses a volume whose voxels are all equal.
    fn label(&mut self, volume: &Volume) -> Result<LabelVolume, SegmentError> {
        let [slices, rows, columns] = volume.shape();
        let values: Vec<f32> = volume.voxels.iter().copied().collect();
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let range = match self.scaling {
            Scaling::MinMax => finite.clone().reduce(f32::min).zip(finite.reduce(f32::max)),
            Scaling::Quantiles => quantiles(&values, 0.05, 0.95),
        };
        let Some((low, high)) = range.filter(|(low, high)| high > low) else {
            return Err(SegmentError::BadPrompt(
                "the volume has no contrast: every voxel, or all but a few, has the same value".to_owned(),
            ));
        };
        let scaled = values.into_iter().map(|v| if v.is_finite() { (v - low) / (high - low) } else { 0.0 });
        let grid = Grid { shape: [slices, rows, columns], channels: vec![scaled.collect()] };
        let labels = Array3::from_shape_vec((slices, rows, columns), self.labels(grid, TILE_BYTES)?)
            .map_err(|e| SegmentError::Compute(e.to_string()))?;
        Ok(LabelVolume { labels, lps_from_index: volume.lps_from_index, names: self.names.clone() })
    }
}

/// Channels of (slice, row, column) values.
struct Grid {
    shape: [usize; 3],
    channels: Vec<Vec<f32>>,
}

impl Layer {
    fn new(
        config: &LayerConfig,
        tensors: &mut BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    ) -> Result<Self, LoadError> {
        let mut take = |part: &str| {
            let name = format!("{}/{part}", config.name);
            tensors.remove(&name).ok_or(LoadError::MissingTensor { name })
        };
        let (shape, kernel) = take("kernel")?;
        let filters = shape.last().copied().unwrap_or(0);
        let bias = if config.use_bias { take("bias")?.1 } else { vec![0.0; filters] };
        let side = config.kernel_size.first().copied().unwrap_or(0);
        let dilation = config.dilation_rate.first().copied().unwrap_or(1);
        let [a, b, c, from, to] = shape[..] else {
            return Err(wrong(&config.name, "a kernel has five dimensions"));
        };
        let cubic = [a, b, c] == [side; 3]
            && config.kernel_size == [side; 3]
            && config.dilation_rate.iter().all(|&d| d == dilation)
            && config.strides.iter().all(|&s| s == 1);
        if !cubic
            || (side != 1 && side != 3)
            || dilation == 0
            || dilation > 64
            || config.padding != "same"
            || bias.len() != to
        {
            return Err(wrong(&config.name, "expected a 1³ or 3³ kernel, stride 1, padding \"same\""));
        }
        let activation = Activation::named(&config.activation, &config.name)?;
        // brainchop's own mark: such layers are normalised by channel, without factors (`LayerNormInPlace`).
        let normalised = config.name.ends_with("_gn");
        Ok(Self { from, to, side, dilation, activation, normalised, kernel, bias })
    }

    /// The input with room on both sides of every row, rounded up to whole blocks, so that there are no edge cases
    /// inside; and the length of such a row.
    fn padded(&self, input: Grid) -> (Vec<Vec<f32>>, usize) {
        let [slices, rows, columns] = input.shape;
        let pad = self.dilation * (self.side / 2);
        let stride = columns.next_multiple_of(2 * WIDEST) + 2 * pad;
        let wide = |channel: Vec<f32>| {
            let mut out = vec![0f32; slices * rows * stride];
            for (to, from) in out.chunks_exact_mut(stride).zip(channel.chunks_exact(columns)) {
                to[pad..pad + columns].copy_from_slice(from);
            }
            out
        };
        (input.channels.into_par_iter().map(wide).collect(), stride)
    }

    /// "Same" convolution with zeros outside. The kernel's first axis runs along columns (x), the
    /// last along slices: brainchop feeds the array in NIfTI's (x, y, z) order.
    fn forward(&self, input: Grid) -> Grid {
        let shape = input.shape;
        let [slices, rows, columns] = shape;
        let (padded, stride) = self.padded(input);
        let mut channels = vec![vec![0f32; slices * rows * columns]; self.to];
        for first in (0..self.to).step_by(LANES) {
            let lanes = LANES.min(self.to - first);
            let group = &mut channels[first..first + lanes];
            // One row of every output channel of the group at a time.
            let mut row_sets: Vec<Vec<&mut [f32]>> =
                (0..slices * rows).map(|_| Vec::with_capacity(lanes)).collect();
            for channel in group {
                for (set, row) in row_sets.iter_mut().zip(channel.chunks_exact_mut(columns)) {
                    set.push(row);
                }
            }
            row_sets.into_par_iter().enumerate().for_each(|(at, mut out)| {
                self.row(&padded, shape, stride, (at / rows, at % rows), first, &mut out);
            });
        }
        if self.normalised {
            channels.par_iter_mut().for_each(|channel| {
                normalise(channel);
                self.activation.apply(channel);
            });
        }
        Grid { shape, channels }
    }

    /// The channel with the largest value of every voxel, the first of equal ones. No more channels than are
    /// computed together are ever kept.
    fn most_likely(&self, input: Grid) -> Result<Vec<u16>, SegmentError> {
        let shape = input.shape;
        let [slices, rows, columns] = shape;
        let (padded, stride) = self.padded(input);
        let mut labels = vec![0u16; slices * rows * columns];
        labels.par_chunks_exact_mut(columns).enumerate().try_for_each(|(at, labels)| {
            let mut best = vec![f32::NEG_INFINITY; columns];
            let mut buffer = vec![0f32; LANES * columns];
            for first in (0..self.to).step_by(LANES) {
                let lanes = LANES.min(self.to - first);
                let mut out: Vec<&mut [f32]> = buffer.chunks_exact_mut(columns).take(lanes).collect();
                self.row(&padded, shape, stride, (at / rows, at % rows), first, &mut out);
                if !out.iter().all(|values| all_finite(values)) {
                    return Err(not_finite());
                }
                for (class, values) in (first..).zip(&out) {
                    for ((label, best), value) in labels.iter_mut().zip(&mut best).zip(values.iter()) {
                        if value > best {
                            (*label, *best) = (class as u16, *value);
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(labels)
    }

    /// One row of the output channels from `first` on.
    fn row(
        &self,
        padded: &[Vec<f32>],
        [slices, rows, _]: [usize; 3],
        stride: usize,
        (k, j): (usize, usize),
        first: usize,
        out: &mut [&mut [f32]],
    ) {
        let (side, pad) = (self.side, self.dilation * (self.side / 2));
        // Taps that lie inside the volume.
        let mut taps: Vec<Tap<'_>> = Vec::with_capacity(self.from * side * side * side);
        for (channel, source) in padded.iter().enumerate() {
            for kz in 0..side {
                let Some(z) = (k + kz * self.dilation).checked_sub(pad).filter(|&z| z < slices) else {
                    continue;
                };
                for ky in 0..side {
                    let Some(y) = (j + ky * self.dilation).checked_sub(pad).filter(|&y| y < rows) else {
                        continue;
                    };
                    let row = &source[(z * rows + y) * stride..][..stride];
                    for kx in 0..side {
                        let base = (((kx * side + ky) * side + kz) * self.from + channel) * self.to + first;
                        let mut weights = [0f32; LANES];
                        for (lane, w) in weights.iter_mut().zip(&self.kernel[base..]).take(out.len()) {
                            *lane = *w;
                        }
                        taps.push(Tap { values: &row[kx * self.dilation..], weights });
                    }
                }
            }
        }
        let relu = self.activation == Activation::Relu && !self.normalised;
        pulp::Arch::new().dispatch(Row { taps: &taps, bias: &self.bias[first..], relu, out });
        if !self.normalised && !relu {
            out.iter_mut().for_each(|row| self.activation.apply(row));
        }
    }
}

/// Brings values to mean 0 and variance 1; tf.moments' population variance, brainchop's epsilon.
fn normalise(values: &mut [f32]) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let factor = 1.0 / (variance + 1e-5).sqrt();
    values.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) * factor) as f32);
}

/// One place of the kernel in one input channel.
struct Tap<'a> {
    /// Input values from where the first column of the output reads.
    values: &'a [f32],
    /// One weight an output channel.
    weights: [f32; LANES],
}

/// One row of some output channels: sums over all taps.
struct Row<'a, 'b> {
    taps: &'a [Tap<'a>],
    bias: &'a [f32],
    relu: bool,
    out: &'a mut [&'b mut [f32]],
}

impl pulp::WithSimd for Row<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        // Two registers a channel: enough sums in flight, and all of them fit. Written out, because
        // tests run with little optimisation.
        let block = 2 * S::F32_LANES;
        let columns = self.out.first().map_or(0, |row| row.len());
        for start in (0..columns).step_by(block) {
            let none = simd.splat_f32s(0.0);
            let [mut a0, mut a1, mut a2, mut a3, mut a4] = [none; LANES];
            let [mut b0, mut b1, mut b2, mut b3, mut b4] = [none; LANES];
            for tap in self.taps {
                let (pair, _) = S::as_simd_f32s(&tap.values[start..start + block]);
                let (a, b) = (pair[0], pair[1]);
                let [w0, w1, w2, w3, w4] = tap.weights;
                let w = simd.splat_f32s(w0);
                (a0, b0) = (simd.mul_add_f32s(w, a, a0), simd.mul_add_f32s(w, b, b0));
                let w = simd.splat_f32s(w1);
                (a1, b1) = (simd.mul_add_f32s(w, a, a1), simd.mul_add_f32s(w, b, b1));
                let w = simd.splat_f32s(w2);
                (a2, b2) = (simd.mul_add_f32s(w, a, a2), simd.mul_add_f32s(w, b, b2));
                let w = simd.splat_f32s(w3);
                (a3, b3) = (simd.mul_add_f32s(w, a, a3), simd.mul_add_f32s(w, b, b3));
                let w = simd.splat_f32s(w4);
                (a4, b4) = (simd.mul_add_f32s(w, a, a4), simd.mul_add_f32s(w, b, b4));
            }
            let sums = [[a0, b0], [a1, b1], [a2, b2], [a3, b3], [a4, b4]];
            for ((row, sums), bias) in self.out.iter_mut().zip(sums).zip(self.bias) {
                let (bias, least) = (simd.splat_f32s(*bias), if self.relu { 0.0 } else { f32::NEG_INFINITY });
                let mut buffer = [0f32; 2 * WIDEST];
                let (pair, _) = S::as_mut_simd_f32s(&mut buffer);
                for (to, sum) in pair.iter_mut().zip(sums) {
                    // In this order a sum that is no number stays one; it is found in the last layer.
                    *to = simd.max_f32s(simd.splat_f32s(least), simd.add_f32s(sum, bias));
                }
                let end = block.min(columns - start);
                row[start..start + end].copy_from_slice(&buffer[..end]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
