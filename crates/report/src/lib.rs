//! What people open: overlays drawn on pictures, self-contained report pages, and exports in the formats
//! that other tools read.
//!
//! Findings, runs and their verdicts go in, bytes or text come out; nothing is fetched, and a page opens
//! from `file://` without a single request.
//!
//! A box that a model gave, drawn on its picture and written for COCO's tools:
//!
//! ```
//! use loupe_core::{Box2, Finding, Picture};
//! use loupe_report::exports::{ExportImage, ImageFinding, coco::detections};
//! use loupe_report::{Drawing, Style, draw, png};
//!
//! let picture = Picture::new(64, 48, 1, vec![90u8; 64 * 48])?;
//! let region = Box2::new(10.0, 12.0, 30.0, 28.0);
//! let nodule = Finding::region(0, region, picture.origin.clone()).with(Some("nodule".into()), None);
//!
//! let drawn = draw(&picture, &[Drawing::Box { region, tag: "1 nodule".into(), style: Style::Model }])?;
//! assert!(png(&drawn)?.starts_with(b"\x89PNG"));
//!
//! let chest = ExportImage::new("chest.png", [64, 48]);
//! let rows = detections(&[chest], &[ImageFinding { image: "chest.png", finding: &nodule }]);
//! assert_eq!(rows[0].bbox, [10.0, 12.0, 20.0, 16.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod check;
pub mod dicom;
pub mod encode;
pub mod exports;
pub mod font;
pub mod label_tables;
pub mod marks;
pub mod outline;
pub mod overlay;
pub mod pages;
mod printable;
pub mod reports;
pub mod run_rows;

pub use encode::{EncodeError, data_uri, png};
pub use marks::{Marks, marks};
pub use overlay::{Drawing, Style, draw};
pub use pages::document::{Page, PageItem, WindowPreset};
pub use pages::error::PageError;
pub use pages::{ImageStore, StoreError};
