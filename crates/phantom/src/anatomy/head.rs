//! Axial head: CT in Hounsfield units, and T1- and T2-like magnetic resonance from 0 to 1.

use super::round::{of_kind, round};
use crate::finding::{FindingKind, Lesion, Side};
use crate::label::Label;
use crate::rng::{Rng, sin_cos_turns};
use crate::scene::{Paint, Solid};

/// Values of the tissues in one contrast.
pub(super) struct Contrast {
    scalp: f32,
    skull: f32,
    grey: f32,
    white: f32,
    fluid: f32,
    /// Gap in the skull.
    gap: f32,
    haemorrhage: f32,
    infarct: f32,
    tumour: f32,
}

pub(super) const CT: Contrast = Contrast {
    scalp: 8.0,
    skull: 950.0,
    grey: 36.0,
    white: 29.0,
    fluid: 6.0,
    gap: 20.0,
    haemorrhage: 74.0,
    infarct: 15.0,
    tumour: 55.0,
};
pub(super) const T1: Contrast = Contrast {
    scalp: 0.92,
    skull: 0.06,
    grey: 0.52,
    white: 0.74,
    fluid: 0.14,
    gap: 0.6,
    haemorrhage: 1.0,
    infarct: 0.36,
    tumour: 0.26,
};
pub(super) const T2: Contrast = Contrast {
    scalp: 0.5,
    skull: 0.05,
    grey: 0.52,
    white: 0.36,
    fluid: 0.95,
    gap: 0.6,
    haemorrhage: 0.1,
    infarct: 0.7,
    tumour: 0.86,
};

pub(super) fn solids(rng: &mut Rng, lesions: &[Lesion], values: &Contrast) -> Vec<Solid> {
    let mut out = Vec::with_capacity(32);
    let wide = rng.within(74.0, 84.0);
    let long = rng.within(92.0, 102.0);
    let layer = |value: f32, inset: f32| {
        Solid::new(Paint::Set(value), [0.0, 0.0, -10.0], [wide - inset, long - inset, 120.0 - inset])
    };
    out.push(layer(values.scalp, 0.0).label(Label::Body));
    out.push(layer(values.skull, 5.0).label(Label::Skull));
    let thick = rng.within(11.0, 13.0);
    out.push(layer(values.fluid, thick));
    out.push(layer(values.grey, thick + 2.0).label(Label::Brain).wavy(rng, 0.012));
    for side in [-1.0, 1.0] {
        out.push(
            Solid::new(
                Paint::Set(values.white),
                [side * wide * 0.34, 0.0, -5.0],
                [wide * 0.30, long * rng.within(0.56, 0.62), 75.0],
            )
            .label(Label::WhiteMatter)
            .wavy(rng, 0.10),
        );
    }
    // The falx between the hemispheres, then the ventricles.
    out.push(Solid::new(Paint::Set(values.fluid), [0.0, 0.0, 0.0], [1.2, long * 0.84, 90.0]));
    let (vx, vy) = (rng.within(9.0, 12.0), rng.within(-8.0, 0.0));
    let (vrx, vry) = (rng.within(5.0, 8.0), rng.within(22.0, 28.0));
    for side in [Side::Left, Side::Right] {
        let label = if side == Side::Left { Label::LeftVentricle } else { Label::RightVentricle };
        out.push(
            Solid::new(Paint::Set(values.fluid), [vx * side.sign(), vy, 5.0], [vrx, vry, 50.0])
                .turned(-0.025 * side.sign())
                .label(label)
                .wavy(rng, 0.08),
        );
    }
    let inside = |lesion: &Lesion| {
        let reach = 1.0 - lesion.diameter_mm / (2.0 * 50.0);
        [
            lesion.side.sign() * wide * 0.44 + lesion.place[0] * wide * 0.24 * reach,
            lesion.place[1] * long * 0.56 * reach,
        ]
    };
    for (kind, value, waves) in [
        (FindingKind::Haemorrhage, values.haemorrhage, 0.14),
        (FindingKind::Infarct, values.infarct, 0.2),
        (FindingKind::Nodule, values.tumour, 0.04),
    ] {
        for (i, lesion) in of_kind(lesions, kind) {
            let value = values.grey + (value - values.grey) * lesion.contrast;
            round(lesion, i, Paint::Set(value), inside(lesion), waves, &mut out);
        }
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Tumour) {
        // A rim around a necrotic middle.
        let centre = inside(lesion);
        round(lesion, i, Paint::Set(values.tumour), centre, 0.12, &mut out);
        let r = lesion.diameter_mm * 0.26;
        out.push(Solid::new(Paint::Set(values.fluid), [centre[0], centre[1], lesion.z_mm], [r, r, r]));
    }
    for (i, lesion) in of_kind(lesions, FindingKind::Fracture) {
        // A gap across the vault, its direction the vault's own radius.
        let quarter = if lesion.side == Side::Left { 0.0 } else { 0.5 };
        let turn = quarter + lesion.place[0] * 0.13;
        let (s, c) = sin_cos_turns(turn);
        let centre = [c * (wide - 8.5), s * (long - 8.5), lesion.z_mm];
        out.push(
            Solid::new(Paint::Set(values.gap), centre, [12.0, lesion.diameter_mm / 2.0, 30.0])
                .turned(turn)
                .over(&[Label::Skull])
                .of_finding(i),
        );
    }
    out
}
