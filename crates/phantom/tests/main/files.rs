//! The writers: what is read back is what was generated.

use loupe_core::DecodeLimits;
use loupe_dicom::{parse, tags};
use loupe_phantom::{
    Kind, PhantomError, Plan, Wish, dicom_series, frame_questions, nifti_labels, nifti_volume, png, write_all,
};
use serde_json::Value;
use std::path::Path;

fn f32_at(bytes: &[u8], at: usize) -> f32 {
    f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn nifti_voxels_and_affine_come_back() {
    let study = Plan::held_out(3, Kind::CtChest, Wish::Any).volume(64, 6, 5.0);
    let file = nifti_volume(&study);
    assert_eq!(file.len(), 352 + 64 * 64 * 6 * 4);
    assert_eq!(&file[344..348], b"n+1\0");
    let values: Vec<f32> =
        file[352..].chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
    let expected: Vec<f32> = study.slices.iter().flat_map(|s| s.values.clone()).collect();
    assert_eq!(values, expected);
    // sform: voxel (0, 0, 0) in RAS is the negated LPS of the first voxel's centre.
    let px = 380.0 / 64.0;
    let corner = [f32_at(&file, 280 + 12), f32_at(&file, 296 + 12), f32_at(&file, 312 + 12)];
    assert_eq!(corner, [190.0 - px / 2.0, 190.0 - px / 2.0, study.z_mm[0]]);
    assert_eq!([f32_at(&file, 280), f32_at(&file, 300), f32_at(&file, 320)], [-px, -px, 5.0]);
    // The quaternion says the same rotation as the matrix.
    assert_eq!([256, 260, 264].map(|at| f32_at(&file, at)), [0.0, 0.0, 1.0]);
    let labels = nifti_labels(&study, false);
    let expected: Vec<u8> = study.slices.iter().flat_map(|s| s.labels.clone()).collect();
    assert_eq!(&labels[352..], expected);
}

#[test]
fn dicom_pixels_rescale_to_the_values() {
    for (kind, class) in [(Kind::CtHead, "CT"), (Kind::MrT1, "MR"), (Kind::Radiograph, "CR")] {
        let study = Plan::held_out(8, kind, Wish::Any).volume(48, 3, 5.0);
        let files = dicom_series(&study, 1).unwrap();
        assert_eq!(files.len(), study.slices.len());
        let mut uids = Vec::new();
        for (k, file) in files.iter().enumerate() {
            let data = parse::parse(file.clone(), &DecodeLimits::default()).unwrap().data;
            assert_eq!(data.text(tags::MODALITY).unwrap(), class);
            uids.push(data.text(tags::SOP_INSTANCE_UID).unwrap());
            let (slope, intercept) = if kind.is_ct() { (1.0, -1024.0) } else { (1e-3, 0.0) };
            let stored = data.u16_words(tags::PIXEL_DATA).unwrap();
            for (stored, value) in stored.into_iter().zip(&study.slices[k].values) {
                let back = f64::from(stored) * slope + intercept;
                let clipped = f64::from(*value).clamp(intercept, intercept + 4095.0 * slope);
                assert!((back - clipped).abs() <= slope * 0.501, "{kind:?}: {back} for {value}");
            }
            if kind.is_volume() {
                let [_, _, z] = data.vector(tags::IMAGE_POSITION_PATIENT).unwrap();
                assert!((z - f64::from(study.z_mm[k])).abs() < 1e-4);
            }
        }
        uids.dedup();
        assert_eq!(uids.len(), files.len(), "every image has its own UID");
    }
}

#[test]
fn png_is_lossless() {
    for kind in [Kind::Fundus, Kind::Ultrasound] {
        let picture = Plan::held_out(1, kind, Wish::Any).picture(64).picture(0).unwrap();
        let back = image::load_from_memory(&png(&picture).unwrap()).unwrap();
        assert_eq!(back.as_bytes(), picture.pixels());
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_folder_has_what_its_summary_says() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let summary = write_all(&a, 7, 8).unwrap();
    assert_eq!(summary, write_all(&b, 7, 8).unwrap());
    let vqa = json(&a.join("vqa-rad/testset.json"));
    assert_eq!(vqa.as_array().unwrap().len(), summary.vqa_rad);
    for row in vqa.as_array().unwrap() {
        assert!(a.join("vqa-rad/images").join(row["image_name"].as_str().unwrap()).exists());
    }
    let slake = json(&a.join("slake/test.json"));
    assert_eq!(slake.as_array().unwrap().len(), summary.slake);
    assert!(slake.as_array().unwrap().iter().any(|r| r["q_lang"] == "zh"));
    let mut boxes = 0;
    for row in slake.as_array().unwrap() {
        let image = a.join("slake/imgs").join(row["img_name"].as_str().unwrap());
        assert!(image.exists() && image.with_file_name("mask.png").exists());
        let detection = json(&image.with_file_name("detection.json"));
        let mask = image::open(image.with_file_name("mask.png")).unwrap().into_luma8();
        for entry in detection.as_array().unwrap() {
            let (name, b) = entry.as_object().unwrap().iter().next().unwrap();
            let [x, y, w, h] = [0, 1, 2, 3].map(|i| b[i].as_f64().unwrap() as u32);
            let found = name.chars().next().unwrap().is_uppercase() && w > 0 && h > 0;
            assert!(found && x + w <= mask.width() && y + h <= mask.height());
            boxes += 1;
        }
    }
    assert!(boxes > 0);
    let rows = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(a.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (grounding, masks) = (rows("grounding/grounding.jsonl"), rows("segmentation/segmentation.jsonl"));
    assert_eq!((grounding.len(), masks.len()), (summary.regions, summary.regions));
    for (g, m) in grounding.iter().zip(&masks) {
        assert_eq!(g["id"], m["id"]);
        let mask = a.join("segmentation").join(m["masks"][0]["path"].as_str().unwrap());
        let mask = image::open(mask).unwrap().into_luma8();
        let inside = || mask.enumerate_pixels().filter(|(_, _, p)| p[0] == 255);
        let edges = [
            inside().map(|(x, _, _)| x).min(),
            inside().map(|(_, y, _)| y).min(),
            inside().map(|(x, _, _)| x + 1).max(),
            inside().map(|(_, y, _)| y + 1).max(),
        ];
        for (edge, said) in edges.iter().zip(g["boxes"][0]["box"].as_array().unwrap()) {
            assert_eq!(f64::from(edge.unwrap()), said.as_f64().unwrap(), "{}", g["id"]);
        }
    }
    // Both folders hold the same bytes.
    let mut stack = vec![a.clone()];
    let mut files = 0;
    while let Some(next) = stack.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else {
                files += 1;
                let twin = b.join(path.strip_prefix(&a).unwrap());
                assert!(std::fs::read(&path).unwrap() == std::fs::read(twin).unwrap(), "{}", path.display());
            }
        }
    }
    assert_eq!(files, summary.files);
}

#[test]
fn questions_over_several_pictures_have_their_pictures() {
    let all = frame_questions(7, 6).unwrap();
    assert!(all.len() >= 6);
    for q in all {
        assert!((2..=5).contains(&q.pictures.len()));
        assert!(q.pictures.iter().all(|p| image::load_from_memory(p).is_ok()));
        assert!((q.letter as usize - 'A' as usize) < q.options.len());
    }
}

#[test]
fn asking_for_nothing_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(write_all(dir.path(), 1, 0), Err(PhantomError::NoStudies)));
}
