//! Tensor names of the original repository to those of `transformers`
//! (`convert_sam_to_hf.py` maps the same way).

/// The `transformers` 5.x name of a tensor of a file in the original (`original`) or an older
/// `transformers` dialect;
/// `None` for tensors that the network does not have, such as the second copy of the positional
/// embedding that older writers kept.
pub(crate) fn canonical(name: &str, original: bool) -> Option<String> {
    if name == "prompt_encoder.shared_embedding.positional_embedding" {
        return None;
    }
    // TinyViT's classifier and the counters of its batch norms.
    let unused = ["image_encoder.norm_head.", "image_encoder.head."];
    if unused.iter().any(|begin| name.starts_with(begin)) || name.ends_with(".num_batches_tracked") {
        return None;
    }
    Some(if original { from_original(name) } else { name.to_owned() })
}

fn from_original(name: &str) -> String {
    if name == "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix" {
        return "shared_image_embedding.positional_embedding".to_owned();
    }
    if let Some(rest) = name.strip_prefix("image_encoder.") {
        return format!("vision_encoder.{}", encoder(rest));
    }
    if let Some(rest) = name.strip_prefix("prompt_encoder.") {
        return format!("prompt_encoder.{}", prompt(rest));
    }
    if let Some(rest) = name.strip_prefix("mask_decoder.") {
        return format!("mask_decoder.{}", decoder(rest));
    }
    name.to_owned()
}

/// Replaces the first of `pairs` whose left side begins `rest`.
pub(crate) fn begin(rest: &str, pairs: &[(&str, &str)]) -> Option<String> {
    pairs.iter().find_map(|(from, to)| rest.strip_prefix(from).map(|tail| format!("{to}{tail}")))
}

fn encoder(rest: &str) -> String {
    if let Some(block) = rest.strip_prefix("blocks.") {
        let (number, tail) = block.split_once('.').unwrap_or((block, ""));
        let tail = begin(tail, &[("norm1.", "layer_norm1."), ("norm2.", "layer_norm2.")])
            .unwrap_or_else(|| tail.to_owned());
        return format!("layers.{number}.{tail}");
    }
    let pairs = [
        ("patch_embed.proj.", "patch_embed.projection."),
        ("neck.0.", "neck.conv1."),
        ("neck.1.", "neck.layer_norm1."),
        ("neck.2.", "neck.conv2."),
        ("neck.3.", "neck.layer_norm2."),
    ];
    begin(rest, &pairs).unwrap_or_else(|| rest.to_owned())
}

pub(crate) fn prompt(rest: &str) -> String {
    let pairs = [
        ("point_embeddings.", "point_embed."),
        ("mask_downscaling.0.", "mask_embed.conv1."),
        ("mask_downscaling.1.", "mask_embed.layer_norm1."),
        ("mask_downscaling.3.", "mask_embed.conv2."),
        ("mask_downscaling.4.", "mask_embed.layer_norm2."),
        ("mask_downscaling.6.", "mask_embed.conv3."),
    ];
    begin(rest, &pairs).unwrap_or_else(|| rest.to_owned())
}

pub(crate) fn decoder(rest: &str) -> String {
    let pairs = [
        ("output_upscaling.0.", "upscale_conv1."),
        ("output_upscaling.1.", "upscale_layer_norm."),
        ("output_upscaling.3.", "upscale_conv2."),
        ("transformer.norm_final_attn.", "transformer.layer_norm_final_attn."),
        ("iou_prediction_head.layers.0.", "iou_prediction_head.proj_in."),
        ("iou_prediction_head.layers.1.", "iou_prediction_head.layers.0."),
        ("iou_prediction_head.layers.2.", "iou_prediction_head.proj_out."),
    ];
    if let Some(renamed) = begin(rest, &pairs) {
        return renamed;
    }
    if let Some(net) = rest.strip_prefix("output_hypernetworks_mlps.") {
        let (number, tail) = net.split_once('.').unwrap_or((net, ""));
        let tail =
            begin(tail, &[("layers.0.", "proj_in."), ("layers.1.", "layers.0."), ("layers.2.", "proj_out.")])
                .unwrap_or_else(|| tail.to_owned());
        return format!("output_hypernetworks_mlps.{number}.{tail}");
    }
    if let Some(layer) = rest.strip_prefix("transformer.layers.") {
        let (number, tail) = layer.split_once('.').unwrap_or((layer, ""));
        let tail = tail.strip_prefix("norm").map_or_else(|| tail.to_owned(), |t| format!("layer_norm{t}"));
        return format!("transformer.layers.{number}.{tail}");
    }
    rest.to_owned()
}
