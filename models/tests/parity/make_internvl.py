"""Reference values of InternVL from `transformers`, for `tests/main/parity.rs`.

    HF_HUB_OFFLINE=1 python make_internvl.py        (torch 2.15, transformers 5.24)

As `make_qwen.py`: only configurations and reference values are stored, weights and pictures follow its formulas. Case
`chat_layout` is stored as a checkpoint with code of its own is: its configuration, the prompt of its conversation
template, and tiles resized by Pillow; the network is the same.
"""
import hashlib, json, pathlib
import numpy as np
import torch
import transformers as tf
from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor, get_optimal_tiled_canvas
from make_gemma3 import conversation, weights
from make_qwen import picture, tokenizer
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "{{ '<IMG_CONTEXT>\n' }}{% else %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}{{'<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}")
SYSTEM = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def tiles(image, side, most):
    """`dynamic_preprocess` with a thumbnail, by Pillow, as bytes plane after plane."""
    columns, rows = get_optimal_tiled_canvas((image.height, image.width), (side, side), 1, most)
    large = image.resize((side * columns, side * rows), 3)
    views = [large.crop((x * side, y * side, (x + 1) * side, (y + 1) * side)) for y in range(rows) for x in range(columns)]
    if len(views) > 1:
        views.append(image.resize((side, side), 3))
    return np.stack([np.asarray(v).transpose(2, 0, 1) for v in views])


def case(name, text, vision, asks, most, chat=False, tied=False, kind="qwen2"):
    tok = tokenizer(TEMPLATE)
    tok.add_special_tokens({"additional_special_tokens": ["<img>", "</img>", "<IMG_CONTEXT>"]})
    context = tok.convert_tokens_to_ids("<IMG_CONTEXT>")
    side = vision["image_size"]
    tokens = (side // vision["patch_size"] // 2) ** 2
    config = tf.InternVLConfig(
        vision_config=dict(vision, image_size=[side, side], patch_size=[vision["patch_size"]] * 2),
        text_config=dict(text, model_type=kind, vocab_size=len(tok), max_position_embeddings=2048, rms_norm_eps=1e-6),
        image_token_id=context, image_seq_length=tokens, tie_word_embeddings=tied)
    model = tf.InternVLForConditionalGeneration(config).float().eval()
    rules = weights(model)
    numbers = dict(size=dict(height=side, width=side), min_patches=1, max_patches=most, image_mean=MEAN, image_std=STD)
    processor, bytes_of = GotOcr2ImageProcessor(**numbers), GotOcr2ImageProcessor(do_rescale=False, do_normalize=False, **numbers)
    ref, listed = {}, []
    for i, ask in enumerate(asks):
        turns, images = conversation(ask)
        if chat and turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": SYSTEM})
        prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        levels = []
        for image in images:
            views = tiles(image, side, most) if chat else bytes_of(
                images=[image], crop_to_patches=True, return_tensors="pt")["pixel_values"].numpy().round().astype(np.uint8)
            levels.append(views)
            prompt = prompt.replace("<IMG_CONTEXT>", "<img>" + "<hole>" * (len(views) * tokens) + "</img>", 1)
        ids = tok(prompt.replace("<hole>", "<IMG_CONTEXT>"), return_tensors="pt")["input_ids"]
        x = dict(input_ids=ids)
        if images:
            levels = np.concatenate(levels)
            mean, std = (torch.tensor(v)[None, :, None, None] for v in (MEAN, STD))
            x["pixel_values"] = (torch.from_numpy(levels).float() / 255 - mean) / std
            if not chat:
                own = processor(images=images, crop_to_patches=True, return_tensors="pt")["pixel_values"]
                assert (own - x["pixel_values"]).abs().max() < 1e-5
        with torch.no_grad():
            logits = model(**x).logits[0, -1]
            out = model.generate(**x, max_new_tokens=32, do_sample=False, eos_token_id=None)[0, ids.shape[1]:]
            n = ids.shape[1]
            found = dict(input_ids=ids[0].int(), position_ids=torch.arange(n).expand(3, n).int(), logits=logits, generated_ids=out.int())
            if images:
                features = model.model.get_image_features(x["pixel_values"], return_dict=True).pooler_output
                found |= dict(vision_features=features.flatten(0, 1), pixel_values=x["pixel_values"].flatten()[::61])
        assert not (out == tok.convert_tokens_to_ids("<|im_end|>")).any(), "the reply ends early: choose other weights"
        ref |= {f"{i}.{k}": v.contiguous().clone() for k, v in found.items()}
        listed.append(dict(turns=ask, levels_sha256=hashlib.sha256(levels.tobytes()).hexdigest() if images else None))
    settings = json.loads(config.to_json_string())
    settings["architectures"] = ["InternVLForConditionalGeneration"]
    settings["tie_word_embeddings"] = tied
    if chat:
        v = settings["vision_config"]
        same = {k: v[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "norm_type", "layer_norm_eps")}
        settings = dict(
            architectures=["InternVLChatModel"], model_type="internvl_chat", template="internvl2_5", ps_version="v2", select_layer=-1,
            downsample_ratio=0.5, dynamic_image_size=True, use_thumbnail=True, min_dynamic_patch=1, max_dynamic_patch=most,
            force_image_size=side, llm_config=dict(settings["text_config"], architectures=[f"{kind.capitalize()}ForCausalLM"], tie_word_embeddings=tied),
            vision_config=dict(same, image_size=side, patch_size=vision["patch_size"], qkv_bias=vision.get("attention_bias", False),
                               qk_normalization=vision.get("use_qk_norm", False), hidden_act="gelu"))
    numbers |= dict(image_processor_type="GotOcr2ImageProcessor" + ("Pil" if chat else ""))
    facts = dict(config=settings, image_processor=numbers, weights=rules, asks=listed)
    folder = HERE / "internvl"
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file(ref, folder / f"{name}.safetensors")
    described = json.loads(tok.backend_tokenizer.to_str())
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(name, {k: tuple(v.shape) for k, v in ref.items()})


def ask(*parts):
    return [("user", list(parts))]


def text(hidden, layers, heads, kv, wide, **more):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv, intermediate_size=wide, **more)


def vit(hidden, layers, heads, wide, side=56, **more):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=wide, image_size=side, patch_size=14, **more)


CASES = [
    ("gqa_two_images", text(64, 3, 4, 2, 96), vit(32, 3, 2, 64, attention_bias=True),
     [ask((233, 157, 1), "left", (120, 200, 2), "what is shown?")], 6, dict()),
    ("chat_layout", text(64, 2, 4, 2, 96), vit(24, 2, 2, 48, attention_bias=True),
     [ask((300, 181, 3), "Is there a fracture?"), ask("Where? ", (97, 260, 4), (40, 40, 9)), [("system", ["Short."]), ("user", [(64, 64, 11), "left?"])]],
     4, dict(chat=True)),
    ("chat_layout_qwen3", text(64, 2, 4, 2, 96, head_dim=16), vit(32, 2, 4, 64, use_qk_norm=True, norm_type="rms_norm"),
     [ask((180, 100, 3), "Is there a fracture?"), ask("no picture at all, only words")], 12, dict(chat=True, tied=True, kind="qwen3")),
    ("qwen3_norms_tied", text(48, 2, 4, 2, 80, head_dim=16), vit(32, 2, 4, 48, use_qk_norm=True, norm_type="rms_norm"),
     [ask((300, 100, 3), "Is there a fracture?"), ask("no picture at all, only words")], 5, dict(tied=True, kind="qwen3")),
    ("five_images_mixed_lengths", text(64, 2, 8, 2, 64), vit(32, 2, 4, 48, side=28, attention_bias=True),
     [ask(*[(40 + 9 * i, 70 - 7 * i, 5 + i) for i in range(5)], "compare"), ask((64, 64, 11), "yes or no, é?"), ask("only words"),
      [("system", ["Short."]), ("user", [(64, 64, 11), "left or right?"]), ("assistant", ["left"]), ("user", ["sure? ", (50, 31, 12)])]],
     12, dict()),
]

if __name__ == "__main__":
    for name, t, v, asks, most, more in CASES:
        case(name, t, v, asks, most, **more)
