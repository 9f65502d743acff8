//! DICOM series in explicit little endian: CT, MR, CR and US images and, for the fundus, VL photographic
//! images, with their mandatory modules (PS3.3 A.3 CT, A.4 MR, A.2 CR, A.6 US, A.32.4 VL photographic;
//! PS3.10 for the file).

use crate::kind::Kind;
use crate::rng::mix;
use crate::study::Study;
use std::collections::BTreeMap;

/// Elements in the order of their tags.
struct Elements(BTreeMap<u32, (&'static str, Vec<u8>)>);

impl Elements {
    fn put(&mut self, tag: u32, vr: &'static str, bytes: Vec<u8>) {
        self.0.insert(tag, (vr, bytes));
    }

    /// Text, padded to an even length: UIDs with a zero byte, everything else with a space.
    fn text(&mut self, tag: u32, vr: &'static str, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(if vr == "UI" { 0 } else { b' ' });
        }
        self.put(tag, vr, bytes);
    }

    /// Numbers as decimal strings of at most 16 characters.
    fn decimals(&mut self, tag: u32, values: &[f64]) {
        let words: Vec<String> = values.iter().map(|v| decimal(*v)).collect();
        self.text(tag, "DS", &words.join("\\"));
    }

    fn short(&mut self, tag: u32, value: u16) {
        self.put(tag, "US", value.to_le_bytes().to_vec());
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (tag, (vr, bytes)) in &self.0 {
            out.extend(((tag >> 16) as u16).to_le_bytes());
            out.extend((*tag as u16).to_le_bytes());
            out.extend(vr.as_bytes());
            if matches!(*vr, "OB" | "OW" | "SQ" | "UN" | "UT") {
                out.extend([0, 0]);
                out.extend((bytes.len() as u32).to_le_bytes());
            } else {
                out.extend((bytes.len() as u16).to_le_bytes());
            }
            out.extend(bytes);
        }
        out
    }
}

/// A decimal string with six digits after the point at most, without trailing zeros.
fn decimal(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A UID under 2.25 (PS3.5 B.2) from the seed and what it names.
fn uid(seed: u64, what: u64) -> String {
    let high = mix(seed ^ mix(what));
    let low = mix(high ^ what.wrapping_add(1));
    format!("2.25.{}", u128::from(high) << 64 | u128::from(low))
}

/// One file a slice, in the order of the slices. `seed` makes the UIDs; it names no person.
pub fn dicom_series(study: &Study, seed: u64) -> Vec<Vec<u8>> {
    (0..study.slices.len()).map(|k| file(study, seed, k)).collect()
}

fn file(study: &Study, seed: u64, k: usize) -> Vec<u8> {
    let kind = study.kind;
    let (class, modality) = match kind {
        _ if kind.is_ct() => ("1.2.840.10008.5.1.4.1.1.2", "CT"),
        _ if kind.is_mr() => ("1.2.840.10008.5.1.4.1.1.4", "MR"),
        Kind::Ultrasound => ("1.2.840.10008.5.1.4.1.1.6.1", "US"),
        Kind::Fundus => ("1.2.840.10008.5.1.4.1.1.77.1.4", "XC"),
        _ => ("1.2.840.10008.5.1.4.1.1.1", "CR"),
    };
    let instance = uid(seed, 100 + k as u64);
    let mut meta = Elements(BTreeMap::new());
    meta.put(0x0002_0001, "OB", vec![0, 1]);
    meta.text(0x0002_0002, "UI", class);
    meta.text(0x0002_0003, "UI", &instance);
    meta.text(0x0002_0010, "UI", "1.2.840.10008.1.2.1");
    meta.text(0x0002_0012, "UI", "2.25.207437618253497816143986137158712946573");
    let meta = meta.encode();
    let mut length = Elements(BTreeMap::new());
    length.put(0x0002_0000, "UL", (meta.len() as u32).to_le_bytes().to_vec());

    let mut e = Elements(BTreeMap::new());
    e.text(0x0008_0005, "CS", "ISO_IR 100");
    e.text(
        0x0008_0008,
        "CS",
        match modality {
            "CT" => "ORIGINAL\\PRIMARY\\AXIAL",
            "MR" => "ORIGINAL\\PRIMARY\\OTHER",
            _ => "ORIGINAL\\PRIMARY",
        },
    );
    e.text(0x0008_0016, "UI", class);
    e.text(0x0008_0018, "UI", &instance);
    for tag in [0x0008_0020, 0x0008_0021, 0x0008_0022, 0x0008_0023] {
        e.text(tag, "DA", "20260101");
    }
    for tag in [0x0008_0030, 0x0008_0031, 0x0008_0032, 0x0008_0033] {
        e.text(tag, "TM", "120000");
    }
    e.text(0x0008_0050, "SH", "");
    e.text(0x0008_0060, "CS", modality);
    e.text(0x0008_0070, "LO", "loupe");
    e.text(0x0008_0090, "PN", "");
    e.text(0x0008_1030, "LO", "Phantom");
    e.text(0x0010_0010, "PN", "PHANTOM^");
    e.text(0x0010_0020, "LO", "PHANTOM");
    e.text(0x0010_0030, "DA", "");
    e.text(0x0010_0040, "CS", "O");
    e.text(0x0018_0015, "CS", &kind.region().to_uppercase());
    e.text(0x0020_000D, "UI", &uid(seed, 1));
    e.text(0x0020_000E, "UI", &uid(seed, 2));
    e.text(0x0020_0010, "SH", "1");
    e.text(0x0020_0011, "IS", "1");
    e.text(0x0020_0012, "IS", "1");
    e.text(0x0020_0013, "IS", &(k + 1).to_string());
    if kind.is_volume() {
        plane(&mut e, study, seed, k);
    }
    match modality {
        "CT" => e.decimals(0x0018_0060, &[120.0]),
        "MR" => {
            e.text(0x0018_0020, "CS", "SE");
            e.text(0x0018_0021, "CS", "NONE");
            e.text(0x0018_0022, "CS", "");
            e.text(0x0018_0023, "CS", "2D");
            let (tr, te) = if kind == Kind::MrT1 { (500.0, 12.0) } else { (4000.0, 95.0) };
            e.decimals(0x0018_0080, &[tr]);
            e.decimals(0x0018_0081, &[te]);
            e.text(0x0018_0091, "IS", "1");
        }
        "CR" => {
            e.text(0x0018_5101, "CS", "PA");
            e.decimals(0x0018_1164, &[study.pixel_mm(); 2]);
            e.text(0x0020_0020, "CS", "L\\F");
        }
        _ => {
            e.text(0x0020_0020, "CS", "");
            e.text(0x0028_2110, "CS", "00");
            if modality == "XC" {
                e.text(0x0020_0060, "CS", "");
                e.put(0x0040_0555, "SQ", Vec::new());
            }
        }
    }
    match modality {
        "US" | "XC" => picture(&mut e, study, k),
        _ => pixels(&mut e, study, k),
    }
    let mut out = vec![0u8; 128];
    out.extend(b"DICM");
    out.extend(length.encode());
    out.extend(meta);
    out.extend(e.encode());
    out
}

/// Frame of reference and image plane (PS3.3 C.7.4.1, C.7.6.2).
fn plane(e: &mut Elements, study: &Study, seed: u64, k: usize) {
    let lps = study.lps_from_index();
    e.text(0x0018_5100, "CS", "HFS");
    e.decimals(0x0018_0050, &[lps.spacing_mm()[2]]);
    e.decimals(0x0020_0032, &lps.apply([0.0, 0.0, k as f64]));
    e.decimals(0x0020_0037, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    e.text(0x0020_0052, "UI", &uid(seed, 3));
    e.text(0x0020_1040, "LO", "");
    e.decimals(0x0028_0030, &[study.pixel_mm(); 2]);
}

/// Image pixel of eight bits a sample, as the picture is shown.
fn picture(e: &mut Elements, study: &Study, k: usize) {
    let Ok(picture) = study.picture(k) else { return };
    let size = study.size() as u16;
    let colour = picture.channels() == 3;
    e.short(0x0028_0002, picture.channels() as u16);
    e.text(0x0028_0004, "CS", if colour { "RGB" } else { "MONOCHROME2" });
    if colour {
        e.short(0x0028_0006, 0);
    }
    e.short(0x0028_0010, size);
    e.short(0x0028_0011, size);
    e.short(0x0028_0100, 8);
    e.short(0x0028_0101, 8);
    e.short(0x0028_0102, 7);
    e.short(0x0028_0103, 0);
    let mut bytes = picture.pixels().to_vec();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    e.put(0x7FE0_0010, if colour { "OB" } else { "OW" }, bytes);
}

/// Image pixel, modality and VOI LUT (PS3.3 C.7.6.3, C.8.2.1, C.11.2). CT is stored in whole HU with
/// an intercept; MR and CR in thousandths.
fn pixels(e: &mut Elements, study: &Study, k: usize) {
    let kind = study.kind;
    let size = study.size() as u16;
    let window = kind.window();
    let (scale, offset) = if kind.is_ct() { (1.0, 1024.0) } else { (1000.0, 0.0) };
    e.short(0x0028_0002, 1);
    e.text(0x0028_0004, "CS", "MONOCHROME2");
    e.short(0x0028_0010, size);
    e.short(0x0028_0011, size);
    e.short(0x0028_0100, 16);
    e.short(0x0028_0101, 12);
    e.short(0x0028_0102, 11);
    e.short(0x0028_0103, 0);
    let unit = if kind.is_ct() { 1.0 } else { 1000.0 };
    e.decimals(0x0028_1050, &[window.centre * unit]);
    e.decimals(0x0028_1051, &[window.width * unit]);
    if kind.is_ct() {
        e.decimals(0x0028_1052, &[-1024.0]);
        e.decimals(0x0028_1053, &[1.0]);
        e.text(0x0028_1054, "LO", "HU");
    }
    let values = study.slices.get(k).map(|s| s.values.as_slice()).unwrap_or_default();
    let stored = |v: f32| ((v * scale + offset + 0.5).floor().clamp(0.0, 4095.0)) as u16;
    e.put(0x7FE0_0010, "OW", values.iter().flat_map(|&v| stored(v).to_le_bytes()).collect());
}
