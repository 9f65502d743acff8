//! Scans of DCT coefficients, sequential and progressive (ISO 10918-1 annexes F and G), and the way
//! from coefficients to full-size components.

use super::bands::Bands;
use super::bits::{Bits, Huffman, Step};
use super::fault::{Fault, broken};
use super::frame::{Component, Frame, Kind, Lines, Scan, ScanComponent, Tables};
use super::idct;
use loupe_core::limits::filled;
use loupe_core::media::MediaError;

pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Coefficients of one component, in blocks padded to whole MCUs.
struct Plane {
    blocks_across: usize,
    blocks: Vec<[i16; 64]>,
    /// Where in coding order a block has coefficients other than zero, besides the first.
    taken: Vec<u64>,
    scanned: bool,
}

/// The coefficients of a frame, in row order within each block.
pub(super) struct Coefficients {
    planes: Vec<Plane>,
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
        let (mcus_across, mcus_down) = frame.mcus();
        let planes = frame.components.iter().map(|c| {
            let blocks_across = mcus_across * c.h;
            let count = blocks_across * mcus_down * c.v;
            let (blocks, taken) = (filled(count, [0; 64])?, filled(count, 0)?);
            Ok(Plane { blocks_across, blocks, taken, scanned: false })
        });
        Ok(Self { planes: planes.collect::<Result<_, MediaError>>()? })
    }

    /// Decodes a scan; the bytes used.
    pub(super) fn scan(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        tables: &Tables,
        data: &[u8],
    ) -> Result<usize, Fault> {
        let mut bits = Bits::new(data);
        let mut state = State { previous: [0; 4], end_of_band: 0 };
        let alone = match scan.components.as_slice() {
            [one] => frame.components.get(one.index).map(|c| (*one, c)),
            _ => None,
        };
        // A scan of one component has no padding to whole MCUs (A.2.2).
        let (across, down) = match alone {
            Some((_, c)) => (c.width.div_ceil(8), c.height.div_ceil(8)),
            None => frame.mcus(),
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
        Ok(bits.used())
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
        let plane = self.planes.get_mut(component.index).ok_or_else(undefined)?;
        let at = row * plane.blocks_across + column;
        let outside = || broken("scan", "a block outside the picture");
        let block = plane.blocks.get_mut(at).ok_or_else(outside)?;
        let taken = plane.taken.get_mut(at).ok_or_else(outside)?;
        let (dc, ac) = component.tables(tables);
        let (dc, ac) = (|| dc.ok_or_else(undefined), || ac.ok_or_else(undefined));
        let previous = &mut state.previous[component.index.min(3)];
        if frame.kind == Kind::Sequential {
            block[0] = dc_value(bits, dc()?, previous)? as i16;
            *taken |= first_ac(bits, ac()?, block, (1, 63, 0), None)?;
            return Ok(());
        }
        match (scan.start, scan.high) {
            (0, 0) => block[0] = (dc_value(bits, dc()?, previous)? << scan.low) as i16,
            (0, _) => block[0] |= (bits.take(1) << scan.low) as i16,
            (_, 0) => {
                if state.end_of_band > 0 {
                    state.end_of_band -= 1;
                } else {
                    let band = (scan.start, scan.end, scan.low);
                    *taken |= first_ac(bits, ac()?, block, band, Some(&mut state.end_of_band))?;
                }
            }
            _ => refine_ac(bits, ac()?, block, taken, scan, &mut state.end_of_band)?,
        }
        Ok(())
    }

    /// The lines of the picture.
    pub(super) fn finish(self, frame: &Frame, tables: &Tables, to: &mut impl Lines) -> Result<(), Fault> {
        if self.planes.iter().any(|p| !p.scanned) {
            return Err(broken("SOS", "a component has no scan"));
        }
        let factors: Vec<_> =
            frame.components.iter().map(|c| factors(c, tables)).collect::<Result<_, _>>()?;
        let mut bands = Bands::new(frame).map_err(Fault::Unwanted)?;
        for row in 0..frame.mcus().1 {
            for (n, (plane, c)) in self.planes.iter().zip(&frame.components).enumerate() {
                let lines = plane.blocks.chunks_exact(plane.blocks_across);
                let lines = lines.zip(plane.taken.chunks_exact(plane.blocks_across)).skip(row * c.v);
                let band = bands.current(n);
                for ((blocks, taken), samples) in lines.zip(band.chunks_exact_mut(plane.blocks_across * 64)) {
                    idct::block_line(blocks, taken, &factors[n], frame.precision, samples);
                }
            }
            bands.send(to).map_err(Fault::Unwanted)?;
        }
        Ok(())
    }
}

/// Decodes the only scan of a sequential frame, sending lines as their blocks are complete; the bytes used.
pub(super) fn stream(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    data: &[u8],
    to: &mut impl Lines,
) -> Result<usize, Fault> {
    let parts = scan.components.iter().map(|&chosen| {
        let component = frame.components.get(chosen.index).ok_or_else(undefined)?;
        let (dc, ac) = chosen.tables(tables);
        let factors = factors(component, tables)?;
        Ok(Part {
            index: chosen.index,
            component,
            dc: dc.ok_or_else(undefined)?,
            ac: ac.ok_or_else(undefined)?,
            factors,
            previous: 0,
        })
    });
    let (across, down) = frame.mcus();
    let mut row = McuRow {
        across,
        precision: frame.precision,
        parts: parts.collect::<Result<_, Fault>>()?,
        bits: Bits::new(data),
        interval: tables.restart_interval,
        until_restart: tables.restart_interval,
        bands: Bands::new(frame).map_err(Fault::Unwanted)?,
    };
    let arch = pulp::Arch::new();
    for _ in 0..down {
        arch.dispatch(&mut row)?;
        row.bands.send(to).map_err(Fault::Unwanted)?;
    }
    Ok(row.bits.used())
}

/// A component in a scan that is decoded in one go.
struct Part<'a> {
    index: usize,
    component: &'a Component,
    dc: &'a Huffman,
    ac: &'a Huffman,
    factors: [i32; 64],
    /// DC prediction.
    previous: i32,
}

/// The next row of MCUs of such a scan.
struct McuRow<'a> {
    across: usize,
    precision: u32,
    parts: Vec<Part<'a>>,
    bits: Bits<'a>,
    /// MCUs between restarts, 0 for none, and how many of them are left.
    interval: usize,
    until_restart: usize,
    bands: Bands<'a>,
}

impl pulp::WithSimd for &mut McuRow<'_> {
    type Output = Result<(), Fault>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) -> Self::Output {
        for column in 0..self.across {
            if self.interval > 0 {
                if self.until_restart == 0 {
                    self.bits.restart()?;
                    self.parts.iter_mut().for_each(|part| part.previous = 0);
                    self.until_restart = self.interval;
                }
                self.until_restart -= 1;
            }
            for part in &mut self.parts {
                let Component { h, v, .. } = *part.component;
                let stride = self.across * h * 8;
                let band = self.bands.current(part.index);
                for (y, x) in (0..v).flat_map(|y| (0..h).map(move |x| (y, x))) {
                    let mut block = [0; 64];
                    block[0] = dc_value(&mut self.bits, part.dc, &mut part.previous)? as i16;
                    let taken = first_ac(&mut self.bits, part.ac, &mut block, (1, 63, 0), None)?;
                    let samples = band.get_mut(y * 8 * stride + (column * h + x) * 8..).unwrap_or_default();
                    idct::block(simd, &block, taken, &part.factors, self.precision, samples, stride);
                }
            }
            self.bits.check()?;
        }
        Ok(())
    }
}

/// The quantisation factors of a component in row order.
fn factors(component: &Component, tables: &Tables) -> Result<[i32; 64], Fault> {
    let table = tables.quantisers.get(component.quantiser).and_then(Option::as_ref);
    let table = table.ok_or_else(|| broken("DQT", "a table that was not defined"))?;
    let mut factors = [0; 64];
    table.iter().zip(ZIGZAG).for_each(|(factor, place)| factors[usize::from(place)] = i32::from(*factor));
    Ok(factors)
}

fn undefined() -> Fault {
    broken("SOS", "a table that was not defined")
}

#[inline(always)]
fn dc_value(bits: &mut Bits<'_>, table: &Huffman, previous: &mut i32) -> Result<i32, Fault> {
    match bits.step(table)? {
        // The lower half of the symbol is all of it, or all of it is 0.
        Ok(step) if matches!(step.skip(), 0 | Step::END) => *previous = previous.wrapping_add(step.number()),
        _ => return Err(broken("scan", "a DC difference of more than 15 bits")),
    }
    Ok(*previous)
}

/// Coefficients `band` of a block in their first scan, shifted by `low`; the places of those that are not zero. Only
/// progressive scans can end the band of further blocks, which `end_of_band` counts.
#[inline(always)]
fn first_ac(
    bits: &mut Bits<'_>,
    table: &Huffman,
    block: &mut [i16; 64],
    (start, end, low): (usize, usize, u32),
    end_of_band: Option<&mut u32>,
) -> Result<u64, Fault> {
    let mut here = *bits;
    let (mut k, mut taken) = (start, 0);
    while k <= end {
        let step = match here.step(table)? {
            Ok(step) => step,
            Err(run) => {
                if let Some(blocks) = end_of_band {
                    *blocks = (1 << run) - 1 + here.take(run);
                }
                break;
            }
        };
        let place = k + step.skip();
        let Some(natural) = ZIGZAG.get(place) else {
            if step.number() != 0 {
                return Err(broken("scan", "a run beyond the block"));
            }
            break;
        };
        block[usize::from(natural & 63)] = (step.number() << low) as i16;
        taken |= u64::from(step.number() != 0) << place;
        k = place + 1;
    }
    *bits = here;
    Ok(taken)
}

/// One bit more of the coefficients that are `taken`, and new ones in between.
fn refine_ac(
    bits: &mut Bits<'_>,
    table: &Huffman,
    block: &mut [i16; 64],
    taken: &mut u64,
    scan: &Scan,
    end_of_band: &mut u32,
) -> Result<(), Fault> {
    let step = 1i16 << scan.low;
    let mut here = *bits;
    let natural = |k: usize| usize::from(ZIGZAG[k & 63]);
    let refine = |bits: &mut Bits<'_>, value: &mut i16| {
        if bits.take(1) == 1 && *value & step == 0 {
            *value = if *value > 0 { value.wrapping_add(step) } else { value.wrapping_sub(step) };
        }
    };
    let mut k = scan.start;
    if *end_of_band == 0 {
        while k <= scan.end {
            let symbol = here.symbol(table)?;
            let (mut run, size) = (usize::from(symbol >> 4), symbol & 15);
            let mut new = 0;
            if size == 0 {
                if run < 15 {
                    *end_of_band = (1 << run) + here.take(run as u32);
                    break;
                }
            } else {
                new = if here.take(1) == 1 { step } else { -step };
            }
            // As many zeros are passed as the run says, and whatever else lies between them is refined.
            while k <= scan.end {
                let zeros = (*taken >> k).trailing_zeros() as usize;
                if run < zeros {
                    k += run;
                    if new != 0 && k <= scan.end {
                        block[natural(k)] = new;
                        *taken |= 1 << k;
                    }
                    k += 1;
                    break;
                }
                run -= zeros;
                k += zeros;
                if k <= scan.end {
                    refine(&mut here, &mut block[natural(k)]);
                }
                k += 1;
            }
        }
    }
    if *end_of_band > 0 {
        let band = u64::MAX << (k & 63) & u64::MAX >> (63 - scan.end.min(63));
        let mut left = *taken & band;
        while left != 0 {
            refine(&mut here, &mut block[natural(left.trailing_zeros() as usize)]);
            left &= left - 1;
        }
        *end_of_band -= 1;
    }
    *bits = here;
    Ok(())
}
