//! What the tests of several crates share. A dev-dependency only: everything here may panic.
//!
//! | for | there is |
//! |---|---|
//! | a model that needs no weights | [`model::Script`] (says its lines), [`model::PromptHash`] (answers from the prompt alone), [`speaker::Speaker`] (says its reply word by word) |
//! | a segmenter | [`segmenter::PromptShapes`] |
//! | a dataset and its pictures | [`dataset::QuestionSet`], [`loader::FlatPictures`], [`loader::Slices`], [`loader::NoPictures`] |
//! | pixel work | [`resampler::Nearest`] |
//! | pictures and their files | [`pictures`] |
//! | files and folders | [`files`], [`data`] |
//! | a page in a headless browser | [`Browser`] |
//! | what readers of a study saved | [`fn@answers`] |
//! | a server that answers as it is told | [`server::Server`] |
//! | numbers | [`fn@near`] |
//! | a table that lists its folder | [`table`] |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod answers;
pub mod browser;
pub mod data;
pub mod dataset;
pub mod files;
pub mod loader;
pub mod model;
pub mod near;
pub mod pictures;
pub mod resampler;
pub mod segmenter;
pub mod server;
pub mod speaker;
pub mod table;

pub use answers::answers;
pub use browser::Browser;
pub use data::{more_data, real_data};
pub use dataset::QuestionSet;
pub use files::{folder, put, scratch};
pub use loader::{FlatPictures, NoPictures, Slices};
pub use model::{Held, PromptHash, Script, reply, script_info};
pub use near::{assert_close, assert_near, close, near};
pub use pictures::{bmp, picture, png};
pub use resampler::Nearest;
pub use segmenter::PromptShapes;
pub use speaker::Speaker;
pub use table::{assert_table_covers_folder, assert_table_is_folder};
