"""A random Qwen2.5-VL checkpoint for speed measurements, by default of about 400 million parameters.

    python make_checkpoint.py OUT_FOLDER [--shape 400m|3b|7b|tiny] [--dtype f32|bf16] [--device cuda]

`400m` (1.6 GB in f32) is the published 3B model scaled down: 28 text layers of width 896, a windowed vision tower of 16 blocks. `3b` and
`7b` are the published shapes (7.5 and 16.6 GB in bf16); they are drawn on `--device`. `tiny` is for trying scripts.
"""
import argparse, os, pathlib
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import torch
from spread import spread
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
import transformers as tf

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>"]
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def text(hidden, inner, layers, heads, kv_heads, vocab):
    half = hidden // heads // 2
    third = half * 3 // 8
    return dict(hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads,
                num_key_value_heads=kv_heads, vocab_size=vocab, max_position_embeddings=8192, bos_token_id=None,
                eos_token_id=None, rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[half - 2 * third, third, third]))


def vision(depth, hidden, inner, heads, out):
    return dict(depth=depth, hidden_size=hidden, intermediate_size=inner, num_heads=heads, out_hidden_size=out,
                fullatt_block_indexes=[i for i in range(depth) if i % max(depth // 4, 1) == max(depth // 4, 1) - 1],
                window_size=112, patch_size=14)


# Text model, vision tower, is the output head the table of embeddings?
SHAPES = {
    "tiny": (text(64, 96, 2, 4, 2, 1600), vision(4, 32, 48, 2, 64), True),
    "400m": (text(896, 3328, 28, 14, 2, 32000), vision(16, 640, 1712, 10, 896), True),
    "3b": (text(2048, 11008, 36, 16, 2, 151936), vision(32, 1280, 3420, 16, 2048), True),
    "7b": (text(3584, 18944, 28, 28, 4, 152064), vision(32, 1280, 3420, 16, 3584), False),
}
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def tokenizer():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(["You are a helpful assistant. system user assistant", "is there a lesion in the left lung right"],
                          trainers.BpeTrainer(vocab_size=512, special_tokens=SPECIAL, show_progress=False,
                                              initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return tf.PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                      chat_template=TEMPLATE)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--shape", choices=SHAPES, default="400m")
    p.add_argument("--dtype", choices=TYPES, default="f32")
    p.add_argument("--device", default="cpu")
    a = p.parse_args()
    tok = tokenizer()
    ids = {f"{k}_token_id": tok.convert_tokens_to_ids(f"<|{v}|>") for k, v in dict(
        image="image_pad", video="video_pad", vision_start="vision_start", vision_end="vision_end").items()}
    own, tower, tied = SHAPES[a.shape]
    config = tf.Qwen2_5_VLConfig(text_config=own, vision_config=tower, tie_word_embeddings=tied, **ids)
    config.dtype = TYPES[a.dtype]
    torch.manual_seed(0)
    torch.set_default_dtype(TYPES[a.dtype])
    with torch.device(a.device):
        model = spread(tf.Qwen2_5_VLForConditionalGeneration(config))
    model.generation_config.eos_token_id = None
    print(sum(p.numel() for p in model.parameters()) / 1e6, "million parameters")
    model.save_pretrained(a.out)
    tf.Qwen2_5_VLProcessor(tf.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=1280 * 28 * 28), tok,
                           tf.Qwen2VLVideoProcessor(), chat_template=TEMPLATE).save_pretrained(a.out)


if __name__ == "__main__":
    main()
