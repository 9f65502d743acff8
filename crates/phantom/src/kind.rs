//! Kinds of examinations.

use crate::finding::FindingKind;
use crate::label::Label;
use loupe_core::Window;
use serde::{Deserialize, Serialize};

/// What was examined, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Kind {
    CtChest,
    CtAbdomen,
    CtHead,
    MrT1,
    MrT2,
    Radiograph,
    Ultrasound,
    Fundus,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::CtChest,
        Kind::CtAbdomen,
        Kind::CtHead,
        Kind::MrT1,
        Kind::MrT2,
        Kind::Radiograph,
        Kind::Ultrasound,
        Kind::Fundus,
    ];

    /// Name in folder names and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::CtChest => "ct-chest",
            Kind::CtAbdomen => "ct-abdomen",
            Kind::CtHead => "ct-head",
            Kind::MrT1 => "mr-t1",
            Kind::MrT2 => "mr-t2",
            Kind::Radiograph => "radiograph",
            Kind::Ultrasound => "ultrasound",
            Kind::Fundus => "fundus",
        }
    }

    /// True for computed tomography, whose values are Hounsfield units.
    pub const fn is_ct(self) -> bool {
        matches!(self, Kind::CtChest | Kind::CtAbdomen | Kind::CtHead)
    }

    /// True for magnetic resonance.
    pub const fn is_mr(self) -> bool {
        matches!(self, Kind::MrT1 | Kind::MrT2)
    }

    /// True for kinds that have a third dimension.
    pub const fn is_volume(self) -> bool {
        self.is_ct() || self.is_mr()
    }

    /// True when pictures are in colour.
    pub const fn is_colour(self) -> bool {
        matches!(self, Kind::Fundus)
    }

    /// Edge of the square field of view; a fundus photograph is not calibrated and counts in hundredths.
    pub const fn field_mm(self) -> f32 {
        match self {
            Kind::CtChest | Kind::CtAbdomen => 380.0,
            Kind::CtHead | Kind::MrT1 | Kind::MrT2 => 240.0,
            Kind::Radiograph => 400.0,
            Kind::Ultrasound => 160.0,
            Kind::Fundus => 100.0,
        }
    }

    /// True when a pixel has a size in mm.
    pub const fn is_calibrated(self) -> bool {
        !matches!(self, Kind::Fundus)
    }

    /// The window that pictures are made with.
    pub fn window(self) -> Window {
        match self {
            Kind::CtChest => Window::between(-1150.0, 350.0),
            Kind::CtAbdomen => Window::between(-160.0, 240.0),
            Kind::CtHead => Window::between(-10.0, 90.0),
            Kind::MrT1 | Kind::MrT2 => Window::between(0.0, 1.1),
            Kind::Radiograph => Window::between(0.0, 1.05),
            Kind::Ultrasound => Window::between(0.0, 1.1),
            Kind::Fundus => Window::between(0.0, 1.3),
        }
    }

    /// Name of the modality in answers.
    pub const fn modality(self) -> &'static str {
        match self {
            Kind::CtChest | Kind::CtAbdomen | Kind::CtHead => "CT",
            Kind::MrT1 | Kind::MrT2 => "MRI",
            Kind::Radiograph => "X-Ray",
            Kind::Ultrasound => "ultrasound",
            Kind::Fundus => "fundus photograph",
        }
    }

    /// Chinese name of the modality (letters where Chinese reports use them).
    pub const fn modality_zh(self) -> &'static str {
        match self {
            Kind::Ultrasound => "超声",
            Kind::Fundus => "眼底照片",
            Kind::Radiograph => "X光",
            _ => self.modality(),
        }
    }

    /// Part of the body in answers.
    pub const fn region(self) -> &'static str {
        match self {
            Kind::CtChest | Kind::Radiograph => "chest",
            Kind::CtAbdomen | Kind::Ultrasound => "abdomen",
            Kind::CtHead | Kind::MrT1 | Kind::MrT2 => "head",
            Kind::Fundus => "eye",
        }
    }

    /// Chinese name of the part of the body.
    pub const fn region_zh(self) -> &'static str {
        match self {
            Kind::CtChest | Kind::Radiograph => "胸部",
            Kind::CtAbdomen | Kind::Ultrasound => "腹部",
            Kind::CtHead | Kind::MrT1 | Kind::MrT2 => "头部",
            Kind::Fundus => "眼睛",
        }
    }

    /// Plane of the picture, where that has an answer.
    pub const fn plane(self) -> Option<&'static str> {
        match self {
            Kind::Radiograph => Some("frontal"),
            Kind::Ultrasound | Kind::Fundus => None,
            _ => Some("axial"),
        }
    }

    /// Findings that this examination can show, with the range of their diameters in mm.
    pub(crate) const fn repertoire(self) -> &'static [(FindingKind, f32, f32)] {
        match self {
            Kind::CtChest => &[
                (FindingKind::Nodule, 11.0, 30.0),
                (FindingKind::Mass, 40.0, 62.0),
                (FindingKind::Effusion, 15.0, 45.0),
                (FindingKind::Pneumothorax, 15.0, 42.0),
            ],
            Kind::CtAbdomen => &[
                (FindingKind::Mass, 22.0, 62.0),
                (FindingKind::Cyst, 16.0, 36.0),
                (FindingKind::Stone, 9.0, 14.0),
            ],
            Kind::CtHead => &[
                (FindingKind::Haemorrhage, 15.0, 42.0),
                (FindingKind::Infarct, 26.0, 52.0),
                (FindingKind::Fracture, 5.0, 9.0),
            ],
            Kind::MrT1 | Kind::MrT2 => &[
                (FindingKind::Tumour, 20.0, 46.0),
                (FindingKind::Haemorrhage, 15.0, 42.0),
                (FindingKind::Infarct, 26.0, 52.0),
            ],
            Kind::Radiograph => &[
                (FindingKind::Nodule, 13.0, 30.0),
                (FindingKind::Mass, 40.0, 62.0),
                (FindingKind::Effusion, 26.0, 70.0),
                (FindingKind::Pneumothorax, 12.0, 28.0),
            ],
            Kind::Ultrasound => &[
                (FindingKind::Cyst, 15.0, 36.0),
                (FindingKind::Mass, 20.0, 46.0),
                (FindingKind::Stone, 9.0, 15.0),
            ],
            Kind::Fundus => &[(FindingKind::Haemorrhage, 6.0, 15.0), (FindingKind::Exudate, 6.0, 13.0)],
        }
    }

    /// Diameters of nodules whose inside shows only when enlarged, where this examination has them.
    pub(crate) const fn fine_nodules(self) -> Option<(f32, f32)> {
        match self {
            Kind::CtChest => Some((12.0, 14.5)),
            Kind::Radiograph => Some((13.0, 15.5)),
            Kind::MrT2 => Some((8.0, 9.5)),
            _ => None,
        }
    }

    /// Structures worth asking for, in this examination.
    pub const fn structures(self) -> &'static [Label] {
        match self {
            Kind::CtChest => &[Label::LeftLung, Label::RightLung, Label::Heart, Label::Aorta, Label::Spine],
            Kind::CtAbdomen => &[
                Label::Liver,
                Label::Spleen,
                Label::LeftKidney,
                Label::RightKidney,
                Label::Stomach,
                Label::Aorta,
                Label::Spine,
            ],
            Kind::CtHead | Kind::MrT1 | Kind::MrT2 => {
                &[Label::Skull, Label::LeftVentricle, Label::RightVentricle]
            }
            Kind::Radiograph => &[Label::LeftLung, Label::RightLung, Label::Heart],
            Kind::Ultrasound => &[Label::Liver],
            Kind::Fundus => &[Label::OpticDisc],
        }
    }

    /// True when findings of this kind have the patient's side here.
    pub(crate) fn has_side(self, finding: FindingKind) -> bool {
        match self {
            Kind::Ultrasound | Kind::Fundus => false,
            // The liver's masses: the liver is on the right in everyone.
            Kind::CtAbdomen => finding != FindingKind::Mass,
            _ => true,
        }
    }
}
