//! MetaImage (`.mha`, `.mhd` with a raw or `.zraw` file), ITK's own format, read as SimpleITK does.

use super::elements::{Element, Layout, plausible, read_text, read_voxels, skip, verify};
use super::read::{ReadVolume, inside};
use crate::volume_facts::VolumeFacts;
use loupe_core::geometry::LpsFromIndex;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::{Modality, Volume};
use ndarray::Array3;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const FORMAT: &str = "MetaImage";

/// A header is text; longer ones are not real.
const LONGEST_HEADER: usize = 1 << 20;

fn field(name: &str, problem: impl Into<String>) -> MediaError {
    MediaError::Malformed { format: FORMAT, field: name.into(), problem: problem.into() }
}

/// True when `bytes` begin like a MetaImage header.
pub fn sniff(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(4096)];
    let text = String::from_utf8_lossy(start);
    let first =
        text.lines().next().and_then(|line| line.split_once('=')).map(|(key, _)| key.trim().to_owned());
    matches!(first.as_deref(), Some("ObjectType" | "NDims" | "Comment")) && text.contains("NDims")
}

/// Fields by lower-case name, and the bytes behind the header.
fn header(bytes: &[u8]) -> Result<(BTreeMap<String, String>, &[u8]), MediaError> {
    let mut fields = BTreeMap::new();
    let mut rest = bytes;
    while let Some(end) = rest.iter().take(LONGEST_HEADER).position(|&b| b == b'\n') {
        let line = String::from_utf8_lossy(&rest[..end]);
        rest = &rest[end + 1..];
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim().to_owned());
        let last = key == "elementdatafile";
        fields.insert(key, value);
        if last {
            return Ok((fields, rest));
        }
        if bytes.len() - rest.len() > LONGEST_HEADER {
            break;
        }
    }
    // The last line of an .mhd file may lack its line end.
    let line = String::from_utf8_lossy(&rest[..rest.len().min(LONGEST_HEADER)]);
    match line.split_once('=') {
        Some((key, value)) if key.trim().eq_ignore_ascii_case("ElementDataFile") => {
            fields.insert("elementdatafile".into(), value.trim().to_owned());
            Ok((fields, &[]))
        }
        _ => Err(field("ElementDataFile", "is missing")),
    }
}

fn numbers(fields: &BTreeMap<String, String>, names: &[&str]) -> Result<Option<Vec<f64>>, MediaError> {
    for name in names {
        if let Some(text) = fields.get(&name.to_ascii_lowercase()) {
            let parsed: Option<Vec<f64>> =
                text.split_whitespace().map(|v| v.parse().ok().filter(|v: &f64| v.is_finite())).collect();
            return parsed.map(Some).ok_or_else(|| field(name, "holds something that is not a number"));
        }
    }
    Ok(None)
}

/// A field that is true or false. ITK takes the first letter or digit; other words mean nothing.
fn truth(fields: &BTreeMap<String, String>, name: &str) -> Result<Option<bool>, MediaError> {
    let Some(word) = fields.get(&name.to_ascii_lowercase()) else { return Ok(None) };
    match word.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" => Ok(Some(true)),
        "false" | "f" | "0" | "no" | "n" => Ok(Some(false)),
        _ => Err(field(name, "is neither True nor False")),
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
    let (fields, local) = header(bytes)?;
    let dims = match numbers(&fields, &["NDims"])?.as_deref() {
        Some([n]) if [2.0, 3.0, 4.0].contains(n) => *n as usize,
        _ => return Err(field("NDims", "is not 2, 3 or 4")),
    };
    let sizes: Vec<u64> = match numbers(&fields, &["DimSize"])? {
        Some(v) if v.len() == dims && v.iter().all(|s| *s >= 1.0 && s.fract() == 0.0) => {
            v.iter().map(|s| *s as u64).collect()
        }
        _ => return Err(field("DimSize", format!("does not hold {dims} positive numbers"))),
    };
    limits.pixels(&sizes)?;
    let side = |n: usize| sizes.get(n).map_or(1, |s| *s as usize);
    let (size, frames) = ([side(0), side(1), side(2)], side(3));
    if frame >= frames {
        return Err(MediaError::View(format!(
            "frame {frame} was asked for, but the MetaImage file has {frames}"
        )));
    }
    let element = element(&fields)?;
    let count = size[0] * size[1] * size[2];
    let frame_bytes = limits.memory(count, element.size())? as u64;
    let before = frame_bytes * frame as u64;
    let name = fields.get("elementdatafile").map(String::as_str).unwrap_or_default();
    let outer;
    let mut data: &[u8] = if name.eq_ignore_ascii_case("local") {
        local
    } else if name.eq_ignore_ascii_case("list") || name.contains('%') {
        return Err(MediaError::Unsupported {
            what: "MetaImage with one file a slice".into(),
            hint: "save it as one .mha file".into(),
        });
    } else {
        let folder =
            folder.ok_or_else(|| field("ElementDataFile", "names a second file, which is not at hand"))?;
        outer = limits.read_file(&inside(folder, name)?)?;
        &outer
    };
    let packed = truth(&fields, "CompressedData")?.unwrap_or(false);
    let text = truth(&fields, "BinaryData")? == Some(false);
    let big = [truth(&fields, "BinaryDataByteOrderMSB")?, truth(&fields, "ElementByteOrderMSB")?];
    let read = if text { count.saturating_mul(frame + 1) } else { count };
    limits.together(&[(bytes.len() + data.len(), 1), (read, size_of::<f32>())])?;
    match numbers(&fields, &["HeaderSize"])?.and_then(|v| v.first().copied()).map(|v| v as i64) {
        None | Some(0) => {}
        Some(skip @ 1..) => {
            data = data.get(skip as usize..).ok_or_else(|| field("HeaderSize", "is larger than the file"))?;
        }
        // The voxels end where the file does.
        Some(-1) if !packed && !text => {
            let need = limits.memory(count.saturating_mul(frames), element.size())?;
            let start = data.len().checked_sub(need);
            let start = start.ok_or_else(|| field("HeaderSize", "is -1, but the file is too short"))?;
            data = data.get(start..).unwrap_or_default();
        }
        Some(other) => return Err(field("HeaderSize", format!("is {other}"))),
    }
    let layout = Layout { element, big_endian: big.contains(&Some(true)), slope: 1.0, inter: 0.0 };
    let values = if text {
        if matches!(element, Element::Rgb | Element::Rgba) {
            return Err(MediaError::Unsupported {
                what: "MetaImage with colours as text".into(),
                hint: "save it with BinaryData = True".into(),
            });
        }
        read_text(data, count * (frame + 1), FORMAT, limits)?.split_off(count * frame)
    } else {
        plausible(before + frame_bytes, data.len(), packed, FORMAT)?;
        let mut stream: Box<dyn Read> =
            if packed { Box::new(flate2::read::ZlibDecoder::new(data)) } else { Box::new(data) };
        skip(&mut stream, before, FORMAT)?;
        let values = read_voxels(&mut stream, count, layout, FORMAT, limits)?;
        if packed {
            verify(&mut stream, FORMAT, limits)?;
        }
        values
    };
    let voxels = Array3::from_shape_vec((size[2], size[1], size[0]), values)
        .map_err(|e| field("DimSize", e.to_string()))?;
    let mut notes: Vec<String> = element.note().map(str::to_owned).into_iter().collect();
    let lps_from_index = geometry(&fields, dims, &mut notes)?;
    Ok(ReadVolume {
        volume: Volume { voxels, lps_from_index, modality: modality(&fields) },
        frames,
        facts: VolumeFacts::of_window(None),
        stored_type: element.name(),
        label_names: BTreeMap::new(),
        notes,
    })
}

fn element(fields: &BTreeMap<String, String>) -> Result<Element, MediaError> {
    let name = fields.get("elementtype").map(String::as_str).unwrap_or_default();
    let channels =
        numbers(fields, &["ElementNumberOfChannels"])?.and_then(|v| v.first().copied()).unwrap_or(1.0);
    let name = name.strip_suffix("_ARRAY").unwrap_or(name);
    let element = match name {
        "MET_UCHAR" => Element::U8,
        "MET_CHAR" => Element::I8,
        "MET_USHORT" => Element::U16,
        "MET_SHORT" => Element::I16,
        "MET_UINT" | "MET_ULONG" => Element::U32,
        "MET_INT" | "MET_LONG" => Element::I32,
        "MET_ULONG_LONG" => Element::U64,
        "MET_LONG_LONG" => Element::I64,
        "MET_FLOAT" => Element::F32,
        "MET_DOUBLE" => Element::F64,
        _ => return Err(field("ElementType", format!("{name:.20} is not a number type of the format"))),
    };
    match (element, channels) {
        (element, 1.0) => Ok(element),
        (Element::U8, 3.0) => Ok(Element::Rgb),
        (Element::U8, 4.0) => Ok(Element::Rgba),
        _ => Err(MediaError::Unsupported {
            what: format!("MetaImage with {channels} channels of {}", element.name()),
            hint: "save one channel, or RGB as unsigned bytes".into(),
        }),
    }
}

/// `TransformMatrix` lists the direction of axis 0, then 1, then 2, in LPS.
fn geometry(
    fields: &BTreeMap<String, String>,
    dims: usize,
    notes: &mut Vec<String>,
) -> Result<LpsFromIndex, MediaError> {
    let expect = |found: Option<Vec<f64>>, count: usize, name: &str| match found {
        Some(v) if v.len() != count => {
            Err(field(name, format!("holds {} numbers, expected {count}", v.len())))
        }
        other => Ok(other),
    };
    let spacing = expect(numbers(fields, &["ElementSpacing", "ElementSize"])?, dims, "ElementSpacing")?;
    let origin = expect(numbers(fields, &["Offset", "Position", "Origin"])?, dims, "Offset")?;
    let matrix = expect(
        numbers(fields, &["TransformMatrix", "Rotation", "Orientation"])?,
        dims * dims,
        "TransformMatrix",
    )?;
    if matrix.is_none() {
        notes.push("no TransformMatrix: axes taken as patient axes".into());
    }
    let spacing = |n: usize| spacing.as_ref().and_then(|s| s.get(n).copied()).unwrap_or(1.0);
    let axis = |n: usize| {
        [0, 1, 2].map(|r| match &matrix {
            Some(m) if n < dims && r < dims => m[n * dims + r] * spacing(n),
            _ => f64::from(n == r) * spacing(n),
        })
    };
    let origin = [0, 1, 2].map(|r| origin.as_ref().and_then(|o| o.get(r).copied()).unwrap_or(0.0));
    Ok(LpsFromIndex::from_columns(axis(0), axis(1), axis(2), origin))
}

fn modality(fields: &BTreeMap<String, String>) -> Modality {
    match fields.get("modality").map(String::as_str) {
        Some("MET_MOD_CT") => Modality::Ct,
        Some("MET_MOD_MR") => Modality::Mr,
        Some("MET_MOD_US") => Modality::Us,
        _ => Modality::Other,
    }
}
