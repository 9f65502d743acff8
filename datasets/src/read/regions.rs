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
    pub(crate) boxes: Vec<Labelled<Box2<Source>>>,
    pub(crate) tags: BTreeMap<String, String>,
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
        samples.extend(images.into_iter().map(|image| image.map(|image| whole(image, question.clone()))));
    } else {
        for image in images {
            match image {
                Ok(image) => samples.extend(by_label(image).into_iter().map(Ok)),
                Err(error) => samples.push(Err(error)),
            }
        }
    }
    root.listed(split, samples)
}

fn whole(image: Annotated, question: String) -> Sample {
    let Annotated { id, media, group, boxes, mut tags } = image;
    tags.insert("n_boxes".to_owned(), boxes.len().to_string());
    Sample { media: vec![media], question, target: Target::Boxes(boxes), group, tags, ..sample(id) }
}

fn by_label(image: Annotated) -> Vec<Sample> {
    if image.boxes.is_empty() {
        return vec![whole(image, "Draw a box around anything abnormal.".to_owned())];
    }
    let mut labels: Vec<&str> = Vec::new();
    for b in &image.boxes {
        if !labels.contains(&b.label.as_str()) {
            labels.push(&b.label);
        }
    }
    let make = |label: &str| {
        let boxes: Vec<_> = image.boxes.iter().filter(|b| b.label == label).cloned().collect();
        let mut tags = image.tags.clone();
        tags.insert("label".to_owned(), label.to_owned());
        tags.insert("n_boxes".to_owned(), boxes.len().to_string());
        Sample {
            media: vec![image.media.clone()],
            question: format!("Draw a box around each {label}."),
            target: Target::Boxes(boxes),
            group: image.group.clone(),
            tags,
            ..sample(format!("{}:{label}", image.id))
        }
    };
    labels.into_iter().map(make).collect()
}

/// A box with its label, of the sample's only image.
pub(crate) fn labelled(label: impl Into<String>, at: Box2<Source>) -> Labelled<Box2<Source>> {
    Labelled { picture: 0, label: label.into(), at, reader: None }
}
