//! The small models that were trained on phantoms, embedded: phantom-vl (`assets/phantom-vl/README.md`) answers and finds,
//! phantom-sam (`assets/phantom-sam/README.md`) outlines.

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../assets/", $folder, "/", $name)))),*]
    };
}

/// Name and bytes of each file of phantom-vl's checkpoint directory.
pub static MODEL: &[(&str, &[u8])] = files![
    "phantom-vl":
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// Name and bytes of each file of phantom-sam's checkpoint directory.
pub static SEGMENTER: &[(&str, &[u8])] =
    files!["phantom-sam": "config.json", "model.safetensors", "preprocessor_config.json"];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn file(of: &'static [(&str, &[u8])], name: &str) -> &'static [u8] {
        of.iter().find(|(n, _)| *n == name).unwrap().1
    }

    fn whole_and_small(of: &'static [(&str, &[u8])], most: usize) {
        let total: usize = of.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total < most, "{total} bytes");
        let weights = file(of, "model.safetensors");
        let header = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
        let tensors: Value = serde_json::from_slice(&weights[8..8 + header]).unwrap();
        let ends = tensors.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
        let last = ends
            .map(|(name, t)| {
                assert_eq!(t["dtype"], "F16", "{name}");
                t["data_offsets"][1].as_u64().unwrap() as usize
            })
            .max()
            .unwrap();
        assert_eq!(8 + header + last, weights.len());
    }

    #[test]
    fn the_checkpoints_are_whole_and_small() {
        whole_and_small(MODEL, 12 << 20);
        whole_and_small(SEGMENTER, 8 << 20);
        let config: Value = serde_json::from_slice(file(MODEL, "config.json")).unwrap();
        assert_eq!(config["architectures"][0], "Qwen2_5_VLForConditionalGeneration");
        let tokens: Value = serde_json::from_slice(file(MODEL, "tokenizer.json")).unwrap();
        let vocabulary = tokens["model"]["vocab"].as_object().unwrap().len();
        assert_eq!(config["text_config"]["vocab_size"], vocabulary);
        let config: Value = serde_json::from_slice(file(SEGMENTER, "config.json")).unwrap();
        assert_eq!(config["architectures"][0], "SamModel");
    }
}
