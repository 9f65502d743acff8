//! DaViT (Ding et al. 2022, arXiv 2204.03645), the tower of Florence-2: stages of convolutional embeddings and blocks
//! that attend within windows of places, then between channels. Each block convolves every channel by itself before
//! each of its halves.
//!
//! Between convolutions the picture is rows of places, (height × width, channels).

use crate::checkpoint::fields::Fields;
use crate::checkpoint::weights::{Numbers, Weights};
use crate::error::LoadError;
use crate::layers::activation::Activation;
use crate::layers::fused::attend;
use crate::layers::linear::{Linear, by_rows};
use crate::layers::local::local;
use crate::layers::norm::Norm;
use crate::layers::product::most_scores;
use crate::networks::windows::{partition, unpartition};
use candle_core::{Result, Tensor};
use serde_json::{Value, json};

type Loaded<T> = std::result::Result<T, LoadError>;

const EPS: f64 = 1e-5;

/// Shape of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StageConfig {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) groups: usize,
    pub(crate) depth: usize,
    /// Of the convolution that begins it.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    /// Is there a norm before that convolution instead of behind it?
    pub(crate) norm_first: bool,
}

/// Shape of a tower.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DavitConfig {
    pub(crate) stages: Vec<StageConfig>,
    pub(crate) window: usize,
    pub(crate) mlp_ratio: f64,
    pub(crate) qkv_bias: bool,
    pub(crate) activation: Activation,
}

/// Places along a side of a window; published ones have 12.
const LARGEST_WINDOW: usize = 128;

impl DavitConfig {
    /// As `Florence2VisionConfig` reads it, defaults included; in the first layout widths are `dim_embed`.
    pub(crate) fn read(fields: &Fields<'_>) -> Loaded<Self> {
        let list = |name: &str, default: [usize; 4]| -> Loaded<Vec<usize>> {
            Ok(fields.sizes(name)?.unwrap_or_else(|| default.to_vec()))
        };
        let is_first = fields.get("embed_dim").is_none() && fields.get("dim_embed").is_some();
        let widths = if is_first { "dim_embed" } else { "embed_dim" };
        let width = list(widths, [128, 256, 512, 1024])?;
        let first = match fields.get("patch_prenorm") {
            None => vec![false, true, true, true],
            Some(value) => {
                let flags = value.as_array().into_iter().flatten().map(Value::as_bool);
                let flags = flags.collect::<Option<Vec<bool>>>();
                flags.ok_or_else(|| fields.bad("patch_prenorm", "a list of true and false is needed"))?
            }
        };
        let (heads, groups) = (list("num_heads", [4, 8, 16, 32])?, list("num_groups", [4, 8, 16, 32])?);
        let depths = list("depths", [1, 1, 9, 1])?;
        let kernel = list("patch_size", [7, 3, 3, 3])?;
        let stride = list("patch_stride", [4, 2, 2, 2])?;
        let padding = list("patch_padding", [3, 1, 1, 1])?;
        let lists = [
            ("num_heads", &heads),
            ("num_groups", &groups),
            ("depths", &depths),
            ("patch_size", &kernel),
            ("patch_stride", &stride),
            ("patch_padding", &padding),
        ];
        if width.is_empty() || width.contains(&0) {
            return Err(fields.bad(widths, "numbers above 0 are needed, one a stage"));
        }
        for (name, list) in lists {
            let zero = !matches!(name, "depths" | "patch_padding") && list.contains(&0);
            if list.len() != width.len() || zero {
                let problem = format!("{list:?} should be {} numbers above 0, one a stage", width.len());
                return Err(fields.bad(name, problem));
            }
        }
        if let Some((n, k)) = padding.iter().zip(&kernel).find(|(n, k)| n >= k) {
            return Err(fields.bad("patch_padding", format!("{n} is not below the patch size of {k}")));
        }
        let window = fields.positive_or("window_size", 12)?;
        if window > LARGEST_WINDOW {
            return Err(fields.bad("window_size", format!("{window} is above {LARGEST_WINDOW}")));
        }
        if first.len() != width.len() {
            return Err(fields.bad("patch_prenorm", format!("{} values are needed", width.len())));
        }
        for (name, list) in [("num_heads", &heads), ("num_groups", &groups)] {
            if let Some((w, n)) = width.iter().zip(list).find(|(w, n)| !w.is_multiple_of(**n)) {
                return Err(fields.bad(name, format!("{n} does not divide the width of {w}")));
            }
        }
        fields.only(&[("in_channels", "3"), ("in_chans", "3")])?;
        let named = fields.text("activation_function")?.unwrap_or("gelu");
        let activation = Activation::named(named)
            .ok_or_else(|| fields.bad("activation_function", format!("{named:?} is not supported")))?;
        let stage = |n: usize| StageConfig {
            width: width[n],
            heads: heads[n],
            groups: groups[n],
            depth: depths[n],
            kernel: kernel[n],
            stride: stride[n],
            padding: padding[n],
            norm_first: first[n],
        };
        Ok(Self {
            stages: (0..width.len()).map(stage).collect(),
            window,
            mlp_ratio: fields.positive_f64_or("mlp_ratio", 4.0)?,
            qkv_bias: fields.bool_or("qkv_bias", true)?,
            activation,
        })
    }

    /// Places along a side behind the last stage, of a picture of `side` pixels; none where a kernel does not fit.
    pub(crate) fn places(&self, side: usize) -> Option<usize> {
        let shrink = |n: usize, stage: &StageConfig| {
            (n + 2 * stage.padding).checked_sub(stage.kernel).map(|rest| rest / stage.stride + 1)
        };
        self.stages.iter().try_fold(side, shrink)
    }

    /// Everything that decides what the tower computes, for the record.
    pub(crate) fn settings(&self) -> Value {
        let stage = |s: &StageConfig| {
            json!({
                "width": s.width, "heads": s.heads, "groups": s.groups, "depth": s.depth, "kernel": s.kernel,
                "stride": s.stride, "padding": s.padding, "norm_first": s.norm_first,
            })
        };
        json!({
            "stages": self.stages.iter().map(stage).collect::<Vec<_>>(), "window_size": self.window,
            "mlp_ratio": self.mlp_ratio, "activation_function": format!("{:?}", self.activation),
        })
    }
}

/// Rows and columns of places.
type Grid = [usize; 2];

/// (places, channels) as (1, channels, rows, columns).
fn planes(x: &Tensor, [rows, columns]: Grid) -> Result<Tensor> {
    let (_, channels) = x.dims2()?;
    x.t()?.contiguous()?.reshape((1, channels, rows, columns))
}

/// (1, channels, rows, columns) as (places, channels).
fn places(x: &Tensor) -> Result<Tensor> {
    x.squeeze(0)?.flatten_from(1)?.t()?.contiguous()
}

/// A convolution of each channel by itself, and what it was given.
struct Local {
    /// (9, channels).
    taps: Tensor,
    bias: Tensor,
}

impl Local {
    fn load(w: &Weights, name: &str, width: usize) -> Loaded<Self> {
        let weight = w.tensor(&format!("{name}.weight"), &[width, 1, 3, 3])?;
        Ok(Self {
            taps: weight.reshape((width, 9))?.t()?.contiguous()?,
            bias: w.tensor(&format!("{name}.bias"), &[width])?,
        })
    }

    fn forward(&self, x: &Tensor, grid: Grid) -> Result<Tensor> {
        local(x, grid, &self.taps, &self.bias)? + x
    }
}

/// Which values attend to which.
#[derive(Clone, Copy)]
enum Between {
    /// Places of a window of so many rows and columns, in heads.
    Places { window: usize, heads: usize },
    /// Channels of a group.
    Channels { groups: usize },
}

/// Half of a block: attention, then an MLP.
struct Half {
    before_attention: Local,
    attention_norm: Norm,
    qkv: Linear,
    merge: Linear,
    before_mlp: Local,
    mlp_norm: Norm,
    widen: Linear,
    narrow: Linear,
    between: Between,
    activation: Activation,
}

impl Half {
    fn load(
        w: &Weights,
        name: &str,
        attention: &str,
        width: usize,
        config: &DavitConfig,
        between: Between,
    ) -> Loaded<Self> {
        let part = |part: &str| format!("{name}.{part}");
        let attention = part(attention);
        let wide = (width as f64 * config.mlp_ratio) as usize;
        Ok(Self {
            before_attention: Local::load(w, &part("conv1"), width)?,
            attention_norm: Norm::layer(w, &part("norm1"), width, EPS)?,
            qkv: Linear::load(w, &format!("{attention}.qkv"), width, 3 * width, config.qkv_bias)?,
            merge: Linear::load(w, &format!("{attention}.proj"), width, width, true)?,
            before_mlp: Local::load(w, &part("conv2"), width)?,
            mlp_norm: Norm::layer(w, &part("norm2"), width, EPS)?,
            widen: Linear::load(w, &part("ffn.fc1"), width, wide, true)?,
            narrow: Linear::load(w, &part("ffn.fc2"), wide, width, true)?,
            between,
            activation: config.activation,
        })
    }

    fn forward(&self, x: &Tensor, grid: Grid) -> Result<Tensor> {
        let x = self.before_attention.forward(x, grid)?;
        let normed = self.attention_norm.forward(&x)?;
        let seen = match self.between {
            Between::Places { window, heads } => self.within_windows(&normed, grid, window, heads)?,
            Between::Channels { groups } => self.between_channels(&normed, groups)?,
        };
        let x = (x + seen)?;
        let x = self.before_mlp.forward(&x, grid)?;
        let normed = self.mlp_norm.forward(&x)?;
        let mlp = |x: &Tensor| self.narrow.forward(&self.activation.apply(self.widen.forward(x)?)?);
        x + by_rows(&normed, mlp)?
    }

    /// Windows that reach over the edge are filled with zeros, which are attended to.
    fn within_windows(
        &self,
        x: &Tensor,
        [rows, columns]: Grid,
        window: usize,
        heads: usize,
    ) -> Result<Tensor> {
        let width = x.dim(1)?;
        let x = partition(&x.reshape((1, rows, columns, width))?, window)?;
        let (windows, length, head) = (x.dim(0)?, window * window, width / heads);
        let qkv = self.qkv.forward(&x.reshape((windows * length, width))?)?;
        let qkv = qkv.reshape((windows, length, 3, heads, head))?.permute((2, 0, 3, 1, 4))?;
        let qkv = qkv.contiguous()?.reshape((3, windows * heads, length, head))?;
        let scale = (head as f64).powf(-0.5);
        let seen = attend(&qkv.get(0)?, &qkv.get(1)?, &qkv.get(2)?, scale, None)?;
        let seen = seen.reshape((windows, heads, length, head))?.transpose(1, 2)?.contiguous()?;
        let seen = self.merge.forward(&seen.reshape((windows * length, width))?)?;
        let seen = seen.reshape((windows, window, window, width))?;
        unpartition(&seen, window, rows, columns)?.reshape((rows * columns, width))
    }

    /// Channels are the tokens and places their values.
    fn between_channels(&self, x: &Tensor, groups: usize) -> Result<Tensor> {
        let (count, width) = x.dims2()?;
        let qkv = self.qkv.forward(x)?.reshape((count, 3, groups, width / groups))?;
        // Rows of a place stay together; products read them as columns.
        let qkv = qkv.permute((1, 2, 0, 3))?.contiguous()?;
        let part = |n: usize| qkv.get(n)?.transpose(1, 2);
        let scale = (count as f64).powf(-0.5);
        let seen = attend(&part(0)?, &part(1)?, &part(2)?, scale, None)?;
        self.merge.forward(&seen.flatten(0, 1)?.t()?.contiguous()?)
    }
}

struct Stage {
    config: StageConfig,
    kernel: Tensor,
    bias: Tensor,
    norm: Norm,
    halves: Vec<Half>,
}

impl Stage {
    fn embed(&self, x: &Tensor) -> Result<(Tensor, Grid)> {
        let StageConfig { stride, padding, norm_first, width, .. } = self.config;
        let x = match norm_first {
            true => {
                let (_, _, rows, columns) = x.dims4()?;
                planes(&self.norm.forward(&places(x)?)?, [rows, columns])?
            }
            false => x.clone(),
        };
        let x = x.conv2d(&self.kernel, padding, stride, 1, 1)?;
        let x = x.broadcast_add(&self.bias.reshape((1, width, 1, 1))?)?;
        let (_, _, rows, columns) = x.dims4()?;
        let x = places(&x)?;
        Ok((if norm_first { x } else { self.norm.forward(&x)? }, [rows, columns]))
    }
}

/// A loaded tower.
pub(crate) struct Davit {
    pub(crate) config: DavitConfig,
    stages: Vec<Stage>,
    numbers: Numbers,
}

impl Davit {
    /// Reads the tensors under `prefix` by the names of `transformers`.
    pub(crate) fn load(w: &Weights, prefix: &str, config: DavitConfig) -> Loaded<Self> {
        let mut stages = Vec::with_capacity(config.stages.len());
        let mut from = 3;
        for (n, stage) in config.stages.iter().enumerate() {
            let (width, kernel) = (stage.width, stage.kernel);
            let mut halves = Vec::new();
            for block in 0..stage.depth {
                let name = |half: &str| format!("{prefix}.blocks.{n}.{block}.{half}");
                let places = Between::Places { window: config.window, heads: stage.heads };
                let channels = Between::Channels { groups: stage.groups };
                halves.push(Half::load(w, &name("spatial_block"), "window_attn", width, &config, places)?);
                halves.push(Half::load(w, &name("channel_block"), "channel_attn", width, &config, channels)?);
            }
            let conv = format!("{prefix}.convs.{n}");
            let normed = if stage.norm_first { from } else { width };
            stages.push(Stage {
                config: *stage,
                kernel: w.tensor(&format!("{conv}.conv.weight"), &[width, from, kernel, kernel])?,
                bias: w.tensor(&format!("{conv}.conv.bias"), &[width])?,
                norm: Norm::layer(w, &format!("{conv}.norm"), normed, EPS)?,
                halves,
            });
            from = width;
        }
        Ok(Self { config, stages, numbers: w.numbers.clone() })
    }

    /// Pixel values of one picture (3, height, width) to (places, channels), row by row.
    pub(crate) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = pixels.to_dtype(self.numbers.activations)?.unsqueeze(0)?;
        let mut out = None;
        for stage in &self.stages {
            let (mut rows, grid) = stage.embed(&x)?;
            for half in &stage.halves {
                rows = half.forward(&rows, grid)?;
            }
            x = planes(&rows, grid)?;
            out = Some(rows);
        }
        out.ok_or_else(|| candle_core::Error::Msg("a tower without stages".into()))
    }

    /// About how many bytes [`Davit::forward`] takes while it computes a picture of `side` pixels.
    pub(crate) fn bytes(&self, side: usize) -> u64 {
        let (mut most, mut from, mut n) = (0, 3, side);
        for stage in &self.config.stages {
            n = (n + 2 * stage.padding).saturating_sub(stage.kernel) / stage.stride + 1;
            // A convolution's columns; then projections, windows and an MLP's middle.
            let columns = n * n * stage.kernel * stage.kernel * from;
            most = most.max(columns.max(12 * n * n * stage.width));
            from = stage.width;
        }
        // Scores are bounded whatever the size.
        (most + 3 * most_scores(&self.numbers.device)) as u64
            * self.numbers.activations.size_in_bytes() as u64
    }
}
