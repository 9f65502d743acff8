"""GGUF files of Gemma 3 and InternVL in llama.cpp's published layout, what `transformers` gives with the weights that their
blocks stand for, and a vocabulary of SentencePiece's pieces with the tokens that it cuts texts into, for `tests/main/gguf_families.rs`.

    HF_HUB_OFFLINE=1 python make_gguf_families.py    (gguf 0.19, torch 2.15, transformers 5.24, sentencepiece 0.2.3; needs the
                                                     cases that make_gemma3.py and make_internvl.py wrote)

The keys, names and changed values are those of llama.cpp's converter (`conversion/gemma.py`, `intern_vision.py`, `base.py`). As in make_gguf.py
only what stands before the data is kept, and a list that says which tensor of the checkpoint every tensor is; the test repeats the
formulas of the data. Of a file in blocks, the blocks are noise with fixed scales (`noise`), whose values gguf-py gives to `transformers`.
"""
import io, json
import gguf
import numpy as np
import sentencepiece as spm
import torch
import transformers as tf
from safetensors.torch import load_file, save_file
from tokenizers import pre_tokenizers
from transformers.convert_slow_tokenizer import generate_merges
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
import make_gemma3, make_internvl
from make_gemma3 import conversation
from make_gguf import HERE, OUT, Q, write
from make_qwen import fnv, mix, weight

torch.set_num_threads(1)
# Halves of a block that are scales, and their values.
SCALES = {Q.Q8_0: [(0, 0.0007)], Q.Q4_0: [(0, 0.011)], Q.Q4_K: [(0, 0.0002), (2, 0.0015)], Q.Q6_K: [(208, 0.00004)]}


def noise(name, kind, shape, salt):
    inputs, size = gguf.GGML_QUANT_SIZES[kind]
    count = int(np.prod(shape)) // inputs
    stored = (mix(fnv(name) ^ salt, count * size) >> np.uint64(56)).astype(np.uint8).reshape(count, size)
    for at, scale in SCALES[kind]:
        stored[:, at:at + 2] = np.float16(scale).reshape(1).view(np.uint8)
    return torch.from_numpy(gguf.quants.dequantize(stored, kind).astype(np.float32).reshape(shape))


def mixed(name):
    """As Q4_K_M has it: values, half of the feed-forward parts and the embeddings in 6 bits."""
    if "token_embd" in name or "attn_v" in name or name == "blk.0.ffn_down.weight":
        return Q.Q6_K
    return Q.Q8_0 if name == "blk.1.ffn_down.weight" else Q.Q4_K


def text_keys(w, text, rope):
    w.add_type("model")
    w.add_block_count(text["num_hidden_layers"])
    w.add_context_length(text["max_position_embeddings"])
    w.add_embedding_length(text["hidden_size"])
    w.add_feed_forward_length(text["intermediate_size"])
    w.add_head_count(text["num_attention_heads"])
    w.add_head_count_kv(text["num_key_value_heads"])
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_layer_norm_rms_eps(text["rms_norm_eps"])
    if "head_dim" in text:
        w.add_key_length(text["head_dim"])
        w.add_value_length(text["head_dim"])
    w.add_quantization_version(2)


def text_parts(arch, facts, kind, prefix):
    names = gguf.get_tensor_name_map(arch, 64)
    parts = []
    for name, rule in facts["weights"].items():
        if not name.startswith((prefix, "lm_head")):
            continue
        old = name.replace(prefix, "model.")
        own = names.get_name(old, try_suffixes=(".weight", ".bias"))
        matrix = len(rule[0]) > 1
        plus = ["plus", 1] if arch == gguf.MODEL_ARCH.GEMMA3 and old.endswith("norm.weight") else None
        parts.append((own, name, rule[0], plus, kind(own) if matrix else Q.F32))
    return parts


def gemma_pieces():
    """Tokens of the small vocabulary with scores from which the same merges follow, as the converter writes them."""
    tokenizer = json.loads((HERE / "gemma3/tokenizer/tokenizer.json").read_text())
    added = {a["content"]: a for a in tokenizer["added_tokens"]}
    vocab = dict(tokenizer["model"]["vocab"]) | {a["content"]: a["id"] for a in added.values()}
    rank = {}
    for n, (left, right) in enumerate(tokenizer["model"]["merges"]):
        rank.setdefault(left + right, n)
    tokens, scores, types = sorted(vocab, key=vocab.get), [], []
    for token in tokens:
        if token in added:
            looks = token.startswith("<unused") or token in ("<pad>", "<mask>")
            kind, score = (gguf.TokenType.CONTROL if added[token]["special"] or looks else gguf.TokenType.USER_DEFINED), -1000.0
        elif token.startswith("<0x"):
            kind, score = gguf.TokenType.BYTE, 0.0
        else:
            kind, score = gguf.TokenType.NORMAL, -float(rank.get(token, 500))
        types.append(kind)
        scores.append(score)
    return tokens, scores, types


def gemma_text(facts, name, kind, path):
    text = facts["config"]["text_config"]
    near, far = (text["rope_parameters"][k] for k in ("sliding_attention", "full_attention"))
    w = gguf.GGUFWriter(path, "gemma3")
    w.add_name("Medgemma Tiny" if name == "wide" else "Gemma Tiny")
    text_keys(w, text, far)
    assert text["query_pre_attn_scalar"] == text["head_dim"]
    w.add_sliding_window(text["sliding_window"])
    sliding = [t == "sliding_attention" for t in text["layer_types"]]
    if sliding != [(i + 1) % 6 != 0 for i in range(len(sliding))]:
        w.add_sliding_window_pattern(sliding)
    if name == "wide":
        w.add_rope_freq_base_swa(near["rope_theta"])
    if far["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(far["factor"])
    tokens, scores, types = gemma_pieces()
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(tokens)
    w.add_token_scores(scores)
    w.add_token_types(types)
    for part, token in [("bos", "<bos>"), ("eos", "<eos>"), ("unk", "<unk>"), ("pad", "<pad>")]:
        getattr(w, f"add_{part}_token_id")(tokens.index(token))
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_add_space_prefix(False)
    template = make_gemma3.TEMPLATE
    # Some publishers leave the first token to llama.cpp.
    w.add_chat_template(template.replace("{{ bos_token }}", "") if name == "mha_untied_no_scaling" else template)
    return w, text_parts(gguf.MODEL_ARCH.GEMMA3, facts, kind, "model.language_model.")


def vision_keys(w, vision, width, processor, side):
    w.add_type("mmproj")
    w.add_clip_has_vision_encoder(True)
    w.add_vision_projection_dim(width)
    w.add_vision_image_size(side)
    w.add_vision_patch_size(vision["patch_size"])
    w.add_vision_embedding_length(vision["hidden_size"])
    w.add_vision_feed_forward_length(vision["intermediate_size"])
    w.add_vision_block_count(vision["num_hidden_layers"])
    w.add_vision_head_count(vision["num_attention_heads"])
    w.add_vision_image_mean(processor["image_mean"])
    w.add_vision_image_std(processor["image_std"])
    w.add_vision_attention_layernorm_eps(vision["layer_norm_eps"])
    w.add_vision_use_gelu(True)


def gemma_vision(facts, tower, path):
    config, vision = facts["config"], facts["config"]["vision_config"]
    w = gguf.GGUFWriter(path, "clip")
    vision_keys(w, vision, config["text_config"]["hidden_size"], facts["image_processor"], vision["image_size"])
    w.add_clip_projector_type(gguf.VisionProjectorType.GEMMA3)
    scale = vision["image_size"] // vision["patch_size"] // int(config["mm_tokens_per_image"] ** 0.5)
    if scale != 4:
        w.add_vision_projector_scale_factor(scale)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, vision["num_hidden_layers"])
    parts = []
    for name, rule in facts["weights"].items():
        part = None
        if name.startswith("model.vision_tower."):
            old = name.replace("model.vision_tower.", "vision_tower.vision_model.")
            own = names.get_name(old, try_suffixes=(".weight", ".bias"))
        elif name.startswith("model.multi_modal_projector."):
            # `mm_input_projection_weight` is not turned, and `mm_soft_emb_norm.weight` has 1 added.
            own = {"mm_input_projection_weight": "mm.input_projection.weight", "mm_soft_emb_norm.weight": "mm.soft_emb_norm.weight"}[name.split(".", 2)[2]]
            part = ["plus", 1] if "norm" in own else None
        else:
            continue
        whole = len(rule[0]) > 1 and "embd" not in own
        parts.append((own, name, rule[0], part, tower if whole else Q.F32))
    return w, parts


def internvl_text(facts, name, kind, path):
    text = facts["config"]["llm_config"]
    arch = text["model_type"]
    w = gguf.GGUFWriter(path, arch)
    w.add_name("InternVL3 Tiny")
    text = dict(text)
    if arch == "qwen2":
        text.pop("head_dim", None)
    text_keys(w, text, text["rope_parameters"])
    tokenizer = json.loads((HERE / "internvl/tokenizer/tokenizer.json").read_text())
    added = {a["content"]: a["id"] for a in tokenizer["added_tokens"]}
    vocab = dict(tokenizer["model"]["vocab"]) | added
    tokens = sorted(vocab, key=vocab.get)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t in added else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
    w.add_eos_token_id(vocab["<|im_end|>"])
    w.add_pad_token_id(vocab["<|endoftext|>"])
    w.add_bos_token_id(vocab["<|endoftext|>"])
    w.add_add_bos_token(False)
    # That of the text model, which knows of no pictures.
    w.add_chat_template("{% for message in messages %}{{ raise_exception('not this one') }}{% endfor %}")
    return w, text_parts(getattr(gguf.MODEL_ARCH, arch.upper()), facts, kind, "model.language_model.")


def internvl_vision(facts, tower, path):
    config, vision = facts["config"], facts["config"]["vision_config"]
    w = gguf.GGUFWriter(path, "clip")
    vision_keys(w, vision, config["llm_config"]["hidden_size"], facts["image_processor"], vision["image_size"])
    w.add_clip_projector_type(gguf.VisionProjectorType.INTERNVL)
    w.add_vision_projector_scale_factor(2)
    if config["max_dynamic_patch"] != 12:
        w.add_uint32("clip.vision.preproc_min_tiles", config["min_dynamic_patch"])
        w.add_uint32("clip.vision.preproc_max_tiles", config["max_dynamic_patch"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MMPROJ, max(vision["num_hidden_layers"], 4))
    projector = dict(layer_norm="mlp1.0", linear_1="mlp1.1", linear_2="mlp1.3")
    parts = []
    for name, rule in facts["weights"].items():
        shape = rule[0]
        if name.startswith("model.vision_tower."):
            old = name
            # As the converter does; the files of these checkpoints have the names that the map calls InternVL's.
            if "lambda_" in old or "position_embedding" in old:
                old += ".weight"
        elif name.startswith("model.multi_modal_projector."):
            layer, leaf = name.rsplit(".", 2)[1:]
            old = f"{projector[layer]}.{leaf}"
        else:
            continue
        own = names.get_name(old, try_suffixes=(".weight", ".bias"))
        whole = len(shape) > 1 and own.endswith(".weight") and "position_embd" not in own
        # The converter keeps what is no row of whole blocks in 16 bits.
        kind = tower if tower == Q.F32 or len(shape) == 2 else Q.F16
        parts.append((own, name, shape, None, kind if whole else Q.F32))
    return w, parts


def gemma_inputs(facts, ids, images):
    x = dict(input_ids=ids, token_type_ids=(ids == facts["config"]["image_token_index"]).long())
    if images:
        kind = Gemma3ImageProcessorPil if facts["image_processor"]["image_processor_type"].endswith("Pil") else tf.Gemma3ImageProcessor
        x["pixel_values"] = kind(size=facts["image_processor"]["size"])(images=images, return_tensors="pt")["pixel_values"]
    return x


def internvl_inputs(facts, ids, images):
    x = dict(input_ids=ids)
    if images:
        config = facts["config"]
        levels = np.concatenate([make_internvl.tiles(i, config["force_image_size"], config["max_dynamic_patch"]) for i in images])
        mean, std = (torch.tensor(v)[None, :, None, None] for v in (make_internvl.MEAN, make_internvl.STD))
        x["pixel_values"] = (torch.from_numpy(levels).float() / 255 - mean) / std
    return x


def gemma_model(facts):
    return tf.Gemma3ForConditionalGeneration(tf.Gemma3Config(**facts["config"]))


def internvl_model(facts):
    config = facts["config"]
    v, side = config["vision_config"], config["force_image_size"]
    tokenizer = json.loads((HERE / "internvl/tokenizer/tokenizer.json").read_text())
    context = {a["content"]: a["id"] for a in tokenizer["added_tokens"]}["<IMG_CONTEXT>"]
    vision = dict({k: v[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "norm_type", "layer_norm_eps")},
                  attention_bias=v["qkv_bias"], use_qk_norm=v["qk_normalization"], image_size=[side, side], patch_size=[v["patch_size"]] * 2)
    tied = config["llm_config"]["tie_word_embeddings"]
    return tf.InternVLForConditionalGeneration(tf.InternVLConfig(
        vision_config=vision, text_config=config["llm_config"], image_token_id=context, tie_word_embeddings=tied,
        image_seq_length=(side // v["patch_size"] // 2) ** 2))


FAMILIES = dict(gemma3=(gemma_text, gemma_vision, gemma_model, gemma_inputs),
                internvl=(internvl_text, internvl_vision, internvl_model, internvl_inputs))


def answers(facts, known, model, inputs):
    """Logits and 32 greedy tokens of every ask; the least distance between the best and the second-best token."""
    ref, least = {}, 1.0
    for i, asked in enumerate(facts["asks"]):
        _, images = conversation(asked["turns"])
        ids = known[f"{i}.input_ids"].long()[None]
        x = inputs(facts, ids, images)
        with torch.no_grad():
            logits = model(**x).logits[0, -1]
            out = model.generate(**x, max_new_tokens=32, do_sample=False, eos_token_id=None, output_scores=True, return_dict_in_generate=True)
        best = torch.cat(out.scores).topk(2).values
        tokens = out.sequences[0, ids.shape[1]:]
        least = min(least, float((best[:, 0] - best[:, 1]).min()), 0.0 if np.isin(tokens, [1, 2]).any() else 1.0)
        ref |= {f"{i}.logits": logits.clone(), f"{i}.generated_ids": tokens.int()}
    return ref, least


def case(family, name, kinds):
    folder = HERE / family
    facts = json.loads((folder / f"{name}.json").read_text())
    known = load_file(folder / f"{name}.safetensors")
    text_file, vision_file, build, inputs = FAMILIES[family]
    model = build(facts).float().eval()
    values = dict(model.named_parameters())
    for label, kind in kinds.items():
        kind, tower = kind if isinstance(kind, tuple) else (kind, Q.F32 if label == "f32" else Q.F16)
        stem = f"{family}.{name}.{label}"
        made = lambda part: (OUT / f"{stem}.{part}.gguf-head", *(
            text_file(facts, name, kind, OUT / f"{stem}.{part}.gguf-head") if part == "text" else
            vision_file(facts, tower, OUT / f"{stem}.{part}.gguf-head")))
        files = [made("text"), made("mmproj")]
        # Noise with which every token is chosen clearly, and no reply ends early.
        for salt in range(50):
            with torch.no_grad():
                for own, of, shape, _, stored in [p for f in files for p in f[2]]:
                    plain = weight(of, *facts["weights"][of])
                    values[of].copy_(plain if stored == Q.F32 else plain.half().float() if stored == Q.F16 else noise(own, stored, shape, salt))
            ref, least = answers(facts, known, model, inputs)
            if least > 1e-3:
                break
            assert label not in ("f32", "f16") and salt < 49, stem
        for path, w, parts in files:
            write(w, parts, path, salt)
        print(stem, "salt", salt, "least gap", least, {k: float(v.max() - v.min()) for k, v in ref.items() if "logits" in k})
        if label != "f32":
            save_file(ref, OUT / f"{stem}.safetensors")
            continue
        for i in range(len(facts["asks"])):
            assert (ref[f"{i}.logits"] - known[f"{i}.logits"]).abs().max() < 1e-5, stem


TEXTS = ["is there a fracture?", "left  lower   lobe", " a space before", "trailing ", "\nline\n\nends", "é ü 中 🫀", "a\tb\t\tc", "x ▁▁ y",
         "pneumothorax123", "ATELECTASIS", "<table> and <unused7>"]


def pieces():
    """A SentencePiece model with the parts of Gemma's: no space before a text, runs of line ends and of spaces as pieces that are always found."""
    always = ["<mask>", "<unused7>", "<start_of_turn>", "<end_of_turn>", "\n", "\n\n", "▁▁", "▁▁▁", "\t\t", "<table>"]
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(make_sentences()), model_writer=model, model_type="bpe", vocab_size=420, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3,
        user_defined_symbols=always, split_digits=True, character_coverage=0.99995, minloglevel=2)
    sp = spm.SentencePieceProcessor(model_proto=model.getvalue())
    n = sp.get_piece_size()
    plain = [sp.id_to_piece(i) for i in range(n)]
    # What published files mark as special, and with it what the converter takes for that.
    special = {"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"}
    renamed = {"<s>": "<bos>", "</s>": "<eos>"}
    tokens, scores, types = [], [], []
    for i, piece in enumerate(plain):
        piece = renamed.get(piece, piece)
        kind, score = gguf.TokenType.NORMAL, sp.get_score(i)
        if sp.is_byte(i):
            kind = gguf.TokenType.BYTE
        if piece in special or piece in always:
            control = piece in special or piece == "<mask>" or piece.startswith("<unused")
            kind, score = (gguf.TokenType.CONTROL, -1000.0) if control else (gguf.TokenType.USER_DEFINED, -1000.0)
            piece = piece if control else piece.replace("▁", " ")
        tokens.append(piece)
        scores.append(score)
        types.append(kind)
    # The tokenizer of `transformers`: as `GemmaTokenizer`, its merges as made from the pieces, and what is always found as added tokens.
    vocab = {renamed.get(p, p): i for i, p in enumerate(plain)}
    merges = generate_merges(vocab, {renamed.get(p, p): sp.get_score(i) for i, p in enumerate(plain)})
    reference = tf.GemmaTokenizer(vocab=vocab, merges=merges)
    reference.add_tokens([tf.AddedToken(p, normalized=False, special=p in special) for p in always])
    cases = []
    for text in TEXTS:
        ids = reference.encode(text, add_special_tokens=False)
        if "▁" not in text:
            assert ids == sp.encode(text), (text, ids, sp.encode(text))
        cases.append([text, ids, reference.decode(ids, skip_special_tokens=True)])
        print(cases[-1])
    return dict(tokens=tokens, scores=scores, types=types, cases=cases)


def whole():
    """Whole files without layers' weights, in which the metadata are all that there is to read: seeds of the fuzz target."""
    folder = OUT / "whole"
    folder.mkdir(exist_ok=True)
    width = 4
    plain = dict(num_hidden_layers=1, max_position_embeddings=64, hidden_size=width, intermediate_size=8, num_attention_heads=1,
                 num_key_value_heads=1, rms_norm_eps=1e-6)
    disguised = sorted(pre_tokenizers.ByteLevel.alphabet())
    qwen = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<img>", "</img>", "<IMG_CONTEXT>"]
    gemma = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    for arch in ["gemma3", "qwen2", "qwen3", "qwen2vl"]:
        w = gguf.GGUFWriter(folder / f"{arch}.gguf", arch)
        pieces, special = arch == "gemma3", gemma if arch == "gemma3" else qwen
        text_keys(w, dict(plain, head_dim=width) if arch in ("gemma3", "qwen3") else plain, dict(rope_theta=1e6))
        tokens = special + ([f"<0x{b:02X}>" for b in range(256)] + ["a", "b", "ab"] if pieces else disguised + ["ab"])
        kinds = [3] * len(special) + [6 if t.startswith("<0x") else 1 for t in tokens[len(special):]]
        w.add_tokenizer_model("llama" if pieces else "gpt2")
        w.add_tokenizer_pre("default" if pieces else "qwen2")
        w.add_token_list(tokens)
        w.add_token_types(kinds)
        w.add_eos_token_id(tokens.index(special[1]))
        if pieces:
            w.add_token_scores([0.0] * len(tokens))
            w.add_bos_token_id(2)
            w.add_unk_token_id(3)
            w.add_add_bos_token(True)
            w.add_add_space_prefix(False)
            w.add_sliding_window(8)
            w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            w.add_rope_scaling_factor(8.0)
        else:
            w.add_token_merges(["a b"])
        if arch == "qwen2vl":
            w.add_rope_dimension_sections([1, 1, 0, 0])
        w.add_tensor("token_embd.weight", np.zeros((len(tokens), width), np.float32))
        finish(w)
    vision = dict(hidden_size=4, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, patch_size=14, layer_norm_eps=1e-6)
    for kind in ["gemma3", "internvl", "qwen2.5vl_merger"]:
        w = gguf.GGUFWriter(folder / f"mmproj-{kind}.gguf", "clip")
        vision_keys(w, vision, width, dict(image_mean=make_internvl.MEAN, image_std=make_internvl.STD), 56)
        w.add_clip_projector_type(kind)
        if kind == "internvl":
            w.add_vision_projector_scale_factor(2)
        elif kind != "gemma3":
            w.add_vision_n_wa_pattern(1)
        w.add_tensor("v.blk.0.ffn_up.weight", np.zeros((8, 4), np.float32))
        finish(w)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make_sentences():
    return ["what is shown in this chest x ray image", "is there a fracture ? yes no left right", "the heart is enlarged . no pleural effusion or pneumothorax",
            "left lower lobe opacity , likely atelectasis", "a\tb"] * 4


if __name__ == "__main__":
    plain = lambda kind: lambda name: kind
    whole()
    (OUT / "pieces.json").write_text(json.dumps(pieces(), ensure_ascii=False) + "\n")
    f32, f16, q8, q4 = (plain(k) for k in (Q.F32, Q.F16, Q.Q8_0, Q.Q4_0))
    case("gemma3", "gqa_two_images", dict(f32=f32, f16=f16, q8_0=q8, q4_0=q4))
    case("gemma3", "mha_untied_no_scaling", dict(f32=f32))
    case("gemma3", "wide", dict(f32=f32, q4_k=plain(Q.Q4_K), q6_k=plain(Q.Q6_K), mixed=mixed))
    case("internvl", "chat_layout", dict(f32=f32, f16=f16, q8_0=q8))
    case("internvl", "chat_layout_qwen3", dict(f32=f32, q4_0=q4))
