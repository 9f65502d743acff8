//! Pictures cut into square tiles on the grid whose aspect is nearest, with the whole picture after them
//! (`dynamic_preprocess` of InternVL, `GotOcr2ImageProcessor`).

use crate::processors::sliver::refuse_sliver;
use crate::processors::square::Square;
use loupe_core::{Box2, Picture};
use loupe_preprocess::resize::resize;
use serde_json::{Value, json};

/// Cuts pictures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tiles {
    /// How a tile, and the whole picture, is prepared.
    pub(crate) square: Square,
    /// Fewest and most tiles of a picture.
    pub(crate) least: usize,
    pub(crate) most: usize,
    /// Is the whole picture shown after more than one tile?
    pub(crate) thumbnail: bool,
}

impl Tiles {
    /// Columns and rows of tiles of a picture: the grid whose aspect is nearest; among equally near ones a larger grid
    /// only if the picture has more than half of its pixels.
    ///
    /// # Errors
    /// When the picture is a sliver.
    pub(crate) fn grid(&self, width: usize, height: usize) -> Result<[usize; 2], String> {
        refuse_sliver(width, height)?;
        let side = self.square.side as f64;
        let aspect = width as f64 / height as f64;
        let area = (width * height) as f64;
        let columns = 1..=self.most;
        let mut grids: Vec<[usize; 2]> = columns
            .flat_map(|c| (1..=self.most / c).map(move |r| [c, r]))
            .filter(|[c, r]| c * r >= self.least)
            .collect();
        grids.sort_by_key(|[c, r]| c * r);
        let mut best = ([1, 1], f64::INFINITY);
        for grid in grids {
            let [c, r] = grid.map(|n| n as f64);
            let off = (aspect - c / r).abs();
            if off < best.1 || (off == best.1 && area > 0.5 * side * side * c * r) {
                best = (grid, off);
            }
        }
        Ok(best.0)
    }

    /// How many views a picture with this grid has.
    pub(crate) fn count(&self, [columns, rows]: [usize; 2]) -> usize {
        columns * rows + usize::from(self.thumbnail && columns * rows > 1)
    }

    /// Values of all views one after the other: (views, 3, side, side).
    pub(crate) fn planes(&self, picture: &Picture) -> Result<Vec<f32>, String> {
        let (square, side) = (&self.square, self.square.side);
        let [columns, rows] = self.grid(picture.width(), picture.height())?;
        let large = resize(picture, side * columns, side * rows, square.filter, square.backend);
        let large = large.map_err(|e| e.to_string())?.to_rgb();
        let mut out = Vec::with_capacity((columns * rows + 1) * 3 * side * side);
        for tile in 0..columns * rows {
            let (x, y) = ((tile % columns * side) as f64, (tile / columns * side) as f64);
            let region = Box2::new(x, y, x + side as f64, y + side as f64);
            let view = large.crop(region).map_err(|e| e.to_string())?;
            out.extend(square.levels.planes(&view));
        }
        if self.thumbnail && columns * rows > 1 {
            out.extend(square.planes(picture)?);
        }
        Ok(out)
    }

    /// The numbers, for the record of a run.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "side": self.square.side, "filter": self.square.filter.name(), "backend": self.square.backend.name(),
            "levels": self.square.levels.settings(), "min_tiles": self.least, "max_tiles": self.most,
            "thumbnail": self.thumbnail,
        })
    }

    /// Everything that changes the values of a picture, for keys of caches.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let numbers = [self.least as u64, self.most as u64, u64::from(self.thumbnail)];
        let numbers = numbers.iter().flat_map(|n| n.to_le_bytes());
        self.square.fingerprint().into_iter().chain(numbers).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::processors::levels::{IMAGENET, Levels};
    use loupe_preprocess::resize::{Backend, Filter};

    #[test]
    fn grids_follow_the_aspect_and_the_tie_rule() {
        let square = Square {
            side: 448,
            filter: Filter::Bicubic,
            backend: Backend::Pillow,
            levels: Levels::new(1.0 / 255.0, IMAGENET),
        };
        let tiles = Tiles { square, least: 1, most: 12, thumbnail: true };
        // A small square picture is one tile; a larger one has grids of the same aspect to choose from.
        assert_eq!(tiles.grid(300, 300), Ok([1, 1]));
        assert_eq!(tiles.grid(448, 448), Ok([1, 1]));
        assert_eq!(tiles.grid(700, 700), Ok([2, 2]));
        assert_eq!(tiles.grid(1100, 1100), Ok([3, 3]));
        assert_eq!(tiles.grid(800, 400), Ok([2, 1]));
        assert_eq!(tiles.grid(1024, 512), Ok([2, 1]));
        assert_eq!(tiles.grid(1400, 700), Ok([4, 2]));
        assert_eq!(tiles.grid(100, 3000), Ok([1, 12]));
        assert_eq!([tiles.count([1, 1]), tiles.count([2, 1])], [1, 3]);
        assert!(tiles.grid(1, 4000).unwrap_err().contains("up to 200 times"));
    }
}
