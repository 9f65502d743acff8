//! How published models prepare volumes, by name. Each recipe is a file here and a line in
//! [`RECIPES`]; what it did is in [`Prepared::steps`]. [`steps`] is for those who go their own way.

mod ct_chat;
mod fleming_vl;
mod hulu_med;
mod m3d;
mod medgemma1_ct;
mod medgemma_ct;
mod medgemma_ct_serving;
mod medgemma_mr;
mod merlin;
mod prepared;
mod radfm;
pub mod steps;

pub use prepared::{Prepared, Recipe};

use crate::volume_io::read::ReadVolume;
use loupe_core::Registry;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;

/// Every file of this folder with its recipe; files without one are shared parts.
pub static RECIPES: Registry<Recipe> = Registry {
    kind: "recipe",
    listed_as: "recipes",
    files: &[
        ("medgemma_ct", &[medgemma_ct::RECIPE]),
        ("medgemma_ct_serving", &[medgemma_ct_serving::RECIPE]),
        ("medgemma1_ct", &[medgemma1_ct::RECIPE]),
        ("medgemma_mr", &[medgemma_mr::RECIPE]),
        ("ct_chat", &[ct_chat::RECIPE]),
        ("m3d", &[m3d::RECIPE]),
        ("merlin", &[merlin::RECIPE]),
        ("radfm", &[radfm::RECIPE]),
        ("fleming_vl", &[fleming_vl::RECIPE]),
        ("hulu_med", &[hulu_med::RECIPE]),
        ("prepared", &[]),
        ("steps", &[]),
    ],
};

/// The recipe of that name.
///
/// # Errors
/// [`MediaError::View`] when there is none; the message has the nearest name.
pub fn recipe(name: &str) -> Result<&'static Recipe, MediaError> {
    RECIPES.by_name(name).map_err(|unknown| MediaError::View(unknown.to_string()))
}

/// What the recipe of that name makes of `read`. The pictures name `source` as theirs, and the record begins
/// with the reader's notes.
///
/// # Errors
/// When there is no such recipe, or the volume cannot be prepared by it.
pub fn by_recipe(
    name: &str,
    read: &ReadVolume,
    source: &str,
    limits: &DecodeLimits,
) -> Result<Prepared, MediaError> {
    let recipe = recipe(name)?;
    let mut made = (recipe.prepare)(&read.without_padding(), limits)?;
    // Publishers change their recipes: which one it was, and of which source, is on record.
    let said = format!("recipe {} ({})", recipe.name, recipe.source);
    for picture in &mut made.pictures {
        if read.facts.inverted(picture.origin.slice)? {
            let negative: Vec<u8> = picture.pixels().iter().map(|level| 255 - level).collect();
            *picture = picture
                .with_pixels(picture.channels(), negative, "monochrome1 inverted")
                .map_err(|e| MediaError::View(e.to_string()))?;
        }
        picture.origin.source = Some(source.to_owned());
        picture.origin.steps.insert(0, said.clone());
    }
    made.steps.splice(0..0, read.notes.iter().cloned().chain([said]));
    Ok(made)
}
