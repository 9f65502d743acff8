//! The sets: one file each, one line each in the table.

use crate::entry::SetEntry;

mod _3dreasonknee;
mod chexpert_plus;
mod coco;
mod coco_masks;
mod csv;
mod deeptumorvqa;
mod endobench;
mod iu_xray;
mod jsonl;
mod masks;
mod mecovqa;
mod medframeqa;
mod medmultipoints;
mod medq_bench;
mod medvision;
mod medxpertqa_mm;
mod mimic_cxr;
mod mmmu_medical;
mod nifti_labels;
mod omnimedvqa;
mod pascal_voc;
mod pathvqa;
mod pmc_vqa;
mod rad_restruct;
mod radfact;
mod sa_med2d;
mod slake;
mod slake_boxes;
mod temmed_bench;
mod vindr_cxr;
mod vlmevalkit;
mod vqa_med_2019;
mod vqa_med_2020;
mod vqa_med_2021;
mod vqa_rad;

/// Every set that can be opened, in the order of `loupe list datasets`.
pub static SETS: &[&SetEntry] = &[
    &_3dreasonknee::ENTRY,
    &chexpert_plus::ENTRY,
    &coco::ENTRY,
    &coco_masks::ENTRY,
    &csv::ENTRY,
    &deeptumorvqa::ENTRY,
    &endobench::ENTRY,
    &iu_xray::ENTRY,
    &jsonl::ENTRY,
    &masks::ENTRY,
    &mecovqa::ENTRY,
    &medframeqa::ENTRY,
    &medmultipoints::ENTRY,
    &medq_bench::ENTRY,
    &medvision::ENTRY,
    &medxpertqa_mm::ENTRY,
    &mimic_cxr::ENTRY,
    &mmmu_medical::ENTRY,
    &nifti_labels::ENTRY,
    &omnimedvqa::ENTRY,
    &pascal_voc::ENTRY,
    &pathvqa::ENTRY,
    &pmc_vqa::ENTRY,
    &rad_restruct::ENTRY,
    &radfact::ENTRY,
    &sa_med2d::ENTRY,
    &slake::ENTRY,
    &slake_boxes::ENTRY,
    &temmed_bench::ENTRY,
    &vindr_cxr::ENTRY,
    &vlmevalkit::ENTRY,
    &vqa_med_2019::ENTRY,
    &vqa_med_2020::ENTRY,
    &vqa_med_2021::ENTRY,
    &vqa_rad::ENTRY,
];

#[cfg(test)]
mod tests;
