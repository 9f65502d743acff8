"""A random Qwen2.5-VL checkpoint of about 400 million parameters, for speed measurements.

    python make_checkpoint.py OUT_FOLDER        (about 1.6 GB, f32)

Shapes follow the published 3B model scaled down: 28 text layers of width 896, a windowed vision tower of 16 blocks.
"""
import os, pathlib, sys
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
import transformers as tf

OUT = pathlib.Path(sys.argv[1])
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
t = Tokenizer(models.BPE())
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.decoder = decoders.ByteLevel()
t.train_from_iterator(["You are a helpful assistant. system user assistant", "is there a lesion in the left lung right"],
                      trainers.BpeTrainer(vocab_size=512, special_tokens=SPECIAL, show_progress=False,
                                          initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
tok = tf.PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                 chat_template=TEMPLATE)
ids = {f"{k}_token_id": tok.convert_tokens_to_ids(f"<|{v}|>") for k, v in dict(
    image="image_pad", video="video_pad", vision_start="vision_start", vision_end="vision_end").items()}
config = tf.Qwen2_5_VLConfig(
    text_config=dict(hidden_size=896, intermediate_size=3328, num_hidden_layers=28, num_attention_heads=14,
                     num_key_value_heads=2, vocab_size=32000, max_position_embeddings=8192, bos_token_id=None,
                     eos_token_id=None, rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[8, 12, 12])),
    vision_config=dict(depth=16, hidden_size=640, intermediate_size=1712, num_heads=10, out_hidden_size=896,
                       fullatt_block_indexes=[3, 7, 11, 15], window_size=112, patch_size=14),
    tie_word_embeddings=True, **ids)
torch.manual_seed(0)
model = tf.Qwen2_5_VLForConditionalGeneration(config)
model.generation_config.eos_token_id = None
print(sum(p.numel() for p in model.parameters()) / 1e6, "million parameters")
model.save_pretrained(OUT)
tf.Qwen2_5_VLProcessor(tf.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=1280 * 28 * 28), tok,
                       tf.Qwen2VLVideoProcessor(), chat_template=TEMPLATE).save_pretrained(OUT)
