//! A picture brought to a square whose aspect is kept: the shorter side scaled and the middle cut out, as CLIP's
//! processor does, or put into a square of its mean colour first, as LLaVA's does.

use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use crate::processors::levels::{CLIP, Levels};
use crate::processors::sliver::refuse_sliver;
use crate::processors::square::Square;
use loupe_core::{Box2, Given, Picture};
use loupe_preprocess::resize::{Backend, Filter, resize};
use serde_json::{Value, json};

/// How a picture becomes as large as the network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Width and height are scaled to the side, each by itself.
    Squash,
    /// The shorter side is scaled to so many pixels, and the middle cut out.
    Shorter(usize),
}

/// Where the middle begins when an odd number of pixels is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// The smaller half is cut off first (`transformers`).
    Down,
    /// The even one (torchvision's `CenterCrop`, and with it open_clip).
    Even,
}

impl Half {
    fn of(self, pixels: usize) -> usize {
        match self {
            Self::Down => pixels / 2,
            Self::Even if pixels % 4 == 3 => pixels / 2 + 1,
            Self::Even => pixels / 2,
        }
    }
}

/// Prepares pictures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Centred {
    /// Side, filter, backend and levels.
    pub(crate) square: Square,
    pub(crate) fit: Fit,
    pub(crate) half: Half,
    /// The colour that fills the square which a picture is put into first.
    pub(crate) pad: Option<[u8; 3]>,
}

impl Centred {
    /// Without a file: what `CLIPImageProcessor` does for a network that reads `side` pixels.
    pub(crate) fn plain(side: usize, backend: Backend) -> Self {
        let levels = Levels::new(1.0 / 255.0, CLIP);
        let square = Square { side, filter: Filter::Bicubic, backend, levels };
        Self { square, fit: Fit::Shorter(side), half: Half::Down, pad: None }
    }

    /// As a file of `CLIPImageProcessor` or `LlavaImageProcessor` says.
    pub(crate) fn read(file: &ProcessorFile, side: usize, backend: Backend) -> Result<Self, LoadError> {
        if file.is_absent() {
            return Ok(Self::plain(side, backend));
        }
        let fields = file.fields();
        file.need_steps(&["do_resize", "do_rescale", "do_normalize"], &["do_center_crop", "do_pad"])?;
        let crops = fields.bool_or("do_center_crop", true)?;
        // A number is the shorter side.
        let fit = match fields.get("size") {
            Some(Value::Number(_)) => Fit::Shorter(fields.positive("size")?),
            None => Fit::Shorter(side),
            Some(_) => {
                let size = fields.object_or_defaults("size")?;
                if let Some(odd) =
                    size.names().find(|name| !["shortest_edge", "height", "width"].contains(name))
                {
                    return Err(size.bad(odd, "this processor takes shortest_edge, or height and width"));
                }
                match size.get("shortest_edge") {
                    Some(_) => Fit::Shorter(size.positive("shortest_edge")?),
                    None => {
                        file.need_side(side, &[("size", "height"), ("size", "width")])?;
                        Fit::Squash
                    }
                }
            }
        };
        if crops {
            file.need_side(side, &[("crop_size", "height"), ("crop_size", "width")])?;
        }
        if let Fit::Shorter(shorter) = fit {
            if shorter < side {
                let problem =
                    format!("{shorter} pixels do not fill the {side} × {side} that the model reads");
                return Err(fields.bad("size", problem));
            }
            if !crops {
                let problem = "without it pictures are not square, which is not supported".to_owned();
                return Err(fields.bad("do_center_crop", problem));
            }
        }
        let levels = Levels::read(&fields, CLIP)?;
        let square = Square { side, filter: file.filter(3)?, backend, levels };
        let centred = Self { square, fit, half: Half::Down, pad: None };
        Ok(if fields.bool_or("do_pad", false)? { centred.padding() } else { centred })
    }

    /// With pictures put into a square of the mean colour first (`expand2square` of LLaVA).
    pub(crate) fn padding(self) -> Self {
        let colour = self.square.levels.mean().map(|mean| (mean * 255.0) as u8);
        Self { pad: Some(colour), ..self }
    }

    /// Width and height of a picture of this size when its shorter side is scaled.
    fn scaled(&self, [width, height]: [usize; 2], shorter: usize) -> [usize; 2] {
        let (long, short) = (width.max(height), width.min(height));
        [width, height].map(|edge| if edge == short { shorter } else { shorter * long / short.max(1) })
    }

    /// What the network sees of a picture of this size, in its pixels: less than the picture where the middle is cut
    /// out, more where it is put into a square.
    pub(crate) fn seen(&self, size: [usize; 2]) -> Box2<Given> {
        let side = size[0].max(size[1]);
        let (whole, before) = match self.pad {
            Some(_) => ([side; 2], size.map(|n| (side - n) / 2)),
            None => (size, [0; 2]),
        };
        let edges = |axis: usize| match self.fit {
            Fit::Squash => [0.0, whole[axis] as f64],
            Fit::Shorter(shorter) => {
                let large = self.scaled(whole, shorter)[axis];
                let from = self.half.of(large.saturating_sub(self.square.side));
                [from, from + self.square.side].map(|n| n as f64 * whole[axis] as f64 / large.max(1) as f64)
            }
        };
        let [[x0, x1], [y0, y1]] = [0, 1].map(|axis| edges(axis).map(|n| n - before[axis] as f64));
        Box2::new(x0, y0, x1, y1)
    }

    /// The picture as the network sees it, 8 bits, RGB.
    fn shown(&self, picture: &Picture) -> Result<Picture, String> {
        if self.pad.is_some() || self.fit != Fit::Squash {
            refuse_sliver(picture.width(), picture.height())?;
        }
        let padded = match self.pad {
            Some(colour) => picture.padded_to_square(colour).map_err(|e| e.to_string())?,
            None => picture.clone(),
        };
        let Fit::Shorter(shorter) = self.fit else { return self.square.squashed(&padded) };
        let (width, height, side) = (padded.width(), padded.height(), self.square.side);
        let [w, h] = self.scaled([width, height], shorter);
        let large = resize(&padded, w, h, self.square.filter, self.square.backend);
        let (left, top) = (self.half.of(w - side) as f64, self.half.of(h - side) as f64);
        let middle = Box2::new(left, top, left + side as f64, top + side as f64);
        Ok(large.map_err(|e| e.to_string())?.crop(middle).map_err(|e| e.to_string())?.to_rgb())
    }

    /// Its values plane after plane: (3, side, side).
    pub(crate) fn planes(&self, picture: &Picture) -> Result<Vec<f32>, String> {
        Ok(self.square.levels.planes(&self.shown(picture)?))
    }

    /// The numbers, for the record of a run.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "side": self.square.side, "filter": self.square.filter.name(), "backend": self.square.backend.name(),
            "levels": self.square.levels.settings(), "fit": format!("{:?}", self.fit), "pad": self.pad,
        })
    }

    /// Everything that changes the values of a picture, for keys of caches.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let how = format!("{:?} {:?} {:?}", self.fit, self.half, self.pad);
        self.square.fingerprint().into_iter().chain(how.into_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn what_is_seen_is_in_pixels_of_the_picture() {
        let plain = Centred::plain(224, Backend::Pillow);
        // 448 × 224, of which 112 are cut off at both sides.
        assert_eq!(plain.seen([200, 100]).xyxy(), [50.0, 0.0, 150.0, 100.0]);
        assert_eq!(plain.seen([100, 200]).xyxy(), [0.0, 50.0, 100.0, 150.0]);
        let padded = Centred { fit: Fit::Squash, ..plain.clone() }.padding();
        assert_eq!(padded.seen([200, 100]).xyxy(), [0.0, -50.0, 200.0, 150.0]);
        let squashed = Centred { fit: Fit::Squash, ..plain };
        assert_eq!(squashed.seen([200, 100]).xyxy(), [0.0, 0.0, 200.0, 100.0]);
    }

    #[test]
    fn slivers_are_refused_where_sides_are_scaled_by_each_other() {
        let sliver = Picture::new(1, 4000, 1, vec![0; 4000]).unwrap();
        let plain = Centred::plain(8, Backend::Pillow);
        let squashed = Centred { fit: Fit::Squash, ..plain.clone() };
        assert_eq!(squashed.planes(&sliver).map(|planes| planes.len()), Ok(3 * 8 * 8));
        for refusing in [plain.clone(), plain.padding(), squashed.padding()] {
            assert!(refusing.planes(&sliver).unwrap_err().contains("up to 200 times"), "{refusing:?}");
        }
    }

    #[test]
    fn an_odd_half_is_rounded_as_the_library_does() {
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(|n| Half::Down.of(n)), [0, 0, 1, 1, 2, 2, 3]);
        // Python's round(n / 2).
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(|n| Half::Even.of(n)), [0, 0, 1, 2, 2, 2, 4]);
    }
}
