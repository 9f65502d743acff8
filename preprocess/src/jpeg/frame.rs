//! What the headers of a stream say.

use super::bits::Huffman;
use loupe_core::media::MediaError;

/// What a frame header announces, before anything is decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) components: usize,
    /// Bits a sample.
    pub(crate) precision: u32,
}

/// Who takes the picture, line by line from above.
pub(crate) trait Lines {
    /// The next line: a row of samples of each component, all as wide as the picture.
    ///
    /// # Errors
    /// When there is no memory.
    fn line(&mut self, components: &[&[u16]]) -> Result<(), MediaError>;
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

    /// MCUs across and down.
    pub(super) fn mcus(&self) -> (usize, usize) {
        (self.width.div_ceil(8 * self.h_max), self.height.div_ceil(8 * self.v_max))
    }
}

/// A component's tables in a scan.
#[derive(Clone, Copy)]
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

impl ScanComponent {
    /// Those for DC and AC, where they were defined.
    pub(super) fn tables(self, tables: &Tables) -> (Option<&Huffman>, Option<&Huffman>) {
        (tables.dc.get(self.dc).and_then(Option::as_ref), tables.ac.get(self.ac).and_then(Option::as_ref))
    }
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
