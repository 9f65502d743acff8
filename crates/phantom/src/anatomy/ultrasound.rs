//! Ultrasound-like picture of the upper abdomen: echo strength from 0 to about 1.

use super::round::{of_kind, round};
use crate::finding::{FindingKind, Lesion};
use crate::label::Label;
use crate::rng::Rng;
use crate::scene::{Paint, Solid};

pub(super) fn solids(rng: &mut Rng, lesions: &[Lesion]) -> Vec<Solid> {
    let mut out = Vec::with_capacity(16);
    let flat = |paint: Paint, centre: [f32; 2], radius: [f32; 2]| {
        Solid::new(paint, [centre[0], centre[1], 0.0], [radius[0], radius[1], 1.0e6])
    };
    out.push(flat(Paint::Set(0.30), [0.0, 0.0], [140.0, 140.0]).label(Label::Body));
    // Bright bands of skin and muscle near the probe.
    for i in 0..3 {
        let y = -60.0 + 7.0 * i as f32 + rng.within(-1.5, 1.5);
        out.push(flat(Paint::Add(0.22), [0.0, y], [90.0, 1.6]).soft(2.0));
    }
    out.push(
        flat(Paint::Set(rng.within(0.40, 0.50)), [rng.within(-12.0, 12.0), 14.0], [64.0, 50.0])
            .turned(rng.within(-0.04, 0.04))
            .label(Label::Liver)
            .wavy(rng, 0.06),
    );
    out.push(
        flat(Paint::Add(0.4), [rng.within(-12.0, 12.0), 46.0], [74.0, 42.0])
            .turned(rng.within(-0.04, 0.04))
            .hollow(0.96),
    );
    for _ in 0..4 {
        out.push(
            flat(
                Paint::Set(0.22),
                [rng.within(-40.0, 40.0), rng.within(0.0, 40.0)],
                [rng.within(4.0, 9.0), 1.6],
            )
            .turned(rng.unit())
            .over(&[Label::Liver]),
        );
    }
    let site = |lesion: &Lesion| {
        // The fan narrows towards the probe.
        let y = 12.0 + lesion.place[1] * 20.0;
        [lesion.side.sign() * 18.0 + lesion.place[0] * 12.0, y]
    };
    for (i, lesion) in of_kind(lesions, FindingKind::Cyst) {
        let [x, y] = site(lesion);
        let r = lesion.diameter_mm / 2.0;
        out.push(flat(Paint::Times(1.5), [x, y + r + 22.0], [r * 0.75, 24.0]).soft(3.0));
        round(lesion, i, Paint::Set(0.03), [x, y], 0.03, &mut out);
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Mass) {
        round(lesion, i, Paint::Set(0.45 + 0.33 * lesion.contrast), site(lesion), 0.16, &mut out);
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Stone) {
        let [x, y] = site(lesion);
        let r = lesion.diameter_mm / 2.0;
        out.push(flat(Paint::Times(0.12), [x, y + r + 34.0], [r * 0.9, 36.0]).soft(1.5));
        round(lesion, i, Paint::Set(1.0), [x, y], 0.08, &mut out);
    }
    out
}
