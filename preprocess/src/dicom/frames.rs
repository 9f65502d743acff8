//! Where the bytes of each frame are (PS3.5 8.1, A.4).

use super::codec;
use super::format::{Format, Stored};
use loupe_core::media::MediaError;
use loupe_dicom::object::{Object, Slice, Value, malformed, unsupported, words};
use loupe_dicom::syntax::{self, Coding};
use loupe_dicom::{VR, tags};
use std::borrow::Cow;

/// The frames of an image, still encoded.
pub(super) struct Frames {
    /// How they are encoded.
    pub coding: Coding,
    /// Transfer syntax, for messages.
    pub syntax_name: &'static str,
    source: Source,
}

enum Source {
    /// All frames in one stretch of samples, least significant byte first.
    Native { bytes: Slice, swap: usize },
    /// The fragments of each frame.
    Fragments(Vec<Vec<Slice>>),
}

impl Frames {
    /// Finds the frames of `object`.
    ///
    /// # Errors
    /// Unknown or refused transfer syntaxes by name; pixel data that are too short or whose
    /// fragments cannot be assigned to frames.
    pub(super) fn find(object: &Object, format: &Format) -> Result<Self, MediaError> {
        let uid = object.transfer_syntax.as_str();
        let Some(&(_, syntax_name, coding)) = syntax::find(uid) else {
            return Err(unsupported(
                "a private or unknown transfer syntax",
                "convert the file to one of the standard's transfer syntaxes",
            ));
        };
        if coding == Coding::Refused {
            let what = format!("transfer syntax {syntax_name}");
            return Err(unsupported(what, "export the frames as images or as uncompressed DICOM"));
        }
        let tag = match format.stored {
            Stored::Integer => tags::PIXEL_DATA,
            Stored::Float => tags::FLOAT_PIXEL_DATA,
            Stored::Double => tags::DOUBLE_FLOAT_PIXEL_DATA,
        };
        let element = object.data.get(tag).ok_or_else(|| malformed(tag, "absent"))?;
        let source = match (&element.value, coding) {
            (Value::Bytes(bytes), Coding::Native) => {
                let swap = match (object.data.big_endian, element.vr, format.bits_allocated) {
                    (false, ..) => 1,
                    // In words of 16 bits, two 8-bit samples stand in each.
                    (true, VR::OW, 1 | 8) => 2,
                    (true, _, allocated) => usize::from(allocated.div_ceil(8)),
                };
                Source::Native { bytes: bytes.clone(), swap }
            }
            (Value::Fragments(fragments), coding) if coding != Coding::Native => {
                Source::Fragments(assign(object, fragments, format, coding)?)
            }
            (Value::Fragments(_), _) => {
                return Err(malformed(
                    tag,
                    format!("encapsulated, but the transfer syntax is {syntax_name}"),
                ));
            }
            (Value::Bytes(_), _) => {
                return Err(malformed(
                    tag,
                    format!("not encapsulated, but the transfer syntax is {syntax_name}"),
                ));
            }
            (Value::Items(_), _) => return Err(malformed(tag, "a sequence")),
        };
        Ok(Self { coding, syntax_name, source })
    }

    /// Bytes of all frames as they are in the file.
    pub(super) fn total_bytes(&self) -> usize {
        match &self.source {
            Source::Native { bytes, .. } => bytes.bytes().len(),
            Source::Fragments(frames) => frames.iter().flatten().map(|f| f.bytes().len()).sum(),
        }
    }

    /// The bytes of frame `index`: samples for native coding (starting at the returned bit of the
    /// first byte), a codestream otherwise.
    ///
    /// # Errors
    /// When the data end before the frame does. A frame is never filled up.
    pub(super) fn bytes(&self, index: usize, format: &Format) -> Result<(Cow<'_, [u8]>, usize), MediaError> {
        match &self.source {
            Source::Native { bytes, swap } => {
                let frame_bits = format.frame_bits();
                let overflow = || malformed(tags::NUMBER_OF_FRAMES, "more than any file can hold");
                let first = frame_bits.checked_mul(index).ok_or_else(overflow)?;
                let end = first.checked_add(frame_bits).ok_or_else(overflow)?.div_ceil(8);
                let start = first / 8;
                let all = bytes.bytes();
                if *swap > 1 {
                    // Whole words are swapped, so the stretch is widened to them.
                    let (from, to) = (start / swap * swap, end.div_ceil(*swap) * swap);
                    let stretch = all.get(from..to).ok_or_else(|| too_short(all.len(), end, index))?;
                    let mut swapped = stretch.to_vec();
                    swapped.chunks_exact_mut(*swap).for_each(<[u8]>::reverse);
                    let part = swapped.get(start - from..end - from).unwrap_or_default().to_vec();
                    return Ok((Cow::Owned(part), first % 8));
                }
                let part = all.get(start..end).ok_or_else(|| too_short(all.len(), end, index))?;
                Ok((Cow::Borrowed(part), first % 8))
            }
            Source::Fragments(frames) => {
                let fragments = frames.get(index).ok_or_else(|| {
                    malformed(tags::PIXEL_DATA, format!("holds {} frames, not frame {index}", frames.len()))
                })?;
                match fragments.as_slice() {
                    [one] => Ok((Cow::Borrowed(one.bytes()), 0)),
                    many => Ok((Cow::Owned(many.iter().flat_map(|f| f.bytes()).copied().collect()), 0)),
                }
            }
        }
    }
}

fn too_short(got: usize, need: usize, index: usize) -> MediaError {
    malformed(tags::PIXEL_DATA, format!("{got} bytes, but frame {index} ends at byte {need}"))
}

/// Gives the fragments to the frames: by the extended or basic offset table, one each when the
/// numbers agree, all to the only frame, or by the start marks of the codestreams.
fn assign(
    object: &Object,
    fragments: &[Slice],
    format: &Format,
    coding: Coding,
) -> Result<Vec<Vec<Slice>>, MediaError> {
    let (table, fragments) = fragments
        .split_first()
        .ok_or_else(|| malformed(tags::PIXEL_DATA, "encapsulated without a basic offset table"))?;
    if fragments.is_empty() {
        return Err(malformed(tags::PIXEL_DATA, "encapsulated without a fragment"));
    }
    if fragments.len() == format.frames {
        return Ok(fragments.iter().map(|f| vec![f.clone()]).collect());
    }
    if format.frames == 1 {
        return Ok(vec![fragments.to_vec()]);
    }
    let extended = object.data.bytes(tags::EXTENDED_OFFSET_TABLE);
    let offsets: Vec<u64> = match extended {
        Some(bytes) => words::<8>(bytes, false).map(u64::from_le_bytes).collect(),
        None => words::<4>(table.bytes(), false).map(|b| u64::from(u32::from_le_bytes(b))).collect(),
    };
    // Offsets count from the first fragment's item tag; each item has eight bytes of header.
    let mut position = 0u64;
    let mut frames: Vec<Vec<Slice>> = Vec::new();
    for fragment in fragments {
        let starts = if offsets.is_empty() {
            frames.is_empty() || codec::starts_codestream(coding, fragment.bytes())
        } else {
            offsets.get(frames.len()) == Some(&position)
        };
        if starts {
            frames.push(Vec::new());
        }
        match frames.last_mut() {
            Some(frame) => frame.push(fragment.clone()),
            None => return Err(malformed(tags::PIXEL_DATA, "the offset table does not begin at a fragment")),
        }
        position += 8 + fragment.bytes().len() as u64;
    }
    if frames.len() != format.frames && object.truncated_in.is_none() {
        let problem = format!("{} frames found, {} declared", frames.len(), format.frames);
        return Err(malformed(tags::NUMBER_OF_FRAMES, problem));
    }
    Ok(frames)
}
