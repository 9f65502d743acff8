//! Reader studies: how far readers agree, how well they and models see, and what changes when one helps the other.
//!
//! A file of readings ([`input`]) becomes [`Readings`]; [`analyse`] makes of them everything that they allow, with an interval
//! for each figure and the reason where there is none. The statistics are in [`stats`], one file each, held against
//! published analyses.
//!
//! ```
//! use loupe_study::{Merit, Options, analyse, input};
//!
//! let mut csv = "reader,case,arm,truth,rating\n".to_owned();
//! for (case, truth, ratings) in [(1, 0, [1, 2]), (2, 0, [2, 1]), (3, 1, [4, 3]), (4, 1, [2, 5]), (5, 1, [5, 4])] {
//!     csv += &format!("a,{case},unaided,{truth},{}\nb,{case},unaided,{truth},{}\n", ratings[0], ratings[1]);
//! }
//! let readings = input::read_csv(&csv)?;
//! let analysis = analyse(&readings, &Options::default())?;
//! let auc = analysis.merits.iter().find(|m| m.merit == Merit::Auc).ok_or("no truth")?;
//! assert_eq!(auc.each[1].value, 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod allocation;
mod analysis;
mod checklist;
pub mod collect;
pub mod design;
mod document;
mod error;
pub mod exports;
pub mod input;
mod merit;
mod methods;
pub mod page;
pub mod reading;
mod readings;
pub mod stats;
mod tables;
mod written;

pub use analysis::{
    Agreement, ArmChanges, ArmPreference, ArmShare, Coefficient, Contents, FrocCurve, MeritAnalysis,
    ModelComparison, Options, OwnAgreement, PairAgreement, PlannedStudy, RatingChange, ReaderChanges,
    ReaderMerit, RocCurve, Scale, Share, StudyAnalysis, Times, analyse,
};
pub use checklist::{ChecklistItem, State};
pub use document::Document;
pub use error::StudyError;
pub use merit::Merit;
pub use methods::Methods;
pub use readings::{Case, Choice, Lesion, Mark, Preference, Reading, Readings};
pub use written::write;
