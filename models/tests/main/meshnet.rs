//! MeshNet labels brainchop's sample as the reference does, voxel for voxel.

use loupe_core::{MediaRef, VolumeSegmenter};
use loupe_models::{Checkpoint, LoadOptions, load_segmenter, load_volume_segmenter};
use loupe_preprocess::{DecodeLimits, Loader};
use std::path::{Path, PathBuf};

fn load(brainchop: &Path) -> Box<dyn VolumeSegmenter> {
    let checkpoint = Checkpoint::directory(&brainchop.join("public/models/model5_gw_ae"));
    // A network without prompts is refused where prompts are expected.
    let refusal = load_segmenter(&checkpoint, None, &LoadOptions::default()).err().unwrap().to_string();
    assert!(refusal.contains("no prompts"), "{refusal}");
    load_volume_segmenter(&checkpoint, None, &LoadOptions::default()).unwrap()
}

#[test]
fn labels_equal_the_reference() {
    let Some(data) = std::env::var_os("LOUPE_TEST_DATA").map(PathBuf::from) else {
        eprintln!("SKIPPED: LOUPE_TEST_DATA does not name the folder of test data");
        return;
    };
    let folder = data.join("brainchop");
    let loader = Loader::new(DecodeLimits::default());
    let volume = |name: &str| loader.load_volume(&MediaRef::file(folder.join(name))).unwrap();
    let mut net = load(&folder);
    let input = volume("public/t1_crop.nii.gz");
    let began = std::time::Instant::now();
    let got = net.label(&input.volume).unwrap();
    eprintln!("{} voxels labelled in {:.2} s", got.labels.len(), began.elapsed().as_secs_f64());
    let wanted = volume("reference/model5_gw_ae_labels.nii.gz");
    let off = got.labels.iter().zip(&wanted.volume.voxels).filter(|(a, b)| f32::from(**a) != **b).count();
    assert_eq!(off, 0, "of {} voxels", got.labels.len());
    assert_eq!(got.labels.iter().filter(|&&l| l == 1).count(), 518_540);
    assert_eq!(got.labels.iter().filter(|&&l| l == 2).count(), 735_212);
}

#[test]
fn a_flat_volume_is_refused() {
    let Some(data) = std::env::var_os("LOUPE_TEST_DATA").map(PathBuf::from) else {
        eprintln!("SKIPPED: LOUPE_TEST_DATA does not name the folder of test data");
        return;
    };
    let mut net = load(&data.join("brainchop"));
    let flat = loupe_core::Volume {
        voxels: ndarray::Array3::zeros((4, 5, 6)),
        lps_from_index: loupe_core::LpsFromIndex::IDENTITY,
        modality: loupe_core::Modality::Mr,
    };
    assert!(net.label(&flat).unwrap_err().to_string().contains("no contrast"));
}
