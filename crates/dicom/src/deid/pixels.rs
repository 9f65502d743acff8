//! Bytes in pixel and waveform data that are no samples.

use crate::object::{Dataset, Slice, Value};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Cuts off what stands behind the last frame, and blanks comments inside codestreams. True when something was cut off.
pub(super) fn clean(data: &mut Dataset) -> bool {
    let wanted = [
        (tags::PIXEL_DATA, data.number(tags::BITS_ALLOCATED)),
        (tags::FLOAT_PIXEL_DATA, Some(32.0)),
        (tags::DOUBLE_FLOAT_PIXEL_DATA, Some(64.0)),
    ];
    let mut cut = false;
    for (tag, bits) in wanted {
        let size = bits.and_then(|bits| frames(data, bits));
        cut |= size.is_some_and(|size| cut_off(data, tag, size));
    }
    if let Some(Value::Fragments(fragments)) = data.get_mut(tags::PIXEL_DATA).map(|e| &mut e.value) {
        for fragment in fragments.iter_mut().skip(1) {
            if let Some(clean) = without_comments(fragment.bytes()) {
                *fragment = Slice::owned(clean);
            }
        }
    }
    if let Some(Value::Items(groups)) = data.get_mut(tags::WAVEFORM_SEQUENCE).map(|e| &mut e.value) {
        for group in groups {
            let parts = [
                group.number(tags::NUMBER_OF_WAVEFORM_CHANNELS),
                group.number(tags::NUMBER_OF_WAVEFORM_SAMPLES),
                group.number(tags::WAVEFORM_BITS_ALLOCATED),
            ];
            if let Some(size) = bytes(parts) {
                cut |= cut_off(group, tags::WAVEFORM_DATA, size);
            }
        }
    }
    cut
}

/// Bytes of all frames that are not compressed.
fn frames(data: &Dataset, bits: f64) -> Option<usize> {
    let samples = match data.text(tags::PHOTOMETRIC_INTERPRETATION).as_deref() {
        Some("YBR_FULL_422" | "YBR_PARTIAL_422") => 2.0,
        Some("YBR_PARTIAL_420") => 1.5,
        _ => data.number(tags::SAMPLES_PER_PIXEL).unwrap_or(1.0),
    };
    let frames = data.number(tags::NUMBER_OF_FRAMES).unwrap_or(1.0).max(1.0);
    let area = data.number(tags::ROWS)? * data.number(tags::COLUMNS)?;
    bytes([Some(area * samples), Some(frames), Some(bits)])
}

fn bytes(parts: [Option<f64>; 3]) -> Option<usize> {
    let bits: f64 = parts.into_iter().product::<Option<f64>>()?;
    (bits > 0.0 && bits < 1e15).then_some((bits / 8.0).ceil() as usize)
}

fn cut_off(data: &mut Dataset, tag: Tag, size: usize) -> bool {
    let Some(Value::Bytes(slice)) = data.get_mut(tag).map(|e| &mut e.value) else { return false };
    // A value has an even number of bytes; in words of the other byte order the last one is not the one that was added.
    let size = size.next_multiple_of(2);
    if slice.bytes().len() <= size {
        return false;
    }
    *slice = Slice::owned(slice.bytes().get(..size).unwrap_or_default().to_vec());
    true
}

/// A JPEG, JPEG-LS or JPEG 2000 codestream whose comments and foreign application data are blanks, of the same length; `None` when
/// there are none.
fn without_comments(stream: &[u8]) -> Option<Vec<u8>> {
    let (mut at, jpeg) = match stream {
        [0xFF, 0xD8, 0xFF, ..] => (2, true),
        [0xFF, 0x4F, 0xFF, 0x51, ..] => (2, false),
        _ => return None,
    };
    let mut clean: Option<Vec<u8>> = None;
    while let Some(&[0xFF, mark, high, low]) =
        stream.get(at..at + 4).and_then(|b| <&[u8; 4]>::try_from(b).ok())
    {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let body = at + 4..at + 2 + length;
        // Start of scan, start of tile part: samples follow.
        if mark == if jpeg { 0xDA } else { 0x90 } || length < 2 || body.end > stream.len() {
            break;
        }
        let kept = match (jpeg, mark) {
            // What decoders need: JFIF, colour transforms of JPEG-LS and Adobe.
            (true, 0xE0) => 14,
            (true, 0xE8) => length,
            (true, 0xEE) if stream.get(body.clone()).is_some_and(|b| b.starts_with(b"Adobe")) => 12,
            (true, 0xE1..=0xEF | 0xFE) => 0,
            // The first two bytes say that text follows.
            (false, 0x64) => 2,
            _ => length,
        };
        if let Some(text) = stream.get((body.start + kept).min(body.end)..body.end).filter(|t| !t.is_empty())
        {
            let from = body.end - text.len();
            let copy = clean.get_or_insert_with(|| stream.to_vec());
            copy.get_mut(from..body.end).unwrap_or_default().fill(b' ');
        }
        at = body.end;
    }
    clean
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn comments_become_blanks_and_samples_stay() {
        let mut jpeg = vec![0xFF, 0xD8];
        jpeg.extend(b"\xFF\xFE\x00\x0ADoe^Jane");
        jpeg.extend(b"\xFF\xE1\x00\x06Jane");
        jpeg.extend(b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x01");
        jpeg.extend(b"\xFF\xDA\x00\x02\xFF\xFE\x00\x0ADoe^Jane");
        let clean = without_comments(&jpeg).unwrap();
        assert_eq!(clean.len(), jpeg.len());
        // What looks like a comment among the samples is samples.
        assert_eq!(clean.windows(3).filter(|w| w == b"Doe").count(), 1);
        assert!(!clean.windows(4).take(24).any(|w| w == b"Jane") && clean.windows(5).any(|w| w == b"Adobe"));
        let j2k = b"\xFF\x4F\xFF\x51\x00\x04ab\xFF\x64\x00\x08\x00\x01Jane\xFF\x90";
        assert_eq!(
            without_comments(j2k).unwrap(),
            b"\xFF\x4F\xFF\x51\x00\x04ab\xFF\x64\x00\x08\x00\x01    \xFF\x90"
        );
        assert_eq!(without_comments(b"\xFF\xD8\xFF\xDA\x00\x02"), None);
    }
}
