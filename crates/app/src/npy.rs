//! Arrays for numpy.

/// A two-dimensional array of 32-bit numbers, in row order, in numpy's format (NEP 1, version 1.0).
pub(crate) fn npy([rows, columns]: [usize; 2], values: impl Iterator<Item = f32>) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Numbers begin at a multiple of 64 bytes.
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.into_bytes());
    out.extend(values.flat_map(f32::to_le_bytes));
    out
}
