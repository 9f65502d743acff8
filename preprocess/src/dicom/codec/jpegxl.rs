//! JPEG XL (ISO 18181) through `jxl-oxide`, after checking its image header.

use super::decoded::{Decoded, Expected, Words, damaged};
use jxl_oxide::{AllocTracker, JxlImage, PixelFormat};
use loupe_core::media::MediaError;

/// Memory that the decoder may take for each pixel and channel: a few float buffers, and a fixed part.
const BYTES_A_SAMPLE: usize = 64;
const FIXED_BYTES: usize = 64 << 20;

/// Decodes one frame. The decoder has undone the colour transform of the codestream.
///
/// # Errors
/// When the header does not agree with `expected`, or the decoder gives up.
pub(super) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded, MediaError> {
    let broken = |field: &str, problem: &str| damaged("JPEG XL", field, problem);
    let samples = expected.width * expected.height * expected.components;
    let tracker =
        AllocTracker::with_limit(samples.saturating_mul(BYTES_A_SAMPLE).saturating_add(FIXED_BYTES));
    let image = JxlImage::builder()
        .alloc_tracker(tracker)
        .read(bytes)
        .map_err(|_| broken("codestream", "the decoder found it damaged"))?;
    let components = match image.pixel_format() {
        PixelFormat::Gray => 1,
        PixelFormat::Rgb => 3,
        _ => return Err(broken("image header", "neither grey nor RGB without alpha")),
    };
    let precision = image.image_header().metadata.bit_depth.bits_per_sample();
    expected.check(image.width() as usize, image.height() as usize, components, precision)?;
    let render = image.render_frame(0).map_err(|_| broken("codestream", "the decoder found it damaged"))?;
    let frame = render.image_all_channels();
    if frame.buf().len() != samples {
        return Err(broken("codestream", "decodes to another size than its header says"));
    }
    let top = ((1u64 << precision.min(32)) - 1) as f32;
    let values = frame.buf().iter().map(|v| (v * top).round().clamp(0.0, top) as i32).collect();
    Ok(Decoded { values: Words::I32(values), precision, ybr: Some(false), lossy: true })
}
