"""Reference values for the settings of the decoder: tiny random text models and the logits that `transformers` computes.

    python make.py            # writes NAME/model.safetensors beside this file (weights and references together)

Made with transformers 5.23 and torch 2.15. Tensors named `ref.N.ids` (tokens) and `ref.N.logits` (last hidden state's
logits of every position, f32) are references, the others are the checkpoint.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

VOCAB = 60
LENGTHS = (1, 7, 23, 41)
SHARED = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=44, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=128, pad_token_id=0, bos_token_id=1, eos_token_id=2)

MODELS = {
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SHARED, tie_word_embeddings=True)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SHARED, head_dim=12, tie_word_embeddings=False)),
    "llama": (LlamaForCausalLM, LlamaConfig(**SHARED, tie_word_embeddings=False, rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32))),
    "mistral": (MistralForCausalLM, MistralConfig(**SHARED, sliding_window=8, tie_word_embeddings=False)),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig(**{**SHARED, "num_hidden_layers": 6}, head_dim=10, sliding_window=8,
        query_pre_attn_scalar=16, layer_types=["sliding_attention"] * 5 + ["full_attention"],
        rope_parameters={"sliding_attention": dict(rope_type="default", rope_theta=1e4),
                         "full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1e6)})),
    "phi3": (Phi3ForCausalLM, Phi3Config(**SHARED, tie_word_embeddings=False)),
}


def main(folder: Path) -> None:
    for name, (kind, config) in MODELS.items():
        torch.manual_seed(len(name))
        config._attn_implementation = "eager"
        model = kind(config).float().eval()
        with torch.no_grad():
            for key, tensor in model.named_parameters():
                if "norm" in key:
                    # Away from 1 (or 0 for Gemma), so that a wrong norm shows.
                    tensor.copy_(torch.randn_like(tensor) * 0.3 + (0.0 if name == "gemma3" else 1.0))
                else:
                    tensor.copy_(torch.randn_like(tensor) * 0.15)
        tensors = {k: v.contiguous().clone() for k, v in model.state_dict().items()}
        if config.tie_word_embeddings:
            tensors.pop("lm_head.weight", None)
        for n, length in enumerate(LENGTHS):
            ids = torch.randint(3, VOCAB, (1, length))
            with torch.no_grad():
                tensors[f"ref.{n}.ids"] = ids[0].to(torch.int64)
                tensors[f"ref.{n}.logits"] = model(input_ids=ids, use_cache=False).logits[0].float().contiguous()
        (folder / name).mkdir(exist_ok=True)
        save_file(tensors, folder / name / "model.safetensors")


main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
