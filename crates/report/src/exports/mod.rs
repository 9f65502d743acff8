//! Findings in the formats that other tools open, one file a format.

pub mod coco;
