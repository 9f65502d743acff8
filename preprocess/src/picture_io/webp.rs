//! What the container of a WebP file (RIFF) says besides the picture.

/// Frames of an animation; 1 without any. The first is what is shown.
pub(super) fn frames(bytes: &[u8]) -> usize {
    let (mut rest, mut count) = (bytes.get(12..).unwrap_or_default(), 0);
    while let Some(([n0, n1, n2, n3, l0, l1, l2, l3], data)) = rest.split_first_chunk::<8>() {
        count += usize::from([*n0, *n1, *n2, *n3] == *b"ANMF");
        let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
        // Chunks have an even length.
        rest = data.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
    count.max(1)
}
