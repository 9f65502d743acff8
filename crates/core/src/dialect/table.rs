//! Every dialect by name.

use super::entry::{Dialect, Syntax};
use super::loc_tokens::LocShape;
use super::objects::{Envelope, Keys};
use super::parsed::Order;
use super::units::Units;
use crate::registry::{Named, Registry};

impl Named for Dialect {
    fn name(&self) -> &str {
        self.name
    }
}

/// JSON objects with `bbox_2d`, `point_2d` and `counts`.
const OBJECTS: Keys = Keys {
    boxes: &["bbox_2d", "bbox"],
    points: &["point_2d", "point"],
    counts: &["counts", "count"],
    picture: None,
    envelope: Envelope::List,
};

// How each family is asked, word for word as the source beside it has it, with `{phrase}` for what is looked
// for. Marks that are special tokens of a tokenizer (`<ref>`) are for the family to set; in what a caller
// wrote they stay words.

/// The words that the embedded model was trained with, after those of Qwen2.5-VL's cookbook
/// (QwenLM/Qwen2.5-VL, `cookbooks/spatial_understanding.ipynb`).
const QWEN25: &str =
    "Locate {phrase} in the image and give its coordinates as JSON with the key \"bbox_2d\".";

/// QwenLM/Qwen3-VL, `cookbooks/2d_grounding.ipynb`: "search for a specific object by using a short phrase".
const QWEN3: &str = "Locate {phrase}, output its bbox coordinates using JSON format.";

/// The first wording that modelscope/ms-swift documents for grounding data of Qwen2-VL (`Find <ref-object>`).
const QWEN2: &str = "Find {phrase}";

/// OpenGVLab/InternVL, `internvl_chat/eval/refcoco/evaluate_grounding.py`.
const INTERNVL: &str =
    "Please provide the bounding box coordinate of the region this sentence describes: <ref>{phrase}</ref>";

/// Google-Health/medgemma, `notebooks/cxr_anatomy_localization_with_hugging_face.ipynb`, without its reminder
/// of where left is in a chest X-ray. Gemma 3 has no published words of its own; these describe its format.
const GEMMA: &str = "Instructions:
The following user query will require outputting bounding boxes. The format of bounding boxes coordinates is \
[y0, x0, y1, x1] where (y0, x0) must be top-left corner and (y1, x1) the bottom-right corner. This implies that \
x0 < x1 and y0 < y1. Always normalize the x and y coordinates the range [0, 1000], meaning that a bounding box \
starting at 15% of the image width would be associated with an x coordinate of 150. You MUST output a single \
parseable json list of objects enclosed into ```json...``` brackets, for instance \
```json[{\"box_2d\": [800, 3, 840, 471], \"label\": \"car\"}, {\"box_2d\": [400, 22, 600, 73], \"label\": \"dog\"}]``` \
is a valid output. Now answer to the user query.

Query:
Where is {phrase}? Don't give a final answer without reasoning. Output the final answer in the format \
\"Final Answer: X\" where X is a JSON list of objects. The object needs a \"box_2d\" and \"label\" key. Answer:";

/// The task syntax of PaliGemma (ai.google.dev, PaliGemma prompt and system instructions).
const PALIGEMMA: &str = "detect {phrase}";

/// What `<CAPTION_TO_PHRASE_GROUNDING>` stands for (huggingface/transformers, `processing_florence2.py`).
const FLORENCE2: &str = "Locate the phrases in the caption: {phrase}";

/// LijunRio/AG-KD, `simple_use/simple_example.py`, where `{phrase}` is "*target* means *definition*". The processor puts its
/// own words of the task before these.
const AG_KD: &str = "<CAPTION_TO_PHRASE_GROUNDING>Locate the phrases in the caption: {phrase}.";

/// YongchengYAO/MedVision at c221615, `doc_to_text_BoxCoordinate` with `FORMAT_PROMPT_BOX_COORDINATES`,
/// without the description of the image.
const MEDVISION: &str = "Task:
Given the input medical image, return the coordinates of the lower-left and upper-right corner of the bounding \
box for {phrase}.
Format requirement:
The answer should be four decimal numbers separated by commas without any units or additional text. The first \
two numbers are the coordinates of the lower-left corner and the last two numbers are the coordinates of the \
upper-right corner of the bounding box. Use relative coordinates in the image space, where the origin is at the \
lower-left corner of the image. Relative coordinates should be values between 0 and 1, representing the relative \
positions in the image.";

/// simula/PointDetectCount at 8c139ad, `qwen_outputs/qwen-finetuned-6task-test500-result.jsonl`.
const POINT_DETECT_COUNT: &str = "Find the region corresponding to {phrase} and provide the bounding box. Must \
output in this json format:[{\"bbox_2d\": [x1,y1,x2,y2], \"label\": b_lbl},.., {..}].";

const fn row(
    name: &'static str,
    about: &'static str,
    syntax: Syntax,
    units: Units,
    decimals: usize,
) -> Dialect {
    Dialect { name, about, syntax, units, order: Order::Xy, decimals, ask: None }
}

/// The dialect with the words that its models are asked with.
const fn asked(dialect: Dialect, words: &'static str) -> Dialect {
    Dialect { ask: Some(words), ..dialect }
}

/// Every dialect; a family or protocol names the one it speaks.
pub static DIALECTS: Registry<Dialect> =
    Registry { kind: "dialect", listed_as: "dialects", files: &[("table", ROWS)] };

const ROWS: &[Dialect] = &[
    asked(
        row(
            "qwen2.5-vl",
            "Qwen2.5-VL, Lingshu: JSON list of {\"bbox_2d\": [x1, y1, x2, y2], \"label\": …}, pixels of the resized picture",
            Syntax::Json(OBJECTS),
            Units::ModelInputPixels,
            0,
        ),
        QWEN25,
    ),
    asked(
        row(
            "qwen3-vl",
            "Qwen3-VL: the same JSON, 0 to 1000 across each side",
            Syntax::Json(OBJECTS),
            Units::Thousandths,
            0,
        ),
        QWEN3,
    ),
    asked(
        row(
            "qwen2-vl",
            "Qwen2-VL: <|box_start|>(x1,y1),(x2,y2)<|box_end|>, 0 to 1000 across each side",
            Syntax::BoxTokens,
            Units::Thousandths,
            0,
        ),
        QWEN2,
    ),
    asked(
        row(
            "internvl",
            "InternVL: <ref>label</ref><box>[[x1, y1, x2, y2]]</box>, 0 to 1000 across each side",
            Syntax::BoxTags,
            Units::Thousandths,
            0,
        ),
        INTERNVL,
    ),
    Dialect {
        order: Order::Yx,
        ask: Some(GEMMA),
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
        ask: Some(GEMMA),
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
        ask: Some(PALIGEMMA),
        ..row(
            "paligemma",
            "PaliGemma: <locYYYY><locXXXX><locYYYY><locXXXX> label, 1024 bins a side, boxes separated by ;",
            Syntax::LocTokens(LocShape::PALIGEMMA),
            Units::Bins1024,
            0,
        )
    },
    asked(
        row(
            "florence2",
            "Florence-2: label<loc_x1><loc_y1><loc_x2><loc_y2>, 1000 bins a side, bin centres",
            Syntax::LocTokens(LocShape::FLORENCE),
            Units::Bins1000Centre,
            0,
        ),
        FLORENCE2,
    ),
    asked(
        row(
            "ag-kd",
            "AG-KD, K2Sight: as Florence-2, bins across the 512 × 512 that the picture was letterboxed to",
            Syntax::LocTokens(LocShape::FLORENCE),
            Units::Bins1000OfLetterbox,
            0,
        ),
        AG_KD,
    ),
    asked(
        row(
            "medvision",
            "MedVision: x1, y1, x2, y2 as plain numbers, 0 to 1 across each side from the lower left corner",
            Syntax::Numbers,
            Units::UnitFromLowerLeft,
            3,
        ),
        MEDVISION,
    ),
    asked(
        row(
            "point-detect-count",
            "PointDetectCount: JSON with bbox_2d, point_2d and counts, pixels of the picture given",
            Syntax::Json(OBJECTS),
            Units::GivenPixels,
            1,
        ),
        POINT_DETECT_COUNT,
    ),
    row(
        "vitar",
        "ViTAR: {\"actions\": [{\"arguments\": {\"box\": [[x1, y1, x2, y2]]}}]}, pixels of the picture given",
        Syntax::Json(Keys {
            boxes: &["box"],
            points: &[],
            counts: &[],
            picture: None,
            envelope: Envelope::Actions,
        }),
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
            picture: None,
            envelope: Envelope::ToolCall("image_zoom_in_tool"),
        }),
        Units::GivenPixels,
        0,
    ),
    row(
        "mini-o3",
        "Mini-o3: <grounding>{\"bbox_2d\": [x1, y1, x2, y2], \"source\": \"original_image\"}</grounding>, 0 to 1",
        Syntax::Json(Keys {
            boxes: &["bbox_2d"],
            points: &[],
            counts: &[],
            picture: None,
            envelope: Envelope::Grounding,
        }),
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
            picture: Some(("target_image", 1)),
            envelope: Envelope::ToolCall("crop_image_normalized"),
        }),
        Units::Unit,
        3,
    ),
    row(
        "qwen3-zoom",
        "Qwen3-VL zooming: <tool_call>{\"arguments\": {\"bbox_2d\": [x1, y1, x2, y2], \"img_idx\": 0}}</tool_call>, 0 to 1000",
        Syntax::Json(Keys {
            boxes: &["bbox_2d"],
            points: &[],
            counts: &[],
            picture: Some(("img_idx", 0)),
            envelope: Envelope::ToolCall("image_zoom_in_tool"),
        }),
        Units::Thousandths,
        0,
    ),
    row(
        "ophiuchus",
        "Ophiuchus: a list of {\"index\": 1, \"bbox_2d\": [x1, y1, x2, y2]}, pixels of the picture given",
        Syntax::Json(Keys {
            boxes: &["bbox_2d"],
            points: &[],
            counts: &[],
            picture: Some(("index", 1)),
            envelope: Envelope::List,
        }),
        Units::GivenPixels,
        0,
    ),
];

/// The dialect called `name`.
pub fn dialect(name: &str) -> Option<&'static Dialect> {
    DIALECTS.get(name)
}
