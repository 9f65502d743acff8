"""GGUF files in llama.cpp's published layout and blocks of weights with their values, for `tests/main/gguf.rs` and
`src/kernels/blocks.rs`.

    python make_gguf.py        (gguf 0.19; needs the cases that make_qwen.py wrote)

The files are written by gguf-py with the keys and names of llama.cpp's converter (`conversion/qwenvl.py`, `base.py`). Weights follow the
formulas of make_qwen.py, which the test repeats: of each file only what stands before the data is kept, and a list that says
which tensor of the checkpoint, or which part of it, every tensor is.
"""
import json, pathlib
import gguf
import numpy as np
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from make_qwen import SPECIAL, TEMPLATE, mix

HERE = pathlib.Path(__file__).parent
OUT = HERE / "gguf"
Q = gguf.GGMLQuantizationType


def text_file(facts, tokenizer, path):
    text = facts["config"]["text_config"]
    w = gguf.GGUFWriter(path, "qwen2vl")
    w.add_type("model")
    w.add_name("Tiny")
    w.add_block_count(text["num_hidden_layers"])
    w.add_context_length(text["max_position_embeddings"])
    w.add_embedding_length(text["hidden_size"])
    w.add_feed_forward_length(text["intermediate_size"])
    w.add_head_count(text["num_attention_heads"])
    w.add_head_count_kv(text["num_key_value_heads"])
    rope = text["rope_parameters"]
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_rope_dimension_sections(rope["mrope_section"] + [0])
    w.add_layer_norm_rms_eps(text["rms_norm_eps"])
    w.add_file_type(0)
    w.add_quantization_version(2)
    vocab = tokenizer["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.get)
    # Rows of the embeddings that are no tokens are named so.
    tokens += [f"[PAD{i}]" for i in range(len(tokens), text["vocab_size"])]
    kind = lambda t: 3 if t in SPECIAL else 1 if t in vocab else 5
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types([kind(t) for t in tokens])
    w.add_token_merges([" ".join(m) for m in tokenizer["model"]["merges"]])
    w.add_eos_token_id(vocab["<|im_end|>"])
    w.add_pad_token_id(vocab["<|endoftext|>"])
    w.add_bos_token_id(vocab["<|endoftext|>"])
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2VL, text["num_hidden_layers"])
    parts = []
    for name, rule in facts["weights"].items():
        if name.startswith("model.visual."):
            continue
        old = name.replace("model.language_model.", "model.")
        parts.append((names.get_name(old, try_suffixes=(".weight", ".bias")), name, rule[0], None))
    return w, parts


def vision_file(facts, path):
    config = facts["config"]
    vision, text, processor = config["vision_config"], config["text_config"], facts["image_processor"]
    w = gguf.GGUFWriter(path, "clip")
    w.add_type("mmproj")
    w.add_clip_has_vision_encoder(True)
    w.add_vision_projection_dim(text["hidden_size"])
    w.add_vision_image_size(560)
    w.add_vision_patch_size(vision["patch_size"])
    second = config["model_type"] == "qwen2_vl"
    hidden = vision["embed_dim"] if second else vision["hidden_size"]
    w.add_vision_embedding_length(hidden)
    # Of Qwen2-VL the converter takes what that model's settings call hidden_size.
    w.add_vision_feed_forward_length(vision["hidden_size"] if second else vision["intermediate_size"])
    w.add_vision_block_count(vision["depth"])
    w.add_vision_head_count(vision["num_heads"])
    w.add_vision_image_mean(processor["image_mean"])
    w.add_vision_image_std(processor["image_std"])
    if second:
        w.add_clip_projector_type(gguf.VisionProjectorType.QWEN2VL)
    else:
        full = vision["fullatt_block_indexes"]
        assert all(b - a == full[0] + 1 for a, b in zip(full, full[1:]))
        w.add_clip_projector_type(gguf.VisionProjectorType.QWEN25VL)
        w.add_vision_use_silu(True)
        w.add_vision_n_wa_pattern(full[0] + 1)
        w.add_uint32("clip.vision.window_size", vision["window_size"])
    w.add_vision_attention_layernorm_eps(1e-6)
    # The tiny cases bound pictures more closely than published checkpoints do.
    w.add_uint32("clip.vision.image_min_pixels", processor["size"]["shortest_edge"])
    w.add_uint32("clip.vision.image_max_pixels", processor["size"]["longest_edge"])
    # As many at least as there are places in the merger (mm.0, mm.2).
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, max(vision["depth"], 3))
    find = lambda old: names.get_name(old, try_suffixes=(".weight", ".bias"))
    parts = []
    for name, rule in facts["weights"].items():
        if not name.startswith("model.visual."):
            continue
        old, shape = name.replace("model.visual.", "visual."), rule[0]
        if ".qkv." in old:
            rows = shape[0] // 3
            for n, part in enumerate("qkv"):
                parts.append((find(old.replace("qkv", part)), name, [rows] + shape[1:], ["rows", n * rows]))
        elif "patch_embed" in old:
            flat = shape[:2] + shape[3:]
            parts += [("v.patch_embd.weight", name, flat, ["frame", 0]), ("v.patch_embd.weight.1", name, flat, ["frame", 1])]
        else:
            parts.append((find(old), name, shape, None))
    return w, parts


def write(w, parts, path, salt=0):
    """Name, tensor of the checkpoint, shape, part, and type where it is not F32, of every tensor; `salt` is that of its noise."""
    listed = []
    for name, of, shape, part, *kind in parts:
        assert name, parts
        kind = kind[0] if kind else Q.F32
        inputs, size = gguf.GGML_QUANT_SIZES[kind]
        assert shape[-1] % inputs == 0, (name, shape, kind)
        stored = gguf.quant_shape_to_byte_shape(shape, kind) if inputs > 1 else shape
        dtype = {Q.F32: np.float32, Q.F16: np.float16}.get(kind, np.uint8)
        w.add_tensor_info(name, stored, np.dtype(dtype), int(np.prod(shape)) // inputs * size, raw_dtype=kind)
        listed.append([name, of, part] + ([] if kind == Q.F32 else [kind.name.lower()] if kind == Q.F16 else [kind.name.lower(), salt]))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    w.close()
    path.with_suffix(".json").write_text(json.dumps(listed, separators=(",", ":")) + "\n")


def blocks():
    out = {}
    for seed, kind in enumerate([Q.Q8_0, Q.Q4_0, Q.Q4_K, Q.Q6_K]):
        inputs, size = gguf.GGML_QUANT_SIZES[kind]
        count = 20
        stored = (mix(100 + seed, count * size) >> np.uint64(56)).astype(np.uint8).reshape(count, size)
        # Scales of ordinary size, of either sign, subnormal ones too.
        for at in {Q.Q4_K: [0, 2], Q.Q6_K: [208]}.get(kind, [0]):
            halves = (mix(at + 7, count).astype(np.int64) % 2001 - 1000).astype(np.float16) / np.float16(4096)
            halves[3] = np.float16(3e-7)
            stored[:, at:at + 2] = halves.view(np.uint8).reshape(count, 2)
        values = gguf.quants.dequantize(stored, kind)
        assert values.shape == (count, inputs)
        out[kind.name.lower()] = dict(stored=stored.tobytes().hex(), values=values.astype("<f4").tobytes().hex())
    return out


TEXTS = ["It's 12345 days,\n\n  caf\u00e9 e\u0301 \t end  ", "DON'T we'Ll see 3.5mm x-rays\r\n\r\nok", "\u4e2d\u6587 \U0001fac1",
         "   leading; trailing   ", "a\n \nb", "<|im_end|>"]


def vocabulary():
    """A vocabulary whose merges cross words and numbers, so that it matters where texts are cut, and what Qwen2's tokenizer of
    transformers makes of some texts with it."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t.train_from_iterator(TEXTS[:5] * 3, trainers.BpeTrainer(
        vocab_size=360, special_tokens=SPECIAL, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    model = json.loads(t.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    reference = tf.Qwen2Tokenizer(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]])
    cases = []
    for text in TEXTS[:5]:
        ids = reference.encode("user\n" + text, add_special_tokens=False)
        assert ids != t.encode("user\n" + text).ids, "a vocabulary with which it matters"
        cases.append([text, ids])
    return dict(tokens=tokens, types=[3 if t in SPECIAL else 1 for t in tokens], merges=[" ".join(m) for m in model["merges"]], cases=cases)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    (OUT / "vocabulary.json").write_text(json.dumps(vocabulary(), ensure_ascii=False))
    (OUT / "blocks.json").write_text(json.dumps(blocks()))
    tokenizer = json.loads((HERE / "tokenizer.json").read_text())
    for family, case in [("qwen2_5_vl", "gqa_two_images"), ("qwen2_vl", None)]:
        folder = HERE / family
        case = case or sorted(p.stem for p in folder.glob("*.json"))[0]
        facts = json.loads((folder / f"{case}.json").read_text())
        for part, made in [("text", text_file), ("mmproj", vision_file)]:
            path = OUT / f"{family}.{case}.{part}.gguf-head"
            write(*(made(facts, tokenizer, path) if part == "text" else made(facts, path)), path)
