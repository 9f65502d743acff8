//! Pictures whose every pixel follows from its place, and the simplest files of them.

use loupe_core::Picture;
use std::sync::Arc;

/// A picture with structure at every scale; the scripts beside the fixtures of `rethink` draw the same one.
pub fn picture(width: usize, height: usize, channels: usize) -> Arc<Picture> {
    let mut pixels = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                pixels.push(((x * 7 + y * 13 + c * 29 + (x * y) % 31) % 256) as u8);
            }
        }
    }
    Arc::new(Picture::new(width, height, channels, pixels).unwrap())
}

/// A 24-bit BMP file of a grey picture, rows from the bottom as the format has them.
pub fn bmp(width: usize, height: usize, level: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let stride = (width * 3).div_ceil(4) * 4;
    let mut out = b"BM".to_vec();
    for n in [54 + stride * height, 0, 54, 40, width, height] {
        out.extend((n as u32).to_le_bytes());
    }
    out.extend([1, 0, 24, 0]);
    out.extend([0; 24]);
    for y in (0..height).rev() {
        let start = out.len();
        (0..width).for_each(|x| out.extend([level(x, y); 3]));
        out.resize(start + stride, 0);
    }
    out
}

/// An 8-bit grey PNG file, stored without compression (RFC 1950 and 1951).
pub fn png(width: usize, height: usize, level: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    let mut rows = Vec::with_capacity((width + 1) * height);
    for y in 0..height {
        rows.push(0); // no filter
        rows.extend((0..width).map(|x| level(x, y)));
    }
    let mut data = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = rows.chunks(0xffff).collect();
    for (n, block) in blocks.iter().enumerate() {
        let length = block.len() as u16;
        data.push(u8::from(n + 1 == blocks.len()));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(*block);
    }
    let (a, b) = rows.iter().fold((1u32, 0u32), |(a, b), &v| {
        let a = (a + u32::from(v)) % 65521;
        (a, (b + a) % 65521)
    });
    data.extend((b << 16 | a).to_be_bytes());
    let mut header = Vec::new();
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, body) in [(b"IHDR", &header), (b"IDAT", &data), (b"IEND", &Vec::new())] {
        let named = [name.as_slice(), body].concat();
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(&named);
        out.extend(crc32(&named).to_be_bytes());
    }
    out
}

/// The checksum of PNG's chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_have_the_lengths_and_checksums_of_their_formats() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(bmp(5, 3, |_, _| 7).len(), 54 + 16 * 3);
        let file = png(300, 300, |x, y| (x + y) as u8);
        // Signature, three chunks of 12 bytes, the header's 13 bytes, zlib's 6, two stored blocks of 5 more.
        assert_eq!(file.len(), 8 + 36 + 13 + 6 + 10 + 301 * 300);
        assert_eq!(file[file.len() - 4..], [0xae, 0x42, 0x60, 0x82]);
    }
}
