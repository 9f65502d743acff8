"""The language part of a Qwen2.5-VL checkpoint as GGUF, so that llama.cpp can be timed on the very weights.

    pip install gguf safetensors torch
    python make_gguf.py /tmp/bench400 OUT.gguf bf16|f16|q8_0|q4_0|q4_k|q6_k

The names are those of llama.cpp's `qwen2` architecture (gguf-py, `constants.py`), the vocabulary is the checkpoint's. Blocks of 256 weights are
rounded in the plainest way, without llama.cpp's search for better scales: enough for timing.
"""
import json, pathlib, sys
import gguf
import numpy as np
from safetensors import safe_open

BLOCK = {"input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "ffn_norm.weight",
         "self_attn.o_proj.weight": "attn_output.weight", "mlp.gate_proj.weight": "ffn_gate.weight",
         "mlp.up_proj.weight": "ffn_up.weight", "mlp.down_proj.weight": "ffn_down.weight"}
BLOCK |= {f"self_attn.{p}_proj.{kind}": f"attn_{p}.{kind}" for p in "qkv" for kind in ("weight", "bias")}
WHOLE = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}


def name_of(key):
    """The GGUF name of a tensor of the language part; none for the tower's."""
    if key == "lm_head.weight":
        return "output.weight"
    for prefix in ("model.language_model.", "model."):
        if key.startswith(prefix):
            rest = key[len(prefix):]
            if rest in WHOLE:
                return WHOLE[rest]
            if rest.startswith("layers."):
                _, block, inner = rest.split(".", 2)
                return f"blk.{block}.{BLOCK[inner]}"
    return None


def q4_k(values):
    """`block_q4_K`: of each 32 weights a scale and what is taken off, 6 bits each, times those of 256."""
    parts = values.reshape(-1, 8, 32)
    low = np.minimum(parts.min(-1), 0)
    step = (parts.max(-1) - low) / 15
    halves, small = [], []
    for wanted in (step, -low):
        half = (wanted.max(-1) / 63).astype(np.float16)
        whole = half.astype(np.float32)[:, None]
        halves.append(half)
        small.append(np.clip(np.rint(np.divide(wanted, whole, out=np.zeros_like(wanted), where=whole > 0)), 0, 63).astype(np.uint8))
    (sc, m), packed = small, np.zeros((len(parts), 12), np.uint8)
    packed[:, :4] = sc[:, :4] | (sc[:, 4:] >> 4 << 6)
    packed[:, 4:8] = m[:, :4] | (m[:, 4:] >> 4 << 6)
    packed[:, 8:] = (sc[:, 4:] & 15) | ((m[:, 4:] & 15) << 4)
    scale, off = (h.astype(np.float32)[:, None, None] * s[:, :, None] for h, s in zip(halves, small))
    level = np.clip(np.rint(np.divide(parts + off, scale, out=np.zeros_like(parts), where=scale > 0)), 0, 15).astype(np.uint8)
    level = level.reshape(-1, 4, 2, 32)
    weights = (level[:, :, 0] | level[:, :, 1] << 4).reshape(-1, 128)
    heads = [h.view(np.uint8).reshape(-1, 2) for h in halves]
    return np.concatenate(heads + [packed, weights], -1).reshape(values.shape[0], -1)


def q6_k(values):
    """`block_q6_K`: of each 16 weights a scale of 8 bits, times that of 256."""
    parts = values.reshape(-1, 16, 16)
    wanted = np.abs(parts).max(-1) / 31
    half = (wanted.max(-1) / 127).astype(np.float16)
    whole = half.astype(np.float32)[:, None]
    sc = np.clip(np.rint(np.divide(wanted, whole, out=np.zeros_like(wanted), where=whole > 0)), 0, 127).astype(np.int8)
    scale = (whole * sc)[:, :, None]
    level = np.clip(np.rint(np.divide(parts, scale, out=np.zeros_like(parts), where=scale > 0)), -32, 31) + 32
    level = level.astype(np.uint8).reshape(-1, 2, 4, 32)
    lower = np.stack([(level[:, :, n] & 15) | (level[:, :, n + 2] & 15) << 4 for n in (0, 1)], 2).reshape(-1, 128)
    upper = sum((level[:, :, n] >> 4) << (2 * n) for n in range(4)).astype(np.uint8).reshape(-1, 64)
    return np.concatenate([lower, upper, sc.view(np.uint8), half.view(np.uint8).reshape(-1, 2)], -1).reshape(values.shape[0], -1)


OWN = {"q4_k": q4_k, "q6_k": q6_k}


def main():
    folder, out, named = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    kind = gguf.GGMLQuantizationType[named.upper()]
    whole = json.loads((folder / "config.json").read_text())
    text = whole.get("text_config", whole)
    theta = text.get("rope_theta") or (text.get("rope_parameters") or {}).get("rope_theta") or 1e6
    to = gguf.GGUFWriter(out, "qwen2")
    to.add_block_count(text["num_hidden_layers"])
    to.add_context_length(8192)
    to.add_embedding_length(text["hidden_size"])
    to.add_feed_forward_length(text["intermediate_size"])
    to.add_head_count(text["num_attention_heads"])
    to.add_head_count_kv(text["num_key_value_heads"])
    to.add_rope_freq_base(float(theta))
    to.add_layer_norm_rms_eps(text.get("rms_norm_eps", 1e-6))
    to.add_tokenizer_model("gpt2")
    to.add_tokenizer_pre("qwen2")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    special = {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    vocab = tokenizer["model"]["vocab"] | special
    by_id = {n: token for token, n in vocab.items()}
    to.add_token_list([by_id.get(n, f"[PAD{n}]") for n in range(text["vocab_size"])])
    to.add_token_types([5 if n not in by_id else 3 if by_id[n] in special else 1 for n in range(text["vocab_size"])])
    merges = tokenizer["model"]["merges"]
    to.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    to.add_eos_token_id(vocab["<|im_end|>"])
    tied = text.get("tie_word_embeddings", whole.get("tie_word_embeddings", False))
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for key in tensors.keys():
                name = name_of(key)
                if name is None or (name == "output.weight" and tied):
                    continue
                values = tensors.get_tensor(key).float().numpy()
                if values.ndim == 2:
                    if named in OWN and values.shape[1] % 256:
                        raise SystemExit(f"{name} has rows of {values.shape[1]} weights; {named} holds blocks of 256, so make a checkpoint with wider layers")
                    stored = OWN[named](values) if named in OWN else gguf.quants.quantize(values, kind)
                    to.add_tensor(name, stored, raw_dtype=kind)
                else:
                    to.add_tensor(name, values)
    to.write_header_to_file()
    to.write_kv_data_to_file()
    to.write_tensors_to_file()


main()
