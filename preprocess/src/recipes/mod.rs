//! How published models prepare volumes, by name. Each recipe is a file here and a line in
//! [`RECIPES`]; what it did is in [`Prepared::steps`].

mod ct_chat;
mod fleming_vl;
mod m3d;
mod medgemma_ct;
mod medgemma_mr;
mod merlin;
mod prepared;
mod radfm;

pub use prepared::{Prepared, Recipe};

use loupe_core::media::MediaError;
use loupe_core::words::did_you_mean;

/// Every recipe.
pub const RECIPES: [Recipe; 7] = [
    medgemma_ct::RECIPE,
    medgemma_mr::RECIPE,
    ct_chat::RECIPE,
    m3d::RECIPE,
    merlin::RECIPE,
    radfm::RECIPE,
    fleming_vl::RECIPE,
];

/// The recipe of that name.
///
/// # Errors
/// [`MediaError::View`] that lists the names.
pub fn recipe(name: &str) -> Result<Recipe, MediaError> {
    RECIPES.into_iter().find(|r| r.name == name).ok_or_else(|| {
        let names: Vec<&str> = RECIPES.iter().map(|r| r.name).collect();
        let meant = did_you_mean(name, names.iter().copied());
        MediaError::View(format!("no recipe is called {name:?}{meant} (known: {})", names.join(", ")))
    })
}
