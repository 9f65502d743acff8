//! Orientation letters and a scale bar, for pictures that people look at outside of a viewer.

use crate::overlay::Drawing;
use loupe_core::geometry::{Lps, norm};
use loupe_core::{Box2, Picture, Point2};

/// What is drawn beside the findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// Letters of the patient's directions at the edges: R, L, A, P, S (head), I (feet).
    pub letters: bool,
    /// A bar of a round number of millimetres.
    pub scale_bar: bool,
}

/// Share of a direction from which on it is named beside the main one.
const SECOND_LETTER: f64 = 0.35;
/// Longest share of the picture's width that the bar takes.
const LONGEST_BAR: f64 = 0.3;

/// The drawings of `marks`. Left out is what the picture does not know: letters without a place in the patient, a
/// bar without a pixel size.
pub fn marks(picture: &Picture, marks: Marks) -> Vec<Drawing> {
    let mut all = Vec::new();
    if marks.letters {
        all.extend(letters(picture));
    }
    if marks.scale_bar {
        all.extend(scale_bar(picture));
    }
    all
}

fn letters(picture: &Picture) -> Vec<Drawing> {
    let places = [(0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0)];
    let words = |(words, (across, down)): (Option<String>, (f64, f64))| {
        Some(Drawing::Words { words: words?, across, down })
    };
    named_sides(picture).into_iter().zip(places).filter_map(words).collect()
}

/// The patient's directions at the left, right, upper and lower edge.
pub(crate) fn named_sides(picture: &Picture) -> [Option<String>; 4] {
    let (w, h) = (picture.width() as f64, picture.height() as f64);
    let at = |x: f64, y: f64| picture.origin.lps_of(Point2::new(x, y));
    let way = |a: Option<Lps>, b: Option<Lps>| {
        let (a, b) = (a?, b?);
        named([0, 1, 2].map(|n| b[n] - a[n]))
    };
    let [west, east] = [at(0.0, h / 2.0), at(w, h / 2.0)];
    let [north, south] = [at(w / 2.0, 0.0), at(w / 2.0, h)];
    [way(east, west), way(west, east), way(south, north), way(north, south)]
}

/// Size of a pixel of the picture to the right and down in mm, where the source's size holds for all of it.
pub(crate) fn pixel_mm(picture: &Picture) -> Option<[f64; 2]> {
    let origin = &picture.origin;
    let whole = Box2::new(0.0, 0.0, picture.width() as f64, picture.height() as f64);
    let [x, y] = origin.spacing_mm_within(origin.source_from_self.boxed(whole).xyxy())?;
    let [[a, b, _], [c, d, _]] = origin.source_from_self.m;
    let size = [(a * x).hypot(c * y), (b * x).hypot(d * y)];
    size.iter().all(|mm| mm.is_finite() && *mm > 0.0).then_some(size)
}

/// The letters of a direction in the patient, the main one first.
fn named(way: Lps) -> Option<String> {
    let length = norm(way);
    if !length.is_finite() || length == 0.0 {
        return None;
    }
    let pairs = [['L', 'R'], ['P', 'A'], ['S', 'I']];
    let mut parts: Vec<(f64, char)> = way
        .iter()
        .zip(pairs)
        .map(|(v, [up, down])| (v.abs() / length, if *v > 0.0 { up } else { down }))
        .collect();
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let second = parts.iter().skip(1).filter(|(share, _)| *share >= SECOND_LETTER);
    Some(parts.iter().take(1).chain(second).map(|(_, letter)| *letter).collect())
}

/// The longest bar of 1, 2 or 5 times a power of ten millimetres that fits.
fn scale_bar(picture: &Picture) -> Option<Drawing> {
    let [mm, _] = picture.origin.spacing_mm?;
    let [[a, _, _], [b, _, _]] = picture.origin.source_from_self.m;
    let pixel_mm = mm * a.hypot(b);
    let most = picture.width() as f64 * LONGEST_BAR * pixel_mm;
    if !most.is_finite() || most <= 0.0 {
        return None;
    }
    let power = 10f64.powf(most.log10().floor());
    let length_mm = [5.0, 2.0, 1.0].map(|n| n * power).into_iter().find(|mm| *mm <= most)?;
    let sign = if picture.origin.spacing_note.is_some() { " *" } else { "" };
    Some(Drawing::Bar { length_px: length_mm / pixel_mm, words: format!("{length_mm} mm{sign}") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::LpsFromPlane;

    fn picture(m: [[f64; 3]; 3], spacing: [f64; 2]) -> Picture {
        let mut picture = Picture::new(100, 80, 1, vec![0; 8000]).unwrap();
        picture.origin.lps_from_source = Some(LpsFromPlane { m });
        picture.origin.spacing_mm = Some(spacing);
        picture
    }

    fn words(drawings: &[Drawing]) -> Vec<String> {
        let one = |d: &Drawing| match d {
            Drawing::Words { words, .. } | Drawing::Bar { words, .. } => words.clone(),
            _ => String::new(),
        };
        drawings.iter().map(one).collect()
    }

    #[test]
    fn letters_and_bar_are_those_of_the_patient() {
        // Coronal: to the right is left, down is to the feet.
        let coronal = picture([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, -0.5, 0.0]], [0.5, 0.5]);
        let both = Marks { letters: true, scale_bar: true };
        let drawn = marks(&coronal, both);
        assert_eq!(words(&drawn), ["R", "L", "S", "I", "10 mm"]);
        assert!(matches!(&drawn[4], Drawing::Bar { length_px, .. } if *length_px == 20.0));
        // Turned by 30° about the head–foot axis.
        let (s, c) = 30f64.to_radians().sin_cos();
        let oblique = picture([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 0.0]], [1.0, 1.0]);
        assert_eq!(
            words(&marks(&oblique, Marks { letters: true, scale_bar: false })),
            ["RA", "LP", "AL", "PR"]
        );
        let mut flat = picture([[0.0; 3]; 3], [1.0, 1.0]);
        (flat.origin.lps_from_source, flat.origin.spacing_mm) = (None, None);
        assert_eq!(marks(&flat, both), []);
        let mut detector = picture([[0.0; 3]; 3], [0.2, 0.2]);
        detector.origin.lps_from_source = None;
        detector.origin.spacing_note = Some("at the detector".into());
        assert_eq!(words(&marks(&detector, both)), ["5 mm *"]);
    }
}
