//! Questions made from annotated regions: detection sets have images and boxes but no words.

use super::files::{Root, Split};
use super::row::sample;
use crate::listed::Listed;
use loupe_core::{Box2, DataError, Labelled, MediaRef, Sample, Source, Target};
use std::collections::BTreeMap;

/// The option that every detection set has.
pub(crate) const OPTIONS: &[(&str, &str)] = &[("image", "one question an image for all labels together")];

/// An image with its boxes.
pub(crate) struct Annotated {
    pub(crate) id: String,
    pub(crate) media: MediaRef,
    pub(crate) group: String,
    pub(crate) boxes: Vec<Region>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A box of an image, or why its place cannot be read: a finding whose place is unknown is not the absence of
/// a finding, so that every question about its label fails with that reason.
pub(crate) struct Region {
    pub(crate) label: String,
    /// Who marked it, where a set has several readers.
    pub(crate) reader: Option<String>,
    pub(crate) at: Result<Box2<Source>, DataError>,
}

impl Region {
    pub(crate) fn new(label: impl Into<String>, at: Result<Box2<Source>, DataError>) -> Self {
        Self { label: label.into(), reader: None, at }
    }

    fn labelled(self) -> Result<Labelled<Box2<Source>>, DataError> {
        Ok(Labelled { picture: 0, label: self.label, at: self.at?, reader: self.reader })
    }
}

/// The opened set: one question a label of an image, or one an image when the split says `:image`.
/// An image without boxes is asked for anything abnormal, so that false alarms count.
pub(crate) fn listed(root: &Root, split: &Split, images: Vec<Result<Annotated, DataError>>) -> Listed {
    let mut samples = Vec::new();
    if split.has("image") {
        let readable = images.iter().flatten();
        let mut labels: Vec<String> =
            readable.flat_map(|i| i.boxes.iter().map(|b| b.label.clone())).collect();
        labels.sort();
        labels.dedup();
        let question = format!("Draw a box around each of these and name it: {}.", labels.join(", "));
        samples.extend(images.into_iter().map(|image| whole(image?, question.clone())));
    } else {
        for image in images {
            match image {
                Ok(image) => samples.extend(by_label(image)),
                Err(error) => samples.push(Err(error)),
            }
        }
    }
    root.listed(split, samples)
}

fn whole(image: Annotated, question: String) -> Result<Sample, DataError> {
    let Annotated { id, media, group, boxes, mut tags } = image;
    tags.insert("n_boxes".to_owned(), boxes.len().to_string());
    let boxes = boxes.into_iter().map(Region::labelled).collect::<Result<_, DataError>>()?;
    Ok(Sample { media: vec![media], question, target: Target::Boxes(boxes), group, tags, ..sample(id) })
}

fn by_label(image: Annotated) -> Vec<Result<Sample, DataError>> {
    if image.boxes.is_empty() {
        return vec![whole(image, "Draw a box around anything abnormal.".to_owned())];
    }
    let Annotated { id, media, group, boxes, tags } = image;
    let mut labels: Vec<(String, Vec<Region>)> = Vec::new();
    for region in boxes {
        match labels.iter_mut().find(|(label, _)| *label == region.label) {
            Some((_, all)) => all.push(region),
            None => labels.push((region.label.clone(), vec![region])),
        }
    }
    let make = |(label, boxes): (String, Vec<Region>)| {
        let mut tags = tags.clone();
        tags.insert("label".to_owned(), label.clone());
        let image = Annotated {
            id: format!("{id}:{label}"),
            media: media.clone(),
            group: group.clone(),
            boxes,
            tags,
        };
        whole(image, format!("Draw a box around each {label}."))
    };
    labels.into_iter().map(make).collect()
}

/// A box with its label, of the sample's only image.
pub(crate) fn labelled(label: impl Into<String>, at: Box2<Source>) -> Labelled<Box2<Source>> {
    Labelled { picture: 0, label: label.into(), at, reader: None }
}
