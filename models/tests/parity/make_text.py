"""Reference values of text models without pictures from `transformers`, for `tests/main/parity.rs`.

    HF_HUB_OFFLINE=1 python make_text.py        (torch 2.15, transformers 5.24)

As `make_qwen.py`: only configurations and reference values are stored, in `text/`.
"""
import json
import transformers as tf
import make_gemma3 as gemma
import make_qwen as qwen

ASKS = [[("user", ["Is there a fracture?"])], [("system", ["Short."]), ("user", ["left or right?"]), ("assistant", ["left"]),
        ("user", ["sure, é? Say what is shown in this chest x ray image."])], [("user", ["no"])]]
SHAPE = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=512)
CASES = {
    "qwen2": (tf.Qwen2ForCausalLM, tf.Qwen2Config, dict(tie_word_embeddings=True)),
    "qwen2_windows": (tf.Qwen2ForCausalLM, tf.Qwen2Config, dict(use_sliding_window=True, sliding_window=6, max_window_layers=1)),
    "qwen3": (tf.Qwen3ForCausalLM, tf.Qwen3Config, dict(head_dim=20)),
    "llama": (tf.LlamaForCausalLM, tf.LlamaConfig, dict(rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32))),
    "mistral": (tf.MistralForCausalLM, tf.MistralConfig, dict(sliding_window=8)),
    "mistral_without_window": (tf.MistralForCausalLM, tf.MistralConfig, dict(sliding_window=None, head_dim=16)),
    "phi3": (tf.Phi3ForCausalLM, tf.Phi3Config, dict(intermediate_size=72, sliding_window=11, pad_token_id=0, bos_token_id=1)),
    "phi3_longrope": (tf.Phi3ForCausalLM, tf.Phi3Config, dict(
        sliding_window=None, pad_token_id=0, bos_token_id=1, max_position_embeddings=2048, original_max_position_embeddings=512,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.05, 1.1, 1.3, 1.8, 2.2],
                             long_factor=[1.1, 1.4, 2.0, 4.0, 9.0, 20.0], original_max_position_embeddings=512))),
    "gemma3": (tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, dict(num_hidden_layers=7, head_dim=10, sliding_window=8,
        query_pre_attn_scalar=16, rope_parameters={"sliding_attention": dict(rope_type="default", rope_theta=1e4),
                                                   "full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1e6)})),
}

if __name__ == "__main__":
    for name, (model_class, config_class, more) in CASES.items():
        tok = gemma.tokenizer() if name == "gemma3" else qwen.tokenizer()
        end = dict(eos_token_id=1 if name == "gemma3" else 2)
        config = config_class(**{**SHAPE, "vocab_size": len(tok), **end, **more})
        model = model_class(config).float().eval()
        rules = gemma.weights(model)
        ref, listed = {}, []
        for i, ask in enumerate(ASKS):
            turns = [{"role": role, "content": [{"type": "text", "text": part} for part in parts] if name == "gemma3" else "".join(parts)}
                     for role, parts in ask]
            prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            x = tok([prompt], add_special_tokens=False, return_tensors="pt")
            x.pop("token_type_ids", None)
            ref |= {f"{i}.{k}": v.contiguous().clone() for k, v in gemma.generated(model, x, end["eos_token_id"]).items()}
            listed.append(dict(turns=ask, levels_sha256=None))
        gemma.write("text", name, config, model_class, None, rules, ref, listed)
