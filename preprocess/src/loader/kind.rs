//! What a file is, by its contents.

use crate::dicom::files::{self, Blob};
use crate::picture_io;
use crate::volume_io::VolumeFormat;
use crate::volume_io::elements::is_gzip;
use loupe_core::files::open_regular;
use loupe_core::words::counted;
use std::collections::HashSet;
use std::io::Read;
use std::path::PathBuf;

/// What the contents of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// DICOM, with or without preamble, gzipped or not.
    Dicom,
    /// A research volume.
    Volume(VolumeFormat),
    /// A flat picture; the format's name.
    Picture(&'static str),
    /// A zip archive, which may hold DICOM files.
    Zip,
}

impl FileKind {
    /// Tells by the contents, never by the name.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.get(128..132) == Some(b"DICM") {
            return Some(Self::Dicom);
        }
        if bytes.starts_with(files::ZIP) {
            return Some(Self::Zip);
        }
        if let Some(name) = picture_io::sniff(bytes) {
            return Some(Self::Picture(name));
        }
        if let Some(format) = VolumeFormat::sniff(bytes) {
            return Some(Self::Volume(format));
        }
        let packed = is_gzip(bytes) && files::begins_as_dicom(bytes);
        (packed || looks_like_dataset(bytes)).then_some(Self::Dicom)
    }
}

/// What has to be said of a folder of which the pictures in `taken` are shown: how many other image files of `listed`,
/// everything in and below it, are not.
pub(crate) fn left_aside(listed: &[Blob], taken: &[PathBuf]) -> Option<String> {
    let taken: HashSet<&PathBuf> = taken.iter().collect();
    let is_image = |path: &&PathBuf| {
        let mut head = Vec::new();
        let read = open_regular(path).and_then(|file| file.take(4096).read_to_end(&mut head));
        read.is_ok() && FileKind::sniff(&head).is_some()
    };
    let files = listed.iter().filter_map(|blob| if let Blob::File(path) = blob { Some(path) } else { None });
    let others = files.filter(|path| !taken.contains(path)).filter(is_image).count();
    (others > 0).then(|| {
        format!(
            "{} in and below the folder left aside: its pictures are shown",
            counted(others, "other image file")
        )
    })
}

/// A DICOM data set without preamble: it begins with an element of group 0002 or 0008 whose VR (or
/// length, when the VR is implicit) makes sense.
fn looks_like_dataset(bytes: &[u8]) -> bool {
    let Some(&[g0, g1, e0, e1, v0, v1, l0, l1]) = bytes.first_chunk::<8>() else { return false };
    let group = [u16::from_le_bytes([g0, g1]), u16::from_be_bytes([g0, g1])];
    let element = u16::from_le_bytes([e0, e1]).min(u16::from_be_bytes([e0, e1]));
    let explicit = v0.is_ascii_uppercase() && v1.is_ascii_uppercase();
    let implicit = u32::from_le_bytes([v0, v1, l0, l1]) <= 1024;
    group.iter().any(|g| matches!(g, 0x0002 | 0x0008)) && element <= 0x0100 && (explicit || implicit)
}
