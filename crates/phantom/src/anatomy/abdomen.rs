//! Axial CT of the abdomen in Hounsfield units.

use super::round::{of_kind, round};
use crate::finding::{FindingKind, Lesion, Side};
use crate::label::Label;
use crate::rng::Rng;
use crate::scene::{Paint, Solid};

pub(super) fn solids(rng: &mut Rng, lesions: &[Lesion]) -> Vec<Solid> {
    let mut out = Vec::with_capacity(32);
    let wide = rng.within(148.0, 172.0);
    let deep = rng.within(104.0, 122.0);
    out.push(
        Solid::new(Paint::Set(-100.0), [0.0, 0.0, 0.0], [wide, deep, 900.0])
            .label(Label::Body)
            .wavy(rng, 0.015),
    );
    out.push(Solid::new(Paint::Set(50.0), [0.0, 0.0, 0.0], [wide * 0.9, deep * 0.87, 900.0]).wavy(rng, 0.01));
    out.push(
        Solid::new(Paint::Set(-95.0), [0.0, -4.0, 0.0], [wide * 0.84, deep * 0.79, 900.0]).wavy(rng, 0.015),
    );
    out.push(Solid::new(Paint::Set(300.0), [0.0, deep * 0.56, 0.0], [20.0, 18.0, 900.0]).label(Label::Spine));
    out.push(Solid::new(Paint::Set(25.0), [0.0, deep * 0.56 + 15.0, 0.0], [8.0, 6.0, 900.0]));
    for side in [-1.0, 1.0] {
        // Muscles beside the spine.
        out.push(Solid::new(Paint::Set(52.0), [side * 34.0, deep * 0.62, 0.0], [20.0, 16.0, 900.0]));
    }
    out.push(
        Solid::new(
            Paint::Set(105.0),
            [-wide * 0.40, -18.0, 15.0],
            [wide * 0.43, rng.within(56.0, 66.0), 140.0],
        )
        .turned(-0.03)
        .label(Label::Liver)
        .wavy(rng, 0.06),
    );
    out.push(
        Solid::new(
            Paint::Set(30.0),
            [wide * 0.30, -deep * 0.42, 10.0],
            [rng.within(34.0, 46.0), 24.0, 120.0],
        )
        .turned(0.05)
        .label(Label::Stomach)
        .wavy(rng, 0.08),
    );
    out.push(
        Solid::new(Paint::Set(-800.0), [wide * 0.30, -deep * 0.52, 10.0], [22.0, 8.0, 80.0])
            .over(&[Label::Stomach]),
    );
    out.push(
        Solid::new(Paint::Set(118.0), [wide * 0.62, 2.0, 10.0], [24.0, rng.within(34.0, 42.0), 110.0])
            .turned(-0.03)
            .label(Label::Spleen)
            .wavy(rng, 0.06),
    );
    let kidney_y = deep * rng.within(0.33, 0.38);
    let kidney_x = wide * rng.within(0.38, 0.42);
    for side in [Side::Left, Side::Right] {
        let label = if side == Side::Left { Label::LeftKidney } else { Label::RightKidney };
        let x = kidney_x * side.sign();
        out.push(
            Solid::new(Paint::Set(160.0), [x, kidney_y, 0.0], [23.0, rng.within(26.0, 31.0), 130.0])
                .turned(-0.05 * side.sign())
                .label(label)
                .wavy(rng, 0.05),
        );
        out.push(Solid::new(Paint::Set(-20.0), [x - 9.0 * side.sign(), kidney_y, 0.0], [7.0, 10.0, 60.0]));
    }
    out.push(Solid::new(Paint::Set(190.0), [9.0, deep * 0.30, 0.0], [10.5, 10.5, 900.0]).label(Label::Aorta));
    out.push(Solid::new(Paint::Set(130.0), [-17.0, deep * 0.29, 0.0], [11.0, 9.0, 900.0]));
    out.push(
        Solid::new(Paint::Set(10.0), [-wide * 0.16, -6.0, -6.0], [10.0, 15.0, 60.0])
            .label(Label::Gallbladder),
    );
    for (i, lesion) in of_kind(lesions, FindingKind::Mass) {
        let reach = 1.0 - lesion.diameter_mm / (2.0 * 62.0);
        let x = -wide * 0.44 + lesion.place[0] * wide * 0.34 * reach;
        let y = -18.0 + lesion.place[1] * 44.0 * reach;
        round(lesion, i, Paint::Set(105.0 - 75.0 * lesion.contrast), [x, y], 0.12, &mut out);
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Cyst) {
        let side = lesion.side.sign();
        let centre = [side * (kidney_x + 16.0) + lesion.place[0] * 6.0, kidney_y + lesion.place[1] * 14.0];
        round(lesion, i, Paint::Set(160.0 - 158.0 * lesion.contrast), centre, 0.02, &mut out);
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Stone) {
        let side = lesion.side.sign();
        let centre = [side * (kidney_x - 4.0) + lesion.place[0] * 6.0, kidney_y + lesion.place[1] * 9.0];
        round(lesion, i, Paint::Set(900.0), centre, 0.1, &mut out);
    }
    out
}
