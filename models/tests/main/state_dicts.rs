//! Weights as PyTorch stores them are read without PyTorch, and nothing in them is run.

use loupe_models::{Checkpoint, LoadOptions, load_segmenter};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn published() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sam/lite_medsam/pytorch_model.bin")
}

fn attempt(path: &Path) -> Result<String, String> {
    let loaded = load_segmenter(&Checkpoint::directory(path), None, &LoadOptions::default());
    loaded.map(|s| s.info().family.clone()).map_err(|e| e.to_string())
}

/// The file with every `from` turned into `to`, which is as long.
fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(published()).unwrap();
    let at: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!at.is_empty());
    at.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to.as_bytes()));
    bytes
}

fn attempt_bytes(bytes: &[u8]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.pth");
    std::fs::write(&file, bytes).unwrap();
    attempt(&file)
}

#[test]
fn a_published_file_loads_by_its_own_name() {
    // Without the processor file beside it the input has the published size, and the network is the same.
    assert_eq!(attempt(&published()), Ok("lite-medsam".into()));
    assert_eq!(attempt(published().parent().unwrap()), Ok("lite-medsam".into()));
}

#[test]
fn what_would_run_something_is_refused_by_name() {
    let error =
        attempt_bytes(&patched("torch._utils\n_rebuild_tensor_v2", "os\nsystem____________________v2"));
    let error = error.unwrap_err();
    assert!(error.contains("would run \"os.system") && error.contains("safetensors"), "{error}");
    // The import alone does nothing.
    let error = attempt_bytes(&patched("torch\nHalfStorage", "os...\nHalfStorage")).err();
    assert_eq!(error, None);
    let error = attempt_bytes(&patched("torch\nHalfStorage", "torch\nElseStorage")).unwrap_err();
    assert!(error.contains("ElseStorage"), "{error}");
}

#[test]
fn damaged_files_and_folders_with_several_say_so() {
    let bytes = std::fs::read(published()).unwrap();
    for length in [0, 3, 40, bytes.len() / 2, bytes.len() - 30] {
        assert!(attempt_bytes(&bytes[..length]).is_err(), "{length}");
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.pth", "b.pth", "optimizer.pt"] {
        std::fs::copy(published(), folder.path().join(name)).unwrap();
    }
    let error = attempt(folder.path()).unwrap_err();
    assert!(error.contains("2 other files of weights (a.pth, b.pth)"), "{error}");
}

#[test]
fn the_folder_of_a_model_in_a_hugging_face_cache_loads() {
    let cache = tempfile::tempdir().unwrap();
    let model = cache.path().join("models--someone--my-sam");
    let grey = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sam/grey");
    for (revision, files) in
        [("aaaa11", &[][..]), ("bbbb22", &["config.json", "model.safetensors", "processor_config.json"])]
    {
        let snapshot = model.join("snapshots").join(revision);
        std::fs::create_dir_all(&snapshot).unwrap();
        for file in files {
            std::fs::copy(grey.join(file), snapshot.join(file)).unwrap();
        }
    }
    std::fs::create_dir(model.join("refs")).unwrap();
    std::fs::write(model.join("refs/main"), "bbbb22").unwrap();
    let loaded = load_segmenter(&Checkpoint::directory(&model), None, &LoadOptions::default()).unwrap();
    assert_eq!((loaded.info().family.as_str(), loaded.info().name.as_str()), ("sam", "my-sam"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn mutants_give_a_model_or_a_message(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), pickle in any::<bool>()) {
        let mut bytes = std::fs::read(published()).unwrap();
        // The pickle lies at the beginning; the list of entries at the end.
        let reach = if pickle { 40_000.min(bytes.len()) } else { bytes.len() };
        for (place, value) in places {
            let at = place.index(reach);
            bytes[at] = value;
        }
        if let Err(message) = attempt_bytes(&bytes) {
            prop_assert!(!message.is_empty());
        }
    }
}
