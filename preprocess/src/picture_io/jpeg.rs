//! JPEG. `jpeg-decoder` is used because it widens subsampled colour as libjpeg does; the decoder of
//! the `image` crate differs from Pillow by up to 7 levels at the borders of pictures whose sides
//! are odd (measured on `tests/pictures/rgb420.jpg`).

use super::raster::rgb_of_cmyk;
use super::{Raster, Samples, malformed};
use crate::limits::Limits;
use image::metadata::Orientation;
use jpeg_decoder::{Decoder, PixelFormat};
use loupe_core::media::MediaError;

const FORMAT: &str = "JPEG";

fn refused(error: &jpeg_decoder::Error) -> MediaError {
    match error {
        jpeg_decoder::Error::Unsupported(what) => MediaError::Unsupported {
            what: format!("JPEG: {what:?}"),
            hint: "convert the picture to PNG".into(),
        },
        other => malformed(FORMAT, "image data", other.to_string()),
    }
}

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Raster, MediaError> {
    let mut decoder = Decoder::new(bytes);
    decoder.read_info().map_err(|e| refused(&e))?;
    let header = decoder.info().ok_or_else(|| malformed(FORMAT, "SOF", "no frame header"))?;
    let count = limits.pixels(&[header.width.into(), header.height.into()])?;
    // Progressive files need their coefficients, two bytes each, beside the pixels.
    let length = limits.memory(count, 3 * header.pixel_format.pixel_bytes())? / 3;
    decoder.set_max_decoding_buffer_size(length);
    let samples = decoder.decode().map_err(|e| refused(&e))?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    let (channels, samples) = match header.pixel_format {
        PixelFormat::L8 => (1, Samples::Byte(samples)),
        PixelFormat::L16 => {
            let words = samples.as_chunks::<2>().0.iter().map(|&w| u16::from_ne_bytes(w));
            (1, Samples::Word(words.collect()))
        }
        PixelFormat::RGB24 => (3, Samples::Byte(samples)),
        PixelFormat::CMYK32 => (3, Samples::Byte(rgb_of_cmyk(&samples))),
    };
    let got = match &samples {
        Samples::Byte(v) => v.len(),
        Samples::Word(v) => v.len(),
        Samples::Float(v) => v.len(),
    };
    if got != count * channels {
        return Err(malformed(FORMAT, "image data", "fewer pixels than the header promises"));
    }
    Ok(Raster {
        width: header.width.into(),
        height: header.height.into(),
        channels,
        samples,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        frame: None,
    })
}
