//! How an encoder of images and texts finds a phrase.

use loupe_app::segment::SaliencyOptions;
use loupe_core::Bottleneck;

/// How an encoder of images and texts (CLIP, BiomedCLIP), named with --grounder, finds a phrase.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Phrases by saliency")]
pub(crate) struct SaliencyArgs {
    /// Layer behind which it is measured what passes, from 0; 7 when not given.
    #[arg(long, value_name = "N", requires = "grounder")]
    saliency_layer: Option<usize>,

    /// Weight of what passes; the larger, the less of the image is left. 0.1 when not given; 1 and 2 were used for
    /// tumours of breast and brain.
    #[arg(long, value_name = "BETA", requires = "grounder")]
    saliency_beta: Option<f64>,

    /// Seed of its noise; 42 when not given.
    #[arg(long, value_name = "SEED", requires = "grounder")]
    saliency_seed: Option<u64>,

    /// Value of the map, 0 to 1, above which something stands out; what parts the map into two clusters best when not
    /// given.
    #[arg(long, value_name = "VALUE", requires = "grounder")]
    saliency_threshold: Option<f64>,

    /// So many parts that stand out become objects, the largest first; 1 when not given.
    #[arg(long, value_name = "N", requires = "grounder")]
    saliency_parts: Option<usize>,
}

impl SaliencyArgs {
    /// None when nothing was said.
    pub(crate) fn options(&self) -> Option<SaliencyOptions> {
        let Self { saliency_layer, saliency_beta, saliency_seed, saliency_threshold, saliency_parts } = *self;
        let said = saliency_layer.is_some()
            || saliency_beta.is_some()
            || saliency_seed.is_some()
            || saliency_threshold.is_some()
            || saliency_parts.is_some();
        let plain = Bottleneck::default();
        said.then(|| SaliencyOptions {
            bottleneck: Bottleneck {
                layer: saliency_layer.unwrap_or(plain.layer),
                beta: saliency_beta.unwrap_or(plain.beta),
                seed: saliency_seed.unwrap_or(plain.seed),
                ..plain
            },
            threshold: saliency_threshold,
            parts: saliency_parts.unwrap_or(1).max(1),
        })
    }
}
