"""The tiny random Qwen2.5-VL checkpoint that is built into the program until a trained one is there.

    HF_HUB_OFFLINE=1 python make.py        (torch 2.15, transformers 5.23)

Its answers mean nothing; it exercises everything a real checkpoint does, in 300 kB.
"""
import os, pathlib
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
import transformers as tf

HERE = pathlib.Path(__file__).parent
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>"]
WORDS = ["yes no left right normal abnormal fracture mass effusion opacity chest x ray ct mr image",
         "is there a lesion in the lung liver brain heart ? which side is it ? what is shown in this image ?"]
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
t.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=384, special_tokens=SPECIAL, show_progress=False,
                                                 initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
tok = tf.PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                 chat_template=TEMPLATE)
ids = {f"{k}_token_id": tok.convert_tokens_to_ids(f"<|{v}|>") for k, v in dict(
    image="image_pad", video="video_pad", vision_start="vision_start", vision_end="vision_end").items()}
end = tok.convert_tokens_to_ids("<|im_end|>")
config = tf.Qwen2_5_VLConfig(
    text_config=dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=2, vocab_size=len(tok), max_position_embeddings=8192, bos_token_id=None,
                     eos_token_id=end, rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[2, 3, 3])),
    vision_config=dict(depth=2, hidden_size=24, intermediate_size=48, num_heads=2, out_hidden_size=64,
                       fullatt_block_indexes=[1], window_size=112, patch_size=14), tie_word_embeddings=True, **ids)
torch.manual_seed(0)
model = tf.Qwen2_5_VLForConditionalGeneration(config)
with torch.no_grad():
    for name, p in model.named_parameters():
        if p.dim() > 1:
            p.normal_(std=0.3 if "embed_tokens" in name else 0.7 / p[0].numel() ** 0.5)
model.half().save_pretrained(HERE)
tok.save_pretrained(HERE)
tf.Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=448 * 448).save_pretrained(HERE)
print(sum(p.numel() for p in model.parameters()), "parameters")
