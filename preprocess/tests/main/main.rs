//! The tests of this crate, in one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod blanking;
mod bounds;
mod dicom_hostile;
mod dicom_objects;
mod dicom_series;
mod dicom_support;
mod dicom_traps;
mod features;
mod inspect;
mod loader;
mod masks;
mod mutants;
mod perceptual;
mod picture_io;
mod real_data;
mod resize;
mod series_display;
mod studies;
mod volume_ops;
mod volumes;
