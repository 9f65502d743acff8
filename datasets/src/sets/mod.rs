//! The sets: one file each, one line each in the table.

use crate::entry::SetEntry;
use loupe_core::Registry;

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
mod rexrank;
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
mod worklist;

/// Every set that can be opened, in the order of `loupe list datasets`.
pub static SETS: Registry<&SetEntry> = Registry {
    kind: "dataset",
    listed_as: "datasets",
    files: &[
        ("_3dreasonknee", &[&_3dreasonknee::ENTRY]),
        ("chexpert_plus", &[&chexpert_plus::ENTRY]),
        ("coco", &[&coco::ENTRY]),
        ("coco_masks", &[&coco_masks::ENTRY]),
        ("csv", &[&csv::ENTRY]),
        ("deeptumorvqa", &[&deeptumorvqa::ENTRY]),
        ("endobench", &[&endobench::ENTRY]),
        ("iu_xray", &[&iu_xray::ENTRY]),
        ("jsonl", &[&jsonl::ENTRY]),
        ("masks", &[&masks::ENTRY]),
        ("mecovqa", &[&mecovqa::ENTRY]),
        ("medframeqa", &[&medframeqa::ENTRY]),
        ("medmultipoints", &[&medmultipoints::ENTRY]),
        ("medq_bench", &[&medq_bench::ENTRY]),
        ("medvision", &[&medvision::ENTRY]),
        ("medxpertqa_mm", &[&medxpertqa_mm::ENTRY]),
        ("mimic_cxr", &[&mimic_cxr::ENTRY]),
        ("mmmu_medical", &[&mmmu_medical::ENTRY]),
        ("nifti_labels", &[&nifti_labels::ENTRY]),
        ("omnimedvqa", &[&omnimedvqa::ENTRY]),
        ("pascal_voc", &[&pascal_voc::ENTRY]),
        ("pathvqa", &[&pathvqa::ENTRY]),
        ("pmc_vqa", &[&pmc_vqa::ENTRY]),
        ("rad_restruct", &[&rad_restruct::ENTRY]),
        ("radfact", &[&radfact::ENTRY]),
        ("rexrank", &[&rexrank::ENTRY]),
        ("sa_med2d", &[&sa_med2d::ENTRY]),
        ("slake", &[&slake::ENTRY]),
        ("slake_boxes", &[&slake_boxes::ENTRY]),
        ("temmed_bench", &[&temmed_bench::ENTRY]),
        ("vindr_cxr", &[&vindr_cxr::ENTRY]),
        ("vlmevalkit", &[&vlmevalkit::ENTRY]),
        ("vqa_med_2019", &[&vqa_med_2019::ENTRY]),
        ("vqa_med_2020", &[&vqa_med_2020::ENTRY]),
        ("vqa_med_2021", &[&vqa_med_2021::ENTRY]),
        ("vqa_rad", &[&vqa_rad::ENTRY]),
        ("worklist", &[&worklist::ENTRY]),
    ],
};

#[cfg(test)]
mod tests;
