//! The feature pyramid (Lin et al. 2017, arXiv 1612.03144) over the backbone's stages, as
//! `Sam2VisionNeck`.

use super::config::Sam2Config;
use crate::error::LoadError;
use crate::layers::vars::Vars;
use candle_core::{Error, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module};

/// Stages to levels of equal width.
#[derive(Debug)]
pub(crate) struct Neck {
    /// One a stage, the coarsest stage first.
    lateral: Vec<Conv2d>,
    top_down: Vec<usize>,
}

impl Neck {
    pub(crate) fn load(config: &Sam2Config, vars: &Vars<'_>) -> std::result::Result<Self, LoadError> {
        let lateral = config.backbone.widths.iter().rev().enumerate().map(|(n, &from)| {
            vars.conv(from, config.width, 1, Conv2dConfig::default(), &format!("convs.{n}"))
        });
        let lateral = lateral.collect::<std::result::Result<_, _>>()?;
        Ok(Self { lateral, top_down: config.top_down.clone() })
    }

    /// Maps of the stages, the finest first, to the three finest levels `(B, C, side, side)`.
    pub(crate) fn forward(&self, stages: &[Tensor]) -> Result<[Tensor; 3]> {
        let mut levels: Vec<Tensor> = Vec::new();
        for (lateral, (level, stage)) in self.lateral.iter().zip(stages.iter().enumerate().rev()) {
            let own = lateral.forward(&stage.permute((0, 3, 1, 2))?.contiguous()?)?;
            let own = match levels.last() {
                Some(above) if self.top_down.contains(&level) => {
                    let (_, _, h, w) = own.dims4()?;
                    (own + above.upsample_nearest2d(h, w)?)?
                }
                _ => own,
            };
            levels.push(own);
        }
        levels.reverse();
        levels.truncate(3);
        levels.try_into().map_err(|_| Error::Msg("the backbone has fewer than three stages".to_owned()))
    }
}
