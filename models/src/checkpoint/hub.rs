//! The cache of huggingface_hub: `models--PUBLISHER--MODEL/snapshots/REVISION`, `refs/main` names the revision.

use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use std::path::{Path, PathBuf};

/// The folder of a snapshot for the folder of a model in the cache, or for the name of a model in it.
pub(super) fn snapshot(path: &Path) -> Option<PathBuf> {
    if path.join("config.json").is_file() {
        return None;
    }
    if path.join("snapshots").is_dir() {
        return revision(path);
    }
    let (publisher, model) = name(path)?;
    let folder = cache()?.join(format!("models--{publisher}--{model}"));
    if folder.is_dir() { revision(&folder) } else { None }
}

/// `publisher/model`, where the path is none but may be the name of a model on the hub.
pub(super) fn name(path: &Path) -> Option<(&str, &str)> {
    let (publisher, model) = path.to_str().filter(|_| !path.exists())?.split_once('/')?;
    let plain = |part: &str| {
        !part.is_empty() && part != ".." && !part.contains(['/', '\\']) && !part.starts_with('.')
    };
    (plain(publisher) && plain(model)).then_some((publisher, model))
}

/// Where huggingface_hub keeps what it downloaded.
fn cache() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    variable("HF_HUB_CACHE")
        .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| variable("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| variable("XDG_CACHE_HOME").map(|home| home.join("huggingface/hub")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/huggingface/hub")))
}

/// The main revision, or the only one.
fn revision(model: &Path) -> Option<PathBuf> {
    let snapshots = model.join("snapshots");
    let main = read_text_at_most(&model.join("refs/main"), SETTINGS_BYTES).ok();
    let plain = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    if let Some(main) = main.as_deref().map(str::trim).filter(plain) {
        let folder = snapshots.join(main);
        if folder.is_dir() {
            return Some(folder);
        }
    }
    let mut folders = std::fs::read_dir(snapshots).ok()?.flatten().map(|e| e.path()).filter(|p| p.is_dir());
    let only = folders.next()?;
    folders.next().is_none().then_some(only)
}

/// The model's name when `folder` is a snapshot in a cache.
pub(super) fn model_of(folder: &Path) -> Option<String> {
    let snapshots = folder.parent().filter(|p| p.ends_with("snapshots"))?;
    let model = snapshots.parent()?.file_name()?.to_str()?;
    Some(model.strip_prefix("models--")?.rsplit("--").next()?.to_owned())
}
