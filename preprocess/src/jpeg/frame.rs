//! What the headers of a stream say.

use super::bits::Huffman;

/// What a frame header announces, before anything is decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) components: usize,
    /// Bits a sample.
    pub(crate) precision: u32,
}

/// A component of the frame header.
#[derive(Debug, Clone, Default)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) h: usize,
    pub(super) v: usize,
    pub(super) quantiser: usize,
    /// Blocks or samples a line and lines, without and with the padding to whole MCUs.
    pub(super) width: usize,
    pub(super) height: usize,
}

/// What a frame header declares.
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) precision: u32,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    pub(super) h_max: usize,
    pub(super) v_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sequential,
    Progressive,
    Lossless,
}

impl Frame {
    pub(super) fn header(&self) -> Header {
        let Self { width, height, precision, components, .. } = self;
        Header { width: *width, height: *height, components: components.len(), precision: *precision }
    }
}

/// A component's tables in a scan.
#[derive(Clone, Copy)]
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// A scan header.
pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    /// Spectral selection; the predictor in lossless mode.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Successive approximation; the point transform in lossless mode.
    pub(super) high: u32,
    pub(super) low: u32,
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    pub(super) quantisers: [Option<[u16; 64]>; 4],
    pub(super) restart_interval: usize,
}
