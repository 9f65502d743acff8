//! Builds DICOM files for tests, element by element.

use loupe_dicom::{Tag, VR, tags};

pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const BIG: &str = "1.2.840.10008.1.2.2";
pub(crate) const RLE: &str = "1.2.840.10008.1.2.5";

/// A data set under construction.
#[derive(Clone, Default)]
pub(crate) struct Set(pub(crate) Vec<(Tag, VR, Contents)>);

#[derive(Clone)]
pub(crate) enum Contents {
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Items(Vec<Set>),
    Fragments(Vec<Vec<u8>>),
}

impl Set {
    pub(crate) fn text(mut self, tag: Tag, vr: VR, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        if bytes.len() % 2 == 1 {
            bytes.push(if vr == VR::UI { 0 } else { b' ' });
        }
        self.put(tag, vr, Contents::Bytes(bytes));
        self
    }

    pub(crate) fn shorts(mut self, tag: Tag, values: &[u16]) -> Self {
        self.put(tag, VR::US, Contents::Shorts(values.to_vec()));
        self
    }

    pub(crate) fn words(mut self, tag: Tag, values: &[u16]) -> Self {
        self.put(tag, VR::OW, Contents::Shorts(values.to_vec()));
        self
    }

    pub(crate) fn bytes(mut self, tag: Tag, vr: VR, values: &[u8]) -> Self {
        self.put(tag, vr, Contents::Bytes(values.to_vec()));
        self
    }

    pub(crate) fn items(mut self, tag: Tag, items: Vec<Set>) -> Self {
        self.put(tag, VR::SQ, Contents::Items(items));
        self
    }

    pub(crate) fn fragments(mut self, fragments: Vec<Vec<u8>>) -> Self {
        self.put(tags::PIXEL_DATA, VR::OB, Contents::Fragments(fragments));
        self
    }

    pub(crate) fn put(&mut self, tag: Tag, vr: VR, contents: Contents) {
        self.0.retain(|(t, ..)| *t != tag);
        self.0.push((tag, vr, contents));
        self.0.sort_by_key(|(t, ..)| *t);
    }

    /// The data set's bytes in a transfer syntax.
    pub(crate) fn encode(&self, syntax: &str) -> Vec<u8> {
        let (explicit, big) = (syntax != IMPLICIT, syntax == BIG);
        let mut out = Vec::new();
        let u16b = |v: u16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let u32b = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        for (tag, vr, contents) in &self.0 {
            out.extend(u16b(tag.0));
            out.extend(u16b(tag.1));
            let (body, length) = match contents {
                Contents::Bytes(bytes) => (bytes.clone(), bytes.len() as u32),
                Contents::Shorts(values) => {
                    let body: Vec<u8> = values.iter().flat_map(|v| u16b(*v)).collect();
                    (body.clone(), body.len() as u32)
                }
                Contents::Items(items) => {
                    let mut body = Vec::new();
                    for item in items {
                        let inner = item.encode(syntax);
                        body.extend(u16b(0xFFFE));
                        body.extend(u16b(0xE000));
                        body.extend(u32b(inner.len() as u32));
                        body.extend(inner);
                    }
                    (body.clone(), body.len() as u32)
                }
                Contents::Fragments(fragments) => {
                    let mut body = vec![0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0];
                    for fragment in fragments {
                        let mut fragment = fragment.clone();
                        if fragment.len() % 2 == 1 {
                            fragment.push(0);
                        }
                        body.extend([0xFE, 0xFF, 0x00, 0xE0]);
                        body.extend((fragment.len() as u32).to_le_bytes());
                        body.extend(fragment);
                    }
                    body.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
                    (body, u32::MAX)
                }
            };
            if explicit {
                out.extend(vr.to_bytes());
                if matches!(vr, VR::OB | VR::OW | VR::OF | VR::OD | VR::SQ | VR::UN | VR::UT) {
                    out.extend([0, 0]);
                    out.extend(u32b(length));
                } else {
                    out.extend(u16b(length as u16));
                }
            } else {
                out.extend(u32b(length));
            }
            out.extend(body);
        }
        out
    }

    /// A whole file with preamble and meta information.
    pub(crate) fn file(&self, syntax: &str) -> Vec<u8> {
        let meta = Set::default().text(tags::TRANSFER_SYNTAX_UID, VR::UI, syntax).encode(EXPLICIT);
        let mut out = vec![0; 128];
        out.extend(b"DICM");
        out.extend(meta);
        out.extend(self.encode(syntax));
        out
    }
}

/// A grey image of 16-bit words.
pub(crate) fn grey(rows: u16, columns: u16, bits_stored: u16, signed: bool, values: &[u16]) -> Set {
    Set::default()
        .text(tags::MODALITY, VR::CS, "CT")
        .shorts(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .shorts(tags::ROWS, &[rows])
        .shorts(tags::COLUMNS, &[columns])
        .shorts(tags::BITS_ALLOCATED, &[16])
        .shorts(tags::BITS_STORED, &[bits_stored])
        .shorts(tags::HIGH_BIT, &[bits_stored - 1])
        .shorts(tags::PIXEL_REPRESENTATION, &[u16::from(signed)])
        .words(tags::PIXEL_DATA, values)
}

/// A colour image of bytes.
pub(crate) fn colour(rows: u16, columns: u16, photometric: &str, values: &[u8]) -> Set {
    Set::default()
        .shorts(tags::SAMPLES_PER_PIXEL, &[3])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric)
        .shorts(tags::PLANAR_CONFIGURATION, &[0])
        .shorts(tags::ROWS, &[rows])
        .shorts(tags::COLUMNS, &[columns])
        .shorts(tags::BITS_ALLOCATED, &[8])
        .shorts(tags::BITS_STORED, &[8])
        .shorts(tags::HIGH_BIT, &[7])
        .shorts(tags::PIXEL_REPRESENTATION, &[0])
        .bytes(tags::PIXEL_DATA, VR::OB, values)
}
