//! phantom-vl, the small model that was trained on phantoms (`assets/phantom-vl/README.md`), embedded.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../assets/phantom-vl/", $name)))),*]
    };
}

/// Name and bytes of each file of the checkpoint directory.
pub static MODEL: &[(&str, &[u8])] = files![
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_checkpoint_is_whole_and_small() {
        let file = |name: &str| MODEL.iter().find(|(n, _)| *n == name).unwrap().1;
        let total: usize = MODEL.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total < 12 << 20, "{total} bytes");
        let weights = file("model.safetensors");
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
        let config: Value = serde_json::from_slice(file("config.json")).unwrap();
        assert_eq!(config["architectures"][0], "Qwen2_5_VLForConditionalGeneration");
        let tokens: Value = serde_json::from_slice(file("tokenizer.json")).unwrap();
        let vocabulary = tokens["model"]["vocab"].as_object().unwrap().len();
        assert_eq!(config["text_config"]["vocab_size"], vocabulary);
    }
}
