//! Attributes by frame: functional groups (PS3.3 C.7.6.16) before the data set's own.

use crate::object::Dataset;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// The functional group `sequence` of frame `frame`, from 0: the frame's own item, else the shared
/// one. A frame without an item never takes its neighbour's.
pub fn group(data: &Dataset, frame: usize, sequence: Tag) -> Option<&Dataset> {
    let own = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(frame);
    let shared = data.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    own.and_then(|item| item.item(sequence)).or_else(|| shared.and_then(|item| item.item(sequence)))
}

/// The data set in which the attributes of the functional group `sequence` are found for `frame`:
/// the group, or the top level for objects without groups.
pub fn place(data: &Dataset, frame: usize, sequence: Tag) -> &Dataset {
    group(data, frame, sequence).unwrap_or(data)
}
