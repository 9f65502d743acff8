//! What an object is made for: frame of reference and instances that it names.

use loupe_core::labels::CodedConcept;
use loupe_core::media::MediaError;
use loupe_dicom::charset::Charset;
use loupe_dicom::object::{Dataset, Value};
use loupe_dicom::{Tag, tags};
use std::collections::BTreeSet;

/// Deepest sequence that is searched for references; the parser has a bound of its own.
const DEEPEST: usize = 16;

/// Where an image or mask belongs. UIDs are compared and never shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Belonging {
    /// Frames of Reference (0020,0052) or (3006,0024); none where nothing is said.
    pub frames_of_reference: BTreeSet<String>,
    /// SOP Instance UIDs: its own of an image, those that it refers to of a mask.
    pub instances: BTreeSet<String>,
}

impl Belonging {
    /// What the mask `data` was made for.
    pub fn of_mask(data: &Dataset) -> Self {
        let mut found = Self::default();
        found
            .frames_of_reference
            .extend(data.text(tags::FRAME_OF_REFERENCE_UID).filter(|uid| !uid.is_empty()));
        gather(data, 0, &mut found);
        found
    }

    /// Does a mask that belongs here lie on an image that belongs to `image`? What has to be said about it, if
    /// anything.
    ///
    /// Instances are what counts: writers of structure sets are known to give a frame of reference of their own.
    ///
    /// # Errors
    /// When the mask is of something else.
    pub fn fits(&self, image: &Self) -> Result<Option<&'static str>, MediaError> {
        let known = |a: &BTreeSet<String>, b: &BTreeSet<String>| !a.is_empty() && !b.is_empty();
        let same_frame = known(&self.frames_of_reference, &image.frames_of_reference)
            .then(|| !self.frames_of_reference.is_disjoint(&image.frames_of_reference));
        let same_images =
            known(&self.instances, &image.instances).then(|| !self.instances.is_disjoint(&image.instances));
        match (same_images, same_frame) {
            (Some(true), Some(false)) => Ok(Some(
                "the mask names another frame of reference than the image, but it names the image's own instances",
            )),
            (Some(true), _) => Ok(None),
            (Some(false), Some(true)) => {
                Ok(Some("the mask was made for another series of the same frame of reference"))
            }
            (_, Some(true)) => Ok(None),
            (_, Some(false)) => Err(MediaError::View(
                "the mask belongs to another frame of reference than the image and names none of its instances: \
                 choose the series that it was made for"
                    .to_owned(),
            )),
            (Some(false), None) => Err(MediaError::View(
                "the mask names none of the image's instances, and no frame of reference says that they share one: \
                 choose the series that it was made for"
                    .to_owned(),
            )),
            (None, None) => {
                Ok(Some("nothing says which image the mask was made for: it is placed by position alone"))
            }
        }
    }
}

/// Gathers references anywhere in the sequences of a data set.
fn gather(data: &Dataset, depth: usize, found: &mut Belonging) {
    for element in data.elements() {
        if let (Value::Items(items), true) = (&element.value, depth < DEEPEST) {
            for item in items {
                found.instances.extend(item.text(tags::REFERENCED_SOP_INSTANCE_UID));
                let frames = [tags::FRAME_OF_REFERENCE_UID, tags::REFERENCED_FRAME_OF_REFERENCE_UID];
                let frames = frames.iter().filter_map(|tag| item.text(*tag));
                found.frames_of_reference.extend(frames.filter(|uid| !uid.is_empty()));
                gather(item, depth + 1, found);
            }
        }
    }
}

/// The first code of a sequence, with its meaning decoded.
pub(super) fn concept(data: &Dataset, sequence: Tag, charset: &Charset) -> Option<CodedConcept> {
    let item = data.item(sequence)?;
    let value = [tags::CODE_VALUE, tags::LONG_CODE_VALUE].iter().find_map(|tag| item.text(*tag))?;
    Some(CodedConcept {
        value,
        scheme: item.text(tags::CODING_SCHEME_DESIGNATOR).unwrap_or_default(),
        meaning: item.decoded(tags::CODE_MEANING, charset).unwrap_or_default(),
    })
}

/// A text of the file in `charset`, when it says something.
pub(super) fn said(data: &Dataset, tag: Tag, charset: &Charset) -> Option<String> {
    data.decoded(tag, charset).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn belonging(frame: &str, instances: &[&str]) -> Belonging {
        let set = |all: &[&str]| all.iter().filter(|t| !t.is_empty()).map(|t| (*t).to_owned()).collect();
        Belonging { frames_of_reference: set(&[frame]), instances: set(instances) }
    }

    #[test]
    fn a_mask_fits_by_instances_then_by_frame_of_reference() {
        let image = belonging("1", &["7", "8"]);
        let fits = |frame, instances: &[&str]| belonging(frame, instances).fits(&image);
        assert_eq!(fits("1", &["8", "9"]), Ok(None));
        assert_eq!(fits("1", &[]), Ok(None));
        assert_eq!(fits("", &["7"]), Ok(None));
        assert!(fits("2", &["7"]).unwrap().unwrap().contains("own instances"));
        assert!(fits("1", &["9"]).unwrap().unwrap().contains("another series"));
        assert!(fits("", &[]).unwrap().unwrap().contains("position alone"));
        assert!(fits("2", &[]).is_err() && fits("2", &["9"]).is_err() && fits("", &["9"]).is_err());
        // A research volume carries no UIDs.
        let plain = Belonging::default();
        assert!(belonging("1", &["7"]).fits(&plain).unwrap().unwrap().contains("position alone"));
    }
}
