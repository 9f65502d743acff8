"""Writes a training checkpoint as a plain Hugging Face directory: python export.py CHECKPOINT TOKENIZER OUT"""
import json
import os
import sys

import torch
from tokenizers import Tokenizer

from net import fresh_model
from prompts import SPECIAL

TEMPLATE = """{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- elif 'text' in part -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}"""


def main(checkpoint, tokenizer, out):
    os.makedirs(out, exist_ok=True)
    tok = Tokenizer.from_file(tokenizer)
    ids = {s: tok.token_to_id(s) for s in SPECIAL}
    model = fresh_model(ids, tok.get_vocab_size(), [tok.token_to_id(str(n)) for n in range(113)])
    model.load_state_dict(torch.load(checkpoint)["model"])
    model = model.half().eval()
    model.generation_config.do_sample = False
    model.generation_config.eos_token_id = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(out)

    def write(name, value):
        with open(os.path.join(out, name), "w") as f:
            f.write(value if isinstance(value, str) else json.dumps(value, indent=2) + "\n")

    tok.save(os.path.join(out, "tokenizer.json"), pretty=False)
    write("chat_template.jinja", TEMPLATE)
    write("tokenizer_config.json", {
        # Not Qwen2Tokenizer: that one brings its own rules for cutting text into pieces.
        "tokenizer_class": "PreTrainedTokenizerFast", "processor_class": "Qwen2_5_VLProcessor", "model_max_length": 4096,
        "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "clean_up_tokenization_spaces": False,
        "additional_special_tokens": [s for s in SPECIAL if s != "<|endoftext|>"]})
    write("preprocessor_config.json", {
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor", "do_resize": True,
        "do_rescale": True, "do_normalize": True, "do_convert_rgb": True, "resample": 3, "rescale_factor": 1 / 255,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "patch_size": 14, "temporal_patch_size": 2,
        # A square picture of any size becomes 112 x 112; the slack absorbs crops a pixel off square.
        "merge_size": 2, "min_pixels": 11000, "max_pixels": 14000,
        "size": {"shortest_edge": 11000, "longest_edge": 14000}})
    print({f: os.path.getsize(os.path.join(out, f)) for f in sorted(os.listdir(out))})


if __name__ == "__main__":
    main(*sys.argv[1:])
