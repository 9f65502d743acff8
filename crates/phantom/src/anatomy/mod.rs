//! One file per kind of examination: its normal structures and how its findings look.

mod abdomen;
mod chest;
mod fundus;
mod head;
mod radiograph;
mod round;
mod ultrasound;

use crate::finding::Lesion;
use crate::kind::Kind;
use crate::rng::Rng;
use crate::scene::{Finish, Scene};

/// The patient with this seed, with these findings; texture and noise come from `noise_seed`.
pub(crate) fn scene(kind: Kind, patient_seed: u64, lesions: &[Lesion], noise_seed: u64) -> Scene {
    let mut rng = Rng::new(patient_seed, 100 + kind as u64);
    let solids = match kind {
        Kind::CtChest => chest::solids(&mut rng, lesions),
        Kind::CtAbdomen => abdomen::solids(&mut rng, lesions),
        Kind::CtHead => head::solids(&mut rng, lesions, &head::CT),
        Kind::MrT1 => head::solids(&mut rng, lesions, &head::T1),
        Kind::MrT2 => head::solids(&mut rng, lesions, &head::T2),
        Kind::Radiograph => radiograph::solids(&mut rng, lesions),
        Kind::Ultrasound => ultrasound::solids(&mut rng, lesions),
        Kind::Fundus => fundus::solids(&mut rng, lesions),
    };
    let (texture, noise, finish) = match kind {
        Kind::CtChest => ((9.0, 22.0), 18.0, Finish::Plain),
        Kind::CtAbdomen => ((10.0, 8.0), 12.0, Finish::Plain),
        Kind::CtHead => ((8.0, 2.0), 3.0, Finish::Plain),
        Kind::MrT1 | Kind::MrT2 => ((7.0, 0.03), 0.02, Finish::Bias(0.12)),
        Kind::Radiograph => ((12.0, 0.012), 0.008, Finish::Plain),
        Kind::Ultrasound => ((3.0, 0.10), 0.22, Finish::Fan),
        Kind::Fundus => ((5.0, 0.02), 0.012, Finish::Disc),
    };
    Scene {
        field_mm: kind.field_mm(),
        base: if kind.is_ct() { -1000.0 } else { 0.0 },
        solids,
        texture,
        noise,
        finish,
        seed: noise_seed,
    }
}
