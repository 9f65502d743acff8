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
mod medbookvqa;
mod medbullets;
mod medframeqa;
mod medmcqa;
mod medmultipoints;
mod medq_bench;
mod medqa;
mod medvision;
mod medxpertqa_mm;
mod medxpertqa_text;
mod mimic_cxr;
mod mmlu_medical;
mod mmlu_pro_health;
mod mmmu_medical;
mod ms_cxr;
mod nifti_labels;
mod omnimedvqa;
mod pascal_voc;
mod pathvqa;
mod pmc_vqa;
mod pubmedqa;
mod rad_restruct;
mod radfact;
mod rexvqa;
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
        ("medbookvqa", &[&medbookvqa::ENTRY]),
        ("medbullets", &[&medbullets::ENTRY]),
        ("medframeqa", &[&medframeqa::ENTRY]),
        ("medmcqa", &[&medmcqa::ENTRY]),
        ("medmultipoints", &[&medmultipoints::ENTRY]),
        ("medq_bench", &[&medq_bench::ENTRY]),
        ("medqa", &[&medqa::ENTRY]),
        ("medvision", &[&medvision::ENTRY]),
        ("medxpertqa_mm", &[&medxpertqa_mm::ENTRY]),
        ("medxpertqa_text", &[&medxpertqa_text::ENTRY]),
        ("mimic_cxr", &[&mimic_cxr::ENTRY]),
        ("mmlu_medical", &[&mmlu_medical::ENTRY]),
        ("mmlu_pro_health", &[&mmlu_pro_health::ENTRY]),
        ("mmmu_medical", &[&mmmu_medical::ENTRY]),
        ("ms_cxr", &[&ms_cxr::ENTRY]),
        ("nifti_labels", &[&nifti_labels::ENTRY]),
        ("omnimedvqa", &[&omnimedvqa::ENTRY]),
        ("pascal_voc", &[&pascal_voc::ENTRY]),
        ("pathvqa", &[&pathvqa::ENTRY]),
        ("pmc_vqa", &[&pmc_vqa::ENTRY]),
        ("pubmedqa", &[&pubmedqa::ENTRY]),
        ("rad_restruct", &[&rad_restruct::ENTRY]),
        ("radfact", &[&radfact::ENTRY]),
        ("rexvqa", &[&rexvqa::ENTRY]),
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
    ],
};

#[cfg(test)]
mod tests;
