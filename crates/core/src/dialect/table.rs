//! Every dialect by name.

use super::entry::{Dialect, Syntax};
use super::loc_tokens::LocShape;
use super::objects::{Envelope, Keys};
use super::parsed::Order;
use super::units::Units;

/// JSON objects with `bbox_2d`, `point_2d` and `counts`.
const OBJECTS: Keys = Keys {
    boxes: &["bbox_2d", "bbox"],
    points: &["point_2d", "point"],
    counts: &["counts", "count"],
    envelope: Envelope::List,
};

const fn row(
    name: &'static str,
    about: &'static str,
    syntax: Syntax,
    units: Units,
    decimals: usize,
) -> Dialect {
    Dialect { name, about, syntax, units, order: Order::Xy, decimals, ask: None }
}

/// Qwen2.5-VL's and Qwen3-VL's way of asking for a place.
const LOCATE: Option<&str> =
    Some("Locate {phrase} in the image and give its coordinates as JSON with the key \"bbox_2d\".");

/// Every dialect; a family or protocol names the one it speaks.
pub const DIALECTS: &[Dialect] = &[
    Dialect {
        ask: LOCATE,
        ..row(
            "qwen2.5-vl",
            "Qwen2.5-VL, Lingshu: JSON list of {\"bbox_2d\": [x1, y1, x2, y2], \"label\": …}, pixels of the resized picture",
            Syntax::Json(OBJECTS),
            Units::ModelInputPixels,
            0,
        )
    },
    Dialect {
        ask: LOCATE,
        ..row(
            "qwen3-vl",
            "Qwen3-VL: the same JSON, 0 to 1000 across each side",
            Syntax::Json(OBJECTS),
            Units::Thousandths,
            0,
        )
    },
    Dialect {
        ask: Some("Locate {phrase} in the image and give its bounding box."),
        ..row(
            "qwen2-vl",
            "Qwen2-VL: <|box_start|>(x1,y1),(x2,y2)<|box_end|>, 0 to 1000 across each side",
            Syntax::BoxTokens,
            Units::Thousandths,
            0,
        )
    },
    Dialect {
        ask: Some(
            "Please provide the bounding box coordinate of the region this sentence describes: <ref>{phrase}</ref>",
        ),
        ..row(
            "internvl",
            "InternVL: <ref>label</ref><box>[[x1, y1, x2, y2]]</box>, 0 to 1000 across each side",
            Syntax::BoxTags,
            Units::Thousandths,
            0,
        )
    },
    Dialect {
        order: Order::Yx,
        ..row(
            "gemma",
            "Gemma 3: JSON list of {\"box_2d\": [y1, x1, y2, x2], \"label\": …}, 0 to 1000 across each side",
            Syntax::Json(Keys {
                boxes: &["box_2d", "box"],
                points: &["point"],
                counts: &["count", "counts"],
                ..OBJECTS
            }),
            Units::Thousandths,
            0,
        )
    },
    Dialect {
        order: Order::Yx,
        ..row(
            "medgemma",
            "MedGemma 1.5: as Gemma, 0 to 1000 across the picture padded to a centred square",
            Syntax::Json(Keys {
                boxes: &["box_2d", "box"],
                points: &["point"],
                counts: &["count", "counts"],
                ..OBJECTS
            }),
            Units::ThousandthsOfSquare,
            0,
        )
    },
    Dialect {
        order: Order::Yx,
        ask: Some("detect {phrase}"),
        ..row(
            "paligemma",
            "PaliGemma: <locYYYY><locXXXX><locYYYY><locXXXX> label, 1024 bins a side, boxes separated by ;",
            Syntax::LocTokens(LocShape::PALIGEMMA),
            Units::Bins1024,
            0,
        )
    },
    Dialect {
        ask: Some("Locate the phrases in the caption: {phrase}"),
        ..row(
            "florence2",
            "Florence-2: label<loc_x1><loc_y1><loc_x2><loc_y2>, 1000 bins a side, bin centres",
            Syntax::LocTokens(LocShape::FLORENCE),
            Units::Bins1000Centre,
            0,
        )
    },
    row(
        "medvision",
        "MedVision: x1, y1, x2, y2 as plain numbers, 0 to 1 across each side from the lower left corner",
        Syntax::Numbers,
        Units::UnitFromLowerLeft,
        3,
    ),
    row(
        "point-detect-count",
        "PointDetectCount: JSON with bbox_2d, point_2d and counts, pixels of the picture given",
        Syntax::Json(OBJECTS),
        Units::GivenPixels,
        1,
    ),
    row(
        "vitar",
        "ViTAR: {\"actions\": [{\"arguments\": {\"box\": [[x1, y1, x2, y2]]}}]}, pixels of the picture given",
        Syntax::Json(Keys { boxes: &["box"], points: &[], counts: &[], envelope: Envelope::Actions }),
        Units::GivenPixels,
        0,
    ),
    row(
        "deepeyes",
        "DeepEyes: <tool_call>{\"arguments\": {\"bbox_2d\": [x1, y1, x2, y2]}}</tool_call>, pixels of the picture given",
        Syntax::Json(Keys {
            boxes: &["bbox_2d", "bbox"],
            points: &[],
            counts: &[],
            envelope: Envelope::ToolCall("image_zoom_in_tool"),
        }),
        Units::GivenPixels,
        0,
    ),
    row(
        "mini-o3",
        "Mini-o3: <grounding>{\"bbox_2d\": [x1, y1, x2, y2], \"source\": \"original_image\"}</grounding>, 0 to 1",
        Syntax::Json(Keys { boxes: &["bbox_2d"], points: &[], counts: &[], envelope: Envelope::Grounding }),
        Units::Unit,
        3,
    ),
    row(
        "pixel-reasoner",
        "Pixel-Reasoner: <tool_call>{\"arguments\": {\"bbox_2d\": [x1, y1, x2, y2], \"target_image\": 1}}</tool_call>, 0 to 1",
        Syntax::Json(Keys {
            boxes: &["bbox_2d"],
            points: &[],
            counts: &[],
            envelope: Envelope::ToolCall("crop_image_normalized"),
        }),
        Units::Unit,
        3,
    ),
];

/// The dialect called `name`.
pub fn dialect(name: &str) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|d| d.name == name)
}
