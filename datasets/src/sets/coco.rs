//! Boxes in COCO's JSON format.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::regions::{self, Annotated, Region};
use crate::read::{Root, Split, coco};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "coco",
    title: "COCO: boxes in a JSON file",
    citation: "Lin et al., ECCV 2014, arXiv:1405.0312",
    licence: "that of the set",
    splits: &["all", "test", "val", "train", "val2017", "train2017"],
    options: regions::OPTIONS,
    layout: "FILE.json, or annotations/instances_SPLIT.json (instances.json, annotations.json for all); images in \
             images/SPLIT/, SPLIT/, images/ or beside the file",
    metric: "mAP",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let images = coco::read(root, &split.name)?.images.into_iter().map(|image| {
        let image = image?;
        let mut tags = image.tags;
        let crowds = image.marks.iter().filter(|m| m.crowd).count();
        if crowds > 0 {
            // Regions of many objects are no reference for single boxes.
            tags.insert("crowd_regions".to_owned(), crowds.to_string());
        }
        let marks = image.marks.into_iter().filter(|m| !m.crowd);
        let boxes = marks.map(|m| Region::new(m.label, m.region)).collect();
        let group = tags.get("patient").cloned().unwrap_or_else(|| image.media.name.clone());
        Ok(Annotated { id: image.id, media: image.media, group, boxes, tags })
    });
    let images = images.collect();
    Ok(regions::listed(root, split, images))
}
