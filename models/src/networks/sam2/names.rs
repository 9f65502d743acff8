//! Tensor names of the original repository and of `transformers` to one set: those of
//! `transformers` 5.x, with the transformer blocks named as in SAM (`out_proj`, `mlp.lin1`).

use crate::networks::sam::names::{begin, decoder, prompt};

/// The architecture's name of a tensor; `original` for files in the names of the `sam2` repository.
/// `None` for a weight that no computation uses.
pub(crate) fn canonical(name: &str, original: bool) -> Option<String> {
    let name = if original { from_original(name) } else { from_transformers(name) };
    (name != "no_memory_positional_encoding").then_some(name)
}

/// True when a file is in the names of the `sam2` repository.
pub(crate) fn is_original(mut names: impl Iterator<Item = impl AsRef<str>>) -> bool {
    names.any(|name| name.as_ref().starts_with("sam_mask_decoder."))
}

fn from_transformers(name: &str) -> String {
    let name = name.replace(".o_proj.", ".out_proj.");
    if name.starts_with("mask_decoder.transformer.") {
        return name.replace(".mlp.proj_in.", ".mlp.lin1.").replace(".mlp.proj_out.", ".mlp.lin2.");
    }
    name
}

fn from_original(name: &str) -> String {
    let one = [
        (
            "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
            "shared_image_embedding.positional_embedding",
        ),
        ("maskmem_tpos_enc", "memory_temporal_positional_encoding"),
        ("no_mem_embed", "no_memory_embedding"),
        ("no_mem_pos_enc", "no_memory_positional_encoding"),
        ("no_obj_ptr", "no_object_pointer"),
        ("no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
        ("obj_ptr_tpos_proj.", "temporal_positional_encoding_projection_layer."),
    ];
    if let Some(renamed) = begin(name, &one) {
        return renamed;
    }
    let (part, rest) = name.split_once('.').unwrap_or((name, ""));
    match part {
        "image_encoder" => format!("vision_encoder.{}", encoder(rest)),
        "sam_prompt_encoder" => format!("prompt_encoder.{}", prompt(rest)),
        "sam_mask_decoder" => format!("mask_decoder.{}", mask_decoder(rest)),
        "memory_attention" => format!("memory_attention.{}", norms(rest)),
        "memory_encoder" => format!("memory_encoder.{}", memory_encoder(rest)),
        "obj_ptr_proj" => format!("object_pointer_proj.{}", three(rest)),
        _ => name.to_owned(),
    }
}

/// `norm…` at the beginning or after a number to `layer_norm…`.
fn norms(rest: &str) -> String {
    match rest.strip_prefix("norm") {
        Some(tail) => format!("layer_norm{tail}"),
        None => rest.replace(".norm", ".layer_norm"),
    }
}

/// Layers of a perceptron of three to `transformers`' names.
fn three(rest: &str) -> String {
    let pairs = [("layers.0.", "proj_in."), ("layers.1.", "layers.0."), ("layers.2.", "proj_out.")];
    begin(rest, &pairs).unwrap_or_else(|| rest.to_owned())
}

fn encoder(rest: &str) -> String {
    if let Some(neck) = rest.strip_prefix("neck.") {
        return format!("neck.{}", neck.replace(".conv.", "."));
    }
    let rest = rest.strip_prefix("trunk.").unwrap_or(rest);
    let rest =
        norms(rest).replace(".mlp.layers.0.", ".mlp.proj_in.").replace(".mlp.layers.1.", ".mlp.proj_out.");
    let rest = begin(&rest, &[("patch_embed.proj.", "patch_embed.projection.")]).unwrap_or(rest);
    format!("backbone.{rest}")
}

fn mask_decoder(rest: &str) -> String {
    if let Some(tail) = rest.strip_prefix("pred_obj_score_head.") {
        return format!("pred_obj_score_head.{}", three(tail));
    }
    decoder(rest).replace(".mlp.layers.0.", ".mlp.lin1.").replace(".mlp.layers.1.", ".mlp.lin2.")
}

fn memory_encoder(rest: &str) -> String {
    if let Some(layer) = rest.strip_prefix("mask_downsampler.encoder.") {
        let (number, tail) = layer.split_once('.').unwrap_or((layer, ""));
        // Convolution, norm and activation in turn, four times; then the last convolution.
        return match number.parse::<usize>() {
            Ok(12) => format!("mask_downsampler.final_conv.{tail}"),
            Ok(n) if n % 3 == 0 => format!("mask_downsampler.layers.{}.conv.{tail}", n / 3),
            Ok(n) => format!("mask_downsampler.layers.{}.layer_norm.{tail}", n / 3),
            Err(_) => rest.to_owned(),
        };
    }
    if let Some(layer) = rest.strip_prefix("fuser.") {
        let layer = layer.replace(".dwconv.", ".depthwise_conv.").replace(".pwconv", ".pointwise_conv");
        let layer = layer.replace(".gamma", ".scale").replace(".norm.", ".layer_norm.");
        return format!("memory_fuser.{layer}");
    }
    let pairs = [("pix_feat_proj.", "feature_projection."), ("out_proj.", "projection.")];
    begin(rest, &pairs).unwrap_or_else(|| rest.to_owned())
}
