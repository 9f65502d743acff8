"""Reference values of models with LoRA adapters from `peft`, for `tests/main/adapters.rs`.

    HF_HUB_OFFLINE=1 python make_adapters.py        (torch 2.15, transformers 5.24, peft 0.21)

Base models are cases of `make_qwen.py` and `make_gemma3.py`. Weights of adapters follow the same formula, seeded by
the names in their files; peft runs them unmerged.
"""
import json, pathlib
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
import transformers as tf
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
import make_gemma3, make_qwen
from make_qwen import weight

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)


def base(family, name):
    facts = json.loads((HERE / family / f"{name}.json").read_text())
    settings = dict(facts["config"])
    kind = getattr(tf, settings["architectures"][0])
    model = kind(kind.config_class(**{k: v for k, v in settings.items() if k != "architectures"})).float().eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(weight(key, *facts["weights"][key]))
    return facts, model


def inputs(family, facts, model, ask):
    qwen = family.startswith("qwen")
    maker = make_qwen if qwen else make_gemma3
    tok = maker.tokenizer()
    own = {k: v for k, v in facts["image_processor"].items() if k != "image_processor_type"}
    if qwen:
        kind = tf.Qwen2VLProcessor if family == "qwen2_vl" else tf.Qwen2_5_VLProcessor
        joined = kind(tf.Qwen2VLImageProcessor(**own), tok, tf.Qwen2VLVideoProcessor())
    else:
        pil = facts["image_processor"]["image_processor_type"].endswith("Pil")
        joined = tf.Gemma3Processor((Gemma3ImageProcessorPil if pil else tf.Gemma3ImageProcessor)(**own), tok, image_seq_length=facts["config"]["mm_tokens_per_image"])
    turns, images = make_gemma3.conversation(ask)
    prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    if qwen:
        return joined(text=[prompt], images=images or None, return_tensors="pt")
    x = joined(text=[prompt], images=[images] if images else None, return_tensors="pt", add_special_tokens=False)
    x.pop("num_crops", None)
    return x


def case(name, family, of, **settings):
    facts, model = base(family, of)
    config = LoraConfig(base_model_name_or_path="someone/base", **settings)
    model = get_peft_model(model, config).eval()
    state, rules = {}, {}
    for key, value in get_peft_model_state_dict(model).items():
        spread = 0.7 / value[0].numel() ** 0.5 if value.dim() > 1 else 0.2
        rules[key] = [list(value.shape), round(spread * 12 ** 0.5, 6), 0.0]
        state[key] = weight(key, *rules[key])
    set_peft_model_state_dict(model, state)
    ref = {}
    for i, ask in enumerate(facts["asks"]):
        x = inputs(family, facts, model, ask["turns"])
        with torch.no_grad():
            logits = model(**x).logits[0, -1]
            out = model.generate(**x, max_new_tokens=32, do_sample=False)[0, x["input_ids"].shape[1]:]
        ref |= {f"{i}.logits": logits.clone(), f"{i}.generated_ids": out.int().clone()}
    config.inference_mode = True
    written = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
    folder = HERE / "adapters"
    folder.mkdir(exist_ok=True)
    told = dict(family=family, case=of, adapter_config=json.loads(json.dumps(written, default=str)), weights=rules)
    (folder / f"{name}.json").write_text(json.dumps(told, separators=(",", ":")) + "\n")
    save_file(ref, folder / f"{name}.safetensors")
    print(name, len(rules), list(rules)[:3])


if __name__ == "__main__":
    case("language_and_vision", "qwen2_5_vl", "gqa_two_images", r=4, lora_alpha=8,
         target_modules=r".*(q_proj|v_proj|down_proj|attn\.qkv|attn\.proj|merger\.mlp\.0|patch_embed\.proj)$",
         rank_pattern={r"layers\.1\..*q_proj": 2, "visual.blocks.0.attn.qkv": 6}, alpha_pattern={"down_proj": 3, "visual.blocks.0.attn.qkv": 5})
    case("rank_stabilised_with_whole_modules", "qwen2_vl", "gqa_two_images", r=3, lora_alpha=6, use_rslora=True,
         target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens"],
         modules_to_save=["lm_head", "merger"])
    case("gemma", "gemma3", "mha_untied_no_scaling", r=4, lora_alpha=16, bias="all", target_modules="all-linear")
