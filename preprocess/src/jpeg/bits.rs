//! Entropy-coded bits of JPEG and its Huffman tables (ISO 10918-1 annexes C and F).

use super::fault::{Fault, broken};

/// Bits decided by one look into the table.
const FAST: u32 = 10;

/// What the next `FAST` bits decide.
#[derive(Clone, Copy, Default)]
struct Look {
    symbol: u8,
    /// Bits of the code, 0 when it is longer than the look.
    length: u8,
    /// Bits of the code and of the number behind it, whose size is in the lower half of the symbol; 0 when both
    /// together are longer than the look, or there is no number.
    whole: u8,
    number: i16,
}

/// A Huffman table ready for decoding.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next `FAST` bits.
    fast: Vec<Look>,
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
            fast: vec![Look::default(); 1 << FAST],
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
                    let slots = table.fast.iter_mut().skip(first).take(1 << (FAST - length));
                    for (rest, slot) in slots.enumerate() {
                        *slot = Look { symbol, length: length as u8, ..Look::default() };
                        let size = u32::from(symbol & 15);
                        if size > 0 && length + size <= FAST {
                            let number = rest as u32 >> (FAST - length - size);
                            (slot.whole, slot.number) =
                                ((length + size) as u8, extended(number, size) as i16);
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
#[inline]
fn extended(bits: u32, count: u32) -> i32 {
    let value = bits as i32;
    if count > 0 && value < 1 << (count - 1) { value - (1 << count) + 1 } else { value }
}

/// Reads bits, removing the zero that follows each 0xFF byte, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    available: u32,
    /// Bits delivered that the stream does not have.
    missing: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, buffer: 0, available: 0, missing: 0 }
    }

    #[inline]
    fn refill(&mut self) {
        // Four bytes at once when none of them is 0xFF.
        if self.available <= 32
            && let Some(&[a, b, c, d]) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<4>)
            && a != 0xFF
            && b != 0xFF
            && c != 0xFF
            && d != 0xFF
        {
            self.buffer |= u64::from(u32::from_be_bytes([a, b, c, d])) << (32 - self.available);
            self.available += 32;
            self.at += 4;
            return;
        }
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
    }

    /// An error when more bits were used than there are.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.missing > self.available { Err(broken("scan", "ends early")) } else { Ok(()) }
    }

    /// The next `count` bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u32 {
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

    /// A number of `count` bits, [`extended`].
    #[inline]
    pub(super) fn signed(&mut self, count: u32) -> i32 {
        extended(self.take(count), count)
    }

    /// A symbol and the number behind it that has as many bits as the lower half of the symbol says.
    #[inline]
    pub(super) fn symbol_and_number(&mut self, table: &Huffman) -> Result<(u8, i32), Fault> {
        if self.available < 16 {
            self.refill();
        }
        let look = table.fast[(self.buffer >> (64 - FAST)) as usize];
        if look.whole > 0 {
            self.buffer <<= u32::from(look.whole);
            self.available -= u32::from(look.whole);
            return Ok((look.symbol, i32::from(look.number)));
        }
        let symbol = self.symbol(table)?;
        let size = u32::from(symbol & 15);
        Ok((symbol, self.signed(size)))
    }

    /// The next symbol.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Fault> {
        if self.available < 16 {
            self.refill();
        }
        let Look { symbol, length, .. } = table.fast[(self.buffer >> (64 - FAST)) as usize];
        if length > 0 {
            self.buffer <<= u32::from(length);
            self.available -= u32::from(length);
            return Ok(symbol);
        }
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
        self.buffer <<= length;
        self.available -= length;
        let symbol = usize::try_from(code).ok().and_then(|c| table.symbols.get(c));
        symbol.copied().ok_or_else(|| broken("scan", "a code that is in no table"))
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
