//! The fields of the three headers that matter for reading, checked.

use crate::volume_io::elements::{Element, unpacked};
use loupe_core::media::MediaError;
use loupe_core::window::Window;
use std::io::Read;

pub(super) const FORMAT: &str = "NIfTI";

pub(super) fn field(name: &str, problem: &str) -> MediaError {
    MediaError::Malformed { format: FORMAT, field: name.into(), problem: problem.into() }
}

/// Bytes of a NIfTI-1 or Analyze header.
pub(super) const LENGTH_1: usize = 348;
/// Bytes of a NIfTI-2 header.
pub(super) const LENGTH_2: usize = 540;

/// The header and the stream behind it.
pub(super) fn parse(bytes: &[u8]) -> Result<(Header, Box<dyn Read + '_>), MediaError> {
    let mut rest = unpacked(bytes);
    let mut start = Vec::with_capacity(LENGTH_2);
    let mut fill = |start: &mut Vec<u8>, to: usize| {
        let more = (to - start.len()) as u64;
        rest.by_ref().take(more).read_to_end(start).map_err(|e| field("compressed data", &e.to_string()))
    };
    fill(&mut start, LENGTH_1)?;
    if Header::is_version_2(&start) {
        fill(&mut start, LENGTH_2)?;
    }
    let header = Header::parse(&start)?;
    Ok((header, rest))
}

/// A checked header, of whichever version.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) version: &'static str,
    pub(super) big_endian: bool,
    pub(super) single_file: bool,
    /// Bytes taken from the stream so far.
    pub(super) bytes_read: usize,
    pub(super) size: [usize; 3],
    pub(super) frames: usize,
    pub(super) element: Element,
    pub(super) data_offset: u64,
    pub(super) slope: f64,
    pub(super) inter: f64,
    pub(super) cal_min: f64,
    pub(super) cal_max: f64,
    /// `pixdim[0]`, the handedness of the quaternion.
    pub(super) qfac: f64,
    pub(super) spacing: [f64; 3],
    /// `dim[0]`: axes beyond it have no spacing of their own.
    pub(super) axes: usize,
    /// SPM's origin in an Analyze header: the voxel at the centre of the world, counted from 0.
    pub(super) spm_origin: Option<[f64; 3]>,
    pub(super) qform_code: i32,
    pub(super) sform_code: i32,
    pub(super) quaternion: [f64; 3],
    pub(super) qoffset: [f64; 3],
    pub(super) srow: [[f64; 4]; 3],
    /// Spatial part of `xyzt_units`.
    pub(super) units: u8,
    pub(super) notes: Vec<String>,
}

/// Numbers of one byte order at fixed places; the length was checked before.
struct Fields<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl Fields<'_> {
    fn word<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut word = [0; N];
        if let Some(found) = self.bytes.get(at..at + N) {
            word.copy_from_slice(found);
        }
        if self.big {
            word.reverse();
        }
        word
    }
    fn short(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.word(at))
    }
    fn int(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.word(at))
    }
    fn long(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.word(at))
    }
    fn float(&self, at: usize) -> f64 {
        f32::from_le_bytes(self.word(at)).into()
    }
    fn double(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.word(at))
    }
}

impl Header {
    /// True when the first bytes announce the longer header.
    pub(super) fn is_version_2(bytes: &[u8]) -> bool {
        size_of_header(bytes).is_some_and(|(size, _)| size == LENGTH_2 as i32)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, MediaError> {
        let (size, big) = size_of_header(bytes)
            .ok_or_else(|| field("sizeof_hdr", "is neither 348 nor 540 in either byte order"))?;
        let fields = Fields { bytes, big };
        if size == LENGTH_2 as i32 { Self::second(&fields) } else { Self::first(&fields) }
    }

    fn first(f: &Fields<'_>) -> Result<Self, MediaError> {
        if f.bytes.len() < LENGTH_1 {
            return Err(field("header", "is shorter than 348 bytes"));
        }
        let magic: [u8; 4] = Fields { big: false, ..*f }.word(344);
        let (version, single_file) = match &magic {
            b"n+1\0" => ("NIfTI-1", true),
            b"ni1\0" => ("NIfTI-1", false),
            _ => ("Analyze 7.5", false),
        };
        let nifti = version == "NIfTI-1";
        let mut notes = Vec::new();
        let dims: Vec<i64> = (0..8).map(|n| f.short(40 + 2 * n).into()).collect();
        let (size, frames) = dimensions(&dims)?;
        let element = element(f.short(70), f.short(72), &mut notes)?;
        let (slope, inter) = match version {
            "NIfTI-1" => scaling(f.float(112), f.float(116), &mut notes)?,
            _ => spm_scaling(f),
        };
        let number = |at: usize| if nifti { f.float(at) } else { 0.0 };
        Ok(Self {
            version,
            big_endian: f.big,
            single_file,
            bytes_read: LENGTH_1,
            size,
            frames,
            element,
            data_offset: offset(f.float(108), if single_file { 352 } else { 0 })?,
            slope,
            inter,
            cal_max: number(124),
            cal_min: number(128),
            qfac: f.float(76),
            spacing: spacing([f.float(80), f.float(84), f.float(88)], &mut notes),
            axes: dims[0] as usize,
            spm_origin: if nifti { None } else { spm_origin(f, size) },
            qform_code: if nifti { f.short(252).into() } else { 0 },
            sform_code: if nifti { f.short(254).into() } else { 0 },
            quaternion: [256, 260, 264].map(number),
            qoffset: [268, 272, 276].map(number),
            srow: [280, 296, 312].map(|row| [0, 4, 8, 12].map(|n| number(row + n))),
            units: if nifti { f.bytes[123] & 7 } else { 0 },
            notes,
        })
    }

    fn second(f: &Fields<'_>) -> Result<Self, MediaError> {
        if f.bytes.len() < LENGTH_2 {
            return Err(field("header", "is shorter than 540 bytes"));
        }
        let single_file = match &f.bytes[4..12] {
            b"n+2\0\r\n\x1a\n" => true,
            b"ni2\0\r\n\x1a\n" => false,
            _ => return Err(field("magic", "is not that of NIfTI-2 (a text-mode transfer breaks it)")),
        };
        let mut notes = Vec::new();
        let dims: Vec<i64> = (0..8).map(|n| f.long(16 + 8 * n)).collect();
        let (size, frames) = dimensions(&dims)?;
        let element = element(f.short(12), f.short(14), &mut notes)?;
        let (slope, inter) = scaling(f.double(176), f.double(184), &mut notes)?;
        let data_offset = f.long(168);
        Ok(Self {
            version: "NIfTI-2",
            big_endian: f.big,
            single_file,
            bytes_read: LENGTH_2,
            size,
            frames,
            element,
            data_offset: u64::try_from(data_offset)
                .ok()
                .filter(|&o| !single_file || o >= 544)
                .ok_or_else(|| field("vox_offset", &format!("is {data_offset}, less than 544")))?,
            slope,
            inter,
            cal_max: f.double(192),
            cal_min: f.double(200),
            qfac: f.double(104),
            spacing: spacing([f.double(112), f.double(120), f.double(128)], &mut notes),
            axes: dims[0] as usize,
            spm_origin: None,
            qform_code: f.int(344),
            sform_code: f.int(348),
            quaternion: [352, 360, 368].map(|at| f.double(at)),
            qoffset: [376, 384, 392].map(|at| f.double(at)),
            srow: [400, 432, 464].map(|row| [0, 8, 16, 24].map(|n| f.double(row + n))),
            units: (f.int(500) & 7) as u8,
            notes,
        })
    }

    /// `cal_min` to `cal_max`, when they make a window.
    pub(super) fn window(&self) -> Option<Window> {
        let window = Window::between(self.cal_min, self.cal_max);
        window.is_valid().then_some(window)
    }
}

fn size_of_header(bytes: &[u8]) -> Option<(i32, bool)> {
    let first = *bytes.first_chunk::<4>()?;
    [(i32::from_le_bytes(first), false), (i32::from_be_bytes(first), true)]
        .into_iter()
        .find(|(size, _)| *size == LENGTH_1 as i32 || *size == LENGTH_2 as i32)
}

/// Columns, rows, slices and the product of the rest.
fn dimensions(dim: &[i64]) -> Result<([usize; 3], usize), MediaError> {
    let count = match usize::try_from(dim[0]) {
        Ok(n @ 1..=7) => n,
        _ => return Err(field("dim[0]", &format!("is {}, not 1 to 7", dim[0]))),
    };
    let mut sides = [1usize; 7];
    for n in 1..=count {
        sides[n - 1] = usize::try_from(dim[n])
            .ok()
            .filter(|&side| side > 0)
            .ok_or_else(|| field(&format!("dim[{n}]"), &format!("is {}, not a positive number", dim[n])))?;
    }
    let frames = sides[3..].iter().try_fold(1usize, |n, &side| n.checked_mul(side));
    Ok(([sides[0], sides[1], sides[2]], frames.ok_or_else(|| field("dim", "has too large a product"))?))
}

fn element(datatype: i16, bitpix: i16, notes: &mut Vec<String>) -> Result<Element, MediaError> {
    let element = match datatype {
        2 => Element::U8,
        4 => Element::I16,
        8 => Element::I32,
        16 => Element::F32,
        32 => Element::Complex64,
        64 => Element::F64,
        128 => Element::Rgb,
        256 => Element::I8,
        512 => Element::U16,
        768 => Element::U32,
        1024 => Element::I64,
        1280 => Element::U64,
        1792 => Element::Complex128,
        2304 => Element::Rgba,
        1 | 1536 | 2048 => {
            return Err(MediaError::Unsupported {
                what: format!("NIfTI datatype {datatype} (1-bit or 128-bit numbers)"),
                hint: "save the volume as uint8 or float32".into(),
            });
        }
        _ => return Err(field("datatype", &format!("is {datatype}, which is not defined"))),
    };
    if usize::try_from(bitpix).ok() != Some(element.size() * 8) {
        notes.push(format!("bitpix {bitpix} does not fit datatype {}; datatype used", element.name()));
    }
    notes.extend(element.note().map(str::to_owned));
    Ok(element)
}

/// nibabel's `get_slope_inter`: no scaling when the slope is zero or not finite.
fn scaling(slope: f64, inter: f64, notes: &mut Vec<String>) -> Result<(f64, f64), MediaError> {
    if slope == 0.0 || !slope.is_finite() {
        if slope != 0.0 {
            notes.push("scl_slope is not finite; stored values used".into());
        }
        return Ok((1.0, 0.0));
    }
    if !inter.is_finite() {
        return Err(field("scl_inter", "is not finite although scl_slope is"));
    }
    Ok((slope, inter))
}

/// SPM's use of Analyze's spare fields, as in nibabel's `Spm2AnalyzeHeader.get_slope_inter` (which reads
/// every Analyze file): a factor and a term, else the ratio of the scaled to the stored range.
fn spm_scaling(f: &Fields<'_>) -> (f64, f64) {
    let (slope, inter) = (f.float(112), f.float(116));
    if slope != 0.0 && slope.is_finite() {
        return (slope, if inter.is_finite() { inter } else { 0.0 });
    }
    let (high, low) = (f.float(124), f.float(128));
    let (stored_high, stored_low) = (f64::from(f.int(140)), f64::from(f.int(144)));
    let slope = (high - low) / (stored_high - stored_low);
    if slope != 0.0 && slope.is_finite() { (slope, low - slope * stored_low) } else { (1.0, 0.0) }
}

/// nibabel's `Spm99AnalyzeHeader.get_origin_affine`: three shorts counted from 1, when they are near
/// the grid.
fn spm_origin(f: &Fields<'_>, size: [usize; 3]) -> Option<[f64; 3]> {
    let origin = [253, 255, 257].map(|at| f64::from(f.short(at)));
    let near = origin.iter().zip(size).all(|(&o, side)| o > -(side as f64) && o < 2.0 * side as f64);
    (near && origin != [0.0; 3]).then(|| origin.map(|o| o - 1.0))
}

fn offset(stored: f64, least: u64) -> Result<u64, MediaError> {
    let fits = stored.is_finite() && stored.fract() == 0.0 && stored >= least as f64 && stored < 9e15;
    if fits {
        Ok(stored as u64)
    } else {
        Err(field("vox_offset", &format!("is {stored}; at least {least} is needed")))
    }
}

/// `pixdim[1..4]` as nibabel repairs it: signs dropped, zero taken as 1.
fn spacing(pixdim: [f64; 3], notes: &mut Vec<String>) -> [f64; 3] {
    if pixdim.iter().any(|v| *v <= 0.0 || !v.is_finite()) {
        notes.push("pixdim has values that are not positive; signs dropped, zero taken as 1".into());
    }
    pixdim.map(|v| if v == 0.0 || !v.is_finite() { 1.0 } else { v.abs() })
}
