//! Models held against their references.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod adapters;
mod common;
mod damaged;
mod encoders;
mod families;
mod florence2;
mod florence2_words;
mod gguf;
mod gguf_families;
mod gguf_files;
mod layouts;
mod lite_medsam;
mod llava;
mod lookup;
mod meshnet;
mod options;
mod pairs;
mod parity;
mod saliency;
mod sam;
mod sam2;
#[path = "../parity/sam2/cases.rs"]
mod sam2_cases;
mod segment_prompts;
mod serving;
mod settings;
mod state_dicts;
mod systems;
