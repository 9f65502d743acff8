//! Values put into data sets.

use crate::object::{Dataset, Element, Slice, Value};
use crate::syntax::dictionary_vr;
use dicom_core::{Tag, VR};

/// Longest decimal string (PS3.5 table 6.2-1).
const LONGEST_DECIMAL: usize = 16;

impl Dataset {
    /// Text, as the dictionary has it; several values are separated by a backslash. It is stored as UTF-8, so a data set with more than
    /// ASCII declares `ISO_IR 192` as its Specific Character Set.
    pub fn put_text(&mut self, tag: Tag, text: &str) {
        self.put_bytes(tag, dictionary_vr(tag), text.as_bytes().to_vec());
    }

    /// Numbers as decimal strings (see [`decimal`]).
    pub fn put_decimals(&mut self, tag: Tag, values: &[f64]) {
        let words: Vec<String> = values.iter().map(|v| decimal(*v)).collect();
        self.put_text(tag, &words.join("\\"));
    }

    /// Unsigned 16-bit numbers, as `US`.
    pub fn put_shorts(&mut self, tag: Tag, values: &[u16]) {
        let big = self.big_endian;
        let bytes = values.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() });
        self.put_bytes(tag, VR::US, bytes.collect());
    }

    /// Unsigned 32-bit numbers, as `UL`.
    pub fn put_longs(&mut self, tag: Tag, values: &[u32]) {
        let big = self.big_endian;
        let bytes = values.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() });
        self.put_bytes(tag, VR::UL, bytes.collect());
    }

    /// Signed 32-bit numbers, as `SL`.
    pub fn put_signed_longs(&mut self, tag: Tag, values: &[i32]) {
        let big = self.big_endian;
        let bytes = values.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() });
        self.put_bytes(tag, VR::SL, bytes.collect());
    }

    /// Numbers of single precision, as `FL`.
    pub fn put_floats(&mut self, tag: Tag, values: &[f32]) {
        let big = self.big_endian;
        let bytes = values.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() });
        self.put_bytes(tag, VR::FL, bytes.collect());
    }

    /// Numbers of double precision, as `FD`.
    pub fn put_doubles(&mut self, tag: Tag, values: &[f64]) {
        let big = self.big_endian;
        let bytes = values.iter().flat_map(|v| if big { v.to_be_bytes() } else { v.to_le_bytes() });
        self.put_bytes(tag, VR::FD, bytes.collect());
    }

    /// Bytes in the data set's byte order, with a value representation of the caller's.
    pub fn put_bytes(&mut self, tag: Tag, vr: VR, bytes: Vec<u8>) {
        self.put(Element { tag, vr, value: Value::Bytes(Slice::owned(bytes)) });
    }

    /// A sequence.
    pub fn put_items(&mut self, tag: Tag, items: Vec<Dataset>) {
        self.put(Element { tag, vr: VR::SQ, value: Value::Items(items) });
    }
}

/// A decimal string of at most 16 characters: up to six digits after the point, without trailing zeros;
/// with an exponent where that would be too long or lose the number.
///
/// ```
/// use loupe_dicom::values::decimal;
/// assert_eq!([0.5, -0.0, 120.0, 1.0 / 3.0].map(decimal), ["0.5", "0", "120", "0.333333"]);
/// ```
pub fn decimal(value: f64) -> String {
    let plain = format!("{value:.6}");
    let plain = plain.trim_end_matches('0').trim_end_matches('.');
    match plain {
        // What is left of a sum that should be nothing.
        "-0" | "0" if value.abs() < 1e-12 => "0".to_owned(),
        "-0" | "0" => format!("{value:.8e}"),
        long if long.len() > LONGEST_DECIMAL => format!("{value:.8e}"),
        fits => fits.to_owned(),
    }
}
