//! What is attacked: for each kind of input, how a broken one is made and which command has to cope with it.

use crate::child::Ended;
use crate::mutate;
use crate::rng::Rng;
use serde_json::{Value, json};
use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};

/// Where good inputs are, and what was made of them once.
pub(crate) struct Seeds {
    /// Pictures, volumes and DICOM files.
    files: Vec<PathBuf>,
    dicom: Vec<PathBuf>,
    answers: PathBuf,
    segments: PathBuf,
    sheet: PathBuf,
    picture: PathBuf,
    /// A finished run of the program under attack, and its scores.
    pub(crate) run: PathBuf,
}

/// An attack: arguments of the program, run in the folder that holds the broken input.
pub(crate) struct Attack {
    pub(crate) arguments: Vec<String>,
    /// Says what is wrong with how it ended, besides what no input may bring about.
    pub(crate) judge: fn(&Path, &Ended, &Seeds) -> Option<String>,
}

/// A kind of input.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) make: fn(&Path, &Seeds, &mut Rng) -> Result<Attack>,
}

/// Every kind.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "picture or volume", make: file },
    Target { name: "DICOM folder", make: folder },
    Target { name: "checkpoint that answers", make: answers },
    Target { name: "checkpoint that segments", make: segments },
    Target { name: "chat template", make: template },
    Target { name: "data set of one's own", make: manifest },
    Target { name: "COCO file", make: coco },
    Target { name: "replies of another tool", make: replies },
    Target { name: "run folder", make: run_folder },
];

fn listed(folder: &Path, keep: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|e| Some(e.ok()?.path())).collect();
    all.retain(|p| p.is_file() && p.file_name().is_some_and(|n| keep(&n.to_string_lossy())));
    all.sort();
    Ok(all)
}

impl Seeds {
    /// Finds the inputs of the project at `root`; `run` is where a run will be.
    pub(crate) fn find(root: &Path, run: PathBuf) -> Result<Self> {
        let tests = root.join("preprocess/tests");
        let dicom = listed(&tests.join("codecs"), |n| n.ends_with(".dcm"))?;
        let made = |n: &str| !(n.ends_with(".py") || n.ends_with(".json"));
        let mut files = dicom.clone();
        files.extend(listed(&tests.join("pictures"), |n| {
            made(n) && !n.contains(".want.") && !n.contains(".frame")
        })?);
        files.extend(listed(&tests.join("volumes"), made)?);
        let assets = root.join("crates/phantom/assets");
        Ok(Self {
            files,
            dicom,
            answers: assets.join("phantom-vl"),
            segments: assets.join("phantom-sam"),
            sheet: root.join("datasets/tests/fixtures/replies.xlsx"),
            picture: tests.join("pictures/grey.png"),
            run,
        })
    }

    /// A small set of one's own in `folder`, as it should be.
    pub(crate) fn small_set(&self, folder: &Path) -> Result<Vec<u8>> {
        fs::copy(&self.picture, folder.join("c.png"))?;
        let mut lines = Vec::new();
        for n in 0..8 {
            let line = json!({
                "id": format!("s{n}"), "image": "c.png", "question": format!("Is finding {n} present?"),
                "answer": if n % 2 == 0 { "yes" } else { "no" }, "tags": { "organ": "chest" },
            });
            lines.extend(line.to_string().into_bytes());
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

fn words(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|a| (*a).to_owned()).collect()
}

fn any(_: &Path, _: &Ended, _: &Seeds) -> Option<String> {
    None
}

fn file(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    let Some(seed) = rng.pick(&seeds.files) else { return Err(std::io::ErrorKind::NotFound.into()) };
    let name = seed.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    fs::write(dir.join(&name), mutate::bytes(&fs::read(seed)?, rng))?;
    let arguments = match rng.below(5) {
        0 => words(&["inspect", &name]),
        1 => words(&["inspect", "--json", &name]),
        2 => words(&["render", &name, "-o", "out.png"]),
        3 => words(&["render", &name, "-o", "out.png", "--window", "5%..95%", "--max-memory", "64"]),
        _ => words(&["segment", &name, "--box", "1,1,9,9"]),
    };
    Ok(Attack { arguments, judge: any })
}

fn folder(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    fs::create_dir(dir.join("series"))?;
    for n in 0..1 + rng.below(4) {
        let Some(seed) = rng.pick(&seeds.dicom) else { continue };
        let bytes = fs::read(seed)?;
        let bytes = match rng.below(4) {
            0 => Vec::new(),
            1 => bytes,
            _ => mutate::bytes(&bytes, rng),
        };
        fs::write(dir.join(format!("series/{n}.dcm")), bytes)?;
    }
    let arguments = match rng.below(3) {
        0 => words(&["inspect", "series"]),
        1 => words(&["render", "series", "-o", "out.png", "--slice", "50%"]),
        _ => words(&["deidentify", "series", "-o", "clean"]),
    };
    Ok(Attack { arguments, judge: any })
}

/// A copy of a checkpoint in `model`, with one of its files changed.
fn checkpoint(dir: &Path, from: &Path, rng: &mut Rng) -> Result<()> {
    let model = dir.join("model");
    fs::create_dir(&model)?;
    let files = listed(from, |n| !(n.ends_with(".py") || n.ends_with(".md")))?;
    let broken = rng.below(files.len());
    for (n, file) in files.iter().enumerate() {
        let bytes = fs::read(file)?;
        let name = file.file_name().unwrap_or_default();
        let bytes = match (n == broken, name.to_string_lossy().as_ref()) {
            (false, _) => bytes,
            (true, name) if name.ends_with(".json") => mutate::json_text(&bytes, rng),
            (true, "model.safetensors") => weights(&bytes, rng),
            (true, _) => mutate::bytes(&bytes, rng),
        };
        fs::write(model.join(name), bytes)?;
    }
    Ok(())
}

/// The header of weights is text; their numbers may be anything.
fn weights(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let length = bytes.first_chunk::<8>().map_or(0, |n| u64::from_le_bytes(*n) as usize);
    let (Some(header), Some(data)) = (bytes.get(8..8 + length), bytes.get(8 + length..)) else {
        return mutate::bytes(bytes, rng);
    };
    match rng.below(3) {
        0 => {
            let header = mutate::json_text(header, rng);
            [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()
        }
        1 => {
            let mut out = bytes.to_vec();
            let at = 8 + length + rng.below(data.len().saturating_sub(2));
            // Not a number, in half precision.
            out[at..at + 2].copy_from_slice(&[0xFF, 0x7F]);
            out
        }
        _ => mutate::bytes(bytes, rng),
    }
}

fn answers(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    checkpoint(dir, &seeds.answers, rng)?;
    fs::copy(&seeds.picture, dir.join("c.png"))?;
    let arguments =
        words(&["ask", "c.png", "Is there a nodule?", "--model", "model", "--max-new-tokens", "3"]);
    Ok(Attack { arguments, judge: any })
}

fn segments(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    checkpoint(dir, &seeds.segments, rng)?;
    fs::copy(&seeds.picture, dir.join("c.png"))?;
    Ok(Attack { arguments: words(&["segment", "c.png", "--model", "model", "--box", "1,1,9,9"]), judge: any })
}

fn template(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    let model = dir.join("model");
    fs::create_dir(&model)?;
    for file in listed(&seeds.answers, |n| n.ends_with(".json") || n.ends_with(".safetensors"))? {
        fs::copy(&file, model.join(file.file_name().unwrap_or_default()))?;
    }
    let base = fs::read(seeds.answers.join("chat_template.jinja"))?;
    let text = if rng.chance(1, 4) { mutate::bytes(&base, rng) } else { mutate::template(rng).into_bytes() };
    fs::write(model.join("chat_template.jinja"), text)?;
    fs::copy(&seeds.picture, dir.join("c.png"))?;
    let arguments =
        words(&["ask", "c.png", "Is there a nodule?", "--model", "model", "--max-new-tokens", "1"]);
    Ok(Attack { arguments, judge: any })
}

fn manifest(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    let lines = seeds.small_set(dir)?;
    let mut text = mutate::json_lines(&lines, rng);
    if rng.chance(1, 8) {
        let long = " ".repeat(1 << (10 + rng.below(15)));
        let row = json!({ "id": "long", "image": "c.png", "question": format!("a{long}b"), "answer": "no" });
        text.extend(row.to_string().into_bytes());
        text.push(b'\n');
    }
    fs::write(dir.join("a.jsonl"), text)?;
    let arguments = match rng.below(2) {
        0 => words(&["data", "check", "jsonl", "a.jsonl"]),
        _ => words(&["eval", "--data", "jsonl=a.jsonl", "-o", "run", "--max-new-tokens", "2", "--quiet"]),
    };
    Ok(Attack { arguments, judge: any })
}

fn coco(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    fs::copy(&seeds.picture, dir.join("c.png"))?;
    let base = json!({
        "images": [{ "id": 1, "file_name": "c.png", "width": 40, "height": 30 }],
        "categories": [{ "id": 1, "name": "nodule" }],
        "annotations": [
            { "id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 8], "iscrowd": 0, "area": 72,
              "segmentation": [[1, 2, 10, 2, 10, 10, 1, 10]] },
            { "id": 2, "image_id": 1, "category_id": 1, "bbox": [3, 4, 5, 6], "iscrowd": 0, "area": 30 },
        ],
    });
    fs::write(dir.join("a.json"), mutate::value(&base, rng).to_string())?;
    Ok(Attack { arguments: words(&["data", "check", "coco", "a.json"]), judge: any })
}

fn replies(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    let table = b"id,question,answer,reply\n1,Is it?,yes,yes\n2,Is it?,no,\"maybe, no\"\n3,Is it?,no,no\n";
    let name = match rng.below(3) {
        0 => {
            fs::write(dir.join("r.xlsx"), mutate::bytes(&fs::read(&seeds.sheet)?, rng))?;
            "r.xlsx"
        }
        1 => {
            fs::write(dir.join("r.csv"), mutate::bytes(table, rng))?;
            "r.csv"
        }
        _ => {
            let row = |n: usize| json!({ "id": n, "question": "Is it?", "answer": "yes", "reply": "yes" });
            let lines: Vec<String> = (0..4).map(|n| row(n).to_string()).collect();
            fs::write(dir.join("r.jsonl"), mutate::json_lines(lines.join("\n").as_bytes(), rng))?;
            "r.jsonl"
        }
    };
    Ok(Attack { arguments: words(&["score", "--replies", name, "-o", "run", "--quiet"]), judge: any })
}

fn run_folder(dir: &Path, seeds: &Seeds, rng: &mut Rng) -> Result<Attack> {
    let run = dir.join("run");
    fs::create_dir(&run)?;
    let files = ["run.json", "samples.jsonl", "replies.jsonl"];
    let broken = rng.below(files.len());
    for (n, name) in files.iter().enumerate() {
        let bytes = fs::read(seeds.run.join(name))?;
        let bytes = match (n == broken, rng.below(3)) {
            (false, _) => bytes,
            (true, 0) => mutate::bytes(&bytes, rng),
            (true, _) if *name == "run.json" => mutate::json_text(&bytes, rng),
            (true, _) => mutate::json_lines(&bytes, rng),
        };
        fs::write(run.join(name), bytes)?;
    }
    Ok(Attack { arguments: words(&["score", "run", "--no-page", "--quiet"]), judge: believed })
}

/// A run whose samples or replies were changed may not end well with other verdicts.
fn believed(dir: &Path, ended: &Ended, seeds: &Seeds) -> Option<String> {
    if ended.code() != Some(0) {
        return None;
    }
    let verdicts = |run: &Path| -> Option<Vec<(Value, Value, Value)>> {
        let scores: Value = serde_json::from_slice(&fs::read(run.join("scores.json")).ok()?).ok()?;
        let items = scores.get("items")?.as_array()?;
        let strict = |item: &Value| item.pointer("/profiles/strict/verdict").cloned().unwrap_or(Value::Null);
        Some(items.iter().map(|i| (i["id"].clone(), i["reply"].clone(), strict(i))).collect())
    };
    let (before, now) = (verdicts(&seeds.run), verdicts(&dir.join("run")));
    (before != now).then(|| "a changed run folder is believed".to_owned())
}
