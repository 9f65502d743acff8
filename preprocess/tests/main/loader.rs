//! What a loader keeps and how often it reads.

use loupe_core::geometry::LpsFromIndex;
use loupe_core::volume::{Modality, Volume};
use loupe_core::{MediaLoader, MediaRef, MediaSource, SliceAt, View};
use loupe_preprocess::nifti::volume_bytes;
use loupe_preprocess::{DecodeLimits, Loader};
use ndarray::Array3;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A volume whose voxels are all `value`.
fn volume(path: &Path, value: f32) {
    let voxels = Array3::from_elem((2, 3, 4), value);
    let volume = Volume { voxels, lps_from_index: LpsFromIndex::IDENTITY, modality: Modality::Other };
    std::fs::write(path, volume_bytes(&volume).unwrap()).unwrap();
}

/// Makes the file unreadable without a sign of change: same length, same time.
fn spoil(path: &Path) {
    let facts = std::fs::metadata(path).unwrap();
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(&vec![0; facts.len() as usize]).unwrap();
    File::set_modified(&file, facts.modified().unwrap()).unwrap();
}

#[test]
fn two_volumes_are_kept_and_the_one_not_used_for_longest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.nii.gz", "b.nii.gz", "c.nii.gz"].map(|name| folder.path().join(name));
    for (path, value) in paths.iter().zip([1.0, 2.0, 3.0]) {
        volume(path, value);
    }
    let loader = Loader::new(DecodeLimits::default());
    let first = |path: &Path| loader.load_volume(&MediaRef::file(path)).map(|r| r.volume.voxels[[0, 0, 0]]);
    assert_eq!([&paths[0], &paths[1]].map(|p| first(p).unwrap()), [1.0, 2.0]);
    spoil(&paths[0]);
    spoil(&paths[1]);
    // An image and its label map in turn.
    assert_eq!([&paths[0], &paths[1], &paths[0]].map(|p| first(p).unwrap()), [1.0, 2.0, 1.0]);
    assert_eq!(first(&paths[2]).unwrap(), 3.0);
    assert_eq!(first(&paths[0]).unwrap(), 1.0);
    assert!(first(&paths[1]).is_err());
}

#[test]
fn a_changed_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii.gz");
    let loader = Loader::new(DecodeLimits::default());
    for value in [1.0, 2.0] {
        volume(&path, value);
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(value as u64);
        File::set_modified(&OpenOptions::new().write(true).open(&path).unwrap(), time).unwrap();
        let read = loader.load_volume(&MediaRef::file(&path)).unwrap();
        assert_eq!(read.volume.voxels[[1, 1, 1]], value);
    }
}

#[test]
fn slices_of_a_series_are_served_without_listing_its_folder_again() {
    let folder = tempfile::tempdir().unwrap();
    let study = crate::dicom_series::along_the_head(folder.path(), 4);
    let loader = Loader::new(DecodeLimits::default());
    let slice = |n: usize| {
        let view = View { slice: Some(SliceAt::Index(n)), ..View::default() };
        let source = MediaSource::Folder(folder.path().to_owned());
        loader.load(&MediaRef { source, view, name: "series".to_owned(), stated_size: None })
    };
    let before = slice(0).unwrap();
    study.iter().for_each(|path| spoil(path));
    assert_eq!(slice(0).unwrap(), before);
    assert_eq!(slice(3).unwrap().origin.slice, Some(3));
}

#[test]
fn one_reading_gives_a_viewer_all_it_wants() {
    let loader = Loader::new(DecodeLimits::default());
    for (file, values, original) in [
        ("pictures/rgb420.jpg", false, true),
        ("pictures/grey.png", false, true),
        ("codecs/explicit.dcm", true, false),
        ("volumes/slope.nii", true, false),
    ] {
        let path = fixture(file);
        for media in [
            MediaRef::file(&path),
            MediaRef {
                source: MediaSource::Bytes(std::fs::read(&path).unwrap().into()),
                view: View::default(),
                name: "inside".to_owned(),
                stated_size: None,
            },
        ] {
            let all = loader.load_for_display(&media).unwrap();
            assert_eq!(all.picture, loader.load(&media).unwrap(), "{file}");
            assert_eq!(all.intensities, loader.intensities(&media).unwrap(), "{file}");
            assert_eq!(all.intensities.is_some(), values, "{file}");
            assert_eq!(all.encoded.is_some(), original, "{file}");
            if let Some(bytes) = &all.encoded {
                assert_eq!(**bytes, *std::fs::read(&path).unwrap(), "{file}");
            }
        }
    }
}

#[test]
fn an_opened_source_says_what_it_is_not() {
    let loader = Loader::new(DecodeLimits::default());
    let flat = MediaSource::File(fixture("pictures/rgb.png"));
    let mut opened = loader.open(&flat).unwrap();
    assert!(opened.picture(&View::default()).is_ok());
    assert!(opened.volume(0).unwrap_err().to_string().contains("PNG picture"));
    assert!(opened.image().unwrap().is_none() && opened.intensities(&View::default()).unwrap().is_none());
    let single = MediaSource::File(fixture("codecs/explicit.dcm"));
    let mut opened = loader.open(&single).unwrap();
    assert_eq!(opened.image().unwrap().unwrap().format().frames, 1);
    assert!(opened.original().unwrap().is_none());
    let nothing = tempfile::tempdir().unwrap();
    let empty = MediaSource::Folder(nothing.path().to_owned());
    let mut opened = loader.open(&empty).unwrap();
    assert!(opened.volume(0).unwrap_err().to_string().contains("no DICOM series"));
    assert!(loader.open(&MediaSource::File(nothing.path().join("gone"))).is_err());
}

/// The size that a set counts boxes in is that of the picture as it is shown, or the picture is refused.
#[test]
fn a_stated_size_says_in_which_frame_boxes_are() {
    let loader = Loader::new(DecodeLimits::default());
    let of = |file: &str, stated: [usize; 2]| {
        let media = MediaRef { stated_size: Some(stated), ..MediaRef::file(fixture("pictures").join(file)) };
        loader.load(&media).map(|picture| picture.origin.source_size).map_err(|error| error.to_string())
    };
    // Stored as 37 × 22.
    assert_eq!(of("orientation1.jpg", [37, 22]), Ok([37, 22]));
    assert_eq!(of("orientation6.jpg", [22, 37]), Ok([22, 37]), "after turning");
    let before = of("orientation6.jpg", [37, 22]).unwrap_err();
    assert!(
        before.contains("37 × 22 pixels, before EXIF orientation 6") && before.contains("22 × 37"),
        "{before}"
    );
    let open = of("orientation3.jpg", [37, 22]).unwrap_err();
    assert!(open.contains("does not tell whether before or after EXIF orientation 3"), "{open}");
    for file in ["orientation1.jpg", "orientation3.jpg", "orientation6.jpg"] {
        let other = of(file, [74, 44]).unwrap_err();
        assert!(other.contains("74 × 44 pixels, but the file has 37 × 22"), "{file}: {other}");
    }
    // Without a stated size every picture is shown as it is.
    assert!(loader.load(&MediaRef::file(fixture("pictures").join("orientation3.jpg"))).is_ok());
}
