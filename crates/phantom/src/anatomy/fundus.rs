//! Fundus-like colour photograph: brightness from 0 to about 1, coloured when it becomes a picture.

use super::round::{of_kind, round};
use crate::finding::{FindingKind, Lesion, Side};
use crate::label::Label;
use crate::rng::{Rng, sin_cos_turns};
use crate::scene::{Paint, Solid};

pub(super) fn solids(rng: &mut Rng, lesions: &[Lesion]) -> Vec<Solid> {
    let mut out = Vec::with_capacity(72);
    let flat = |paint: Paint, centre: [f32; 2], radius: [f32; 2]| {
        Solid::new(paint, [centre[0], centre[1], 0.0], [radius[0], radius[1], 1.0e6])
    };
    out.push(flat(Paint::Set(rng.within(0.46, 0.56)), [0.0, 0.0], [60.0, 60.0]).label(Label::Body));
    // The disc is nasal: on the picture's right in a right eye. The eye is drawn from the patient's
    // seed, so that every photograph of a patient shows the same one.
    let side = eye(rng);
    let nasal = -side.sign();
    let (disc_x, disc_y) = (nasal * rng.within(24.0, 30.0), rng.within(-3.0, 3.0));
    out.push(
        flat(Paint::Add(-0.14), [-nasal * 6.0, rng.within(0.0, 5.0)], [7.0, 7.0])
            .soft(6.0)
            .label(Label::Macula),
    );
    for arcade in 0..4 {
        let (up, out_way) = (if arcade % 2 == 0 { -1.0 } else { 1.0 }, if arcade < 2 { -1.0 } else { 0.5 });
        let bend = rng.within(0.17, 0.24);
        for step in 0..22 {
            let t = step as f32 / 22.0;
            let (s, c) = sin_cos_turns(t * bend);
            let reach = if arcade < 2 { 44.0 } else { 26.0 };
            let x = disc_x + nasal * out_way * (1.0 - c + s * 0.55) * reach;
            let y = disc_y + up * s * 34.0;
            let r = 1.5 - 0.8 * t;
            out.push(
                flat(Paint::Set(0.30), [x, y], [r * 2.6, r])
                    .turned(-nasal * up * out_way * (0.25 - t * bend)),
            );
        }
    }
    out.push(flat(Paint::Set(0.96), [disc_x, disc_y], [6.6, 7.4]).soft(1.5).label(Label::OpticDisc));
    let site = |lesion: &Lesion| {
        [-nasal * 6.0 + lesion.side.sign() * 12.0 + lesion.place[0] * 9.0, lesion.place[1] * 24.0]
    };
    for (i, lesion) in of_kind(lesions, FindingKind::Haemorrhage) {
        round(lesion, i, Paint::Set(0.50 - 0.36 * lesion.contrast), site(lesion), 0.15, &mut out);
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Exudate) {
        round(lesion, i, Paint::Set(1.25), site(lesion), 0.18, &mut out);
    }
    out
}

fn eye(rng: &mut Rng) -> Side {
    if rng.chance(0.5) { Side::Left } else { Side::Right }
}
