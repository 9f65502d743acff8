"""Reference values of Qwen2-VL, Qwen2.5-VL and Qwen3-VL from `transformers`, for `tests/main/parity.rs`.

    HF_HUB_OFFLINE=1 python make_qwen.py        (torch 2.15, transformers 5.23; Qwen3-VL 5.24)

Weights and pictures follow integer formulas that the test repeats, so that only configurations and
reference values are stored: `<family>/<case>.json` and `<family>/<case>.safetensors`.
"""
import hashlib, json, os, pathlib
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
import transformers as tf
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>", "<|box_start|>", "<|box_end|>"]
# As the instruction-tuned checkpoints render it.
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


# Qwen3-VL has no default system prompt.
TEMPLATE_3 = TEMPLATE.replace("{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
                              "You are a helpful assistant.<|im_end|>\n{% endif %}", "")
assert len(TEMPLATE_3) < len(TEMPLATE)
KINDS = {"qwen2_vl": ("Qwen2VL", TEMPLATE), "qwen2_5_vl": ("Qwen2_5_VL", TEMPLATE), "qwen3_vl": ("Qwen3VL", TEMPLATE_3)}


def tokenizer(template=TEMPLATE):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        ["what is shown in this chest x ray image", "is there a fracture ? yes no left right"],
        trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL,
                            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    return tf.PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                      chat_template=template)


def mix(seed, n):
    """SplitMix64 of seed + 1 … seed + n."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def fnv(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = ((h ^ b) * 0x100000001B3) % 2**64
    return h


def weight(name, shape, amplitude, offset):
    n = int(np.prod(shape))
    unit = (mix(fnv(name), n) >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5
    return torch.from_numpy((unit * amplitude + offset).astype(np.float32).reshape(shape))


def picture(w, h, seed):
    """Slopes and a checkerboard with noise."""
    y, x, c = np.mgrid[0:h, 0:w, 0:3].astype(np.int64)
    noise = (mix(seed, h * w * 3) >> np.uint64(59)).astype(np.int64).reshape(h, w, 3)
    v = (x * 255 // max(w - 1, 1)) * (c == 0) + (y * 255 // max(h - 1, 1)) * (c == 1) + ((x // 5 + y // 7) % 2 * 160) * (c == 2)
    return Image.fromarray(np.clip(v + noise, 0, 255).astype(np.uint8))


def weights(model):
    rules = {}
    for name, p in model.named_parameters():
        if p.dim() > 1:
            std = 0.3 if "embed_tokens" in name else 0.7 / p[0].numel() ** 0.5
            rule = [list(p.shape), round(std * 12 ** 0.5, 6), 0.0]
        elif "norm" in name or "ln_q" in name:
            rule = [list(p.shape), 0.4, 1.0 if name.endswith("weight") else 0.0]
        else:
            rule = [list(p.shape), 0.2, 0.0]
        rules[name] = rule
        with torch.no_grad():
            p.copy_(weight(name, *rule))
    return rules


def case(family, name, text, vision, asks, size, pil=False, tied=False):
    kind, template = KINDS[family]
    tok = tokenizer(template)
    ids = {k: tok.convert_tokens_to_ids(v) for k, v in dict(
        image_token_id="<|image_pad|>", video_token_id="<|video_pad|>", vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>").items()}
    config_class, model_class, processor_class = (
        getattr(tf, kind + part) for part in ("Config", "ForConditionalGeneration", "Processor"))
    third = family == "qwen3_vl"
    half = (text["head_dim"] if third else text["hidden_size"] // text["num_attention_heads"]) // 2
    sections = [half // 4, (half - half // 4) // 2, half - half // 4 - (half - half // 4) // 2]
    if third:
        sections = [half - 2 * (half // 3), half // 3, half // 3]
    rope = dict(rope_type="default", rope_theta=5e6 if third else 1e6, mrope_section=sections)
    text = dict(text, vocab_size=len(tok), max_position_embeddings=2048, rms_norm_eps=1e-6,
                rope_parameters=rope | dict(mrope_interleaved=True) if third else rope)
    config = config_class(text_config=text, vision_config=vision, tie_word_embeddings=tied, **ids)
    model = model_class(config).float().eval()
    rules = weights(model)
    kwargs = dict(min_pixels=size[0], max_pixels=size[1], patch_size=vision["patch_size"])
    if third:
        kwargs |= dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = (Qwen2VLImageProcessorPil if pil else tf.Qwen2VLImageProcessor)(**kwargs)
    bytes_of = (Qwen2VLImageProcessorPil if pil else tf.Qwen2VLImageProcessor)(do_rescale=False, do_normalize=False, **kwargs)
    joined = processor_class(processor, tok, (tf.Qwen3VLVideoProcessor if third else tf.Qwen2VLVideoProcessor)())
    ref, listed = {}, []
    for i, ask in enumerate(asks):
        turns, images = [], []
        for role, parts in ask:
            content = []
            for part in parts:
                if isinstance(part, str):
                    content.append({"type": "text", "text": part})
                else:
                    content.append({"type": "image"})
                    images.append(picture(*part))
            turns.append({"role": role, "content": content})
        prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        x = joined(text=[prompt], images=images or None, return_tensors="pt")
        with torch.no_grad():
            logits = model(**x).logits[0, -1]
            generated = model.generate(**x, max_new_tokens=32, do_sample=False)[0, x["input_ids"].shape[1]:]
            pos, _ = model.model.get_rope_index(x["input_ids"], mm_token_type_ids=x["mm_token_type_ids"],
                                                image_grid_thw=x.get("image_grid_thw"))
        out = dict(input_ids=x["input_ids"][0].int(), position_ids=pos[:, 0].int(), logits=logits,
                   generated_ids=generated.int())
        if images:
            with torch.no_grad():
                features = model.model.visual(x["pixel_values"], x["image_grid_thw"]).pooler_output
            levels = bytes_of(images=images, return_tensors="pt")["pixel_values"].numpy()
            out |= dict(image_grid_thw=x["image_grid_thw"].int(), vision_features=features,
                        pixel_values=x["pixel_values"].flatten()[::61])
        ref |= {f"{i}.{k}": v.contiguous().clone() for k, v in out.items()}
        listed.append(dict(turns=ask, levels_sha256=hashlib.sha256(
            levels.round().astype(np.uint8).tobytes()).hexdigest() if images else None))
    folder = HERE / family
    folder.mkdir(exist_ok=True)
    settings = json.loads(config.to_json_string())
    settings["architectures"] = [model_class.__name__]
    preprocessor = json.loads(processor.to_json_string())
    preprocessor["image_processor_type"] = type(processor).__name__
    facts = dict(config=settings, image_processor=preprocessor, weights=rules, asks=listed)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file(ref, folder / f"{name}.safetensors")
    json_tok = json.loads(tok.backend_tokenizer.to_str())
    (HERE / "tokenizer.json").write_text(json.dumps(json_tok, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(family, name, sum(p.numel() for p in model.parameters()), {k: tuple(v.shape) for k, v in ref.items()})


def ask(*parts):
    return [("user", list(parts))]


def text(hidden, layers, heads, kv, wide):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv,
                intermediate_size=wide)


CASES = [
    # name, text, vision (hidden, depth, heads, wide, patch, window, full), asks, size, pil, tied
    ("gqa_two_images", text(64, 3, 4, 2, 96), (32, 4, 2, 48, 14, 56, [1, 3]),
     [ask((233, 157, 1), "left", (120, 200, 2), "what is shown?")], (56 * 56, 28 * 28 * 64), False, False),
    ("mha_tied_windows_do_not_divide", text(48, 2, 3, 3, 80), (24, 3, 2, 40, 14, 112, [2]),
     [ask((300, 181, 3), "Is there a fracture?"), ask("Where? ", (97, 260, 4))], (56 * 56, 28 * 28 * 80), True, True),
    ("five_images_mixed_lengths", text(64, 2, 8, 2, 64), (32, 2, 4, 48, 7, 28, [0]),
     [ask(*[(40 + 9 * i, 70 - 7 * i, 5 + i) for i in range(5)], "compare"), ask((64, 64, 11), "yes or no, é?"),
      ask("no picture at all, only words"),
      [("system", ["Short."]), ("user", [(64, 64, 11), "left or right?"]), ("assistant", ["left"]),
       ("user", ["sure? ", (50, 31, 12)])]], (28 * 28, 14 * 14 * 30), False, True),
    ("tiny_and_elongated", text(32, 2, 2, 1, 48), (16, 2, 1, 32, 14, 112, [1]),
     [ask((3, 5, 13), "tiny"), ask((400, 9, 14), "long"), ask((1, 1, 15), (28, 28, 16), "one")],
     (28 * 28 * 4, 28 * 28 * 40), True, False),
]

# name, text with head_dim, vision (hidden, depth, heads, wide, positions, deep), asks, size, pil, tied
CASES_3 = [
    ("gqa_two_images", text(64, 4, 4, 2, 96) | dict(head_dim=16), (32, 4, 2, 48, 36, [0, 1, 2]),
     [ask((233, 157, 1), "left", (120, 200, 2), "what is shown?")], (64 * 64, 32 * 32 * 64), False, False),
    ("tied_untouched_layers_between", text(48, 3, 3, 3, 80) | dict(head_dim=24), (24, 4, 2, 40, 16, [1, 3]),
     [ask((300, 181, 3), "Is there a fracture?"), ask("Where? ", (97, 260, 4))], (64 * 64, 32 * 32 * 80), True, True),
    ("five_images_mixed_lengths", text(64, 2, 8, 2, 64) | dict(head_dim=12), (32, 3, 4, 48, 25, [0, 2]),
     [ask(*[(40 + 9 * i, 70 - 7 * i, 5 + i) for i in range(5)], "compare"), ask((64, 64, 11), "yes or no, é?"),
      ask("no picture at all, only words"),
      [("system", ["Short."]), ("user", [(64, 64, 11), "left or right?"]), ("assistant", ["left"]),
       ("user", ["sure? ", (50, 31, 12)])]], (32 * 32, 32 * 32 * 12), False, True),
    ("tiny_and_elongated", text(32, 3, 2, 1, 48) | dict(head_dim=20), (16, 3, 1, 32, 49, [0, 1, 2]),
     [ask((3, 5, 13), "tiny"), ask((400, 9, 14), "long"), ask((1, 1, 15), (32, 32, 16), "one")],
     (32 * 32, 32 * 32 * 40), True, False),
]

if __name__ == "__main__":
    for name, t, (hidden, depth, heads, wide, positions, deep), asks, size, pil, tied in CASES_3:
        vision = dict(depth=depth, hidden_size=hidden, intermediate_size=wide, num_heads=heads, out_hidden_size=t["hidden_size"],
                      patch_size=16, num_position_embeddings=positions, deepstack_visual_indexes=deep)
        case("qwen3_vl", name, t, vision, asks, size, pil, tied)
    for name, t, (hidden, depth, heads, wide, patch, window, full), asks, size, pil, tied in CASES:
        new = dict(depth=depth, hidden_size=hidden, intermediate_size=wide, num_heads=heads,
                   out_hidden_size=t["hidden_size"], fullatt_block_indexes=full, window_size=window, patch_size=patch)
        old = dict(depth=depth, embed_dim=hidden, hidden_size=t["hidden_size"], mlp_ratio=2, num_heads=heads,
                   patch_size=patch)
        case("qwen2_5_vl", name, t, new, asks, size, pil, tied)
        case("qwen2_vl", name, t, old, asks, size, pil, tied)
