//! What each command of loupe does, as functions of plain options: for the command line, and just as well for a
//! library user, a server, a binding or a test.
//!
//! Nothing here prints or knows of a terminal. What can be said on the way goes to a [`Listener`]; what came of it
//! is returned; what could not be done is an [`AppError`] that says what to do instead.
//!
//! ```
//! use loupe_app::ask::{AskOptions, AskPrompt, Question};
//! use loupe_app::open::{ImageOptions, ModelOptions};
//!
//! # fn main() -> Result<(), loupe_app::AppError> {
//! # let dir = tempfile::tempdir()?;
//! # loupe_app::phantom::write(dir.path(), 3, 1)?;
//! # let images = std::fs::read_dir(dir.path().join("vqa-rad/images"))?;
//! # let image = images.flatten().map(|entry| entry.path()).next().unwrap();
//! let images = ImageOptions::default();
//! let loader = images.loader();
//! let options = AskOptions {
//!     images: vec![image.display().to_string()],
//!     ..AskOptions::new(AskPrompt::Question("Is a lung shown?".to_owned()))
//! };
//! let question = Question::read(&options, &loader)?;
//! let mut model = ModelOptions::default().open()?; // the built-in one
//! let answer = question.ask(model.as_mut(), None, &loader)?;
//! println!("{}", answer.reply.text);
//! # Ok(())
//! # }
//! ```

pub mod ask;
pub mod batch;
pub mod classify;
pub mod compare;
pub mod data;
pub mod deidentify;
pub mod demo;
pub mod doctor;
mod earlier;
pub mod embed;
mod embedded;
mod error;
pub mod evaluate;
pub mod export;
mod files;
pub mod findings;
pub mod form;
pub mod instances;
pub mod judge;
mod key;
pub mod list;
mod listener;
pub mod measure;
pub mod merge;
mod npy;
pub mod open;
pub mod pages;
pub mod phantom;
pub mod prepare;
mod profiles;
pub mod replies;
pub mod reports;
pub mod rethink;
pub mod score;
pub mod segment;
pub mod served;
pub mod similarity;
pub mod study;
pub mod suite;
pub mod view;
pub mod zero_shot;

pub use error::AppError;
pub use listener::Listener;
