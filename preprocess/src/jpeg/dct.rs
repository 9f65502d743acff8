//! Scans of DCT coefficients, sequential and progressive (ISO 10918-1 annexes F and G), and the way
//! from coefficients to full-size components.

use super::bits::{Bits, Huffman};
use super::fault::{Fault, broken};
use super::frame::{Frame, Kind, Scan, ScanComponent, Tables};
use super::{idct, upsample};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;

const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Coefficients of one component, in blocks padded to whole MCUs.
struct Plane {
    blocks_across: usize,
    blocks: Vec<[i16; 64]>,
    scanned: bool,
}

/// The coefficients of a frame, in row order within each block.
pub(super) struct Coefficients {
    planes: Vec<Plane>,
    mcus_across: usize,
    mcus_down: usize,
}

/// What carries over from block to block in a scan.
struct State {
    /// DC predictions by component.
    previous: [i32; 4],
    /// Blocks that are still without new coefficients (progressive).
    end_of_band: u32,
}

impl Coefficients {
    pub(super) fn new(frame: &Frame) -> Result<Self, MediaError> {
        let mcus_across = frame.width.div_ceil(8 * frame.h_max);
        let mcus_down = frame.height.div_ceil(8 * frame.v_max);
        let planes = frame.components.iter().map(|c| {
            let blocks_across = mcus_across * c.h;
            let blocks = filled(blocks_across * mcus_down * c.v, [0; 64])?;
            Ok(Plane { blocks_across, blocks, scanned: false })
        });
        Ok(Self { planes: planes.collect::<Result<_, MediaError>>()?, mcus_across, mcus_down })
    }

    /// Decodes a scan.
    pub(super) fn scan(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        tables: &Tables,
        data: &[u8],
    ) -> Result<(), Fault> {
        let mut bits = Bits::new(data);
        let mut state = State { previous: [0; 4], end_of_band: 0 };
        let alone = match scan.components.as_slice() {
            [one] => frame.components.get(one.index).map(|c| (*one, c)),
            _ => None,
        };
        // A scan of one component has no padding to whole MCUs (A.2.2).
        let (across, down) = match alone {
            Some((_, c)) => (c.width.div_ceil(8), c.height.div_ceil(8)),
            None => (self.mcus_across, self.mcus_down),
        };
        for unit in 0..across * down {
            if tables.restart_interval > 0 && unit > 0 && unit % tables.restart_interval == 0 {
                bits.restart()?;
                state = State { previous: [0; 4], end_of_band: 0 };
            }
            let (row, column) = (unit / across, unit % across);
            if let Some((component, _)) = alone {
                self.block(frame, scan, tables, component, row, column, &mut bits, &mut state)?;
            } else {
                for &component in &scan.components {
                    let Some(c) = frame.components.get(component.index) else { continue };
                    for (v, h) in (0..c.v).flat_map(|v| (0..c.h).map(move |h| (v, h))) {
                        let (y, x) = (row * c.v + v, column * c.h + h);
                        self.block(frame, scan, tables, component, y, x, &mut bits, &mut state)?;
                    }
                }
            }
            bits.check()?;
        }
        for component in &scan.components {
            if let Some(plane) = self.planes.get_mut(component.index) {
                plane.scanned = true;
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the block's place, its tables and the running state")]
    fn block(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        tables: &Tables,
        component: ScanComponent,
        row: usize,
        column: usize,
        bits: &mut Bits<'_>,
        state: &mut State,
    ) -> Result<(), Fault> {
        let undefined = || broken("SOS", "a table that was not defined");
        let plane = self.planes.get_mut(component.index).ok_or_else(undefined)?;
        let at = row * plane.blocks_across + column;
        let block = plane.blocks.get_mut(at).ok_or_else(|| broken("scan", "a block outside the picture"))?;
        let dc = || tables.dc.get(component.dc).and_then(Option::as_ref).ok_or_else(undefined);
        let ac = || tables.ac.get(component.ac).and_then(Option::as_ref).ok_or_else(undefined);
        let previous = &mut state.previous[component.index.min(3)];
        if frame.kind == Kind::Sequential {
            block[0] = dc_value(bits, dc()?, previous)? as i16;
            return first_ac(bits, ac()?, block, (1, 63, 0), None);
        }
        match (scan.start, scan.high) {
            (0, 0) => block[0] = (dc_value(bits, dc()?, previous)? << scan.low) as i16,
            (0, _) => block[0] |= (bits.take(1) << scan.low) as i16,
            (_, 0) => {
                let band = (scan.start, scan.end, scan.low);
                first_ac(bits, ac()?, block, band, Some(&mut state.end_of_band))?;
            }
            _ => refine_ac(bits, ac()?, block, scan, &mut state.end_of_band)?,
        }
        Ok(())
    }

    /// Full-size components.
    pub(super) fn finish(self, frame: &Frame, tables: &Tables) -> Result<Vec<Vec<u16>>, Fault> {
        if self.planes.iter().any(|p| !p.scanned) {
            return Err(broken("SOS", "a component has no scan"));
        }
        let mut done = Vec::with_capacity(self.planes.len());
        for (plane, component) in self.planes.into_iter().zip(&frame.components) {
            let table = tables.quantisers.get(component.quantiser).and_then(Option::as_ref);
            let table = table.ok_or_else(|| broken("DQT", "a table that was not defined"))?;
            let mut factors = [0u16; 64];
            table.iter().zip(ZIGZAG).for_each(|(factor, place)| factors[usize::from(place)] = *factor);
            let stride = plane.blocks_across * 8;
            let mut samples = filled(plane.blocks.len() * 64, 0u16).map_err(Fault::Unwanted)?;
            let lines =
                samples.chunks_exact_mut(stride * 8).zip(plane.blocks.chunks_exact(plane.blocks_across));
            for (line, blocks) in lines {
                idct::block_line(blocks, &factors, frame.precision, line);
            }
            drop(plane);
            done.push(upsample::full_size(samples, stride, component, frame).map_err(Fault::Unwanted)?);
        }
        Ok(done)
    }
}

/// The place of the `k`th coefficient in coding order.
#[inline]
fn coefficient(block: &mut [i16; 64], k: usize) -> Option<&mut i16> {
    ZIGZAG.get(k).and_then(|place| block.get_mut(usize::from(*place)))
}

fn dc_value(bits: &mut Bits<'_>, table: &Huffman, previous: &mut i32) -> Result<i32, Fault> {
    let category = u32::from(bits.symbol(table)?);
    if category > 16 {
        return Err(broken("scan", "a DC difference of more than 16 bits"));
    }
    *previous = previous.wrapping_add(bits.signed(category));
    Ok(*previous)
}

/// Coefficients `band` of a block in their first scan, shifted by `low`. Only progressive scans can end
/// the band of further blocks, which `end_of_band` counts.
#[inline]
fn first_ac(
    bits: &mut Bits<'_>,
    table: &Huffman,
    block: &mut [i16; 64],
    (start, end, low): (usize, usize, u32),
    mut end_of_band: Option<&mut u32>,
) -> Result<(), Fault> {
    if let Some(blocks) = end_of_band.as_deref_mut().filter(|blocks| **blocks > 0) {
        *blocks -= 1;
        return Ok(());
    }
    let mut k = start;
    while k <= end {
        let (symbol, number) = bits.symbol_and_number(table)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                if let Some(blocks) = end_of_band {
                    *blocks = (1 << run) - 1 + bits.take(run);
                }
                break;
            }
            k += 16;
            continue;
        }
        k += run as usize;
        let slot = coefficient(block, k).ok_or_else(|| broken("scan", "a run beyond the block"))?;
        *slot = (number << low) as i16;
        k += 1;
    }
    Ok(())
}

fn refine_ac(
    bits: &mut Bits<'_>,
    table: &Huffman,
    block: &mut [i16; 64],
    scan: &Scan,
    end_of_band: &mut u32,
) -> Result<(), Fault> {
    let step = 1i16 << scan.low;
    let refine = |bits: &mut Bits<'_>, value: &mut i16| {
        if bits.take(1) == 1 && *value & step == 0 {
            *value = if *value > 0 { value.wrapping_add(step) } else { value.wrapping_sub(step) };
        }
    };
    let mut k = scan.start;
    if *end_of_band == 0 {
        while k <= scan.end {
            let symbol = bits.symbol(table)?;
            let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
            let mut new = 0;
            if size == 0 {
                if run < 15 {
                    *end_of_band = (1 << run) + bits.take(run);
                    break;
                }
            } else {
                new = if bits.take(1) == 1 { step } else { -step };
            }
            while k <= scan.end {
                let Some(value) = coefficient(block, k) else { break };
                k += 1;
                if *value != 0 {
                    refine(bits, value);
                } else if run == 0 {
                    *value = new;
                    break;
                } else {
                    run -= 1;
                }
            }
        }
    }
    if *end_of_band > 0 {
        for k in k..=scan.end {
            if let Some(value) = coefficient(block, k).filter(|v| **v != 0) {
                refine(bits, value);
            }
        }
        *end_of_band -= 1;
    }
    Ok(())
}
