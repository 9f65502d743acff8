//! For every published system of a family that answers: a tiny checkpoint written as its files are loads without its
//! family being named, and answers.

use crate::common::{Case, Dialect, TEXT};
use loupe_models::families::find;
use loupe_models::{Checkpoint, LoadOptions, load};

/// As files of `transformers` 4.4x to 4.51 are: tensors under `visual.` and `model.`, settings of the text model at the top,
/// preprocessor_config.json, and several files of weights.
fn of_4() -> Dialect {
    Dialect { old_names: true, flat_config: true, old_processor: true, shards: 2, ..Dialect::default() }
}

/// As files of 4.52 and later 4.x are.
fn of_4_52() -> Dialect {
    Dialect { text_config_4: true, old_processor: true, shards: 2, ..Dialect::default() }
}

#[test]
fn every_published_system_loads_from_its_layout_and_answers() {
    // (system, folder of cases, beginning of the case's name, files, the family that claims it)
    let systems = [
        ("Lingshu, ViTAR", "qwen2_5_vl", "gqa", of_4(), "qwen2.5-vl"),
        ("MedVLThinker, MMedAgent-RL, Med-RwR", "qwen2_5_vl", "gqa", of_4_52(), "qwen2.5-vl"),
        ("InfiMed 3B, tied", "qwen2_5_vl", "mha_tied", of_4(), "qwen2.5-vl"),
        ("ChestX-Reasoner, OphthaReason, MedVision", "qwen2_5_vl", "five", of_4_52(), "qwen2.5-vl"),
        ("Med-R1, MedCCO, ARMed", "qwen2_vl", "gqa", of_4(), "qwen2-vl"),
        ("fine-tunes of Qwen3-VL", "qwen3_vl", "gqa", of_4_52(), "qwen3-vl"),
        ("MedGemma 4B", "gemma3", "gqa", of_4(), "gemma3"),
        ("MedGemma 27B", "gemma3", "mha_untied", of_4_52(), "gemma3"),
        ("MedGemma 27B text", TEXT, "gemma3", of_4(), "gemma3-text"),
        ("Chiron-o1, Fleming-VL", "internvl", "chat_layout", of_4(), "internvl"),
        ("InternVL3 hf", "internvl", "gqa", of_4_52(), "internvl"),
        ("LLaVA-Med 1.5", "llava", "llava_med", of_4(), "llava"),
        ("HuatuoGPT-Vision", "llava", "huatuo", of_4(), "llava"),
        ("BiMediX2", "llava", "bimedix2", of_4(), "llava"),
        ("LLaVA 1.5, the base of KG-LLaVA, RULE and MMed-RAG", "llava", "vicuna", of_4(), "llava"),
        ("Hulu-Med 7B", "hulu_med", "gqa", of_4_52(), "hulu-med"),
        ("Hulu-Med 4B and 14B", "hulu_med", "qwen3_tied", of_4_52(), "hulu-med"),
        ("Hulu-Med, original layout", "hulu_med", "original", of_4(), "hulu-med"),
        ("MedVAL 4B, m1", TEXT, "qwen3", of_4(), "qwen3"),
        ("OpenMedLM, MedAgents' bases", TEXT, "llama", of_4(), "llama"),
        ("the text model of LLaVA-Med", TEXT, "mistral", of_4(), "mistral"),
    ];
    for (system, folder, beginning, dialect, family) in systems {
        let case = Case::all(folder).into_iter().find(|c| c.name.starts_with(beginning)).unwrap();
        let dir = case.write(&dialect);
        assert_eq!(find(&Checkpoint::directory(dir.path()), None).unwrap().name, family, "{system}");
        let mut model = load(dir.path(), &LoadOptions::default()).unwrap();
        for reply in model.generate(&case.asks(2)) {
            let reply = reply.unwrap();
            assert_eq!(reply.token_ids.len(), 2, "{system}");
        }
    }
}
