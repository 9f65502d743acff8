//! Writes the tiny checkpoints of `tests/parity` from their formulas and reads reference values.

use crate::layouts;
use loupe_core::{Ask, GenerationLimits, Part, Picture, Role, Turn};
use loupe_models::{DeviceChoice, LoadOptions, Resample, load};
use safetensors::{Dtype, SafeTensors, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Families that see.
pub(crate) const FAMILIES: [&str; 7] =
    ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3", "internvl", "llava", HULU_MED];
const HULU_MED: &str = "hulu_med";
/// Families of text models: a case each.
pub(crate) const TEXT: &str = "text";

/// How the files of a checkpoint are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialect {
    pub(crate) old_names: bool,
    pub(crate) flat_config: bool,
    pub text_config_4: bool,
    pub(crate) old_processor: bool,
    pub(crate) shards: usize,
    pub(crate) stored_head: bool,
    /// A stored head that is not the table of embeddings.
    pub(crate) other_head: bool,
    pub(crate) jinja_file: bool,
    pub(crate) drop: Option<&'static str>,
    pub(crate) extra: Option<&'static str>,
    pub(crate) reshape: Option<&'static str>,
    pub(crate) architecture: Option<&'static str>,
}

pub(crate) struct Case {
    pub(crate) name: String,
    family: String,
    facts: Value,
    reference: Vec<u8>,
}

/// A reference or dumped tensor.
pub(crate) struct Values {
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl Values {
    pub(crate) fn of(file: &[u8], name: &str) -> Self {
        let tensors = SafeTensors::deserialize(file).unwrap();
        let view = tensors.tensor(name).unwrap_or_else(|_| panic!("{name} is not there"));
        Self { dtype: view.dtype(), bytes: view.data().to_vec() }
    }

    pub(crate) fn ints(&self) -> Vec<i64> {
        match self.dtype {
            Dtype::I64 => self.bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            Dtype::I32 => self.bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn floats(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }
}

pub(crate) struct Dumped(Vec<u8>);

impl Dumped {
    pub(crate) fn ints(&self, name: &str) -> Vec<i64> {
        Values::of(&self.0, name).ints()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f32> {
        Values::of(&self.0, name).floats()
    }
}

/// Answers and reads the dump.
pub(crate) fn dumped(dir: &Path, asks: &[Ask], options: &LoadOptions) -> Dumped {
    let out = tempfile::tempdir().unwrap();
    let options = LoadOptions { dump: Some(out.path().to_path_buf()), ..options.clone() };
    for reply in load(dir, &options).unwrap().generate(asks) {
        reply.unwrap();
    }
    Dumped(std::fs::read(out.path().join("dump.safetensors")).unwrap())
}

/// The operations that a GPU takes, on the processor.
pub(crate) fn plain(dtype: loupe_models::Dtype) -> LoadOptions {
    LoadOptions { device: DeviceChoice::CpuPlain, dtype: Some(dtype), ..LoadOptions::default() }
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

pub(crate) fn greedy(pictures: Vec<Arc<Picture>>, question: &str, tokens: usize) -> Ask {
    Ask::pictures_then(
        pictures,
        question,
        GenerationLimits { max_new_tokens: tokens, ..GenerationLimits::default() },
    )
}

pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3))
}

/// `picture` of make_qwen.py.
pub(crate) fn picture(w: usize, h: usize, seed: u64) -> Picture {
    let mut pixels = Vec::with_capacity(w * h * 3);
    for i in 0..w * h * 3 {
        let (x, y, c) = (i / 3 % w, i / 3 / w, i % 3);
        let noise = (mix(seed, i as u64) >> 59) as usize;
        let base = match c {
            0 => x * 255 / (w - 1).max(1),
            1 => y * 255 / (h - 1).max(1),
            _ => (x / 5 + y / 7) % 2 * 160,
        };
        pixels.push((base + noise).min(255) as u8);
    }
    Picture::new(w, h, 3, pixels).unwrap()
}

/// `shown` of make_hulu_med.py: a slice of a volume.
fn slice_of(plain: &Picture, number: usize) -> Picture {
    let (w, mut pixels) = (plain.width(), plain.pixels().to_vec());
    for (i, level) in pixels.iter_mut().enumerate().filter(|(i, _)| number % 2 == 1 && i / 3 % w < w / 2) {
        *level = 255 - plain.pixels()[i];
    }
    let mut slice = Picture::new(w, plain.height(), 3, pixels).unwrap();
    slice.origin.source = Some("volume".to_owned());
    slice.origin.slice = Some(number);
    slice.origin.plane = Some(loupe_core::Plane::Stored);
    slice
}

/// `weight` of make_qwen.py: shape and little-endian values by a rule of shape, amplitude and offset.
pub(crate) fn weight(name: &str, rule: &Value) -> (Vec<usize>, Vec<u8>) {
    let shape: Vec<usize> = serde_json::from_value(rule[0].clone()).unwrap();
    let (amplitude, offset) = (rule[1].as_f64().unwrap(), rule[2].as_f64().unwrap());
    let seed = fnv(name);
    let value = |i: u64| {
        let unit = (mix(seed, i) >> 40) as f64 / 16_777_216.0 - 0.5;
        ((unit * amplitude + offset) as f32).to_le_bytes()
    };
    let bytes = (0..shape.iter().product::<usize>() as u64).flat_map(value).collect();
    (shape, bytes)
}

/// Writes named tensors of f32.
pub(crate) fn write_tensors(list: &[(String, Vec<usize>, Vec<u8>)], file: &Path) {
    let views: HashMap<&str, TensorView<'_>> = list
        .iter()
        .map(|t| (t.0.as_str(), TensorView::new(Dtype::F32, t.1.clone(), &t.2).unwrap()))
        .collect();
    serialize_to_file(views, None, file).unwrap();
}

pub(crate) fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(family)
}

impl Case {
    pub(crate) fn all(family: &str) -> Vec<Case> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder(family)).unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
        paths.sort();
        assert!(paths.len() >= 4, "{family} has too few cases");
        let case = |p: PathBuf| Case {
            name: format!("{} ({family})", p.file_stem().unwrap().to_string_lossy()),
            family: family.to_owned(),
            facts: serde_json::from_slice(&std::fs::read(&p).unwrap()).unwrap(),
            reference: std::fs::read(p.with_extension("safetensors")).unwrap(),
        };
        paths.into_iter().map(case).collect()
    }

    /// The formula of a tensor, for [`weight`].
    pub(crate) fn rule(&self, name: &str) -> &Value {
        &self.facts["weights"][name]
    }

    pub(crate) fn reference(&self, name: &str) -> Values {
        Values::of(&self.reference, name)
    }

    pub(crate) fn resample(&self) -> Option<Resample> {
        if self.family == HULU_MED {
            return None;
        }
        let class = self.facts["image_processor"]["image_processor_type"].as_str()?;
        Some(if class.ends_with("Pil") { Resample::Pillow } else { Resample::Torchvision })
    }

    pub(crate) fn asks(&self, tokens: usize) -> Vec<Ask> {
        let ask = |ask: &Value| {
            let mut pictures = Vec::new();
            let mut turns = Vec::new();
            for turn in ask["turns"].as_array().unwrap() {
                let role = serde_json::from_value::<Role>(turn[0].clone()).unwrap();
                let part = |p: &Value| match p.as_str() {
                    Some(text) => Part::Text(text.to_owned()),
                    None => {
                        let n = |i: usize| p[i].as_u64().unwrap();
                        let plain = picture(n(0) as usize, n(1) as usize, n(2));
                        let slice = p[3].as_u64().map(|slice| slice_of(&plain, slice as usize));
                        pictures.push(Arc::new(slice.unwrap_or(plain)));
                        Part::Picture(pictures.len() - 1)
                    }
                };
                turns.push(Turn { role, parts: turn[1].as_array().unwrap().iter().map(part).collect() });
            }
            Ask {
                pictures,
                turns,
                limits: GenerationLimits { max_new_tokens: tokens, ..GenerationLimits::default() },
            }
        };
        self.facts["asks"].as_array().unwrap().iter().map(ask).collect()
    }

    /// True for families whose dumps have grids of patches.
    pub(crate) fn has_grids(&self) -> bool {
        self.is_qwen() || self.family == HULU_MED
    }

    fn is_qwen(&self) -> bool {
        self.family.starts_with("qwen")
    }

    pub(crate) fn wanted_levels(&self, ask: usize) -> String {
        self.facts["asks"][ask]["levels_sha256"].as_str().unwrap().to_owned()
    }

    /// SHA-256 of the grey levels that pixel values stand for.
    pub(crate) fn levels_sha256(&self, pixels: &[f32]) -> String {
        let processor = &self.facts["image_processor"];
        let number = |key: &str, c: usize| processor[key][c].as_f64().unwrap();
        // Qwen's values lie patch by patch, those of the others picture by picture.
        let per_channel = match processor["patch_size"].as_u64() {
            Some(patch) => (if self.is_qwen() { 2 } else { 1 }) * (patch * patch) as usize,
            None => {
                let crop = &processor["crop_size"]["height"];
                let side = crop.as_u64().or_else(|| processor["size"]["height"].as_u64());
                (side.unwrap() as usize).pow(2)
            }
        };
        let level = |(i, v): (usize, &f32)| {
            let c = i / per_channel % 3;
            ((f64::from(*v) * number("image_std", c) + number("image_mean", c)) * 255.0).round() as u8
        };
        let bytes: Vec<u8> = pixels.iter().enumerate().map(level).collect();
        Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The checkpoint in a temporary folder.
    pub(crate) fn write(&self, dialect: &Dialect) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let put =
            |name: &str, value: &Value| std::fs::write(dir.path().join(name), value.to_string()).unwrap();
        put("config.json", &self.config(dialect));
        let mut processor = self.facts["image_processor"].clone();
        if self.family == TEXT || self.is_authors_llava() {
            // There are no pictures to prepare, or their numbers are part of the authors' code.
        } else if dialect.old_processor {
            if self.is_qwen() {
                let size = processor["size"].take();
                processor["min_pixels"] = size["shortest_edge"].clone();
                processor["max_pixels"] = size["longest_edge"].clone();
            }
            put("preprocessor_config.json", &processor);
        } else {
            put("processor_config.json", &json!({ "image_processor": processor }));
        }
        for (name, value) in self.facts["beside"].as_object().into_iter().flatten() {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, value.to_string()).unwrap();
        }
        if let Some(template) = self.facts["template"].as_str() {
            put("chat_template.json", &json!({ "chat_template": template }));
        }
        let tokenizer = match self.family.as_str() {
            "llava" => self.facts["tokenizer"].as_str().unwrap(),
            _ if self.is_gemma() => "gemma3/tokenizer/tokenizer.json",
            "internvl" => "internvl/tokenizer/tokenizer.json",
            HULU_MED => "hulu_med/tokenizer/tokenizer.json",
            _ => "tokenizer.json",
        };
        std::fs::copy(folder(tokenizer), dir.path().join("tokenizer.json")).unwrap();
        if self.family != "llava" && (dialect.jinja_file || self.family == TEXT) {
            let template = match self.family.as_str() {
                _ if self.is_gemma() => GEMMA_TEMPLATE.to_owned(),
                "qwen3_vl" => TEMPLATE.replace(DEFAULT_SYSTEM, ""),
                "internvl" => layouts::INTERNVL_TEMPLATE.to_owned(),
                HULU_MED => layouts::HULU_MED_TEMPLATE.to_owned(),
                _ => TEMPLATE.to_owned(),
            };
            std::fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
        }
        self.write_weights(dialect, dir.path());
        dir
    }

    /// Is it in the layout of the authors' code?
    fn is_authors_llava(&self) -> bool {
        self.facts["config"]["model_type"].as_str().unwrap().starts_with("llava_")
    }

    fn is_gemma(&self) -> bool {
        self.facts["config"]["model_type"].as_str().unwrap().starts_with("gemma3")
    }

    fn config(&self, dialect: &Dialect) -> Value {
        let mut config = self.facts["config"].clone();
        // The classes write ids of their own vocabulary, which these small ones lack.
        if let Some(text) = config.get_mut("text_config").and_then(Value::as_object_mut) {
            let vocab = text["vocab_size"].as_u64();
            for field in ["bos_token_id", "eos_token_id"] {
                if text.get(field).and_then(Value::as_u64) >= vocab {
                    text.remove(field);
                }
            }
        }
        if let Some(name) = dialect.architecture {
            config["architectures"] = json!([name]);
        }
        if self.family == TEXT {
            if dialect.text_config_4 || dialect.flat_config {
                let config = config.as_object_mut().unwrap();
                if self.is_gemma() { gemma_of_4(config, dialect.flat_config) } else { text_of_4(config) }
            }
            return config;
        }
        if self.family == "llava" {
            let text =
                if self.is_authors_llava() { &mut config } else { config.get_mut("text_config").unwrap() };
            if dialect.text_config_4 || dialect.flat_config {
                text_of_4(text.as_object_mut().unwrap());
            }
            return config;
        }
        if self.family == HULU_MED {
            if dialect.text_config_4 || dialect.flat_config {
                text_of_4(config.as_object_mut().unwrap());
            }
            return config;
        }
        if self.family == "internvl" {
            if dialect.text_config_4 || dialect.flat_config {
                let part = if config["llm_config"].is_object() { "llm_config" } else { "text_config" };
                text_of_4(config[part].as_object_mut().unwrap());
            }
            return config;
        }
        if self.is_gemma() {
            if dialect.text_config_4 || dialect.flat_config {
                gemma_of_4(config["text_config"].as_object_mut().unwrap(), dialect.flat_config);
                DEFAULTS.iter().for_each(|(part, field, value)| leave_out(&mut config[*part], field, value));
            }
            return config;
        }
        // Was never published with the settings of the text model at the top.
        let third = self.family == "qwen3_vl";
        if dialect.text_config_4 || dialect.flat_config {
            let text = config["text_config"].as_object_mut().unwrap();
            let rope = text.remove("rope_parameters").unwrap();
            text.insert("rope_theta".into(), rope["rope_theta"].clone());
            let mut scaling = json!({ "type": "mrope", "mrope_section": rope["mrope_section"] });
            if third {
                scaling["rope_type"] = json!("default");
                scaling["mrope_interleaved"] = json!(true);
            }
            text.insert("rope_scaling".into(), scaling);
            config["vision_config"].as_object_mut().unwrap().remove("rope_parameters");
        }
        if dialect.flat_config && !third {
            let Value::Object(text) = config["text_config"].take() else { panic!() };
            config.as_object_mut().unwrap().remove("text_config");
            for (key, value) in text {
                if key != "model_type" && key != "tie_word_embeddings" {
                    config[key] = value;
                }
            }
        }
        config
    }

    fn write_weights(&self, dialect: &Dialect, dir: &Path) {
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, rule) in self.facts["weights"].as_object().unwrap() {
            if dialect.drop == Some(name) {
                continue;
            }
            let (shape, bytes) = weight(name, rule);
            let shape = if dialect.reshape == Some(name) { vec![bytes.len() / 4] } else { shape };
            if dialect.stored_head && name.ends_with("embed_tokens.weight") && self.tied() {
                tensors.push(("lm_head.weight".into(), shape.clone(), bytes.clone()));
            }
            if dialect.other_head && name.ends_with("embed_tokens.weight") {
                let mut other = bytes.clone();
                other[2] ^= 1;
                tensors.push(("lm_head.weight".into(), shape.clone(), other));
            }
            let name = if self.facts["config"]["model_type"] == "internvl_chat" {
                layouts::internvl_chat(name)
            } else if self.is_authors_llava() {
                layouts::llava_authors(name)
            } else if self.family == HULU_MED {
                // Those of the original layout lie one level deeper.
                let deeper = dialect.old_names || self.facts["original"] == true;
                let (from, to) = ("model.vision_encoder.", "model.vision_encoder.vision_encoder.");
                if deeper { name.replace(from, to) } else { name.clone() }
            } else if dialect.old_names && self.family == "llava" {
                published_by_gemma(name)
            } else if dialect.old_names && self.family == "internvl" {
                published_by_gemma(name).replace("vision_tower.vision_model.", "vision_tower.")
            } else if dialect.old_names && self.family == TEXT {
                // As cut out of a model with pictures.
                format!("language_model.{name}")
            } else if dialect.old_names && self.is_gemma() {
                published_by_gemma(name)
            } else if dialect.old_names {
                let old = name.strip_prefix("model.visual.").map(|n| format!("visual.{n}"));
                old.unwrap_or_else(|| name.replace("model.language_model.", "model."))
            } else {
                name.clone()
            };
            tensors.push((name, shape, bytes));
        }
        if self.facts["config"]["model_type"] == "internvl_chat" {
            layouts::join_projections(&mut tensors);
        }
        if let Some(name) = dialect.extra {
            tensors.push((name.into(), vec![2], vec![0; 8]));
        }
        let write = |list: &[_], file: &str| write_tensors(list, &dir.join(file));
        if dialect.shards == 0 {
            return write(&tensors, "model.safetensors");
        }
        let mut map = serde_json::Map::new();
        let size = tensors.len().div_ceil(dialect.shards);
        for (i, part) in tensors.chunks(size).enumerate() {
            let file = format!("model-{i:05}.safetensors");
            write(part, &file);
            part.iter().for_each(|t| drop(map.insert(t.0.clone(), json!(file))));
        }
        let index = json!({ "metadata": {}, "weight_map": map });
        std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
    }

    fn tied(&self) -> bool {
        self.facts["config"]["tie_word_embeddings"].as_bool() == Some(true)
    }
}

/// The default system prompt of [`TEMPLATE`], which Qwen3-VL's lacks.
const DEFAULT_SYSTEM: &str = "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}";

/// The template of the released instruction-tuned checkpoints, pictures and text only.
pub(crate) const TEMPLATE: &str = "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// That of Gemma 3, with every turn's words in parts.
const GEMMA_TEMPLATE: &str = "{{ '<bos>' }}{% if messages[0]['role'] == 'system' %}{% set prefix = messages[0]['content'] + '\n\n' %}{% set turns = messages[1:] %}{% else %}{% set prefix = '' %}{% set turns = messages %}{% endif %}{% for message in turns %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' + (prefix if loop.first else '') }}{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}{% for item in message['content'] %}{% if item['type'] == 'image' %}{{ '<start_of_image>' }}{% else %}{{ item['text'] | trim }}{% endif %}{% endfor %}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}";

/// Names in the published files of Gemma 3.
fn published_by_gemma(name: &str) -> String {
    let bare = name.strip_prefix("model.").unwrap_or(name);
    if let Some(rest) = bare.strip_prefix("language_model.") {
        return format!("language_model.model.{rest}");
    }
    match bare.strip_prefix("vision_tower.") {
        Some(rest) => format!("vision_tower.vision_model.{rest}"),
        None if bare == "lm_head.weight" => "language_model.lm_head.weight".to_owned(),
        None => bare.to_owned(),
    }
}

/// Fields that published files of Gemma 3 leave out where they are default.
const DEFAULTS: [(&str, &str, &str); 6] = [
    ("text_config", "hidden_activation", "\"gelu_pytorch_tanh\""),
    ("text_config", "rms_norm_eps", "1e-6"),
    ("text_config", "attention_bias", "false"),
    ("vision_config", "hidden_act", "\"gelu_pytorch_tanh\""),
    ("vision_config", "layer_norm_eps", "1e-6"),
    ("vision_config", "num_channels", "3"),
];

fn leave_out(part: &mut Value, field: &str, default: &str) {
    assert_eq!(part[field], serde_json::from_str::<Value>(default).unwrap(), "{field}");
    part.as_object_mut().unwrap().remove(field).unwrap();
}

/// Positions as 4.x writes them.
fn text_of_4(config: &mut serde_json::Map<String, Value>) {
    let mut rope = config.remove("rope_parameters").unwrap();
    config.insert("rope_theta".into(), rope["rope_theta"].take());
    let scaled = rope["rope_type"] != "default";
    config.insert("rope_scaling".into(), if scaled { rope } else { Value::Null });
    config.remove("layer_types");
}

/// Layers and positions as 4.5x writes them; `sparse` leaves out what is default.
fn gemma_of_4(text: &mut serde_json::Map<String, Value>, sparse: bool) {
    let rope = text.remove("rope_parameters").unwrap();
    let (near, far) = (&rope["sliding_attention"], &rope["full_attention"]);
    if !sparse {
        text.insert("rope_local_base_freq".into(), near["rope_theta"].clone());
        text.insert("rope_theta".into(), far["rope_theta"].clone());
        text.insert("rope_scaling".into(), Value::Null);
    }
    if far["rope_type"] != "default" {
        text.insert("rope_scaling".into(), json!({ "rope_type": "linear", "factor": far["factor"] }));
    }
    if sparse {
        let types = text.remove("layer_types").unwrap();
        let first = types.as_array().unwrap().iter().position(|t| t == "full_attention").unwrap();
        if first != 5 {
            text.insert("sliding_window_pattern".into(), json!(first + 1));
        }
    }
}
