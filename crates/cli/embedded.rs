//! The checkpoint built into the binary.

use loupe_models::Checkpoint;

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../assets/", $folder, "/", $name)))),*]
    };
}

static FILES: &[(&str, &[u8])] = files!("phantom-vl":
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
);

/// The embedded default.
pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint::Embedded { name: "phantom-vl", files: FILES }
}
