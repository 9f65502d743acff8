"""The language part of a Qwen2.5-VL checkpoint as GGUF, so that llama.cpp can be timed on the very weights.

    pip install gguf safetensors torch
    python make_gguf.py /tmp/bench400 OUT.gguf bf16|f16|q8_0|q4_0

The names are those of llama.cpp's `qwen2` architecture (gguf-py, `constants.py`). Its tokens are placeholders: such a file is for
timing, it answers nothing.
"""
import json, pathlib, sys
import gguf
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
    to.add_token_list([f"t{n}" for n in range(text["vocab_size"])])
    to.add_token_types([1] * text["vocab_size"])
    to.add_token_merges(["t0 t1"])
    to.add_bos_token_id(1)
    to.add_eos_token_id(2)
    tied = text.get("tie_word_embeddings", whole.get("tie_word_embeddings", False))
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for key in tensors.keys():
                name = name_of(key)
                if name is None or (name == "output.weight" and tied):
                    continue
                values = tensors.get_tensor(key).float().numpy()
                if values.ndim == 2:
                    to.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
                else:
                    to.add_tensor(name, values)
    to.write_header_to_file()
    to.write_kv_data_to_file()
    to.write_tensors_to_file()


main()
