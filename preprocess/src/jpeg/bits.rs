//! Entropy-coded bits of JPEG and its Huffman tables (ISO 10918-1 annexes C and F).

use super::fault::{Fault, broken};

/// Bits decided by one look into a table.
const FAST: u32 = 10;

/// A symbol that the next `FAST` bits decide.
#[derive(Clone, Copy, Default)]
struct Known {
    symbol: u8,
    /// Bits of the code, 0 when it is longer than the look.
    length: u8,
}

/// A number of a block, how many places it lies behind the one before, and the bits that code both: one word, so
/// that one read brings it.
#[derive(Clone, Copy, Default)]
pub(super) struct Step(u32);

impl Step {
    /// Places to skip that mean the end of a block.
    pub(super) const END: usize = 64;

    /// The step of a symbol and its number; none for the symbols that end the bands of several blocks.
    fn of(symbol: u8, number: i32, bits: u32) -> Option<Self> {
        let skip = match symbol {
            0 => Self::END as u32,
            // Sixteen zeros: the last of them is written as if it were a number.
            0xF0 => 15,
            _ if symbol & 15 == 0 => return None,
            _ => u32::from(symbol >> 4),
        };
        Some(Self((number as u32) << 16 | skip << 8 | bits))
    }
    #[inline(always)]
    pub(super) fn number(self) -> i32 {
        self.0 as i32 >> 16
    }
    #[inline(always)]
    pub(super) fn skip(self) -> usize {
        (self.0 >> 8 & 0xFF) as usize
    }
    /// Zero where the table has no step for the bits.
    #[inline(always)]
    fn bits(self) -> u32 {
        self.0 & 0xFF
    }
}

/// A Huffman table ready for decoding.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next `FAST` bits.
    known: Box<[Known; 1 << FAST]>,
    /// By the same, where they hold the number as well.
    steps: Box<[Step; 1 << FAST]>,
    /// Largest code of each length, left-aligned in 16 bits; exclusive.
    limit: [u32; 18],
    /// Index of the first symbol of each length minus its first code.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the counts of codes of each length 1–16 and the symbols in order.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Fault> {
        let mut table = Self {
            known: Box::new([Known::default(); 1 << FAST]),
            steps: Box::new([Step::default(); 1 << FAST]),
            limit: [0; 18],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut at) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            table.offset[length as usize] = at as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(at).ok_or_else(|| broken("DHT", "too few symbols"))?;
                if code >= 1 << length {
                    return Err(broken("DHT", "more codes than their lengths allow"));
                }
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let slots = first..first + (1 << (FAST - length));
                    let known = table.known.get_mut(slots.clone()).unwrap_or_default();
                    known.fill(Known { symbol, length: length as u8 });
                    let size = u32::from(symbol & 15);
                    if length + size <= FAST {
                        let steps = table.steps.get_mut(slots).unwrap_or_default();
                        let alike = steps.chunks_exact_mut(1 << (FAST - length - size));
                        for (number, steps) in (0..).zip(alike) {
                            let step = Step::of(symbol, extended(number, size), length + size);
                            steps.fill(step.unwrap_or_default());
                        }
                    }
                }
                code += 1;
                at += 1;
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        table.limit[17] = u32::MAX;
        Ok(table)
    }
}

/// The number that `count` bits mean in the coding of ISO 10918-1 F.2.2.1 (EXTEND).
#[inline(always)]
fn extended(bits: u32, count: u32) -> i32 {
    let value = bits as i32;
    if count > 0 && value < 1 << (count - 1) { value - (1 << count) + 1 } else { value }
}

/// Reads bits, removing the zero that follows each 0xFF byte, up to the next marker. Loops over a block work on a
/// copy, which stays in registers; what is rare takes it by value and gives it back for the same reason.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits from the top; those behind the `available` ones are zero or what follows.
    buffer: u64,
    available: u32,
    /// Bits delivered that the stream does not have.
    missing: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, buffer: 0, available: 0, missing: 0 }
    }

    /// Bytes read, never beyond a marker.
    pub(super) fn used(&self) -> usize {
        self.at
    }

    /// Makes sure of 32 bits: a code and its number.
    #[inline(always)]
    fn fill(&mut self) {
        if self.available >= 32 {
            return;
        }
        // Eight bytes at once when none of them is 0xFF.
        if let Some(&eight) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_be_bytes(eight);
            let low = u64::from_ne_bytes([1; 8]);
            if (!word).wrapping_sub(low) & word & (low << 7) == 0 {
                self.buffer |= word >> self.available;
                self.at += (63 - self.available as usize) / 8;
                self.available |= 56;
                return;
            }
        }
        *self = self.filled_slowly();
    }

    #[inline(never)]
    fn filled_slowly(mut self) -> Self {
        while self.available <= 56 {
            let byte = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => {
                    self.missing += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.available);
            self.available += 8;
        }
        self
    }

    /// An error when more bits were used than there are.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.missing > self.available { Err(broken("scan", "ends early")) } else { Ok(()) }
    }

    #[inline(always)]
    fn next(&self) -> usize {
        (self.buffer >> (64 - FAST)) as usize
    }

    /// Leaves out bits that are there.
    #[inline(always)]
    fn pass(&mut self, count: u32) {
        self.buffer <<= count;
        self.available -= count;
    }

    /// The next `count` bits, at most 16.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        self.fill();
        let value = (self.buffer >> (64 - count)) as u32;
        self.pass(count);
        value
    }

    /// The next step of a block, or how many of the next bits say for how many blocks the band is at its end.
    #[inline(always)]
    pub(super) fn step(&mut self, table: &Huffman) -> Result<Result<Step, u32>, Fault> {
        self.fill();
        let step = table.steps[self.next()];
        if step.bits() > 0 {
            self.pass(step.bits());
            return Ok(Ok(step));
        }
        let symbol = self.symbol(table)?;
        // The bits of the number are there as well.
        let size = u32::from(symbol & 15);
        let number = if size == 0 { 0 } else { extended((self.buffer >> (64 - size)) as u32, size) };
        self.pass(size);
        Ok(Step::of(symbol, number, 0).ok_or(u32::from(symbol >> 4)))
    }

    /// The next symbol.
    #[inline(always)]
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Fault> {
        self.fill();
        let Known { symbol, length } = table.known[self.next()];
        if length > 0 {
            self.pass(u32::from(length));
            return Ok(symbol);
        }
        let (after, symbol) = self.long_symbol(table)?;
        *self = after;
        Ok(symbol)
    }

    #[inline(never)]
    fn long_symbol(mut self, table: &Huffman) -> Result<(Self, u8), Fault> {
        let look = (self.buffer >> 48) as u32;
        let mut length = FAST + 1;
        while length <= 16 && look >= table.limit[length as usize] {
            length += 1;
        }
        if length > 16 {
            self.check()?;
            return Err(broken("scan", "a code that is in no table"));
        }
        let code = (look >> (16 - length)) as i32 + table.offset[length as usize];
        self.pass(length);
        let symbol = usize::try_from(code).ok().and_then(|c| table.symbols.get(c));
        let symbol = symbol.copied().ok_or_else(|| broken("scan", "a code that is in no table"))?;
        Ok((self, symbol))
    }

    /// Moves behind the next restart marker.
    pub(super) fn restart(&mut self) -> Result<(), Fault> {
        self.check()?;
        (self.buffer, self.available, self.missing) = (0, 0, 0);
        while let Some(pair) = self.bytes.get(self.at..self.at + 2) {
            match pair {
                [0xFF, 0xD0..=0xD7] => {
                    self.at += 2;
                    return Ok(());
                }
                [0xFF, 0xFF] | [_, _] if pair[0] != 0xFF || pair[1] == 0xFF || pair[1] == 0 => self.at += 1,
                _ => break,
            }
        }
        Err(broken("scan", "a restart marker is missing"))
    }
}
