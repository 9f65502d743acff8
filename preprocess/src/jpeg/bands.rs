//! The lines between the inverse DCT and whoever takes the picture: those of one row of MCUs, and the last of the row
//! before, which smooth upsampling needs.

use super::frame::{Frame, Lines};
use super::upsample::{Rows, Scratch};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;

/// Samples of one component, `stride` a line: the last line of the row of MCUs before, then those of the current one.
struct Band {
    stride: usize,
    samples: Vec<u16>,
    scratch: Scratch,
}

pub(super) struct Bands<'a> {
    frame: &'a Frame,
    bands: Vec<Band>,
    /// Rows of MCUs, and lines of the picture, that were sent.
    rows: usize,
    lines: usize,
}

impl<'a> Bands<'a> {
    pub(super) fn new(frame: &'a Frame) -> Result<Self, MediaError> {
        let bands = frame.components.iter().map(|c| {
            let stride = frame.mcus().0 * c.h * 8;
            let samples = filled(stride * (c.v * 8 + 1), 0)?;
            Ok(Band { stride, samples, scratch: Scratch::new(c, frame)? })
        });
        Ok(Self { frame, bands: bands.collect::<Result<_, MediaError>>()?, rows: 0, lines: 0 })
    }

    /// Room for the next row of MCUs of a component.
    #[inline(always)]
    pub(super) fn current(&mut self, component: usize) -> &mut [u16] {
        let band = self.bands.get_mut(component);
        band.and_then(|band| band.samples.get_mut(band.stride..)).unwrap_or_default()
    }

    /// Sends what the current row of MCUs completes: the last of its lines has to wait for the row below.
    pub(super) fn send(&mut self, to: &mut impl Lines) -> Result<(), MediaError> {
        let frame = self.frame;
        let height = 8 * frame.v_max * (self.rows + 1);
        let until = if self.rows + 1 < frame.mcus().1 { height - 1 } else { frame.height };
        for y in self.lines..until {
            let rows = self.rows;
            let components = self.bands.iter_mut().zip(&frame.components).map(|(band, c)| {
                let Band { stride, samples, scratch } = band;
                Rows { samples, stride: *stride, first: rows * c.v * 8 }.line(y, c, frame, scratch)
            });
            to.line(&components.collect::<Vec<_>>())?;
        }
        self.lines = until;
        self.rows += 1;
        for band in &mut self.bands {
            let last = band.samples.len() - band.stride;
            band.samples.copy_within(last.., 0);
        }
        Ok(())
    }
}
