//! MetaImage, NRRD and numpy arrays: any bytes give a volume or an error, and a volume can be shown.
//! Seeds: `preprocess/tests/volumes/*.{mha,nrrd,npy}`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loupe_core::media::{Plane, View};
use loupe_preprocess::Limits;
use loupe_preprocess::nifti::Xform;
use loupe_preprocess::render::render;
use loupe_preprocess::volume_io::{labels_of, read_volume};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 1 << 20, max_memory_bytes: 64 << 20 };
    let Ok(found) = read_volume(bytes, 0, Xform::Nibabel, &limits) else { return };
    let _ = labels_of(&found);
    for plane in [Plane::Stored, Plane::Axial, Plane::Coronal, Plane::Sagittal] {
        let _ = render(&found.volume, &View { plane, ..View::default() });
    }
});
