//! Segmentations in COCO's JSON format: polygons and run lengths, made into masks when asked for.

use crate::entry::SetEntry;
use crate::listed::{Embedded, Listed};
use crate::read::coco::{self, Image};
use crate::read::{Root, Split, sample};
use loupe_core::{DataError, Labelled, MediaRef, MediaSource, Sample, Target};
use serde_json::Value;
use std::sync::Arc;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "coco-masks",
    title: "COCO: masks in a JSON file",
    citation: "Lin et al., ECCV 2014, arXiv:1405.0312",
    licence: "that of the set",
    splits: &["all", "test", "val", "train", "val2017", "train2017"],
    layout: "FILE.json, or annotations/instances_SPLIT.json (instances.json, annotations.json for all); images in \
             images/SPLIT/, SPLIT/, images/ or beside the file",
    metric: "Dice",
    open,
    ..SetEntry::BLANK
};

/// What one sample's masks are made from.
struct Outline {
    file: String,
    width: usize,
    height: usize,
    label: String,
    segmentations: Vec<Value>,
}

struct Outlines(Vec<Outline>);

impl Embedded for Outlines {
    fn complete(&self, row: usize, sample: &mut Sample) -> Result<(), DataError> {
        let Some(outline) = self.0.get(row) else { return Ok(()) };
        let mut masks = Vec::new();
        for segmentation in &outline.segmentations {
            let mask =
                coco::mask(segmentation, outline.width, outline.height).ok_or_else(|| DataError::Row {
                    file: outline.file.clone(),
                    row,
                    problem: "the segmentation does not fit the image's width and height".to_owned(),
                })?;
            masks.push(Labelled {
                picture: 0,
                label: outline.label.clone(),
                at: MediaRef {
                    source: MediaSource::Bytes(Arc::from(coco::pgm(&mask))),
                    view: Default::default(),
                    name: format!("mask {} of sample {row}", masks.len()),
                },
                reader: None,
            });
        }
        sample.target = Target::Masks(masks);
        Ok(())
    }
}

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = coco::file(root, &split.name)?;
    let (mut samples, mut outlines) = (Vec::new(), Vec::new());
    for image in coco::read(root, &split.name)?.images {
        match image {
            Ok(image) => add(&file, image, &mut samples, &mut outlines),
            Err(error) => {
                samples.push(Err(error));
                outlines.push(Outline {
                    file: file.clone(),
                    width: 0,
                    height: 0,
                    label: String::new(),
                    segmentations: Vec::new(),
                });
            }
        }
    }
    let row_of = (0..samples.len()).collect();
    Ok(root.listed(split, samples).with_embedded(Arc::new(Outlines(outlines)), row_of))
}

fn add(file: &str, image: Image, samples: &mut Vec<Result<Sample, DataError>>, outlines: &mut Vec<Outline>) {
    let Image { id, media, width, height, marks, tags } = image;
    let mut labels: Vec<(String, Vec<Value>)> = Vec::new();
    for mark in marks.into_iter().filter(|m| !m.segmentation.is_null()) {
        match labels.iter_mut().find(|(label, _)| *label == mark.label) {
            Some((_, all)) => all.push(mark.segmentation),
            None => labels.push((mark.label, vec![mark.segmentation])),
        }
    }
    for (label, segmentations) in labels {
        let mut tags = tags.clone();
        tags.insert("label".to_owned(), label.clone());
        samples.push(Ok(Sample {
            media: vec![media.clone()],
            question: format!("Outline the {label}."),
            group: tags.get("patient").cloned().unwrap_or_else(|| media.name.clone()),
            tags,
            ..sample(format!("{id}:{label}"))
        }));
        outlines.push(Outline { file: file.to_owned(), width, height, label, segmentations });
    }
}
