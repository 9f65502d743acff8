//! Axial CT of the chest in Hounsfield units.

use super::round::{of_kind, round};
use crate::finding::{FindingKind, Lesion, Side};
use crate::label::Label;
use crate::rng::{Rng, sin_cos_turns};
use crate::scene::{Paint, Solid};

const LUNGS: &[Label] = &[Label::LeftLung, Label::RightLung];

pub(super) fn solids(rng: &mut Rng, lesions: &[Lesion]) -> Vec<Solid> {
    let mut out = Vec::with_capacity(48);
    let wide = rng.within(150.0, 172.0);
    let deep = rng.within(104.0, 120.0);
    out.push(
        Solid::new(Paint::Set(-95.0), [0.0, 0.0, 0.0], [wide, deep, 900.0])
            .label(Label::Body)
            .wavy(rng, 0.015),
    );
    out.push(
        Solid::new(Paint::Set(48.0), [0.0, 0.0, 0.0], [wide * 0.93, deep * 0.91, 900.0]).wavy(rng, 0.015),
    );
    // Ribs: short arcs of bone around the chest wall, oblique so that they come and go with z.
    for i in 0..11 {
        let (s, c) = sin_cos_turns((i as f32 + rng.within(-0.2, 0.2)) / 11.0 + 0.02);
        let centre = [c * wide * 0.87, s * deep * 0.85, rng.within(-60.0, 60.0)];
        let turn = i as f32 / 11.0 + 0.27;
        out.push(
            Solid::new(Paint::Set(420.0), centre, [rng.within(9.0, 16.0), 3.6, 70.0])
                .turned(turn)
                .label(Label::Bone),
        );
    }
    let lung_y = rng.within(-10.0, -2.0);
    let (lx, ly) = (wide * rng.within(0.36, 0.39), deep * rng.within(0.70, 0.76));
    let lung_x = wide * 0.47;
    for side in [Side::Left, Side::Right] {
        let label = if side == Side::Left { Label::LeftLung } else { Label::RightLung };
        let x = lung_x * side.sign();
        out.push(
            Solid::new(Paint::Set(-860.0), [x, lung_y, 10.0], [lx, ly, 190.0])
                .turned(0.015 * side.sign())
                .label(label)
                .wavy(rng, 0.04),
        );
    }
    out.push(
        Solid::new(
            Paint::Set(42.0),
            [rng.within(12.0, 24.0), -22.0, -30.0],
            [rng.within(46.0, 56.0), 42.0, 120.0],
        )
        .turned(0.08)
        .label(Label::Heart)
        .wavy(rng, 0.05),
    );
    out.push(Solid::new(Paint::Set(45.0), [0.0, 30.0, 0.0], [26.0, 34.0, 400.0]));
    out.push(Solid::new(Paint::Set(170.0), [20.0, 40.0, 0.0], [11.5, 11.5, 400.0]).label(Label::Aorta));
    out.push(Solid::new(Paint::Set(300.0), [0.0, deep * 0.62, 0.0], [19.0, 18.0, 600.0]).label(Label::Spine));
    out.push(Solid::new(Paint::Set(20.0), [0.0, deep * 0.62 + 15.0, 0.0], [7.0, 6.0, 600.0]));
    out.push(Solid::new(Paint::Set(280.0), [0.0, -deep * 0.84, 0.0], [14.0, 5.0, 150.0]).label(Label::Bone));
    // Vessels thin out from the hilum.
    for _ in 0..16 {
        let side = rng.sign();
        let reach = rng.unit();
        let x = side * (lung_x - lx * 0.6 + reach * lx * 1.3);
        let y = lung_y + rng.within(-0.75, 0.75) * ly;
        let r = 2.4 - 1.5 * reach;
        out.push(
            Solid::new(
                Paint::Set(10.0),
                [x, y, rng.within(-60.0, 60.0)],
                [r * rng.within(1.0, 3.0), r, 40.0],
            )
            .turned(rng.unit())
            .over(LUNGS),
        );
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Nodule).chain(of_kind(lesions, FindingKind::Mass)) {
        let reach = 1.0 - lesion.diameter_mm / (2.0 * lx) - 0.08;
        let side = lesion.side.sign();
        // Away from the mediastinum, where heart and vessels would hide it.
        let x = side * (lung_x + 0.12 * lx) + lesion.place[0] * lx * reach * 0.62;
        let y = lung_y + lesion.place[1] * ly * reach * 0.66;
        let waves = if lesion.kind == FindingKind::Mass { 0.12 } else { 0.05 };
        round(lesion, i, Paint::Set(-860.0 + 910.0 * lesion.contrast), [x, y], waves, &mut out);
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Effusion) {
        let x = lung_x * lesion.side.sign();
        let depth = lesion.diameter_mm;
        out.push(
            Solid::new(
                Paint::Set(12.0),
                [x, lung_y + ly + 12.0, lesion.z_mm],
                [lx * 1.25, depth + 12.0, 120.0],
            )
            .over(LUNGS)
            .of_finding(i),
        );
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Pneumothorax) {
        let x = (lung_x + 12.0) * lesion.side.sign();
        let depth = lesion.diameter_mm;
        let centre = [x, lung_y - ly - 8.0, lesion.z_mm];
        // The pleural line, then the air in front of it.
        out.push(Solid::new(Paint::Set(-420.0), centre, [lx * 1.15 + 3.0, depth + 11.0, 120.0]).over(LUNGS));
        out.push(
            Solid::new(Paint::Set(-1080.0), centre, [lx * 1.15, depth + 8.0, 120.0])
                .over(LUNGS)
                .of_finding(i),
        );
    }
    out
}
