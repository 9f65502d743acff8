//! Codecs that may be left out: a file that needs one is refused by name, the others are read.

use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::Image;
use std::path::Path;

fn first_frame(file: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codecs").join(file);
    let image = Image::parse(std::fs::read(path).unwrap(), &DecodeLimits::default()).unwrap();
    image.stored(0).map(drop).map_err(|e| e.to_string())
}

#[test]
fn files_that_need_a_codec_name_its_feature() {
    for (file, feature, built) in [
        ("jpeg2000_lossless.dcm", "jpeg2000", cfg!(feature = "jpeg2000")),
        ("htj2k_lossless.dcm", "jpeg2000", cfg!(feature = "jpeg2000")),
        ("jpeg_xl_lossless.dcm", "jpegxl", cfg!(feature = "jpegxl")),
    ] {
        match first_frame(file) {
            Ok(()) => assert!(built, "{file}"),
            Err(why) => assert!(!built && why.contains(&format!("feature {feature}")), "{file}: {why}"),
        }
    }
    assert_eq!(first_frame("jpeg_ls.dcm"), Ok(()));
}
