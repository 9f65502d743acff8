//! Datasets before a run: are they whole, and does the test set share anything with the training set?

use crate::error::{AppError, InStep};
use crate::open::{DataOptions, ImageOptions};
use crate::segment::{LastMask, chosen};
use loupe_core::table::{Format, Table};
use loupe_core::{MediaLoader, MediaRef};
use loupe_datasets::{Look, Looker, Overlap, Perceptual};
use loupe_preprocess::Loader;
use loupe_preprocess::masks::MaskFile;
use loupe_preprocess::perceptual::phash;
use loupe_preprocess::picture_io::EXIF_STEP;
use serde::Serialize;
use std::path::PathBuf;

pub use loupe_datasets::{CheckNote, CheckReport, NoteKind, SplitCheck};

/// Counts rows and images; finds missing images, broken rows, repeated ids, and places that do not fit their images.
/// Without a split, all of them.
///
/// # Errors
/// When there is no such set or split, or nothing of it lies there.
pub fn check(data: &DataOptions, images: &ImageOptions) -> Result<CheckReport, AppError> {
    let loader = images.loader();
    let mut look = Opener { loader: &loader, masks: LastMask::default() };
    loupe_datasets::check(&data.set, &data.path, data.split.as_deref(), &mut look)
        .step(|| format!("{} could not be checked", data.set))
}

/// Opens images and masks for a check.
struct Opener<'a> {
    loader: &'a Loader,
    masks: LastMask,
}

impl Looker for Opener<'_> {
    fn look(&mut self, picture: &MediaRef) -> Result<Look, String> {
        let picture = self.loader.load(picture).map_err(|error| error.to_string())?;
        let turned = picture.origin.steps.iter().any(|step| step.starts_with(EXIF_STEP));
        Ok(Look { size: picture.origin.source_size, turned })
    }

    fn label(&mut self, mask: &MediaRef, label: &str) -> Result<(), String> {
        let file = self.masks.open(self.loader, mask).map_err(|error| error.to_string())?;
        match &*file {
            MaskFile::Drawn(_) => Ok(()),
            file => chosen(&file.labels(), None, label, file.keeps_labels_apart()).map(|_| ()),
        }
    }
}

/// Which sets are compared and how closely images are looked at.
#[derive(Debug, Clone)]
pub struct OverlapOptions {
    /// The training set.
    pub train: DataOptions,
    /// The test set.
    pub test: DataOptions,
    /// Images whose perceptual hashes (64 bits) differ in at most so many bits look the same; `None` to compare
    /// bytes only and decode no image.
    pub near_bits: Option<u32>,
    /// Writes the flags of every row as CSV.
    pub output: Option<PathBuf>,
    /// How images are read.
    pub images: ImageOptions,
}

/// Counts over the test rows, and the rows.
#[derive(Debug, Clone, Serialize)]
pub struct Leakage {
    /// Test rows.
    pub n: usize,
    /// With an image of the training set, byte for byte.
    pub same_image: usize,
    /// With an image that looks like one of the training set.
    pub near_image: usize,
    /// With an image of the same name.
    pub same_image_name: usize,
    /// With a question of the training set.
    pub same_question: usize,
    /// With image and question of one training row.
    pub same_image_and_question: usize,
    /// With image, question and answer of one training row.
    pub whole_row: usize,
    /// Row by row.
    pub rows: Vec<Overlap>,
    /// Images that could not be decoded and were compared by bytes only.
    #[serde(skip)]
    pub undecoded: usize,
}

/// Finds what a test set shares with a training set.
///
/// # Errors
/// When a set cannot be opened or read, or the file cannot be written.
pub fn overlap(options: &OverlapOptions) -> Result<Leakage, AppError> {
    let (train, test) = (options.train.open()?, options.test.open()?);
    let loader = options.images.loader();
    let mut undecoded = 0usize;
    let mut hash_of = |media: &MediaRef| {
        let hash = loader.load(media).ok().and_then(|picture| phash(&picture).ok());
        undecoded += usize::from(hash.is_none());
        hash
    };
    let looks: Option<&mut Perceptual<'_>> =
        if options.near_bits.is_some() { Some(&mut hash_of) } else { None };
    let rows = loupe_datasets::overlap(train.as_ref(), test.as_ref(), looks)
        .step(|| "the sets could not be compared".to_owned())?;
    let near = |o: &Overlap| o.nearest_bits.zip(options.near_bits).is_some_and(|(bits, most)| bits <= most);
    if let Some(file) = &options.output {
        let text = flags(&rows, near).write(Format::Csv);
        std::fs::write(file, text).step(|| format!("{}", file.display()))?;
    }
    let count = |f: &dyn Fn(&Overlap) -> bool| rows.iter().filter(|o| f(o)).count();
    Ok(Leakage {
        n: rows.len(),
        same_image: count(&|o| o.image),
        near_image: count(&near),
        same_image_name: count(&|o| o.image_name),
        same_question: count(&|o| o.question),
        same_image_and_question: count(&|o| o.image_and_question),
        whole_row: count(&|o| o.whole_row),
        undecoded,
        rows,
    })
}

/// The flags of every row.
fn flags(rows: &[Overlap], near: impl Fn(&Overlap) -> bool) -> Table {
    let columns = [
        "id",
        "image",
        "near_image",
        "nearest_bits",
        "image_name",
        "question",
        "image_and_question",
        "whole_row",
    ];
    let mut table = Table { columns: columns.map(str::to_owned).to_vec(), ..Table::default() };
    table.rows.extend(rows.iter().map(|o| {
        let flag = |on: bool| u8::from(on).to_string();
        let bits = o.nearest_bits.map_or_else(String::new, |b| b.to_string());
        vec![
            o.id.clone(),
            flag(o.image),
            flag(near(o)),
            bits,
            flag(o.image_name),
            flag(o.question),
            flag(o.image_and_question),
            flag(o.whole_row),
        ]
    }));
    table
}
