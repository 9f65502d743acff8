//! Masks in files, on the series that they lie on.

use super::looked_at::LookedAt;
use super::request::ExportRequest;
use super::run::{date_and_time, modified};
use crate::error::{AppError, InStep};
use crate::findings::view_name;
use crate::open::reference;
use loupe_core::files::{SETTINGS_BYTES, read_at_most};
use loupe_core::mask::Rle;
use loupe_core::{Finding, LabelledMasks, Mask, MediaRef, Origin, Plane, Provenance, SliceAt, View};
use loupe_preprocess::Loader;
use loupe_preprocess::masks::MaskFile;
use loupe_report::dicom::Author;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What of measures.json an export needs.
#[derive(Deserialize)]
struct Measures {
    model: loupe_core::ModelInfo,
}

/// The masks of the request's file, or of a folder that `loupe segment` wrote, as labels on the series and as masks on its
/// slices.
///
/// # Errors
/// When the series is not named, a file cannot be read, or the masks do not lie on the series.
pub(super) fn read(request: &ExportRequest) -> Result<LookedAt, AppError> {
    let file = mask_file(&request.input)?;
    let Some(source) = &request.source else {
        return Err(AppError::input(format!(
            "{} holds masks; name the image or series that they lie on with --source",
            request.input.display()
        )));
    };
    let loader = request.images.loader();
    let media = reference(source, View::default())?;
    let words = || format!("{} could not be used", source.display());
    let volume = loader.load_volume(&media).step(words)?;
    let masks = MaskFile::open(&loader, &reference(&file, View::default())?);
    let masks = masks.and_then(|m| m.onto(&volume, &request.masks, loader.limits()));
    let masks = masks.step(|| format!("the masks in {} could not be put on the image", file.display()))?;
    let mut out = LookedAt::by(author(&file));
    out.notes.clone_from(&masks.notes);
    on_slices(&mut out, &media, &masks, &loader);
    let first = out.first_image();
    if let Some(series) = first.and_then(|image| out.series_of(image)) {
        out.labels = Some((series, masks));
    }
    Ok(out)
}

fn mask_file(input: &Path) -> Result<PathBuf, AppError> {
    let inside = input.join("labels.nii.gz");
    match (input.is_dir(), inside.is_file()) {
        (false, _) => Ok(input.to_owned()),
        (true, true) => Ok(inside),
        (true, false) => Err(AppError::input(format!(
            "{} is neither a run folder (no run.json) nor one that `loupe segment --output` wrote of a volume (no labels.nii.gz)",
            input.display()
        ))),
    }
}

/// Who made the masks, as far as the file beside them tells.
fn author(file: &Path) -> Author {
    let made = date_and_time(&modified(file));
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let measures = read_at_most(&file.with_file_name("measures.json"), SETTINGS_BYTES).ok();
    let measures = measures.and_then(|text| serde_json::from_slice::<Measures>(&text).ok());
    let (model, identity) = match measures.map(|m| m.model) {
        Some(model) => match model.from {
            Provenance::Checkpoint(checkpoint) => (model.name, checkpoint.weights_sha256),
            _ => (model.name, String::new()),
        },
        None => ("unknown model".to_owned(), String::new()),
    };
    Author { model, identity, version, made }
}

/// Every stored slice as an image, and what each label covers of it as a mask.
fn on_slices(out: &mut LookedAt, media: &MediaRef, masks: &LabelledMasks, loader: &Loader) {
    let [slices, rows, columns] = masks.grid.shape;
    for k in 0..slices {
        let view = View { slice: Some(SliceAt::Index(k)), plane: Plane::Stored, ..View::default() };
        let media = MediaRef { view, ..media.clone() };
        let lps = masks.grid.lps_from_index.plane(k as f64);
        let origin = Origin {
            source: Some(media.name.clone()),
            slice: Some(k),
            plane: Some(Plane::Stored),
            spacing_mm: Some(lps.spacing_mm()),
            lps_from_source: Some(lps),
            ..Origin::of_size(columns, rows)
        };
        let name = view_name(&origin, &media.name);
        let image = out.image(&origin, &name, media, loader);
        let mut covered: Vec<Option<Vec<bool>>> = vec![None; masks.labels().len()];
        for (j, i) in (0..rows).flat_map(|j| (0..columns).map(move |i| (j, i))) {
            for label in masks.at([k, j, i]) {
                let bits =
                    covered.get_mut(label).map(|c| c.get_or_insert_with(|| vec![false; rows * columns]));
                if let Some(bit) = bits.and_then(|bits| bits.get_mut(j * columns + i)) {
                    *bit = true;
                }
            }
        }
        for (label, bits) in masks.labels().iter().zip(covered) {
            if let Some(mask) = bits.and_then(|bits| Mask::new(columns, rows, bits)) {
                let finding = Finding::mask(0, Rle::of(&mask), origin.clone());
                out.find(image, finding.with(Some(label.title()), None));
            }
        }
    }
}
