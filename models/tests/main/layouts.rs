//! How tensors are named and turns written in layouts that `transformers` does not write.

/// The template of InternVL's checkpoints in the layout of `transformers`.
pub(crate) const INTERNVL_TEMPLATE: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}{% elif content['type'] == 'video' %}{{ '<video>\n' }}{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}{{'<|im_end|>\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}";

/// The name in `internvl_chat` of a tensor of `transformers` 5.
pub(crate) fn internvl_chat(name: &str) -> String {
    let bare = name.strip_prefix("model.").unwrap_or(name);
    if let Some(rest) = bare.strip_prefix("multi_modal_projector.") {
        let parts = [("layer_norm.", "mlp1.0."), ("linear_1.", "mlp1.1."), ("linear_2.", "mlp1.3.")];
        return parts.iter().find_map(|(a, b)| Some(format!("{b}{}", rest.strip_prefix(a)?))).unwrap();
    }
    if let Some(rest) = bare.strip_prefix("language_model.") {
        return format!("language_model.model.{rest}");
    }
    let Some(rest) = bare.strip_prefix("vision_tower.") else { return format!("language_model.{bare}") };
    let parts = [
        ("embeddings.cls_token", "embeddings.class_embedding"),
        ("embeddings.position_embeddings", "embeddings.position_embedding"),
        ("patch_embeddings.projection", "patch_embedding"),
        ("encoder.layer.", "encoder.layers."),
        (".attention.projection_layer", ".attn.proj"),
        (".attention.", ".attn."),
        (".layernorm_before", ".norm1"),
        (".layernorm_after", ".norm2"),
        (".lambda_1", ".ls1"),
        (".lambda_2", ".ls2"),
    ];
    format!("vision_model.{}", parts.iter().fold(rest.to_owned(), |n, (a, b)| n.replace(a, b)))
}

/// The name in the layout of LLaVA's authors of a tensor of `transformers` 5.
pub(crate) fn llava_authors(name: &str) -> String {
    let parts = [
        ("model.language_model.", "model."),
        ("model.vision_tower.", "model.vision_tower.vision_tower.vision_model."),
        ("model.multi_modal_projector.linear_1.", "model.mm_projector.0."),
        ("model.multi_modal_projector.linear_2.", "model.mm_projector.2."),
    ];
    let renamed = parts.iter().find_map(|(own, theirs)| Some(format!("{theirs}{}", name.strip_prefix(own)?)));
    renamed.unwrap_or_else(|| name.to_owned())
}

/// Queries, keys and values of a tower as one matrix.
pub(crate) fn join_projections(tensors: &mut Vec<(String, Vec<usize>, Vec<u8>)>) {
    let mut joined: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for kind in ["weight", "bias"] {
        let queries: Vec<String> = tensors
            .iter()
            .filter_map(|t| Some(t.0.strip_suffix(&format!(".attn.q_proj.{kind}"))?.to_owned()))
            .collect();
        for block in queries {
            let mut all = (format!("{block}.attn.qkv.{kind}"), Vec::new(), Vec::new());
            for part in ["q_proj", "k_proj", "v_proj"] {
                let name = format!("{block}.attn.{part}.{kind}");
                let at = tensors.iter().position(|t| t.0 == name).unwrap();
                let (_, mut shape, bytes) = tensors.remove(at);
                shape[0] *= 3;
                all.1 = shape;
                all.2.extend(bytes);
            }
            joined.push(all);
        }
    }
    tensors.extend(joined);
}

/// The template of Hulu-Med's main branches: the mark of a picture comes from the processor, slices are a video.
pub(crate) const HULU_MED_TEMPLATE: &str = "{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\n' -}}{% if message['content'] is string %}{{- message['content'] + '<|im_end|>\n' -}}{% else %}{% for content in message['content'] %}{% if content['type'] == 'text' or 'text' in content %}{{- content['text'] -}}{% elif content['type'] == 'image' or 'image' in content %}{{- image_token + '\n' -}}{% elif content['type'] == 'video' or 'video' in content %}{% for i in range(content['num_frames']) %}{% if i < content['num_frames'] - 1 %}{{- image_token + ',' -}}{% else %}{{- image_token + '\n' -}}{% endif %}{% endfor %}{% endif %}{% endfor %}{{- '<|im_end|>\n' -}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{- '<|im_start|>assistant\n' -}}{% endif %}";
