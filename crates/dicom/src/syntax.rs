//! How data sets are encoded: the transfer syntaxes of PS3.6 table A-1 and the value representations of
//! PS3.5 section 6.2.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

/// Implicit VR, little endian.
pub const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
/// Explicit VR, little endian.
pub const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
/// Explicit VR, big endian (retired).
pub const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
/// The whole data set deflated.
pub const DEFLATED_EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1.99";

/// How the frames of a transfer syntax are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Samples as they are, one stretch of bytes.
    Native,
    /// Samples as they are, one or more fragments a frame.
    EncapsulatedNative,
    /// Each frame a raw deflate stream.
    DeflatedFrames,
    /// PackBits on byte planes (PS3.5 annex G).
    Rle,
    /// ISO 10918-1: sequential, progressive or lossless.
    Jpeg,
    /// ISO 14495-1.
    JpegLs,
    /// ISO 15444-1 and -15 (high throughput).
    Jpeg2000,
    /// ISO 18181.
    JpegXl,
    /// Known by name, not decoded.
    Refused,
}

/// UID, name of PS3.6 and coding.
pub type SyntaxRow = (&'static str, &'static str, Coding);

/// Every transfer syntax with pixel data that PS3.6 names.
pub const SYNTAXES: &[SyntaxRow] = &[
    (IMPLICIT_LITTLE, "Implicit VR Little Endian", Coding::Native),
    (EXPLICIT_LITTLE, "Explicit VR Little Endian", Coding::Native),
    (EXPLICIT_BIG, "Explicit VR Big Endian", Coding::Native),
    (DEFLATED_EXPLICIT_LITTLE, "Deflated Explicit VR Little Endian", Coding::Native),
    (
        "1.2.840.10008.1.2.1.98",
        "Encapsulated Uncompressed Explicit VR Little Endian",
        Coding::EncapsulatedNative,
    ),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", Coding::DeflatedFrames),
    ("1.2.840.10008.1.2.5", "RLE Lossless", Coding::Rle),
    ("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.52", "JPEG Extended (Process 3 and 5)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction", Coding::Jpeg),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", Coding::JpegLs),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)", Coding::JpegLs),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)", Coding::Jpeg2000),
    ("1.2.840.10008.1.2.4.91", "JPEG 2000", Coding::Jpeg2000),
    ("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", Coding::Refused),
    ("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component", Coding::Refused),
    ("1.2.840.10008.1.2.4.94", "JPIP Referenced", Coding::Refused),
    ("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", Coding::Refused),
    ("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced", Coding::Refused),
    ("1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", Coding::Refused),
    ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level", Coding::Refused),
    ("1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", Coding::Refused),
    ("1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level", Coding::Refused),
    ("1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level", Coding::Refused),
    ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", Coding::Refused),
    ("1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", Coding::Refused),
    ("1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", Coding::Refused),
    ("1.2.840.10008.1.2.4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible / Level 4.1", Coding::Refused),
    ("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video", Coding::Refused),
    (
        "1.2.840.10008.1.2.4.104.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 2D",
        Coding::Refused,
    ),
    ("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video", Coding::Refused),
    (
        "1.2.840.10008.1.2.4.105.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 3D",
        Coding::Refused,
    ),
    ("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", Coding::Refused),
    ("1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile", Coding::Refused),
    ("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1", Coding::Refused),
    ("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", Coding::Refused),
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless", Coding::JpegXl),
    ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", Coding::JpegXl),
    ("1.2.840.10008.1.2.4.112", "JPEG XL", Coding::JpegXl),
    ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)", Coding::Jpeg2000),
    ("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL (Lossless Only)", Coding::Jpeg2000),
    ("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", Coding::Jpeg2000),
    ("1.2.840.10008.1.2.7.1", "SMPTE ST 2110-20 Uncompressed Progressive Active Video", Coding::Refused),
    ("1.2.840.10008.1.2.7.2", "SMPTE ST 2110-20 Uncompressed Interlaced Active Video", Coding::Refused),
    ("1.2.840.10008.1.2.7.3", "SMPTE ST 2110-30 PCM Digital Audio", Coding::Refused),
];

/// The dictionary's value representation; `UN` when it does not know the tag.
pub fn dictionary_vr(tag: Tag) -> VR {
    if tag.1 == 0 {
        return VR::UL;
    }
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => entry.vr().relaxed(),
        None => VR::UN,
    }
}

/// The value of private creators and unknown attributes never matters for lengths: only these have
/// four-byte lengths in explicit VR (PS3.5 table 7.1-1).
pub(crate) fn has_long_length(vr: [u8; 2]) -> bool {
    matches!(
        &vr,
        b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
    )
}

/// The row of a UID.
pub fn find(uid: &str) -> Option<&'static SyntaxRow> {
    SYNTAXES.iter().find(|row| row.0 == uid)
}

/// The standard's name, or words for an unknown (private) one. The UID itself is not repeated: in a
/// damaged file it can be anything.
pub fn name(uid: &str) -> &'static str {
    find(uid).map_or("a private or unknown transfer syntax", |row| row.1)
}

/// A transfer syntax that decodes a codestream with this beginning (for files without meta).
pub fn of_codestream(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xD8, ..] if jpeg_ls(bytes) => Some("1.2.840.10008.1.2.4.80"),
        [0xFF, 0xD8, ..] => Some("1.2.840.10008.1.2.4.50"),
        [0xFF, 0x4F, 0xFF, 0x51, ..] | [0, 0, 0, 12, b'j', b'P', ..] => Some("1.2.840.10008.1.2.4.91"),
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', ..] => Some("1.2.840.10008.1.2.4.110"),
        [1..=15, 0, 0, 0, 64, 0, 0, 0, ..] => Some("1.2.840.10008.1.2.5"),
        _ => None,
    }
}

/// JPEG-LS and JPEG share the start mark; the frame header tells.
fn jpeg_ls(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, mark, high, low]) =
        bytes.get(at..at + 4).and_then(|b| <&[u8; 4]>::try_from(b).ok())
    {
        match mark {
            0xF7 => return true,
            0xC0..=0xCF if mark != 0xC4 && mark != 0xC8 && mark != 0xCC => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}
