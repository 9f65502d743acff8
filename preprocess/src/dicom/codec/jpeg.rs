//! JPEG frames: [`crate::jpeg`] behind the data set's attributes.

use super::decoded::{Decoded, Expected, Words, damaged};
use crate::jpeg::{self, Fault, Pixels};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;

/// Decodes one frame after checking its header against `expected`.
///
/// # Errors
/// Damage, and arithmetic or hierarchical coding, by name.
pub(super) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded, MediaError> {
    let wanted = |h: &jpeg::Header| expected.check(h.width, h.height, h.components, h.precision);
    let decoded = jpeg::decode(bytes, wanted).map_err(|fault| match fault {
        Fault::Broken { field, problem } => damaged("JPEG", field, problem),
        Fault::Process(what) => {
            loupe_dicom::object::unsupported(what, "convert the file to JPEG Lossless or uncompressed")
        }
        Fault::Unwanted(error) => error,
    })?;
    let ybr = match (decoded.adobe, decoded.ids.as_slice()) {
        (Some(0), _) => Some(false),
        (Some(_), _) => Some(true),
        (None, b"RGB") => Some(false),
        (None, ids) if decoded.jfif && ids.len() == 3 => Some(true),
        _ => None,
    };
    let values = match decoded.pixels {
        Pixels::Interleaved(samples) => samples,
        Pixels::Planes(mut planes) if planes.len() == 1 => planes.pop().unwrap_or_default(),
        Pixels::Planes(planes) => {
            let mut samples = filled(decoded.header.width * decoded.header.height * planes.len(), 0)?;
            for (n, plane) in planes.iter().enumerate() {
                samples.iter_mut().skip(n).step_by(planes.len()).zip(plane).for_each(|(s, v)| *s = *v);
            }
            samples
        }
    };
    Ok(Decoded {
        values: Words::U16(values),
        precision: decoded.header.precision,
        ybr,
        lossy: !decoded.lossless,
    })
}
