//! Can this machine and a checkpoint do the job?

use crate::error::{AppError, InStep};
use crate::open::ModelOptions;
use crate::served::is_address;
use loupe_core::{Ask, Box2, GenerationLimits, LpsFromIndex, Modality, Picture, SegmentPrompt, Volume};
use loupe_models::{Checkpoint, DeviceChoice, Dtype, Loader, Summary, families};
use ndarray::Array3;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Is it as it should be?
    pub good: bool,
    /// In words.
    pub about: String,
}

/// Looks at the program, the machine and the model.
pub fn checks(model: &ModelOptions) -> Vec<Check> {
    let good = |name, about: String| Check { name, good: true, about };
    let processors =
        std::thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |n| n.to_string());
    let built = |on: bool, feature: &str| match on {
        true => "built in".to_owned(),
        false => format!("not built in (cargo feature `{feature}`)"),
    };
    let (checkpoint, enough) = match about(model) {
        Some((about, enough)) => (Some(Check { name: "checkpoint", good: enough, about }), enough),
        None => (None, true),
    };
    let (answer, notes) = match enough.then(|| answers(model)) {
        None => (
            Check { name: "model", good: false, about: "not loaded: the memory would not do".to_owned() },
            Vec::new(),
        ),
        Some(Ok((about, notes))) => (good("model", about), notes),
        Some(Err(error)) => (Check { name: "model", good: false, about: error.in_one_line() }, Vec::new()),
    };
    let mut all = vec![
        good("loupe", env!("CARGO_PKG_VERSION").to_owned()),
        good("processors", processors),
        good("cuda", built(cfg!(feature = "cuda"), "cuda")),
        good("endpoints", built(cfg!(feature = "remote"), "remote")),
    ];
    all.extend(checkpoint);
    all.push(answer);
    all.extend(notes.into_iter().map(|note| good("settings", note)));
    all
}

/// Tokens of the prompt and reply that the sum is made for: a question about some pictures.
const TOKENS: u64 = 4096;

/// What the checkpoint is, how much memory it takes and whether there is that much, from the headers of its files;
/// nothing for the built-in model, and for what is none, which is said when it is loaded.
fn about(options: &ModelOptions) -> Option<(String, bool)> {
    let folder = options.folder.as_deref().filter(|place| !is_address(place))?;
    let found = Summary::of(&Checkpoint::directory(folder)).ok()?;
    let size = |bytes: u64| format!("{:.2} GB", bytes as f64 / 1e9);
    let [full, half] = [Dtype::F32, Dtype::Bf16].map(|dtype| found.bytes(dtype));
    let beside = found.decoder.map_or(0, |d| d.cache_bytes(TOKENS).saturating_add(d.working_bytes(TOKENS)));
    let sizes = match &found.stored_types {
        Some(types) => {
            let counted: Vec<String> = types.iter().map(|(name, count)| format!("{name} {count}")).collect();
            format!("{} as they are stored (tensors: {})", size(found.stored_bytes), counted.join(", "))
        }
        None => format!("{} as f32, {} as bf16 or f16", size(full), size(half)),
    };
    let mut words = format!(
        "{}, which {}; {:.1} M parameters, {sizes}",
        found.family.name,
        found.family.load.task(),
        found.parameters as f64 / 1e6
    );
    if let Some(sizes) = found.decoder {
        let (cache, working) = (size(sizes.cache_bytes(TOKENS)), size(sizes.working_bytes(TOKENS)));
        words += &format!("; for {TOKENS} tokens {cache} of keys and values and about {working} in work");
    }
    // On another device, or quantised, the weights are not those of the sum.
    let sums = options.load.device == DeviceChoice::Cpu && options.load.quant.is_none();
    let need = |weights: u64| weights.saturating_add(beside);
    let weights = match options.load.dtype {
        None if found.stored_types.is_some() => found.stored_bytes,
        None | Some(Dtype::F32) => full,
        Some(_) => half,
    };
    let Some(free) = found.free_bytes else { return Some((words, true)) };
    let together = format!("; together {} of {} that are free", size(need(weights)), size(free));
    let enough = !sums || need(weights) <= free;
    let advice = match (enough, need(half) <= free && weights > half) {
        (true, _) => "",
        (false, true) => ", which is too little: --dtype bf16 or f16 has room",
        (false, false) if found.stored_types.is_some() => {
            ", which is too little: take a file with fewer bits, a smaller checkpoint, or a machine with more"
        }
        (false, false) => ", which is too little: take --quant, a smaller checkpoint, or a machine with more",
    };
    Some((words + &if sums { together } else { format!("; {} are free", size(free)) } + advice, enough))
}

/// Loads the model and lets it do once what it is for, on a drawn picture, so that weights and settings that give
/// numbers which are not finite are found here; with what there is to know of its settings.
fn answers(options: &ModelOptions) -> Result<(String, Vec<String>), AppError> {
    let started = Instant::now();
    let seconds = |since: Instant| since.elapsed().as_secs_f64();
    let folder = options.folder.as_deref().filter(|place| !is_address(place));
    let checkpoint = folder.map(Checkpoint::directory);
    let family = checkpoint.as_ref().map(|c| families::find(c, None)).transpose();
    let family = family.step(|| "the checkpoint could not be read".to_owned())?;
    let (width, height) = (96usize, 64usize);
    let pixels: Vec<u8> = (0..width * height).map(|n| ((n % width) * 2 + n / width) as u8).collect();
    let picture = Picture::new(width, height, 1, pixels)?;
    let (info, loaded, did) = match family.map(|f| &f.load) {
        known @ (None | Some(Loader::Answers(_) | Loader::Words(_))) => {
            let mut model = options.open()?;
            let loaded = seconds(started);
            let limits = GenerationLimits { max_new_tokens: 4, ..GenerationLimits::default() };
            let pictures = match known {
                Some(Loader::Words(_)) => Vec::new(),
                _ => vec![Arc::new(picture)],
            };
            let ask = Ask::pictures_then(pictures, "What is shown?", limits);
            let reply = model.generate(&[ask]).into_iter().next().transpose();
            let tokens = reply?.map_or(0, |r| r.counts.prompt_tokens);
            (model.info().clone(), loaded, format!("{tokens} prompt tokens answered"))
        }
        Some(Loader::Segments(_)) => {
            let mut model = options.open_segmenter(None)?;
            let loaded = seconds(started);
            let region = Box2::new(24.0, 16.0, 72.0, 48.0);
            let found = model.segment(&picture, &[SegmentPrompt::Box(region)])?;
            (model.info().clone(), loaded, format!("a box segmented to {} masks", found.len()))
        }
        Some(Loader::Labels(_)) => {
            let mut model = options.open_volume_segmenter(None)?;
            let loaded = seconds(started);
            let voxels = Array3::from_shape_fn((16, 16, 16), |(k, j, i)| (k + j + i) as f32);
            let volume = Volume { voxels, lps_from_index: LpsFromIndex::IDENTITY, modality: Modality::Mr };
            let labels = model.label(&volume)?;
            (model.info().clone(), loaded, format!("{} voxels labelled", labels.labels.len()))
        }
        Some(Loader::Encodes { .. }) => {
            let dir = options.folder.as_deref().unwrap_or(Path::new("."));
            let mut model = loupe_models::load_encoder(&Checkpoint::directory(dir), &options.load)
                .step(|| format!("the text encoder in {} could not be loaded", dir.display()))?;
            let loaded = seconds(started);
            let last = model.layers();
            let encoded = model.encode(&["no acute finding"], last)?;
            let tokens = encoded.first().map_or(0, |text| text.ids.len());
            (model.info().clone(), loaded, format!("{tokens} tokens encoded"))
        }
        Some(Loader::Pairs(_)) => {
            let dir = options.folder.as_deref().unwrap_or(Path::new("."));
            let mut model = loupe_models::load_pair_encoder(&Checkpoint::directory(dir), &options.load)
                .step(|| format!("the model in {} could not be loaded", dir.display()))?;
            let loaded = seconds(started);
            let (shown, said) = (model.picture(&picture)?, model.text("no acute finding")?);
            let logit = model.logit().of(&shown, &said);
            (model.info().clone(), loaded, format!("a picture and a text compared to {logit:.3}"))
        }
    };
    let computed = info.checkpoint().map_or_else(String::new, |c| format!(", {} on {}", c.dtype, c.device));
    let about = format!(
        "{} ({}{computed}): loaded in {loaded:.1} s, {did} in {:.1} s",
        info.name,
        info.described(),
        seconds(started) - loaded
    );
    Ok((about, info.notes().to_vec()))
}
