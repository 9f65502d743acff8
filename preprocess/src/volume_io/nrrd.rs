//! NRRD (`.nrrd`, `.nhdr` with a second file), 3D Slicer's format for volumes and segmentations.
//! Fields as in the NRRD definition (teem.sourceforge.net/nrrd/format.html).

use super::elements::{Element, Layout, plausible, read_text, read_voxels, skip, taken, unpacked, verify};
use super::read::{ReadVolume, inside};
use crate::volume_facts::VolumeFacts;
use loupe_core::geometry::LpsFromIndex;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::{Modality, Volume};
use ndarray::{Array4, Axis};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const FORMAT: &str = "NRRD";
const LONGEST_HEADER: usize = 1 << 20;

fn field(name: &str, problem: impl Into<String>) -> MediaError {
    MediaError::Malformed { format: FORMAT, field: name.into(), problem: problem.into() }
}

/// True when `bytes` begin with the magic number.
pub fn sniff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"NRRD000")
}

struct Header<'a> {
    fields: BTreeMap<String, String>,
    /// `key:=value` lines.
    pairs: BTreeMap<String, String>,
    rest: &'a [u8],
}

fn header(bytes: &[u8]) -> Result<Header<'_>, MediaError> {
    let (mut fields, mut pairs, mut rest) = (BTreeMap::new(), BTreeMap::new(), bytes);
    while !rest.is_empty() && bytes.len() - rest.len() < LONGEST_HEADER {
        let end = rest.iter().take(LONGEST_HEADER).position(|&b| b == b'\n').unwrap_or(rest.len());
        let line = String::from_utf8_lossy(&rest[..end]).trim_end().to_owned();
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        if line.starts_with('#') || line.starts_with("NRRD0") {
            continue;
        }
        if let Some((key, value)) = line.split_once(":=") {
            pairs.insert(key.to_owned(), value.to_owned());
        } else if let Some((key, value)) = line.split_once(": ") {
            fields.insert(key.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Ok(Header { fields, pairs, rest })
}

impl Header<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

/// Reads frame `frame`; `folder` is where the voxel file may lie, `None` when there is none.
///
/// # Errors
/// When a field breaks the format, data are missing or a limit is met.
pub fn read(
    bytes: &[u8],
    folder: Option<&Path>,
    frame: usize,
    limits: &DecodeLimits,
) -> Result<ReadVolume, MediaError> {
    let header = header(bytes)?;
    let sizes: Option<Vec<u64>> =
        header.get("sizes").and_then(|s| s.split_whitespace().map(|v| v.parse().ok()).collect());
    let sizes = sizes.ok_or_else(|| field("sizes", "is missing or holds something that is not a number"))?;
    if header.get("dimension").and_then(|d| d.parse().ok()) != Some(sizes.len()) || sizes.contains(&0) {
        return Err(field("sizes", "does not hold `dimension` positive numbers"));
    }
    let total = limits.pixels(&sizes)?;
    let (spatial, other) = axes(&header, sizes.len())?;
    let frames = other.map_or(1, |axis| sizes[axis] as usize);
    if frame >= frames {
        return Err(MediaError::View(format!("frame {frame} was asked for, but the NRRD file has {frames}")));
    }
    let element = element(header.get("type").unwrap_or_default())?;
    let text = matches!(header.get("encoding"), Some("ascii" | "text" | "txt"));
    let layout = Layout {
        element,
        big_endian: match (header.get("endian"), element.size()) {
            (Some("big"), _) => true,
            (Some("little"), _) | (None, 1) => false,
            _ if text => false,
            _ => return Err(field("endian", "is missing or neither little nor big")),
        },
        slope: 1.0,
        inter: 0.0,
    };
    let outer;
    let mut data = match header.get("data file").or_else(|| header.get("datafile")) {
        None => header.rest,
        Some(name) if name.starts_with("LIST") || name.contains('%') => {
            return Err(MediaError::Unsupported {
                what: "NRRD with one file a slice".into(),
                hint: "save it as one .nrrd file".into(),
            });
        }
        Some(name) => {
            let folder =
                folder.ok_or_else(|| field("data file", "names a second file, which is not at hand"))?;
            outer = limits.read_file(&inside(folder, name)?)?;
            &outer
        }
    };
    let lines: usize = number(&header, &["line skip", "lineskip"])?.try_into().unwrap_or(0);
    for _ in 0..lines {
        let end =
            data.iter().position(|&b| b == b'\n').ok_or_else(|| field("line skip", "is beyond the file"))?;
        data = &data[end + 1..];
    }
    let packed = match header.get("encoding") {
        Some("raw") => false,
        Some("gzip" | "gz") => true,
        _ if text => false,
        encoding => {
            return Err(MediaError::Unsupported {
                what: format!("NRRD encoding {:.12}", encoding.unwrap_or("(none)")),
                hint: "save it with encoding raw, gzip or ascii".into(),
            });
        }
    };
    let need = limits.memory(total, element.size())? as u64;
    if !text {
        plausible(need, data.len(), packed, FORMAT)?;
    }
    // All frames are read, and one is taken out.
    let copy = if frames > 1 { total / frames } else { 0 };
    limits.together(&[(bytes.len() + data.len(), 1), (total + copy, size_of::<f32>())])?;
    let mut stream: Box<dyn Read> = if packed { unpacked(data) } else { Box::new(data) };
    match number(&header, &["byte skip", "byteskip"])? {
        -1 if !packed && !text => {
            let start = data
                .len()
                .checked_sub(need as usize)
                .ok_or_else(|| field("byte skip", "-1, but too few bytes"))?;
            stream = Box::new(&data[start..]);
        }
        count => {
            let count = u64::try_from(count).map_err(|_| field("byte skip", "is negative"))?;
            skip(&mut stream, count, FORMAT)?;
            data = data.get(usize::try_from(count).unwrap_or(usize::MAX)..).unwrap_or_default();
        }
    }
    let values = if text {
        read_text(data, total, FORMAT, limits)?
    } else {
        let values = read_voxels(&mut stream, total, layout, FORMAT, limits)?;
        verify(&mut stream, FORMAT, limits)?;
        values
    };
    let side = |n: usize| spatial.get(n).map_or(1, |&axis| sizes[axis] as usize);
    let grid = (side(2), side(1), side(0));
    // The first axis varies fastest; a list of layers is the first or the last.
    let first = other == Some(0);
    let shape = if first { (grid.0, grid.1, grid.2, frames) } else { (frames, grid.0, grid.1, grid.2) };
    let all = Array4::from_shape_vec(shape, values).map_err(|e| field("sizes", e.to_string()))?;
    let voxels = taken(all, Axis(if first { 3 } else { 0 }), frame);
    let mut notes: Vec<String> = element.note().map(str::to_owned).into_iter().collect();
    let lps_from_index = geometry(&header, &spatial, sizes.len(), &mut notes)?;
    Ok(ReadVolume {
        volume: Volume { voxels, lps_from_index, modality: Modality::Other },
        frames,
        facts: VolumeFacts::of_window(None),
        stored_type: element.name(),
        label_names: segment_names(&header, frame),
        notes,
    })
}

fn number(header: &Header<'_>, names: &[&str]) -> Result<i64, MediaError> {
    match names.iter().find_map(|name| header.get(name)) {
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| field(names[0], "is not a number")),
    }
}

/// The spatial axes in order, and the one that is not (layers, components, time).
fn axes(header: &Header<'_>, count: usize) -> Result<(Vec<usize>, Option<usize>), MediaError> {
    let spatial: Vec<bool> = match (header.get("space directions"), header.get("kinds")) {
        (Some(text), _) => vectors("space directions", text)?.iter().map(Option::is_some).collect(),
        (None, Some(kinds)) => kinds.split_whitespace().map(|k| matches!(k, "domain" | "space")).collect(),
        (None, None) => (0..count).map(|axis| axis < 3).collect(),
    };
    let inner: Vec<usize> = (0..count).filter(|&a| spatial.get(a) == Some(&true)).collect();
    // ITK writes time as a fourth axis of space.
    if inner == [0, 1, 2, 3] && count == 4 {
        return Ok((vec![0, 1, 2], Some(3)));
    }
    let outer: Vec<usize> = (0..count).filter(|&a| spatial.get(a) == Some(&false)).collect();
    let fits = spatial.len() == count && (2..=3).contains(&inner.len());
    match outer.as_slice() {
        [] if fits => Ok((inner, None)),
        [axis] if fits && (*axis == 0 || *axis == count - 1) => Ok((inner, Some(*axis))),
        _ => Err(MediaError::Unsupported {
            what: format!("NRRD with {} spatial and {} other axes", inner.len(), outer.len()),
            hint: "two or three spatial axes and at most one other, first or last, are read".into(),
        }),
    }
}

/// The vectors of a field: `(x,y,z)` or `none`, separated by blanks. Anything else is damage: an axis whose vector
/// cannot be read is not one without.
fn vectors(name: &str, text: &str) -> Result<Vec<Option<Vec<f64>>>, MediaError> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            Some((inside, after)) => {
                let numbers: Option<Vec<f64>> = inside.split(',').map(|v| v.trim().parse().ok()).collect();
                (numbers, after)
            }
            None => match rest.split_once(char::is_whitespace).unwrap_or((rest, "")) {
                ("none", after) => {
                    found.push(None);
                    rest = after.trim_start();
                    continue;
                }
                _ => (None, ""),
            },
        };
        let axis = found.len();
        let vector = item.ok_or_else(|| field(name, format!("vector {axis} is not numbers in brackets")))?;
        found.push(Some(vector));
        rest = after.trim_start();
    }
    Ok(found)
}

fn element(name: &str) -> Result<Element, MediaError> {
    Ok(match name {
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => Element::U8,
        "signed char" | "int8" | "int8_t" => Element::I8,
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => Element::U16,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => Element::I16,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => Element::U32,
        "int" | "signed int" | "int32" | "int32_t" => Element::I32,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => Element::U64,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => Element::I64,
        "float" => Element::F32,
        "double" => Element::F64,
        _ => return Err(field("type", format!("{name:.24} is not a number type that is read"))),
    })
}

fn geometry(
    header: &Header<'_>,
    spatial: &[usize],
    count: usize,
    notes: &mut Vec<String>,
) -> Result<LpsFromIndex, MediaError> {
    // Signs that bring the space to LPS.
    let signs = match header.get("space").map(str::to_ascii_lowercase).as_deref() {
        Some("left-posterior-superior" | "lps" | "left-posterior-superior-time" | "lpst") => [1.0, 1.0, 1.0],
        Some("right-anterior-superior" | "ras" | "right-anterior-superior-time" | "rast") => {
            [-1.0, -1.0, 1.0]
        }
        Some("left-anterior-superior" | "las" | "left-anterior-superior-time" | "last") => [1.0, -1.0, 1.0],
        other => {
            notes.push(match other {
                None => "no space: axes taken as patient axes (LPS)".to_owned(),
                Some(_) => "the space is not anatomical: taken as LPS".to_owned(),
            });
            [1.0, 1.0, 1.0]
        }
    };
    let three = |v: &[f64]| [0, 1, 2].map(|r| v.get(r).copied().unwrap_or(0.0) * signs[r]);
    let mut columns = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    if let Some(text) = header.get("space directions") {
        let given = vectors("space directions", text)?;
        for (column, &axis) in columns.iter_mut().zip(spatial) {
            *column = given
                .get(axis)
                .and_then(Option::as_ref)
                .filter(|v| (2..=4).contains(&v.len()) && v.iter().all(|n| n.is_finite()))
                .map(|v| three(v))
                .ok_or_else(|| field("space directions", format!("has no usable vector for axis {axis}")))?;
        }
    } else if let Some(text) = header.get("spacings") {
        let given: Vec<Option<f64>> = text.split_whitespace().map(|v| v.parse().ok()).collect();
        if given.len() != count {
            return Err(field("spacings", format!("holds {} numbers, expected {count}", given.len())));
        }
        for (n, &axis) in spatial.iter().enumerate() {
            let step = given[axis].filter(|s| s.is_finite() && *s > 0.0);
            columns[n][n] =
                step.ok_or_else(|| field("spacings", format!("axis {axis} is not a positive number")))?;
        }
    }
    let origin = match header.get("space origin") {
        None => centre_of_first(header, spatial, &columns),
        Some(text) => match vectors("space origin", text)?.as_slice() {
            [Some(v)] if v.iter().all(|n| n.is_finite()) => three(v),
            _ => return Err(field("space origin", "is not one vector of numbers")),
        },
    };
    Ok(LpsFromIndex::from_columns(columns[0], columns[1], columns[2], origin))
}

/// `axis mins` are the edges of the first cells (ITK takes cells unless told otherwise); the origin is
/// the centre of the first voxel.
fn centre_of_first(header: &Header<'_>, spatial: &[usize], columns: &[[f64; 3]; 3]) -> [f64; 3] {
    let (Some(text), None) =
        (header.get("axis mins").or_else(|| header.get("axismins")), header.get("space directions"))
    else {
        return [0.0; 3];
    };
    let mins: Vec<Option<f64>> = text.split_whitespace().map(|v| v.parse().ok()).collect();
    let nodes = header.get("centers").or_else(|| header.get("centerings")).unwrap_or_default();
    let nodes: Vec<bool> = nodes.split_whitespace().map(|word| word == "node").collect();
    let mut origin = [0.0; 3];
    for (n, &axis) in spatial.iter().enumerate() {
        let half = if nodes.get(axis) == Some(&true) { 0.0 } else { columns[n][n] / 2.0 };
        let least = mins.get(axis).copied().flatten().filter(|v| v.is_finite());
        origin[n] = least.map_or(0.0, |least| least + half);
    }
    origin
}

/// 3D Slicer's `SegmentN_Name`, `_LabelValue` and `_Layer`.
fn segment_names(header: &Header<'_>, layer: usize) -> BTreeMap<u16, String> {
    let mut names = BTreeMap::new();
    for n in 0..=u16::MAX {
        let of = |what: &str| header.pairs.get(&format!("Segment{n}_{what}"));
        let Some(name) = of("Name") else { break };
        let number = |what: &str| of(what).and_then(|v| v.trim().parse::<u16>().ok());
        if usize::from(number("Layer").unwrap_or(0)) == layer {
            names.insert(number("LabelValue").unwrap_or(n + 1), name.trim().to_owned());
        }
    }
    names
}
