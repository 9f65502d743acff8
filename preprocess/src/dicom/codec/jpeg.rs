//! JPEG frames: [`crate::jpeg`] behind the data set's attributes.

use super::decoded::{Decoded, Expected, Words, damaged};
use crate::jpeg::{self, Fault, Lines};
use loupe_core::limits::room;
use loupe_core::media::MediaError;

/// Decodes one frame after checking its header against `expected`.
///
/// # Errors
/// Damage, and arithmetic or hierarchical coding, by name.
pub(super) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded, MediaError> {
    let wanted = |h: &jpeg::Header| expected.check(h.width, h.height, h.components, h.precision);
    let begin = |about: &jpeg::About| {
        let jpeg::Header { width, height, components, .. } = about.header;
        Ok(Interleaved(room(width * height * components)?))
    };
    let (about, Interleaved(values)) = jpeg::decode(bytes, wanted, begin).map_err(|fault| match fault {
        Fault::Broken { field, problem } => damaged("JPEG", field, problem),
        Fault::Process(what) => {
            loupe_dicom::object::unsupported(what, "convert the file to JPEG Lossless or uncompressed")
        }
        Fault::Unwanted(error) => error,
    })?;
    let ybr = match (about.adobe, about.ids.as_slice()) {
        (Some(0), _) => Some(false),
        (Some(_), _) => Some(true),
        (None, b"RGB") => Some(false),
        (None, ids) if about.jfif && ids.len() == 3 => Some(true),
        _ => None,
    };
    Ok(Decoded { values: Words::U16(values), precision: about.header.precision, ybr, lossy: !about.lossless })
}

/// Samples pixel by pixel.
struct Interleaved(Vec<u16>);

impl Lines for Interleaved {
    fn line(&mut self, components: &[&[u16]]) -> Result<(), MediaError> {
        let Self(values) = self;
        if let [alone] = components {
            values.extend_from_slice(alone);
            return Ok(());
        }
        let (before, count) = (values.len(), components.len());
        values.resize(before + components.iter().map(|line| line.len()).sum::<usize>(), 0);
        for (n, line) in components.iter().enumerate() {
            let places = values.iter_mut().skip(before + n).step_by(count);
            places.zip(*line).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}
