//! A suite as its file declares it.

use crate::error::{AppError, InStep};
use crate::served::is_address;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use loupe_run::TagValue;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Models × sets × templates × seeds. Paths are relative to the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Folder of all runs and tables; `runs/NAME` beside the file when not given.
    #[serde(default)]
    pub output: Option<PathBuf>,
    /// Models to be evaluated.
    pub models: Vec<SuiteModel>,
    /// Sets they are evaluated on.
    pub sets: Vec<SuiteSet>,
    /// Prompt templates; loupe's own when none is named.
    #[serde(default)]
    pub templates: Vec<SuiteTemplate>,
    /// Seeds of draws, examples and random sampling.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// Rules to score by beside `strict`, for every set.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// Text metrics, for every set.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Most tokens in a reply.
    #[serde(default)]
    pub max_new_tokens: Option<usize>,
    /// Draws tokens at this temperature; 0, the default, takes the likeliest.
    #[serde(default)]
    pub temperature: f64,
    /// Replies per sample.
    #[serde(default = "one_rollout")]
    pub rollouts: usize,
}

/// A model by the name it has in tables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteModel {
    /// Its name.
    pub name: String,
    /// Folder of its checkpoint; the built-in model when not given.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// Address of a served model (`http://HOST:PORT/v1#NAME`), in place of a folder.
    #[serde(default)]
    pub served: Option<String>,
    /// Environment variable with the key of its server.
    #[serde(default)]
    pub key_env: Option<String>,
    /// Folder of a LoRA adapter.
    #[serde(default)]
    pub adapter: Option<PathBuf>,
    /// Name of the model of the suite that it was made from; the two are compared.
    #[serde(default)]
    pub base: Option<String>,
}

/// A set by the name it has in tables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteSet {
    /// Its name.
    pub name: String,
    /// `SET=DIR`, as `--data` takes it.
    pub data: String,
    /// Its split; the set's default when not given.
    #[serde(default)]
    pub split: Option<String>,
    /// Only samples with these tags (`tag=value`).
    #[serde(default, rename = "where")]
    pub tags: Vec<String>,
    /// Only so many, drawn by the seed.
    #[serde(default)]
    pub sample: Option<usize>,
    /// Only the first so many.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Rules to score this set by, beside those of the suite.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// The template is chosen, for each model and seed, on this split of the set: the one with the best figure there is
    /// the one that the set is asked by. All templates are run when not given.
    #[serde(default)]
    pub choose_on: Option<String>,
    /// Only so many samples of that split, drawn by the seed.
    #[serde(default)]
    pub choose_sample: Option<usize>,
}

/// A prompt template, by the name that `loupe list prompts` has or from a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteTemplate {
    /// Its name.
    pub name: String,
    /// A minijinja file, in place of the known template of that name.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Examples before each question.
    #[serde(default)]
    pub examples: Option<usize>,
    /// The split from which they are drawn.
    #[serde(default = "train")]
    pub examples_from: String,
    /// Rules to score its replies by, beside those of the suite: those of the harness whose words these are.
    #[serde(default)]
    pub profiles: Vec<String>,
    /// JSON schema of its replies.
    #[serde(default)]
    pub schema: Option<PathBuf>,
    /// The property of such a reply that is the answer.
    #[serde(default)]
    pub answer_field: Option<String>,
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

fn one_rollout() -> usize {
    1
}

fn train() -> String {
    "train".to_owned()
}

impl Suite {
    /// Reads a suite; its paths are then seen from where the program runs.
    ///
    /// # Errors
    /// When the file cannot be read or understood, or contradicts itself: the message names the field.
    pub fn read(file: &Path) -> Result<Self, AppError> {
        let text = read_text_at_most(file, SETTINGS_BYTES)
            .step(|| format!("the suite {} could not be read", file.display()))?;
        let mut suite: Self =
            toml::from_str(&text).map_err(|e| AppError::input(format!("{}: {e}", file.display())))?;
        suite.check().map_err(|why| AppError::input(format!("{}: {why}", file.display())))?;
        let beside = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let stem = file.file_stem().unwrap_or(file.as_os_str());
        let output = suite.output.take().unwrap_or_else(|| Path::new("runs").join(stem));
        suite.output = Some(beside.join(output));
        for model in &mut suite.models {
            for path in [&mut model.folder, &mut model.adapter].into_iter().flatten() {
                *path = beside.join(&*path);
            }
        }
        for set in &mut suite.sets {
            if let Some((name, place)) = set.data.split_once('=') {
                set.data = format!("{name}={}", beside.join(place).display());
            }
        }
        for template in &mut suite.templates {
            for path in [&mut template.file, &mut template.schema].into_iter().flatten() {
                *path = beside.join(&*path);
            }
        }
        Ok(suite)
    }

    fn check(&mut self) -> Result<(), String> {
        if self.templates.is_empty() {
            let (name, examples_from) = ("loupe".to_owned(), train());
            self.templates.push(SuiteTemplate {
                name,
                file: None,
                examples: None,
                examples_from,
                profiles: Vec::new(),
                schema: None,
                answer_field: None,
            });
        }
        names("models", self.models.iter().map(|m| m.name.as_str()))?;
        names("sets", self.sets.iter().map(|s| s.name.as_str()))?;
        names("templates", self.templates.iter().map(|t| t.name.as_str()))?;
        if self.seeds.is_empty() || self.seeds.iter().collect::<BTreeSet<_>>().len() < self.seeds.len() {
            return Err("seeds: at least one, each once".to_owned());
        }
        for model in &self.models {
            if let Some(base) = &model.base
                && (base == &model.name || self.models.iter().all(|m| m.name != *base))
            {
                return Err(format!("models, {}: base {base:?} is no other model of the suite", model.name));
            }
            if let Some(address) = &model.served {
                if model.folder.is_some() || model.adapter.is_some() {
                    return Err(format!(
                        "models, {}: a served model has no folder and no adapter here",
                        model.name
                    ));
                }
                if !is_address(Path::new(address)) {
                    return Err(format!(
                        "models, {}: served is an address such as http://localhost:8000/v1#NAME",
                        model.name
                    ));
                }
            } else if model.key_env.is_some() {
                return Err(format!("models, {}: key_env is about a served model", model.name));
            }
        }
        for set in &self.sets {
            if !set.data.contains('=') {
                return Err(format!("sets, {}: data is SET=DIR, such as vqa-rad=DIR", set.name));
            }
            for words in &set.tags {
                words.parse::<TagValue>().map_err(|why| format!("sets, {}: where: {why}", set.name))?;
            }
            if set.choose_on.is_some() && self.templates.len() < 2 {
                return Err(format!("sets, {}: choose_on needs at least two templates", set.name));
            }
            if set.choose_on.is_none() && set.choose_sample.is_some() {
                return Err(format!("sets, {}: choose_sample is about choose_on", set.name));
            }
        }
        if let Some(template) = self.templates.iter().find(|t| t.answer_field.is_some() && t.schema.is_none())
        {
            return Err(format!("templates, {}: answer_field is about schema", template.name));
        }
        if self.max_new_tokens == Some(0) || self.rollouts == 0 {
            return Err("max_new_tokens and rollouts are at least 1".to_owned());
        }
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err("temperature is 0 or more".to_owned());
        }
        Ok(())
    }
}

/// Names are those of folders: each once, and nothing that leaves its folder.
fn names<'a>(kind: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
        if name.is_empty() || name.starts_with('.') || !plain {
            return Err(format!("{kind}: a name has letters, digits, -, _ and ., not {name:?}"));
        }
        if !seen.insert(name) {
            return Err(format!("{kind}: {name:?} is there twice"));
        }
    }
    if seen.is_empty() { Err(format!("{kind}: there is none")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn read(text: &str) -> Result<Suite, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("july.toml");
        std::fs::write(&file, text).unwrap();
        Suite::read(&file).map_err(|e| e.to_string())
    }

    const SOUND: &str = "[[models]]\nname = \"a\"\nfolder = \"a\"\n[[models]]\nname = \"b\"\nbase = \"a\"\n[[sets]]\nname = \"rad\"\ndata = \"vqa-rad=data/rad\"\n";

    #[test]
    fn paths_are_those_beside_the_file() {
        let suite = read(SOUND).unwrap();
        assert!(suite.output.unwrap().ends_with("runs/july"));
        assert!(suite.models[0].folder.as_ref().unwrap().is_absolute() && suite.models[1].folder.is_none());
        assert!(suite.sets[0].data.starts_with("vqa-rad=/") && suite.sets[0].data.ends_with("data/rad"));
        assert_eq!((suite.templates[0].name.as_str(), suite.seeds), ("loupe", vec![0]));
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let why = |from: &str, to: &str| read(&SOUND.replacen(from, to, 1)).unwrap_err();
        assert!(why("base = \"a\"", "base = \"c\"").contains("base \"c\""));
        assert!(why("name = \"b\"", "name = \"a\"").contains("there twice"));
        assert!(why("name = \"rad\"", "name = \"../rad\"").contains("../rad"));
        assert!(why("data = \"vqa-rad=", "data = \"vqa-rad:").contains("SET=DIR"));
        assert!(why("base = \"a\"", "served = \"localhost:8000\"").contains("an address such as"));
        assert!(why("folder = \"a\"", "folder = \"a\"\nserved = \"http://x/v1#y\"").contains("no folder"));
        assert!(why("[[sets]]", "[[sets]]\nchoose_on = \"val\"").contains("at least two templates"));
        assert!(why("[[sets]]", "[[sets]]\nchoose_sample = 3").contains("about choose_on"));
        assert!(
            why("[[sets]]", "[[templates]]\nname = \"t\"\nanswer_field = \"a\"\n[[sets]]")
                .contains("about schema")
        );
        assert!(why("folder", "fodler").contains("fodler"));
        assert!(why("[[sets]]", "[[sets]]\nwhere = [\"organ\"]").contains("tag=value"));
        assert!(read(&format!("seeds = [1, 1]\n{SOUND}")).unwrap_err().contains("seeds"));
    }
}
