//! Statistics of reader studies, one file each; distributions, bootstrap and intervals are those of `loupe_eval`.

pub mod decisions;
pub mod design;
pub mod estimate;
pub mod fleiss;
pub mod froc;
pub mod icc;
pub mod kappa;
pub mod krippendorff;
pub mod model_vs_readers;
pub mod obuchowski_rockette;
pub mod preference;
pub mod proportion;
pub mod roc;
pub mod roe_metz;
pub mod sample_size;
