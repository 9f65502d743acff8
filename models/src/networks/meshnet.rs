//! MeshNet (Fedorov et al. 2017, arXiv 1612.00940) as brainchop ships it: a few layers of dilated
//! 3×3×3 convolutions that label every voxel of a conformed T1 head.
//!
//! Weights come in the TensorFlow.js layers format (`model.json` and raw little-endian `f32`
//! shards), which holds numbers only. The network is small (5–21 channels) and the volume large
//! (256³), so the convolution is written out here: candle has none in three dimensions, and a
//! matrix product over gathered neighbours would need 27 copies of the volume.

use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::layers::all_finite;
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
    relu: bool,
    /// `[kx][ky][kz][from][to]`, as Keras stores it.
    kernel: Vec<f32>,
    bias: Vec<f32>,
}

/// A loaded network.
#[derive(Debug)]
pub(crate) struct MeshNet {
    info: ModelInfo,
    layers: Vec<Layer>,
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
                "Activation" if entry.config.activation == "relu" => {
                    if let Some(last) = layers.last_mut() {
                        last.relu = true;
                    }
                }
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
        let info = ModelInfo {
            family: family.to_owned(),
            name: checkpoint.name(),
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
        Ok(Self { info, layers })
    }
}

impl VolumeSegmenter for MeshNet {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Labels of a conformed T1 volume (256³ voxels of 1 mm, as FreeSurfer's `conform` gives it):
    /// intensities are scaled from their minimum and maximum to 0–1, the most likely class wins.
    /// Refuses a volume whose voxels are all equal.
    fn label(&mut self, volume: &Volume) -> Result<LabelVolume, SegmentError> {
        let [slices, rows, columns] = volume.shape();
        let (low, high) = volume
            .voxels
            .iter()
            .filter(|v| v.is_finite())
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
        if high <= low || !low.is_finite() || !high.is_finite() {
            return Err(SegmentError::BadPrompt(
                "the volume has no contrast: every voxel has the same value".to_owned(),
            ));
        }
        let scaled =
            volume.voxels.iter().map(|&v| if v.is_finite() { (v - low) / (high - low) } else { 0.0 });
        let mut grid = Grid { shape: [slices, rows, columns], channels: vec![scaled.collect()] };
        for layer in &self.layers {
            grid = layer.forward(&grid);
        }
        if !grid.channels.par_iter().all(|channel| all_finite(channel)) {
            return Err(SegmentError::NotFinite("logits of voxels"));
        }
        let voxels = slices * rows * columns;
        let labels: Vec<u16> = (0..voxels)
            .into_par_iter()
            .map(|at| {
                let mut best = (0u16, f32::NEG_INFINITY);
                for (class, channel) in (0u16..).zip(&grid.channels) {
                    if channel[at] > best.1 {
                        best = (class, channel[at]);
                    }
                }
                best.0
            })
            .collect();
        let labels = Array3::from_shape_vec((slices, rows, columns), labels)
            .map_err(|e| SegmentError::Compute(e.to_string()))?;
        Ok(LabelVolume { labels, lps_from_index: volume.lps_from_index, names: BTreeMap::new() })
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
        let (_, bias) = take("bias")?;
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
        Ok(Self { from, to, side, dilation, relu: config.activation == "relu", kernel, bias })
    }

    /// "Same" convolution with zeros outside. The kernel's first axis runs along columns (x), the
    /// last along slices: brainchop feeds the array in NIfTI's (x, y, z) order.
    fn forward(&self, input: &Grid) -> Grid {
        let [slices, rows, columns] = input.shape;
        let pad = self.dilation * (self.side / 2);
        // Rows with room on both sides, rounded up to whole blocks: no edge cases inside.
        let stride = columns.next_multiple_of(2 * WIDEST) + 2 * pad;
        let padded: Vec<Vec<f32>> = input
            .channels
            .par_iter()
            .map(|channel| {
                let mut out = vec![0f32; slices * rows * stride];
                for (to, from) in out.chunks_exact_mut(stride).zip(channel.chunks_exact(columns)) {
                    to[pad..pad + columns].copy_from_slice(from);
                }
                out
            })
            .collect();
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
                self.row(&padded, input.shape, stride, (at / rows, at % rows), first, &mut out);
            });
        }
        Grid { shape: input.shape, channels }
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
        pulp::Arch::new().dispatch(Row { taps: &taps, bias: &self.bias[first..], relu: self.relu, out });
    }
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
