//! The lossless process (ISO 10918-1 annex H).

use super::bits::{Bits, Huffman, Step};
use super::fault::{Fault, broken};
use super::frame::{Frame, Lines, Scan, Tables};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;

/// Decodes a scan into `samples`, pixels interleaved; the bytes used.
pub(super) fn scan(
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    data: &[u8],
    samples: &mut Vec<u16>,
) -> Result<usize, Fault> {
    let count = frame.components.len();
    if frame.components.iter().any(|c| c.h != 1 || c.v != 1) {
        return Err(Fault::Process("lossless JPEG with subsampled components"));
    }
    if scan.start > 7 || scan.low >= frame.precision {
        return Err(broken("SOS", "impossible predictor or point transform"));
    }
    if samples.is_empty() {
        *samples = filled(frame.width * frame.height * count, 0).map_err(Fault::Unwanted)?;
    }
    let huffman = scan.components.iter().map(|c| tables.dc.get(c.dc).and_then(Option::as_ref));
    let huffman: Option<Vec<&Huffman>> = huffman.collect();
    let huffman = huffman.ok_or_else(|| broken("SOS", "a table that was not defined"))?;
    let interval = tables.restart_interval;
    if !interval.is_multiple_of(frame.width) {
        return Err(broken("DRI", "restarts inside a line of a lossless picture"));
    }
    let lines_an_interval = interval / frame.width;
    let mut bits = Bits::new(data);
    let mut fresh = true;
    let stride = frame.width * count;
    for row in 0..frame.height {
        if lines_an_interval > 0 && row > 0 && row % lines_an_interval == 0 {
            bits.restart()?;
            fresh = true;
        }
        let (before, from_here) = samples.split_at_mut(row * stride);
        let above = before.get(before.len().saturating_sub(stride)..).unwrap_or_default();
        let line = from_here.get_mut(..stride).unwrap_or_default();
        let first_line = fresh;
        fresh = false;
        if let ([table], 1) = (huffman.as_slice(), count) {
            grey_line(&mut bits, table, line, if first_line { &[] } else { above }, frame, scan)?;
        } else {
            let above = if first_line { &[] } else { above };
            mixed_line(&mut bits, &huffman, line, above, frame, scan)?;
        }
        bits.check()?;
    }
    if scan.low > 0 {
        let shift = scan.low;
        for component in &scan.components {
            samples.iter_mut().skip(component.index).step_by(count).for_each(|s| *s <<= shift);
        }
    }
    Ok(bits.used())
}

/// The lines of a picture whose pixels are interleaved.
pub(super) fn finish(frame: &Frame, samples: &[u16], to: &mut impl Lines) -> Result<(), MediaError> {
    let count = frame.components.len();
    let mut apart = filled(frame.width * count, 0)?;
    for pixels in samples.chunks_exact(frame.width * count) {
        if count == 1 {
            to.line(&[pixels])?;
            continue;
        }
        for (n, line) in apart.chunks_exact_mut(frame.width).enumerate() {
            line.iter_mut().zip(pixels.iter().skip(n).step_by(count)).for_each(|(to, from)| *to = *from);
        }
        to.line(&apart.chunks_exact(frame.width).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The difference that comes next (H.1.2.2); category 16 stands for 32768 and has no further bits.
#[inline(always)]
fn difference(bits: &mut Bits<'_>, table: &Huffman) -> Result<i32, Fault> {
    match bits.step(table)? {
        Ok(step) if matches!(step.skip(), 0 | Step::END) => Ok(step.number()),
        Err(1) => Ok(32768),
        _ => Err(broken("scan", "a difference of more than 16 bits")),
    }
}

/// Table H.1; `a` left, `b` above, `c` above left.
#[inline]
fn predict(selection: usize, a: i32, b: i32, c: i32) -> i32 {
    match selection {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        7 => (a + b) >> 1,
        _ => 0,
    }
}

/// One component: the common case.
fn grey_line(
    at: &mut Bits<'_>,
    table: &Huffman,
    line: &mut [u16],
    above: &[u16],
    frame: &Frame,
    scan: &Scan,
) -> Result<(), Fault> {
    let mut bits = *at;
    let start = 1i32 << (frame.precision - scan.low - 1);
    let mut left = above.first().map_or(start, |v| i32::from(*v));
    if above.is_empty() || scan.start == 1 {
        for sample in line {
            left = (left + difference(&mut bits, table)?) & 0xFFFF;
            *sample = left as u16;
        }
        *at = bits;
        return Ok(());
    }
    let mut corner = left;
    for (n, (sample, &up)) in line.iter_mut().zip(above).enumerate() {
        let up = i32::from(up);
        let prediction = if n == 0 { up } else { predict(scan.start, left, up, corner) };
        left = (prediction + difference(&mut bits, table)?) & 0xFFFF;
        corner = up;
        *sample = left as u16;
    }
    *at = bits;
    Ok(())
}

/// Several components, or one of several.
fn mixed_line(
    bits: &mut Bits<'_>,
    huffman: &[&Huffman],
    line: &mut [u16],
    above: &[u16],
    frame: &Frame,
    scan: &Scan,
) -> Result<(), Fault> {
    let count = frame.components.len();
    let start = 1i32 << (frame.precision - scan.low - 1);
    for column in 0..frame.width {
        for (component, table) in scan.components.iter().zip(huffman) {
            let at = column * count + component.index;
            let value = |samples: &[u16], at: usize| samples.get(at).map_or(0, |v| i32::from(*v));
            let prediction = match (column, above.is_empty()) {
                (0, true) => start,
                (0, false) => value(above, at),
                (_, true) => value(line, at - count),
                (_, false) => {
                    predict(scan.start, value(line, at - count), value(above, at), value(above, at - count))
                }
            };
            let decoded = (prediction + difference(bits, table)?) & 0xFFFF;
            if let Some(sample) = line.get_mut(at) {
                *sample = decoded as u16;
            }
        }
    }
    Ok(())
}
