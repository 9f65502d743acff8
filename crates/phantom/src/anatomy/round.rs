//! Round findings, which every kind of examination has.

use crate::finding::{FindingKind, Lesion};
use crate::rng::Rng;
use crate::scene::{Paint, Solid};

/// A round finding: lobulated outline from the lesion's own seed, hollow when cavitary.
pub(super) fn round(
    lesion: &Lesion,
    index: usize,
    paint: Paint,
    centre: [f32; 2],
    waves: f32,
    solids: &mut Vec<Solid>,
) {
    let mut rng = Rng::new(lesion.seed, 7);
    let r = lesion.diameter_mm / 2.0;
    let centre = [centre[0], centre[1], lesion.z_mm];
    let ry = r * rng.within(0.85, 1.0);
    let turn = rng.unit();
    let solid = Solid::new(paint, centre, [r, ry, r]).turned(turn).wavy(&mut rng, waves);
    if lesion.cavitary {
        // The mask is the whole nodule, cavity included, as a reader would outline it.
        let cover = Solid::new(Paint::Add(0.0), centre, [r, ry, r]).turned(turn);
        solids.push(solid.hollow(0.62));
        solids.push(cover.of_finding(index));
    } else {
        solids.push(solid.of_finding(index));
    }
}

/// Index and lesion of the findings of one kind.
pub(super) fn of_kind(lesions: &[Lesion], kind: FindingKind) -> impl Iterator<Item = (usize, &Lesion)> {
    lesions.iter().enumerate().filter(move |(_, l)| l.kind == kind)
}
