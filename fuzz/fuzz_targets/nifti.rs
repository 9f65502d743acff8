//! NIfTI-1, NIfTI-2 and Analyze: any bytes give a volume or an error, within the limits.
//! Seeds: `preprocess/tests/volumes/*.nii*`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loupe_preprocess::Limits;
use loupe_preprocess::nifti::{Xform, facts, read};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 1 << 22, max_memory_bytes: 64 << 20 };
    for xform in [Xform::Nibabel, Xform::Itk] {
        let _ = facts(bytes, xform);
        if let Ok(found) = read(bytes, None, 0, xform, &limits) {
            assert!(found.volume.voxels.len() <= 1 << 22);
        }
    }
    // The same bytes as a pair: the header, and what follows it as the voxel file.
    if let Some((header, data)) = bytes.split_at_checked(348) {
        let _ = read(header, Some(data), 0, Xform::Nibabel, &limits);
    }
});
