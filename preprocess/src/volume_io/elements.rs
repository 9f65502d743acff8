//! Voxels as they lie in files: number types, byte orders, compression, read into `f32`.

use loupe_core::limits::{DecodeLimits, room};
use loupe_core::media::MediaError;
use ndarray::{Array3, Array4, Axis};
use std::io::Read;

/// What one voxel is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
    /// Two single-precision numbers, read as their magnitude.
    Complex64,
    /// Two double-precision numbers, read as their magnitude.
    Complex128,
    /// Three bytes, read as luma.
    Rgb,
    /// Four bytes, the last of them ignored, read as luma.
    Rgba,
}

impl Element {
    /// Bytes of one voxel.
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::Rgb => 3,
            Self::U32 | Self::I32 | Self::F32 | Self::Rgba => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
        }
    }

    /// The name in reports, numpy's where it has one.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
            Self::Rgb => "rgb24",
            Self::Rgba => "rgba32",
        }
    }

    /// What happens to values on the way to one `f32` a voxel, when it is more than rounding.
    pub(crate) const fn note(self) -> Option<&'static str> {
        match self {
            Self::Complex64 | Self::Complex128 => Some("complex values read as magnitude"),
            Self::Rgb | Self::Rgba => Some("colours read as luma (ITU-R 601)"),
            _ => None,
        }
    }
}

/// How voxels lie in a stream and what they mean: `value = stored · slope + inter`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) element: Element,
    pub(crate) big_endian: bool,
    pub(crate) slope: f64,
    pub(crate) inter: f64,
}

/// Bytes converted at a time: they stay in the processor's cache between inflating and converting.
const BLOCK_BYTES: usize = 3 << 16;

/// Reads `count` voxels. The caller has bounded `count` by [`DecodeLimits::pixels`].
///
/// # Errors
/// When the stream ends early or the memory limit is met.
pub(crate) fn read_voxels(
    reader: &mut impl Read,
    count: usize,
    layout: Layout,
    format: &'static str,
    limits: &DecodeLimits,
) -> Result<Vec<f32>, MediaError> {
    limits.memory(count, size_of::<f32>())?;
    let mut out = room(count)?;
    let size = layout.element.size();
    let mut block = vec![0u8; (BLOCK_BYTES / size).min(count.max(1)) * size];
    while out.len() < count {
        let bytes = ((count - out.len()) * size).min(block.len());
        let part = &mut block[..bytes];
        reader.read_exact(part).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => MediaError::Malformed {
                format,
                field: "image data".into(),
                problem: format!("ends before the {count} voxels of the header"),
            },
            _ => MediaError::Malformed { format, field: "compressed data".into(), problem: e.to_string() },
        })?;
        convert(part, layout, &mut out);
    }
    Ok(out)
}

fn convert(bytes: &[u8], layout: Layout, out: &mut Vec<f32>) {
    let Layout { element, big_endian, slope, inter } = layout;
    let scaled = |stored: f64| (stored * slope + inter) as f32;
    macro_rules! plain {
        ($type:ty, $n:literal) => {{
            let words = bytes.as_chunks::<$n>().0.iter();
            #[allow(clippy::cast_lossless)]
            if big_endian {
                out.extend(words.map(|&w| scaled(<$type>::from_be_bytes(w) as f64)));
            } else {
                out.extend(words.map(|&w| scaled(<$type>::from_le_bytes(w) as f64)));
            }
        }};
    }
    macro_rules! complex {
        ($type:ty, $n:literal) => {{
            for pair in bytes.chunks_exact(2 * $n) {
                let part = |at: usize| {
                    let mut word = [0u8; $n];
                    word.copy_from_slice(&pair[at..at + $n]);
                    let value =
                        if big_endian { <$type>::from_be_bytes(word) } else { <$type>::from_le_bytes(word) };
                    f64::from(value) * slope
                };
                out.push((part(0) + inter).hypot(part($n)) as f32);
            }
        }};
    }
    match element {
        Element::U8 => plain!(u8, 1),
        Element::I8 => plain!(i8, 1),
        Element::U16 => plain!(u16, 2),
        Element::I16 => plain!(i16, 2),
        Element::U32 => plain!(u32, 4),
        Element::I32 => plain!(i32, 4),
        Element::U64 => plain!(u64, 8),
        Element::I64 => plain!(i64, 8),
        Element::F16 => {
            let bits = bytes.as_chunks::<2>().0.iter();
            let bits = bits.map(|&w| if big_endian { u16::from_be_bytes(w) } else { u16::from_le_bytes(w) });
            out.extend(bits.map(|b| scaled(half(b))));
        }
        Element::F32 => plain!(f32, 4),
        Element::F64 => plain!(f64, 8),
        Element::Complex64 => complex!(f32, 4),
        Element::Complex128 => complex!(f64, 8),
        Element::Rgb => out.extend(bytes.chunks_exact(3).map(luma)),
        Element::Rgba => out.extend(bytes.chunks_exact(4).map(luma)),
    }
}

/// The value of an IEEE 754 half.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3FF) / 1024.0;
    let size = match bits >> 10 & 0x1F {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// Reads `count` voxels written as text, separated by blanks, line ends or commas.
///
/// # Errors
/// When there are fewer, one is not a number, or the memory limit is met.
pub(crate) fn read_text(
    bytes: &[u8],
    count: usize,
    format: &'static str,
    limits: &DecodeLimits,
) -> Result<Vec<f32>, MediaError> {
    let broken = |problem: String| MediaError::Malformed { format, field: "image data".into(), problem };
    limits.memory(count, size_of::<f32>())?;
    // Each number takes a digit and, but for the last, a separator.
    plausible((count as u64).saturating_mul(2).saturating_sub(1), bytes.len(), false, format)?;
    let words = bytes.split(|b| b.is_ascii_whitespace() || *b == b',').filter(|word| !word.is_empty());
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<f64>().ok().map(|v| v as f32);
    let mut values = room(count)?;
    for word in words.take(count) {
        values.push(number(word).ok_or_else(|| broken("holds something that is not a number".into()))?);
    }
    if values.len() != count {
        return Err(broken(format!("ends before the {count} voxels of the header")));
    }
    Ok(values)
}

/// Pillow's `L` of an RGB pixel (Convert.c): ITU-R 601 weights in 16-bit fixed point.
fn luma(pixel: &[u8]) -> f32 {
    let sum: u32 = pixel.iter().zip([19595u32, 38470, 7471]).map(|(&v, w)| u32::from(v) * w).sum();
    ((sum + 0x8000) >> 16) as f32
}

/// One frame of several, in the order of its axes; the only one without a copy.
pub(crate) fn taken(all: Array4<f32>, axis: Axis, frame: usize) -> Array3<f32> {
    if all.len_of(axis) > 1 {
        return all.index_axis(axis, frame).as_standard_layout().into_owned();
    }
    let only = all.index_axis_move(axis, frame);
    if only.is_standard_layout() { only } else { only.as_standard_layout().into_owned() }
}

/// Skips `count` bytes.
///
/// # Errors
/// When the stream ends before.
pub(crate) fn skip(reader: &mut impl Read, count: u64, format: &'static str) -> Result<(), MediaError> {
    let skipped = std::io::copy(&mut reader.by_ref().take(count), &mut std::io::sink());
    match skipped {
        Ok(n) if n == count => Ok(()),
        Ok(_) => Err(MediaError::Malformed {
            format,
            field: "image data".into(),
            problem: "starts behind the end of the file".into(),
        }),
        Err(e) => {
            Err(MediaError::Malformed { format, field: "compressed data".into(), problem: e.to_string() })
        }
    }
}

/// Reads a compressed stream to its end, where its checksum is, and compares it: a voxel that was changed on the way
/// looks like any other. What follows the last member is left alone, as gzip leaves it.
///
/// # Errors
/// When the sum does not fit, the stream is cut off, or goes on beyond the memory allowed.
pub(crate) fn verify(
    stream: &mut dyn Read,
    format: &'static str,
    limits: &DecodeLimits,
) -> Result<(), MediaError> {
    let broken = |problem: &str| MediaError::Malformed {
        format,
        field: "compressed data".into(),
        problem: problem.into(),
    };
    let most = limits.max_memory_bytes;
    match std::io::copy(&mut stream.take(most.saturating_add(1)), &mut std::io::sink()) {
        Ok(read) if read > most => Err(MediaError::Limit {
            what: "the inflated size in bytes behind the voxels",
            got: read,
            limit: most,
            option: "--max-memory",
        }),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(broken("is cut off before its checksum"))
        }
        Err(e) if e.to_string().contains("checksum") => {
            Err(broken("its checksum does not fit: the file was damaged on its way"))
        }
        Err(e) if e.to_string().contains("header") => Ok(()),
        Err(e) => Err(broken(&e.to_string())),
    }
}

/// True when `bytes` begin a gzip stream.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The plain contents of `bytes`, which may be one or many gzip members (bgzip and `cat a.gz b.gz`).
pub(crate) fn unpacked(bytes: &[u8]) -> Box<dyn Read + '_> {
    if is_gzip(bytes) { Box::new(flate2::read::MultiGzDecoder::new(bytes)) } else { Box::new(bytes) }
}

/// Deflate cannot make more than 1 032 bytes of one, so a header that claims more is refused before
/// memory is taken for it.
///
/// # Errors
/// When `need` bytes cannot come out of `have`.
pub(crate) fn plausible(
    need: u64,
    have: usize,
    packed: bool,
    format: &'static str,
) -> Result<(), MediaError> {
    let most = (have as u64).saturating_mul(if packed { 1032 } else { 1 });
    if need <= most {
        return Ok(());
    }
    Err(MediaError::Malformed {
        format,
        field: "image data".into(),
        problem: format!("the header asks for {need} bytes, the file can hold {most} at most"),
    })
}
