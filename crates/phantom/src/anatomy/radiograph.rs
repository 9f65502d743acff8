//! Frontal chest radiograph: line integrals from 0 (air) to about 1.

use super::round::{of_kind, round};
use crate::finding::{FindingKind, Lesion, Side};
use crate::label::Label;
use crate::rng::Rng;
use crate::scene::{Paint, Solid};

const LUNGS: &[Label] = &[Label::LeftLung, Label::RightLung];

pub(super) fn solids(rng: &mut Rng, lesions: &[Lesion]) -> Vec<Solid> {
    let mut out = Vec::with_capacity(40);
    let wide = rng.within(150.0, 172.0);
    let one = [1.0, 1.0, 1.0e6];
    let flat =
        |centre: [f32; 2], radius: [f32; 2]| ([centre[0], centre[1], 0.0], [radius[0], radius[1], one[2]]);
    let add = |by: f32, centre: [f32; 2], radius: [f32; 2]| {
        let (c, r) = flat(centre, radius);
        Solid::new(Paint::Add(by), c, r)
    };
    out.push(add(0.50, [0.0, 70.0], [wide, 250.0]).soft(24.0).label(Label::Body));
    out.push(add(0.30, [0.0, -190.0], [46.0, 60.0]).soft(14.0));
    let (lx, ly) = (wide * rng.within(0.33, 0.37), rng.within(98.0, 112.0));
    let (lung_x, lung_y) = (wide * 0.47, rng.within(-32.0, -20.0));
    for side in [Side::Left, Side::Right] {
        let label = if side == Side::Left { Label::LeftLung } else { Label::RightLung };
        out.push(
            add(-0.33, [lung_x * side.sign(), lung_y], [lx, ly])
                .turned(0.012 * side.sign())
                .soft(5.0)
                .label(label)
                .wavy(rng, 0.03),
        );
    }
    out.push(add(0.20, [0.0, 0.0], [17.0, 210.0]).soft(4.0).label(Label::Spine));
    out.push(add(0.12, [4.0, -40.0], [32.0, 90.0]).soft(8.0));
    out.push(
        add(0.26, [rng.within(18.0, 30.0), rng.within(34.0, 44.0)], [rng.within(52.0, 68.0), 46.0])
            .turned(0.07)
            .soft(5.0)
            .label(Label::Heart),
    );
    // Domes of the diaphragm, the right one higher over the liver.
    out.push(add(0.24, [-wide * 0.5, lung_y + ly + 42.0], [wide * 0.48, 62.0]).soft(5.0));
    out.push(add(0.22, [wide * 0.5, lung_y + ly + 54.0], [wide * 0.46, 62.0]).soft(5.0));
    for i in 0..8 {
        let y = lung_y - ly * 0.62 + i as f32 * ly * 0.21;
        for side in [-1.0, 1.0] {
            let centre = [side * wide * 0.40, y + 14.0];
            out.push(add(0.075, centre, [wide * 0.47, 24.0]).turned(0.06 * side).hollow(0.83).soft(2.0));
        }
    }
    for side in [-1.0, 1.0] {
        out.push(add(0.14, [side * 72.0, lung_y - ly * 0.86], [62.0, 5.5]).turned(-0.03 * side).soft(2.0));
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Nodule).chain(of_kind(lesions, FindingKind::Mass)) {
        let reach = 1.0 - lesion.diameter_mm / (2.0 * lx) - 0.05;
        let x = lesion.side.sign() * (lung_x + 0.1 * lx) + lesion.place[0] * lx * 0.66 * reach;
        let y = lung_y - 0.08 * ly + lesion.place[1] * ly * 0.66 * reach;
        let waves = if lesion.kind == FindingKind::Mass { 0.12 } else { 0.04 };
        round(lesion, i, Paint::Add(0.27 * lesion.contrast), [x, y], waves, &mut out);
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Effusion) {
        let centre = [lung_x * lesion.side.sign(), lung_y + ly * 0.92];
        out.push(add(0.36, centre, [lx * 1.4, lesion.diameter_mm + 4.0]).soft(4.0).over(LUNGS).of_finding(i));
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Pneumothorax) {
        let centre = [lesion.side.sign() * (lung_x + lx * 0.8), lung_y - ly * 0.62];
        let (rx, ry) = (lesion.diameter_mm + 10.0, ly * 0.75);
        out.push(add(0.16, centre, [rx + 3.0, ry + 3.0]).over(LUNGS));
        out.push(add(-0.30, centre, [rx, ry]).over(LUNGS).of_finding(i));
    }
    out
}
