//! The sets: one file each, one line each in the table.

use crate::entry::SetEntry;

macro_rules! sets {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every set that can be opened, in the order of `loupe list datasets`.
        pub static SETS: &[&SetEntry] = &[$(&$module::ENTRY),*];

        #[cfg(test)]
        const MODULES: &[&str] = &[$(stringify!($module)),*];
    };
}

sets![
    _3dreasonknee,
    chexpert_plus,
    coco,
    coco_masks,
    csv,
    deeptumorvqa,
    endobench,
    iu_xray,
    jsonl,
    masks,
    mecovqa,
    medframeqa,
    medmultipoints,
    medq_bench,
    medvision,
    medxpertqa_mm,
    mimic_cxr,
    mmmu_medical,
    nifti_labels,
    omnimedvqa,
    pascal_voc,
    pathvqa,
    pmc_vqa,
    rad_restruct,
    radfact,
    sa_med2d,
    slake,
    slake_boxes,
    temmed_bench,
    vindr_cxr,
    vlmevalkit,
    vqa_med_2019,
    vqa_med_2020,
    vqa_med_2021,
    vqa_rad
];

#[cfg(test)]
mod tests;
