//! numpy's `.npy` (NEP 1): a bare array; 2-D is one slice, 3-D is (slice, row, column), 4-D begins
//! with frames. It holds no geometry, so voxels are 1 mm along the patient axes, which is noted.

use super::elements::{Element, Layout, plausible, read_voxels, taken};
use super::read::ReadVolume;
use crate::volume_facts::VolumeFacts;
use loupe_core::geometry::LpsFromIndex;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::{Modality, Volume};
use ndarray::{Array4, Axis};
use std::collections::BTreeMap;

const FORMAT: &str = "NPY";

fn field(name: &str, problem: impl Into<String>) -> MediaError {
    MediaError::Malformed { format: FORMAT, field: name.into(), problem: problem.into() }
}

/// True when `bytes` begin with the magic number.
pub fn sniff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x93NUMPY")
}

/// Reads frame `frame`.
///
/// # Errors
/// When the header is broken, the type is not a number, data are missing or a limit is met.
pub fn read(bytes: &[u8], frame: usize, limits: &DecodeLimits) -> Result<ReadVolume, MediaError> {
    let short = || field("header", "is cut off");
    let (length, start) = match bytes.get(6).ok_or_else(short)? {
        1 => (bytes.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))), 10),
        2 | 3 => (bytes.get(8..12).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize), 12),
        version => return Err(field("version", format!("is {version}, not 1 to 3"))),
    };
    let end = length.and_then(|l| l.checked_add(start)).ok_or_else(short)?;
    let text = String::from_utf8_lossy(bytes.get(start..end).ok_or_else(short)?).into_owned();
    let (element, big_endian) = element(&entry(&text, "descr").ok_or_else(|| field("descr", "is missing"))?)?;
    let fortran = match entry(&text, "fortran_order").as_deref() {
        Some("True") => true,
        Some("False") => false,
        _ => return Err(field("fortran_order", "is neither True nor False")),
    };
    let sides = shape(&text).ok_or_else(|| field("shape", "is not a tuple of numbers"))?;
    let shape = match sides.as_slice() {
        [rows, columns] => [1, 1, *rows, *columns],
        [slices, rows, columns] => [1, *slices, *rows, *columns],
        [frames, slices, rows, columns] => [*frames, *slices, *rows, *columns],
        _ => {
            return Err(MediaError::Unsupported {
                what: format!("an array of {} dimensions", sides.len()),
                hint: "save (rows, columns), (slices, rows, columns) or (frames, slices, rows, columns)"
                    .into(),
            });
        }
    };
    let total = limits.pixels(&shape)?;
    if total == 0 {
        return Err(field("shape", "has a side of zero"));
    }
    let [frames, slices, rows, columns] = shape.map(|s| s as usize);
    if frame >= frames {
        return Err(MediaError::View(format!("frame {frame} was asked for, but the array has {frames}")));
    }
    let mut data = &bytes[end..];
    plausible(limits.memory(total, element.size())? as u64, data.len(), false, FORMAT)?;
    let layout = Layout { element, big_endian, slope: 1.0, inter: 0.0 };
    let copy = if frames > 1 || fortran { total / frames } else { 0 };
    limits.together(&[(bytes.len(), 1), (total + copy, size_of::<f32>())])?;
    let values = read_voxels(&mut data, total, layout, FORMAT, limits)?;
    let wrong = |e: ndarray::ShapeError| field("shape", e.to_string());
    let all = if fortran {
        Array4::from_shape_vec((columns, rows, slices, frames), values).map_err(wrong)?.reversed_axes()
    } else {
        Array4::from_shape_vec((frames, slices, rows, columns), values).map_err(wrong)?
    };
    let voxels = taken(all, Axis(0), frame);
    let mut notes = vec!["no geometry in the format: 1 mm voxels along the patient axes".to_owned()];
    notes.extend(element.note().map(str::to_owned));
    if matches!(columns, 3 | 4) {
        notes.push(format!("the last axis of {columns} is taken for columns, not for colours"));
    }
    Ok(ReadVolume {
        volume: Volume { voxels, lps_from_index: LpsFromIndex::IDENTITY, modality: Modality::Other },
        frames,
        facts: VolumeFacts::of_window(None),
        stored_type: element.name(),
        label_names: BTreeMap::new(),
        notes,
    })
}

/// The value of a key of the header's Python dictionary, without quotes.
fn entry(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("'{key}':"))?;
    let value = rest.trim_start().split([',', '}']).next()?;
    Some(value.trim().trim_matches('\'').to_owned())
}

fn shape(text: &str) -> Option<Vec<u64>> {
    let (_, rest) = text.split_once("'shape':")?;
    let inside = rest.trim_start().strip_prefix('(')?.split(')').next()?;
    inside.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect()
}

fn element(descr: &str) -> Result<(Element, bool), MediaError> {
    let (order, name) = descr.split_at_checked(1).unwrap_or(("", ""));
    let element = match name {
        "u1" | "b1" => Element::U8,
        "i1" => Element::I8,
        "u2" => Element::U16,
        "i2" => Element::I16,
        "u4" => Element::U32,
        "i4" => Element::I32,
        "u8" => Element::U64,
        "i8" => Element::I64,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "c8" => Element::Complex64,
        "c16" => Element::Complex128,
        _ => {
            return Err(MediaError::Unsupported {
                what: format!("numpy type {descr:.12}"),
                hint: "save the array as an integer or float32 type".into(),
            });
        }
    };
    match order {
        "<" | "|" | "=" => Ok((element, false)),
        ">" => Ok((element, true)),
        _ => Err(field("descr", "has no byte order")),
    }
}
