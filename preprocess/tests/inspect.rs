//! Inspection says what is there, what reading decides, and what it refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use loupe_preprocess::inspect::{Inspection, Options, inspect};
use std::path::Path;

fn look(file: &str) -> Inspection {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
    inspect(&path, &Options::default()).unwrap()
}

#[test]
fn volumes_show_geometry_and_decisions() {
    let found = look("volumes/codes_q0_s1.nii");
    assert_eq!(
        (found.size.as_slice(), found.frames, found.stored_type.as_str()),
        (&[7, 5, 4][..], 1, "int16")
    );
    assert_eq!(found.orientation.as_deref(), Some("RAS"));
    assert_eq!(found.spacing_mm, Some([1.5, 2.0, 3.0]));
    assert!(found.notes.contains(&"geometry: sform (nibabel)".to_owned()), "{:?}", found.notes);
    let text = found.to_string();
    assert!(text.contains("size         7 × 5 × 4") && text.contains("orientation  RAS"), "{text}");
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["lps_from_index"][2][2], 3.0);
    assert!(look("volumes/sheared.nii").tilt_degrees.unwrap() > 1.0);
}

#[test]
fn pictures_and_folders_are_described() {
    let tiff = look("pictures/pages.tif");
    assert_eq!((tiff.format.as_str(), tiff.frames, tiff.size.as_slice()), ("TIFF", 3, &[37, 22][..]));
    assert!(look("pictures/word.png").notes[0].contains("high byte"));
    assert!(look("pictures").frames > 40);
}

#[test]
fn refusals_come_with_what_the_header_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/volumes/slope.nii");
    let bytes = std::fs::read(path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.nii");
    std::fs::write(&cut, &bytes[..bytes.len() - 9]).unwrap();
    let found = inspect(&cut, &Options::default()).unwrap();
    assert_eq!((found.format.as_str(), found.size.as_slice()), ("NIfTI-1", &[7, 5, 4][..]));
    assert!(found.refused.unwrap().contains("image data"));
    std::fs::write(&cut, b"neither this nor that").unwrap();
    assert!(inspect(&cut, &Options::default()).is_err());
}
