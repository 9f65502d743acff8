//! What the fuzz targets do with bytes: anything gives a result or an error, within the limits. The
//! targets of cargo-fuzz and the mutation test in `preprocess/tests/main/mutants.rs` share these.

use loupe_core::media::{MediaRef, MediaSource, Plane, SliceAt, View, WindowChoice};
use loupe_core::{Grid, LpsFromIndex, MediaLoader};
use loupe_dicom::{deid, parse, write};
use loupe_preprocess::dicom::references::Belonging;
use loupe_preprocess::dicom::rtstruct::{self, OffPlane};
use loupe_preprocess::dicom::{Image, inspect, seg};
use loupe_preprocess::nifti::{self, Xform};
use loupe_preprocess::volume_io::{labels_of, read_volume};
use loupe_preprocess::{DecodeLimits, Loader, picture_io};

const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 1 << 20, max_memory_bytes: 64 << 20 };

/// NIfTI-1, NIfTI-2 and Analyze.
pub fn nifti(bytes: &[u8]) {
    for xform in [Xform::Nibabel, Xform::Itk] {
        let _ = nifti::facts(bytes, xform);
        if let Ok(found) = nifti::read(bytes, None, 0, xform, &LIMITS) {
            assert!(found.volume.voxels.len() <= 1 << 20);
        }
    }
    // The same bytes as a pair: the header, and what follows it as the voxel file.
    if let Some((header, data)) = bytes.split_at_checked(348) {
        let _ = nifti::read(header, Some(data), 0, Xform::Nibabel, &LIMITS);
    }
}

/// MetaImage, NRRD and numpy arrays, to labels and pictures.
pub fn research_volumes(bytes: &[u8]) {
    let Ok(found) = read_volume(bytes, 0, Xform::Nibabel, &LIMITS) else { return };
    let _ = labels_of(&found);
    for plane in [Plane::Upright, Plane::Stored, Plane::Axial, Plane::Coronal, Plane::Sagittal] {
        let _ = found.picture(&View { plane, ..View::default() });
    }
}

/// PNG, JPEG, TIFF, BMP, WebP, GIF and PNM.
pub fn pictures(bytes: &[u8]) {
    let _ = picture_io::facts(bytes, &LIMITS);
    for frame in [None, Some(1)] {
        let _ = picture_io::decode(bytes, &View { frame, ..View::default() }, &LIMITS);
    }
}

/// DICOM: pixels, windows, geometry, reports, labels, contours, and the way out.
pub fn dicom(bytes: &[u8]) {
    if let Ok(image) = Image::parse(bytes.to_vec(), &LIMITS) {
        for frame in 0..image.format().frames.min(3) {
            let _ = image.values(frame);
            let _ = image.picture(&View { frame: Some(frame), ..View::default() });
        }
        let window = Some(WindowChoice::Percentiles(1.0, 99.0));
        let _ = image.picture(&View { window, ..View::default() });
    }
    let media = MediaRef {
        source: MediaSource::Bytes(bytes.into()),
        view: View { slice: Some(SliceAt::Share(0.5)), ..View::default() },
        name: String::new(),
        stated_size: None,
    };
    let _ = Loader::new(LIMITS).load(&media);
    let grid = Grid { shape: [4, 16, 16], lps_from_index: LpsFromIndex::IDENTITY };
    if let Ok(found) = seg::read(bytes.to_vec(), &LIMITS) {
        let _ = (found.on_own_grid(&LIMITS), found.onto(grid, &LIMITS));
    }
    if let Ok(set) = rtstruct::read(bytes.to_vec(), &LIMITS) {
        let _ = set.onto(grid, &Belonging::default(), OffPlane::Nearest, &LIMITS);
    }
    if let Ok(object) = parse::parse(bytes.to_vec(), &LIMITS) {
        let _ = (inspect::report(&object.data), inspect::structure(&object.data));
        let options = deid::Options::default();
        let subject = deid::Subject::hashed(&deid::patient(&object.data), &options);
        if let Ok(copy) = deid::deidentify(&object, &options, &subject) {
            let file = write::file(&copy.object).expect("whatever was read can be written");
            deid::check(file, &copy.object, &LIMITS).expect("a copy that holds what was meant");
        }
    }
}
