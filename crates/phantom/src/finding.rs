//! What is wrong with a phantom patient.

use serde::{Deserialize, Serialize};

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum FindingKind {
    Nodule,
    Mass,
    Effusion,
    Pneumothorax,
    Haemorrhage,
    Fracture,
    Infarct,
    Cyst,
    Stone,
    Tumour,
    Exudate,
}

impl FindingKind {
    /// Every kind.
    pub const ALL: [FindingKind; 11] = [
        FindingKind::Nodule,
        FindingKind::Mass,
        FindingKind::Effusion,
        FindingKind::Pneumothorax,
        FindingKind::Haemorrhage,
        FindingKind::Fracture,
        FindingKind::Infarct,
        FindingKind::Cyst,
        FindingKind::Stone,
        FindingKind::Tumour,
        FindingKind::Exudate,
    ];

    /// English name.
    pub const fn name(self) -> &'static str {
        match self {
            FindingKind::Nodule => "nodule",
            FindingKind::Mass => "mass",
            FindingKind::Effusion => "effusion",
            FindingKind::Pneumothorax => "pneumothorax",
            FindingKind::Haemorrhage => "haemorrhage",
            FindingKind::Fracture => "fracture",
            FindingKind::Infarct => "infarct",
            FindingKind::Cyst => "cyst",
            FindingKind::Stone => "stone",
            FindingKind::Tumour => "tumour",
            FindingKind::Exudate => "exudate",
        }
    }

    /// Chinese name.
    pub const fn name_zh(self) -> &'static str {
        match self {
            FindingKind::Nodule => "结节",
            FindingKind::Mass => "肿块",
            FindingKind::Effusion => "积液",
            FindingKind::Pneumothorax => "气胸",
            FindingKind::Haemorrhage => "出血",
            FindingKind::Fracture => "骨折",
            FindingKind::Infarct => "梗死",
            FindingKind::Cyst => "囊肿",
            FindingKind::Stone => "结石",
            FindingKind::Tumour => "肿瘤",
            FindingKind::Exudate => "渗出",
        }
    }

    /// With the English article.
    pub fn with_article(self) -> String {
        let article = if matches!(self, FindingKind::Effusion | FindingKind::Infarct | FindingKind::Exudate) {
            "an"
        } else {
            "a"
        };
        format!("{article} {}", self.name())
    }

    /// True for round things with a diameter worth asking for.
    pub const fn is_round(self) -> bool {
        matches!(
            self,
            FindingKind::Nodule
                | FindingKind::Mass
                | FindingKind::Haemorrhage
                | FindingKind::Cyst
                | FindingKind::Tumour
        )
    }
}

/// The patient's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    /// English name.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
        }
    }

    /// Chinese name.
    pub const fn name_zh(self) -> &'static str {
        match self {
            Side::Left => "左侧",
            Side::Right => "右侧",
        }
    }

    /// Direction in the picture: the patient's left is drawn on the right.
    pub(crate) const fn sign(self) -> f32 {
        match self {
            Side::Left => 1.0,
            Side::Right => -1.0,
        }
    }

    pub(crate) const fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// A finding before it is drawn: everything a follow-up keeps or changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lesion {
    pub(crate) kind: FindingKind,
    pub(crate) side: Side,
    /// Where in the organ, each coordinate in −1..1.
    pub(crate) place: [f32; 2],
    /// Height of its centre.
    pub(crate) z_mm: f32,
    pub(crate) diameter_mm: f32,
    /// With a hollow centre (nodules).
    pub(crate) cavitary: bool,
    /// Contrast, 1 for plainly visible.
    pub(crate) contrast: f32,
    /// Seed of its outline.
    pub(crate) seed: u64,
}

/// A finding as it was drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The structure it is in.
    pub organ: String,
    /// The patient's side, where the body has sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Slice with its largest extent, from 0 (0 for a picture).
    pub slice: usize,
    /// Box of its mask in that slice: `[x0, y0, x1, y1]` in continuous pixel edges.
    pub box_px: [f64; 4],
    /// Longer side of that box in mm (`None` where the picture is not calibrated).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_mm: Option<f64>,
    /// Pixels of its mask in that slice.
    pub area_px: usize,
    /// True when a nodule is hollow.
    pub cavitary: bool,
}
