//! Segmentations in COCO's JSON format: polygons and run lengths, made into masks when asked for.

use crate::entry::SetEntry;
use crate::listed::{Embedded, Listed};
use crate::read::coco::{self, Image, Mark};
use crate::read::{Root, Split, sample};
use loupe_core::{DataError, Labelled, MediaRef, MediaSource, Sample, Target};
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
    size: [usize; 2],
    marks: Vec<Mark>,
}

struct Outlines(Vec<Option<Outline>>);

impl Embedded for Outlines {
    fn complete(&self, row: usize, sample: &mut Sample) -> Result<(), DataError> {
        let Some(Some(outline)) = self.0.get(row) else { return Ok(()) };
        let mut masks = Vec::new();
        for mark in &outline.marks {
            let mask = coco::mask(&mark.segmentation, outline.size).map_err(|problem| mark.error(problem))?;
            masks.push(Labelled {
                picture: 0,
                label: mark.label.clone(),
                at: MediaRef {
                    source: MediaSource::Bytes(Arc::from(coco::pgm(&mask))),
                    view: Default::default(),
                    name: format!("mask {} of sample {row}", masks.len()),
                    stated_size: None,
                },
                reader: None,
            });
        }
        sample.target = Target::Masks(masks);
        Ok(())
    }
}

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let (mut samples, mut outlines) = (Vec::new(), Vec::new());
    for image in coco::read(root, &split.name)?.images {
        match image {
            Ok(image) => add(image, &mut samples, &mut outlines),
            Err(error) => {
                samples.push(Err(error));
                outlines.push(None);
            }
        }
    }
    let row_of = (0..samples.len()).collect();
    Ok(root.listed(split, samples).with_embedded(Arc::new(Outlines(outlines)), row_of))
}

fn add(image: Image, samples: &mut Vec<Result<Sample, DataError>>, outlines: &mut Vec<Option<Outline>>) {
    let Image { id, media, size, marks, tags } = image;
    let mut labels: Vec<(String, Vec<Mark>)> = Vec::new();
    for mark in marks {
        match labels.iter_mut().find(|(label, _)| *label == mark.label) {
            Some((_, all)) => all.push(mark),
            None => labels.push((mark.label.clone(), vec![mark])),
        }
    }
    for (label, marks) in labels {
        let Some(size) = size else {
            let error =
                marks.first().map(|m| m.error("the image has no width and height, which its masks need"));
            samples.extend(error.map(Err));
            outlines.push(None);
            continue;
        };
        let mut tags = tags.clone();
        tags.insert("label".to_owned(), label.clone());
        samples.push(Ok(Sample {
            media: vec![media.clone()],
            question: format!("Outline the {label}."),
            group: tags.get("patient").cloned().unwrap_or_else(|| media.name.clone()),
            tags,
            ..sample(format!("{id}:{label}"))
        }));
        outlines.push(Some(Outline { size, marks }));
    }
}
