//! Datasets in the layouts of VQA-RAD and SLAKE, and as JSON lines.

use super::folder::{Folder, PICTURE_SIZE};
use super::picture::{jpeg, png};
use crate::error::PhantomError;
use crate::kind::Kind;
use crate::questions::{self, Language, Qa, Topic};
use crate::study::{Plan, Study, Wish};
use loupe_core::Picture;
use loupe_core::dialect::dialect;
use serde_json::{Value, json};

/// SLAKE's name for what a question is about.
pub(super) const fn content_type(topic: Topic) -> &'static str {
    match topic {
        Topic::Modality => "Modality",
        Topic::Plane => "Plane",
        Topic::Region | Topic::Organ => "Organ",
        Topic::Presence | Topic::Abnormality | Topic::Change | Topic::Attribute => "Abnormality",
        Topic::Side | Topic::Position | Topic::WhichImage => "Position",
        Topic::Count => "Quantity",
        Topic::Size => "Size",
    }
}

/// VQA-RAD's abbreviation for it.
const fn question_type(topic: Topic) -> &'static str {
    match topic {
        Topic::Modality => "MODALITY",
        Topic::Plane => "PLANE",
        Topic::Region | Topic::Organ => "ORGAN",
        Topic::Presence => "PRES",
        Topic::Abnormality | Topic::Change => "ABN",
        Topic::Side | Topic::Position | Topic::WhichImage => "POS",
        Topic::Count => "COUNT",
        Topic::Size => "SIZE",
        Topic::Attribute => "ATTRIB",
    }
}

fn answer_type(qa: &Qa) -> &'static str {
    if qa.closed { "CLOSED" } else { "OPEN" }
}

/// Questions that a picture alone answers without options.
fn plain(qas: &[Qa]) -> impl Iterator<Item = &Qa> {
    qas.iter().filter(|qa| qa.options.is_empty())
}

pub(super) fn vqa_rad(
    folder: &mut Folder,
    pictures: &[Study],
    asked: &[Vec<Qa>],
) -> Result<usize, PhantomError> {
    let mut rows = Vec::new();
    for (i, (study, qas)) in pictures.iter().zip(asked).enumerate() {
        let image = format!("synpic{i:05}.png");
        folder.write(&format!("vqa-rad/images/{image}"), &png(&study.picture(0)?)?)?;
        for qa in plain(qas).filter(|qa| qa.language == Language::En) {
            rows.push(json!({
                "qid": rows.len() + 1,
                "image_name": image,
                "image_organ": study.kind.region().to_uppercase(),
                "answer": qa.answer,
                "answer_type": answer_type(qa),
                "question_type": question_type(qa.topic),
                "question": qa.question,
                "phrase_type": "freeform",
            }));
        }
    }
    let count = rows.len();
    folder.write_json("vqa-rad/testset.json", &Value::Array(rows))?;
    Ok(count)
}

pub(super) fn slake(
    folder: &mut Folder,
    pictures: &[Study],
    asked: &[Vec<Qa>],
) -> Result<usize, PhantomError> {
    let mut rows = Vec::new();
    for (i, (study, qas)) in pictures.iter().zip(asked).enumerate() {
        // SLAKE has no ultrasound and no fundus photographs.
        if matches!(study.kind, Kind::Ultrasound | Kind::Fundus) {
            continue;
        }
        let name = format!("xmlab{i}");
        folder.write(&format!("slake/imgs/{name}/source.jpg"), &jpeg(&study.picture(0)?)?)?;
        folder.write(&format!("slake/imgs/{name}/mask.png"), &png(&mask_picture(study)?)?)?;
        folder.write_json(&format!("slake/imgs/{name}/detection.json"), &detection(study))?;
        for qa in plain(qas) {
            rows.push(json!({
                "img_id": i,
                "img_name": format!("{name}/source.jpg"),
                "question": qa.question,
                "answer": qa.answer,
                "q_lang": qa.language,
                "location": capital(study.kind.region()),
                "modality": study.kind.modality(),
                "answer_type": answer_type(qa),
                "base_type": "vqa",
                "triple": ["vhead", "_", "_"],
                "qid": rows.len() + 1,
                "content_type": content_type(qa.topic),
            }));
        }
    }
    let count = rows.len();
    folder.write_json("slake/test.json", &Value::Array(rows))?;
    Ok(count)
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Structure numbers, and 200 + n where finding n is.
fn mask_picture(study: &Study) -> Result<Picture, PhantomError> {
    let size = study.size();
    let grey: Vec<u8> = study.slices.first().map_or(Vec::new(), |s| {
        let level =
            |(&label, &bits): (&u8, &u8)| if bits == 0 { label } else { 208 - bits.leading_zeros() as u8 };
        s.labels.iter().zip(&s.findings).map(level).collect()
    });
    Ok(Picture::new(size, size, 1, grey)?)
}

/// SLAKE's list of one-entry objects, name to `[x, y, width, height]`.
fn detection(study: &Study) -> Value {
    let mut all = Vec::new();
    for label in study.kind.structures() {
        if let Some(region) = study.structure(0, *label).and_then(|m| m.bounding_box()) {
            all.push(json!({ capital(label.name()): region.xywh() }));
        }
    }
    for f in &study.findings {
        let [x0, y0, x1, y1] = f.box_px;
        all.push(json!({ capital(f.kind.name()): [x0, y0, x1 - x0, y1 - y0] }));
    }
    Value::Array(all)
}

fn lines(rows: &[Value]) -> Vec<u8> {
    rows.iter().flat_map(|row| format!("{row}\n").into_bytes()).collect()
}

/// Findings that are alone and structures, each as a phrase to locate (`grounding/`) and to outline
/// (`segmentation/`), box and mask of the same pixels.
pub(super) fn regions(folder: &mut Folder, pictures: &[Study]) -> Result<usize, PhantomError> {
    let (mut boxes, mut masks) = (Vec::new(), Vec::new());
    for (i, study) in pictures.iter().enumerate() {
        let image = format!("images/{i:04}.png");
        let mut wanted = Vec::new();
        if let [f] = study.findings.as_slice() {
            wanted.push((f.kind.name(), "finding", study.mask(0, 0)));
        }
        wanted
            .extend(study.kind.structures().iter().map(|l| (l.name(), "structure", study.structure(0, *l))));
        for (name, what, mask) in wanted {
            let Some((mask, region)) = mask.and_then(|m| m.bounding_box().map(|b| (m, b))) else { continue };
            let id = format!("{i:04}-{}", name.replace(' ', "-"));
            let row = json!({
                "id": id,
                "image": image,
                "group": image,
                "tags": {"modality": study.kind.modality(), "what": what},
            });
            let with = |question: String, field: &str, target: Value| {
                let mut row = row.clone();
                row["question"] = question.into();
                row[field] = json!([target]);
                row
            };
            boxes.push(with(grounding_question(name), "boxes", json!({"label": name, "box": region.xyxy()})));
            let file = format!("masks/{id}.png");
            let grey: Vec<u8> = mask.bits().iter().map(|b| u8::from(*b) * 255).collect();
            folder.write(
                &format!("segmentation/{file}"),
                &png(&Picture::new(mask.width(), mask.height(), 1, grey)?)?,
            )?;
            masks.push(with(format!("Segment the {name}."), "masks", json!({"label": name, "path": file})));
        }
        let file = png(&study.picture(0)?)?;
        folder.write(&format!("grounding/{image}"), &file)?;
        folder.write(&format!("segmentation/{image}"), &file)?;
    }
    folder.write("grounding/grounding.jsonl", &lines(&boxes))?;
    folder.write("segmentation/segmentation.jsonl", &lines(&masks))?;
    Ok(boxes.len())
}

/// The words in which a model of Qwen2.5-VL's dialect, such as the embedded one, is asked where `name` is.
fn grounding_question(name: &str) -> String {
    dialect("qwen2.5-vl").and_then(|d| d.ask_for(&format!("the {name}"))).unwrap_or_default()
}

/// Questions about the inside of nodules of a few pixels.
pub(super) fn small_findings(folder: &mut Folder, seed: u64, studies: usize) -> Result<usize, PhantomError> {
    let mut rows = Vec::new();
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|k| k.fine_nodules().is_some()).collect();
    for i in 0..studies {
        let Some(kind) = kinds.get(i % kinds.len().max(1)) else { continue };
        let seed = crate::rng::mix(seed.wrapping_mul(0x1_0001).wrapping_add(2 << 32 | i as u64));
        let study = Plan::held_out(seed, *kind, Wish::Fine).picture(PICTURE_SIZE);
        let Some(nodule) = study.findings.first() else { continue };
        let image = format!("images/{i:04}.png");
        folder.write(&format!("second-look/{image}"), &png(&study.picture(0)?)?)?;
        for qa in questions::about_nodule(nodule) {
            rows.push(json!({
                "id": format!("{i:04}-{}", if qa.closed { "closed" } else { "open" }),
                "image": image,
                "question": qa.question,
                "answer": qa.answer,
                "group": image,
                "tags": {
                    "modality": kind.modality(),
                    "answer_type": answer_type(&qa),
                    "size_mm": nodule.size_mm.map(|mm| mm.round()).unwrap_or_default().to_string(),
                },
            }));
        }
    }
    folder.write("second-look/second-look.jsonl", &lines(&rows))?;
    Ok(rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_the_one_that_the_embedded_model_learned() {
        let learned =
            "Locate the left lung in the image and give its coordinates as JSON with the key \"bbox_2d\".";
        assert_eq!(grounding_question("left lung"), learned);
    }
}
