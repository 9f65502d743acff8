//! JPEG-LS, lossless and near-lossless (ISO 14495-1 / ITU-T T.87), all three interleave modes.

use super::decoded::{Decoded, Expected, Words, damaged};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;
use loupe_dicom::object::unsupported;

fn broken(field: &str, problem: &str) -> MediaError {
    damaged("JPEG-LS", field, problem)
}

/// Order of the run-length code for each run index (the array J of A.2.1).
const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[derive(Clone, Copy)]
struct Presets {
    max: i32,
    t: [i32; 3],
    reset: i32,
}

/// Decodes one frame after checking its header against `expected`.
///
/// # Errors
/// Damage; mapping tables, restart intervals and colour transforms by name.
pub(super) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded, MediaError> {
    let mut at = 0;
    let mut header: Option<(u32, Vec<u8>)> = None;
    let mut preset: Option<[i32; 5]> = None;
    let mut samples: Vec<u16> = Vec::new();
    let mut seen = 0usize;
    let mut lossy = false;
    while let Some(&[mark_byte, mark]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<2>) {
        if mark_byte != 0xFF {
            at += 1;
            continue;
        }
        at += 2;
        match mark {
            0xD8 => continue,
            0xFF => {
                at -= 1;
                continue;
            }
            0xD9 => break,
            0..=0x7F => continue,
            _ => {}
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])).max(2),
            _ => return Err(broken("marker segment", "ends early")),
        };
        let segment = bytes.get(at + 2..at + length).ok_or_else(|| broken("marker segment", "ends early"))?;
        at += length;
        match (mark, segment) {
            (0xF7, [precision, y1, y0, x1, x0, count, rest @ ..]) => {
                let height = usize::from(u16::from_be_bytes([*y1, *y0]));
                let width = usize::from(u16::from_be_bytes([*x1, *x0]));
                let precision = u32::from(*precision);
                if !(2..=16).contains(&precision) {
                    return Err(broken("SOF55", "a precision outside 2 to 16"));
                }
                expected.check(width, height, usize::from(*count), precision)?;
                let ids: Vec<u8> =
                    rest.as_chunks::<3>().0.iter().map(|c| c[0]).take(usize::from(*count)).collect();
                if ids.len() != usize::from(*count) || rest.as_chunks::<3>().0.iter().any(|c| c[1] != 0x11) {
                    return Err(broken("SOF55", "too short, or subsampled components"));
                }
                samples = filled(width * height * ids.len(), 0)?;
                header = Some((precision, ids));
            }
            (0xF8, [1, rest @ ..]) => {
                let values: Vec<i32> =
                    rest.as_chunks::<2>().0.iter().map(|b| i32::from(u16::from_be_bytes(*b))).collect();
                preset = values.get(..5).and_then(|v| v.try_into().ok());
            }
            (0xF8, _) => {
                return Err(unsupported(
                    "JPEG-LS with mapping tables",
                    "convert the file to uncompressed DICOM",
                ));
            }
            (0xDD, segment) if segment.iter().any(|b| *b != 0) => {
                return Err(unsupported(
                    "JPEG-LS with restart intervals",
                    "convert the file to uncompressed DICOM",
                ));
            }
            (0xE8, segment) if segment.starts_with(b"mrfx") && segment.get(4).is_some_and(|t| *t != 0) => {
                return Err(unsupported(
                    "JPEG-LS with an HP colour transform",
                    "convert the file to uncompressed DICOM",
                ));
            }
            (0xDA, [count, rest @ ..]) => {
                let (precision, ids) =
                    header.as_ref().ok_or_else(|| broken("SOS", "before the frame header"))?;
                let count = usize::from(*count);
                let (selectors, tail) =
                    rest.split_at_checked(count * 2).ok_or_else(|| broken("SOS", "too short"))?;
                let &[near, interleave, point, ..] = tail else {
                    return Err(broken("SOS", "too short"));
                };
                let places: Option<Vec<usize>> = selectors
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|s| ids.iter().position(|id| *id == s[0]))
                    .collect();
                let places =
                    places.ok_or_else(|| broken("SOS", "a component that the frame does not have"))?;
                if places.is_empty()
                    || places.len() > 4
                    || (interleave == 0 && places.len() != 1)
                    || point != 0
                {
                    return Err(broken("SOS", "impossible components, interleaving or point transform"));
                }
                seen += places.len();
                lossy |= near > 0;
                let presets = presets(*precision, i32::from(near), preset)?;
                let shape = Shape { width: expected.width, height: expected.height, stride: ids.len() };
                let data = bytes.get(at..).unwrap_or_default();
                let mut scan = Scan::new(data, &presets, i32::from(near));
                scan.run(&shape, &places, interleave, &mut samples)?;
                let skip = data.windows(2).position(|w| w[0] == 0xFF && w[1] >= 0x80);
                at += skip.unwrap_or(data.len());
            }
            _ => {}
        }
    }
    let (precision, ids) = header.ok_or_else(|| broken("SOF55", "no frame header found"))?;
    if seen < ids.len() {
        return Err(broken("SOS", "a component has no scan"));
    }
    Ok(Decoded { values: Words::U16(samples), precision, ybr: None, lossy })
}

/// C.2.4.1.1: given or default parameters.
fn presets(precision: u32, near: i32, given: Option<[i32; 5]>) -> Result<Presets, MediaError> {
    let [max, t1, t2, t3, reset] = given.unwrap_or_default();
    let max = if max == 0 { (1 << precision) - 1 } else { max };
    if max >= 1 << precision || near > 255.min(max / 2) {
        return Err(broken("LSE", "impossible MAXVAL or NEAR"));
    }
    let fit = |value: i32, least: i32| if value > max || value < least { least } else { value };
    let defaults = if max >= 128 {
        let factor = (max.min(4095) + 128) >> 8;
        let d1 = fit(factor + 2 + 3 * near, near + 1);
        let d2 = fit(factor * 4 + 3 + 5 * near, d1);
        [d1, d2, fit(factor * 17 + 4 + 7 * near, d2)]
    } else {
        let factor = 256 / (max + 1);
        let d1 = fit((3 / factor + 3 * near).max(2), near + 1);
        let d2 = fit((7 / factor + 5 * near).max(3), d1);
        [d1, d2, fit((21 / factor + 7 * near).max(4), d2)]
    };
    let pick = |given: i32, default: i32| if given == 0 { default } else { given };
    let t = [pick(t1, defaults[0]), pick(t2, defaults[1]), pick(t3, defaults[2])];
    let reset = pick(reset, 64);
    if t[0] > t[1] || t[1] > t[2] || reset < 3 {
        return Err(broken("LSE", "impossible thresholds or reset"));
    }
    Ok(Presets { max, t, reset })
}

struct Shape {
    width: usize,
    height: usize,
    stride: usize,
}

/// Bits with JPEG-LS's stuffing: after a byte 0xFF the next one holds seven.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    available: u32,
    after_ff: bool,
    missing: u32,
}

impl Bits<'_> {
    fn refill(&mut self) {
        while self.available <= 48 {
            let (byte, width) = match self.bytes.get(self.at).copied() {
                Some(byte) if self.after_ff && byte >= 0x80 => {
                    // A marker: the scan is over.
                    self.missing += 8;
                    let _ = byte;
                    (0, 8)
                }
                Some(byte) => {
                    self.at += 1;
                    let width = if self.after_ff { 7 } else { 8 };
                    self.after_ff = byte == 0xFF;
                    (byte, width)
                }
                None => {
                    self.missing += 8;
                    (0, 8)
                }
            };
            self.buffer |= u64::from(byte) << (64 - width - self.available);
            self.available += width;
        }
    }

    #[inline]
    fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        if self.available < count {
            self.refill();
        }
        let value = (self.buffer >> (64 - count)) as u32;
        self.buffer <<= count;
        self.available -= count;
        value
    }

    /// Number of zero bits before the next one bit, which is consumed.
    #[inline]
    fn zeros(&mut self, limit: u32) -> Result<u32, MediaError> {
        let mut total = 0;
        loop {
            if self.available < 32 {
                self.refill();
            }
            let zeros = self.buffer.leading_zeros();
            if zeros < self.available {
                self.buffer <<= zeros + 1;
                self.available -= zeros + 1;
                return Ok(total + zeros);
            }
            total += self.available;
            (self.buffer, self.available) = (0, 0);
            if total > limit || self.missing > 64 {
                return Err(broken("scan", "ends early"));
            }
        }
    }
}

struct Scan<'a> {
    bits: Bits<'a>,
    presets: Presets,
    near: i32,
    range: i32,
    step: i32,
    qbpp: u32,
    limit: u32,
    a: [i32; 367],
    b: [i32; 365],
    c: [i32; 365],
    n: [i32; 367],
    nn: [i32; 2],
    /// Quantised gradients by difference, shifted to be an index.
    quantised: Vec<i8>,
}

/// Smallest number of bits that counts `values` values.
fn bits_for(values: i32) -> u32 {
    32 - (values - 1).max(0).leading_zeros()
}

impl<'a> Scan<'a> {
    fn new(data: &'a [u8], presets: &Presets, near: i32) -> Self {
        let range = (presets.max + 2 * near) / (2 * near + 1) + 1;
        let bpp = bits_for(presets.max + 1).max(2);
        let initial = ((range + 32) / 64).max(2);
        let [t1, t2, t3] = presets.t;
        let quantised = (-presets.max..=presets.max).map(|d| {
            let size = match d.abs() {
                s if s <= near => 0,
                s if s < t1 => 1,
                s if s < t2 => 2,
                s if s < t3 => 3,
                _ => 4,
            };
            if d < 0 { -size } else { size }
        });
        let mut n = [1; 367];
        n[365] = 1;
        Self {
            bits: Bits { bytes: data, at: 0, buffer: 0, available: 0, after_ff: false, missing: 0 },
            near,
            range,
            step: 2 * near + 1,
            qbpp: bits_for(range),
            limit: 2 * (bpp + bpp.max(8)),
            a: [initial; 367],
            b: [0; 365],
            c: [0; 365],
            n,
            nn: [0; 2],
            quantised: quantised.collect(),
            presets: *presets,
        }
    }

    fn run(
        &mut self,
        shape: &Shape,
        places: &[usize],
        interleave: u8,
        samples: &mut [u16],
    ) -> Result<(), MediaError> {
        let (width, count) = (shape.width, places.len());
        // Two lines a component, with a column more on each side.
        let mut above = vec![vec![0i32; width + 2]; count];
        let mut line = above.clone();
        let mut run_index = vec![0usize; count];
        for row in 0..shape.height {
            for (current, previous) in line.iter_mut().zip(&mut above) {
                std::mem::swap(current, previous);
                previous[width + 1] = previous[width];
                current[0] = previous[1];
            }
            if interleave == 2 && count > 1 {
                self.mixed_line(&mut line, &above, width, &mut run_index[0])?;
            } else {
                for ((current, previous), index) in line.iter_mut().zip(&above).zip(&mut run_index) {
                    self.line(current, previous, width, index)?;
                }
            }
            if self.bits.missing > self.bits.available {
                return Err(broken("scan", "ends early"));
            }
            let start = row * width * shape.stride;
            let out = samples.get_mut(start..start + width * shape.stride).unwrap_or_default();
            for (current, &place) in line.iter().zip(places) {
                let values = current.iter().skip(1).take(width);
                for (sample, value) in out.iter_mut().skip(place).step_by(shape.stride).zip(values) {
                    *sample = *value as u16;
                }
            }
        }
        Ok(())
    }

    /// Context and its sign from the neighbours (A.3).
    #[inline]
    fn context(&self, ra: i32, rb: i32, rc: i32, rd: i32) -> i32 {
        let q = |d: i32| self.quantised.get((d + self.presets.max) as usize).map_or(0, |v| i32::from(*v));
        81 * q(rd - rb) + 9 * q(rb - rc) + q(rc - ra)
    }

    fn line(
        &mut self,
        line: &mut [i32],
        above: &[i32],
        width: usize,
        run_index: &mut usize,
    ) -> Result<(), MediaError> {
        let mut x = 1;
        while x <= width {
            let (ra, rc, rb, rd) = (line[x - 1], above[x - 1], above[x], above[x + 1]);
            let context = self.context(ra, rb, rc, rd);
            if context != 0 {
                line[x] = self.regular(context, ra, rb, rc)?;
                x += 1;
                continue;
            }
            let length = self.run_length(width + 1 - x, run_index)?;
            line[x..x + length].fill(ra);
            x += length;
            if x > width {
                break;
            }
            let (ra, rb) = (line[x - 1], above[x]);
            line[x] = if (ra - rb).abs() <= self.near {
                let error = self.interruption(1, *run_index)?;
                self.reconstruct(ra, error)
            } else {
                let error = self.interruption(0, *run_index)?;
                self.reconstruct(rb, if ra > rb { -error } else { error })
            };
            *run_index = run_index.saturating_sub(1);
            x += 1;
        }
        Ok(())
    }

    /// Sample interleaving: one run for all components, whose interruption is always of type 0.
    fn mixed_line(
        &mut self,
        lines: &mut [Vec<i32>],
        above: &[Vec<i32>],
        width: usize,
        run_index: &mut usize,
    ) -> Result<(), MediaError> {
        let mut x = 1;
        while x <= width {
            let contexts: Vec<i32> = lines
                .iter()
                .zip(above)
                .map(|(l, a)| self.context(l[x - 1], a[x], a[x - 1], a[x + 1]))
                .collect();
            if contexts.iter().any(|c| *c != 0) {
                for ((line, above), context) in lines.iter_mut().zip(above).zip(contexts) {
                    line[x] = self.regular(context, line[x - 1], above[x], above[x - 1])?;
                }
                x += 1;
                continue;
            }
            let length = self.run_length(width + 1 - x, run_index)?;
            for line in lines.iter_mut() {
                let value = line[x - 1];
                line[x..x + length].fill(value);
            }
            x += length;
            if x > width {
                break;
            }
            for (line, above) in lines.iter_mut().zip(above) {
                let (ra, rb) = (line[x - 1], above[x]);
                let error = self.interruption(0, *run_index)?;
                line[x] = self.reconstruct(rb, if ra > rb { -error } else { error });
            }
            *run_index = run_index.saturating_sub(1);
            x += 1;
        }
        Ok(())
    }

    /// A.7.1: the length of a run, at most `rest`.
    fn run_length(&mut self, rest: usize, run_index: &mut usize) -> Result<usize, MediaError> {
        let mut length = 0;
        while self.bits.take(1) == 1 {
            let whole = 1usize << J[*run_index];
            let part = whole.min(rest - length);
            length += part;
            if part == whole {
                *run_index = (*run_index + 1).min(31);
            }
            if length == rest {
                return Ok(length);
            }
        }
        length += self.bits.take(J[*run_index]) as usize;
        // Equal to `rest` would leave no place for the sample that ended the run.
        if length >= rest { Err(broken("scan", "a run beyond the line")) } else { Ok(length) }
    }

    /// A.5.3: a limited Golomb code.
    #[inline]
    fn golomb(&mut self, k: u32, limit: u32) -> Result<i32, MediaError> {
        let high = self.bits.zeros(limit)?;
        if high >= limit.saturating_sub(self.qbpp + 1) {
            return Ok(self.bits.take(self.qbpp) as i32 + 1);
        }
        Ok(((high << k) | self.bits.take(k)) as i32)
    }

    /// A.4 to A.6: a sample in regular mode.
    #[inline]
    fn regular(&mut self, context: i32, ra: i32, rb: i32, rc: i32) -> Result<i32, MediaError> {
        let negative = context < 0;
        let q = context.unsigned_abs() as usize;
        let predicted = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let (a, b, n) = (self.a[q], self.b[q], self.n[q]);
        let correction = if negative { -self.c[q] } else { self.c[q] };
        let predicted = (predicted + correction).clamp(0, self.presets.max);
        let mut k = 0;
        while n << k < a && k < 24 {
            k += 1;
        }
        let mapped = self.golomb(k, self.limit)?;
        let mut error = if mapped & 1 == 0 { mapped >> 1 } else { -((mapped + 1) >> 1) };
        if self.near == 0 && k == 0 && 2 * b <= -n {
            error = -error - 1;
        }
        if error.abs() > 65536 {
            return Err(broken("scan", "a prediction error of more than 16 bits"));
        }
        let (mut a, mut b, mut n) = (a + error.abs(), b + error * self.step, n);
        if n == self.presets.reset {
            (a, b, n) = (a >> 1, b >> 1, n >> 1);
        }
        n += 1;
        if b <= -n {
            b = (b + n).max(-n + 1);
            self.c[q] = (self.c[q] - 1).max(-128);
        } else if b > 0 {
            b = (b - n).min(0);
            self.c[q] = (self.c[q] + 1).min(127);
        }
        (self.a[q], self.b[q], self.n[q]) = (a, b, n);
        Ok(self.reconstruct(predicted, if negative { -error } else { error }))
    }

    /// A.7.2: the error of the sample that ended a run.
    fn interruption(&mut self, kind: usize, run_index: usize) -> Result<i32, MediaError> {
        let q = 365 + kind;
        let (a, n, nn) = (self.a[q], self.n[q], self.nn[kind]);
        let goal = a + if kind == 1 { n >> 1 } else { 0 };
        let mut k = 0;
        while n << k < goal && k < 24 {
            k += 1;
        }
        let coded = self.golomb(k, self.limit.saturating_sub(J[run_index] + 1))?;
        let value = coded + kind as i32;
        let odd = value & 1;
        let size = (value + odd) / 2;
        let error = if (k != 0 || 2 * nn >= n) == (odd == 1) { -size } else { size };
        if size > 65536 {
            return Err(broken("scan", "a prediction error of more than 16 bits"));
        }
        let nn = nn + i32::from(error < 0);
        let a = a + ((coded + 1 - kind as i32) >> 1);
        let halve = u32::from(n == self.presets.reset);
        self.a[q] = a >> halve;
        self.n[q] = (n >> halve) + 1;
        self.nn[kind] = nn >> halve;
        Ok(error)
    }

    #[inline]
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let mut value = predicted + error * self.step;
        if value < -self.near {
            value += self.range * self.step;
        } else if value > self.presets.max + self.near {
            value -= self.range * self.step;
        }
        value.clamp(0, self.presets.max)
    }
}
