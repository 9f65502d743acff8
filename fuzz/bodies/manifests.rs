//! What the fuzz target for manifests does with bytes: a set of one's own, as JSON lines or CSV, opens
//! or says what is wrong with it, and names no file outside its folder.

use loupe_core::media::MediaSource;
use std::path::Path;

/// Opens `bytes` as a manifest in `folder`, which must be empty or hold a manifest of an earlier call.
pub fn manifest(bytes: &[u8], folder: &Path) {
    for (name, file) in [("jsonl", "data.jsonl"), ("csv", "data.csv")] {
        let path = folder.join(file);
        if std::fs::write(&path, bytes).is_err() {
            continue;
        }
        if let Ok(set) = loupe_datasets::open(name, &path, None) {
            for n in 0..set.len().min(50) {
                let Ok(sample) = set.get(n) else { continue };
                for media in &sample.media {
                    if let MediaSource::File(path) | MediaSource::Folder(path) = &media.source {
                        assert!(path.starts_with(folder), "a file outside the manifest's folder");
                        assert!(!path.components().any(|c| c == std::path::Component::ParentDir));
                    }
                }
            }
        }
    }
}
