//! LLaVA as its authors store it: where the vision tower may be, and what is refused.

use crate::common::{Case, Dialect, write_tensors};
use loupe_models::{LoadOptions, load};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::Path;

fn case(name: &str) -> Case {
    Case::all("llava").into_iter().find(|case| case.name.starts_with(name)).unwrap()
}

/// Changes config.json.
fn change(dir: &Path, by: impl FnOnce(&mut Value)) {
    let file = dir.join("config.json");
    let mut config = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    by(&mut config);
    std::fs::write(file, config.to_string()).unwrap();
}

fn refused(dir: &Path) -> String {
    load(dir, &LoadOptions::default()).err().unwrap().to_string()
}

/// Takes the tensors of the tower out of the checkpoint, under the names of a CLIP checkpoint.
fn without_tower(dir: &Path) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let file = dir.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let listed =
        all.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec(), view.data().to_vec()));
    let (tower, rest): (Vec<_>, Vec<_>) = listed.partition(|(name, ..)| name.contains("vision_tower"));
    write_tensors(&rest, &file);
    let bare = |name: String| name.replace("model.vision_tower.vision_tower.", "");
    tower.into_iter().map(|(name, shape, bytes)| (bare(name), shape, bytes)).collect()
}

#[test]
fn a_tower_outside_the_checkpoint_is_found_where_it_is_named() {
    let case = case("llava_med");
    let dir = case.write(&Dialect::default());
    let mut tower = without_tower(dir.path());
    let nowhere = refused(dir.path());
    assert!(nowhere.contains("mm_vision_tower") && nowhere.contains("on this computer"), "{nowhere}");
    // A whole CLIP, whose tower for texts is not needed.
    tower.push(("text_model.final_layer_norm.weight".into(), vec![2], vec![0; 8]));
    let folder = dir.path().join("openai/clip-vit-large-patch14-336");
    std::fs::create_dir_all(&folder).unwrap();
    let vision = json!({ "hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 2,
                         "image_size": 56, "patch_size": 14 });
    let clip = json!({ "model_type": "clip", "vision_config": vision });
    std::fs::write(folder.join("config.json"), clip.to_string()).unwrap();
    write_tensors(&tower, &folder.join("model.safetensors"));
    let mut model = load(dir.path(), &LoadOptions::default()).unwrap();
    for (i, ask) in case.asks(32).iter().enumerate() {
        let reply = model.generate(std::slice::from_ref(ask)).remove(0).unwrap();
        let want = case.reference(&format!("{i}.generated_ids")).ints();
        assert_eq!(reply.token_ids.iter().map(|id| i64::from(*id)).collect::<Vec<_>>(), want, "{i}");
    }
    let record = serde_json::to_value(&model.info().from).unwrap().to_string();
    assert!(record.contains("vision_tower_sha256\":\"") && record.contains("mistral_instruct"), "{record}");
}

#[test]
fn what_is_not_implemented_is_refused_by_name() {
    let dir = case("bimedix2").write(&Dialect::default());
    let with = |field: &str, value: Value| {
        let mut before = Value::Null;
        change(dir.path(), |config| before = std::mem::replace(&mut config[field], value));
        let error = refused(dir.path());
        change(dir.path(), |config| config[field] = before);
        error
    };
    for (field, value) in [
        ("image_aspect_ratio", json!("anyres")),
        ("mm_projector_type", json!("linear")),
        ("mm_vision_select_layer", json!(-9)),
        ("mm_vision_select_feature", json!("all")),
        ("mm_use_im_start_end", json!(true)),
    ] {
        let error = with(field, value);
        assert!(error.contains(field) || error.contains("vision_feature_layer"), "{field}: {error}");
    }
    let unknown = with("mm_vision_tower", json!("google/siglip-so400m"));
    assert!(unknown.contains("mm_vision_tower") && unknown.contains("config.json"), "{unknown}");
}

#[test]
fn a_tokenizer_of_sentencepiece_alone_is_read() {
    let dir = case("llava_med").write(&Dialect::default());
    let pieces = crate::common::folder("sentencepiece/tokenizer.model");
    std::fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    std::fs::copy(pieces, dir.path().join("tokenizer.model")).unwrap();
    let mut model = load(dir.path(), &LoadOptions::default()).unwrap();
    let ask = case("llava_med").asks(4).remove(0);
    let reply = model.generate(&[ask]).remove(0).unwrap();
    // <s>, then the words before the picture, the picture, and those behind it.
    assert_eq!(reply.counts.picture_tokens, 16);
    assert_eq!(reply.token_ids.len(), 4);
    std::fs::write(dir.path().join("tokenizer.model"), "IQ== 0\n").unwrap();
    assert!(refused(dir.path()).contains("tokenizer.model"));
}
