//! Questions made from masks: one a label of an image.

use super::files::{Root, Split};
use super::row::sample;
use crate::listed::Listed;
use loupe_core::{DataError, Labelled, MediaRef, Sample, Target};
use std::collections::BTreeMap;

/// An image with its mask files.
pub(crate) struct Masked {
    pub(crate) id: String,
    pub(crate) media: MediaRef,
    pub(crate) group: String,
    /// Label and mask.
    pub(crate) masks: Vec<(String, MediaRef)>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// The opened set: a sample for each label of each image, whose masks all have that label.
pub(crate) fn listed(root: &Root, split: &Split, images: Vec<Result<Masked, DataError>>) -> Listed {
    let mut samples = Vec::new();
    for image in images {
        match image {
            Ok(image) => samples.extend(by_label(image).into_iter().map(Ok)),
            Err(error) => samples.push(Err(error)),
        }
    }
    root.listed(split, samples)
}

/// A sample for each label.
pub(crate) fn by_label(image: Masked) -> Vec<Sample> {
    let Masked { id, media, group, masks, tags } = image;
    let mut labels: Vec<(String, Vec<MediaRef>)> = Vec::new();
    for (label, mask) in masks {
        match labels.iter_mut().find(|(l, _)| *l == label) {
            Some((_, masks)) => masks.push(mask),
            None => labels.push((label, vec![mask])),
        }
    }
    let make = |(label, masks): (String, Vec<MediaRef>)| {
        let mut tags = tags.clone();
        tags.insert("label".to_owned(), label.clone());
        let masks =
            masks.into_iter().map(|at| Labelled { picture: 0, label: label.clone(), at, reader: None });
        Sample {
            media: vec![media.clone()],
            question: format!("Outline the {}.", label.replace('_', " ")),
            target: Target::Masks(masks.collect()),
            group: group.clone(),
            tags,
            ..sample(format!("{id}:{label}"))
        }
    };
    labels.into_iter().map(make).collect()
}

/// The name of a file without folder and image ending (`.nii.gz` as one).
pub(crate) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
