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
    csv,
    endobench,
    jsonl,
    medframeqa,
    medq_bench,
    medxpertqa_mm,
    mmmu_medical,
    omnimedvqa,
    pathvqa,
    pmc_vqa,
    slake,
    temmed_bench,
    vlmevalkit,
    vqa_med_2019,
    vqa_med_2020,
    vqa_med_2021,
    vqa_rad
];

#[cfg(test)]
mod tests;
