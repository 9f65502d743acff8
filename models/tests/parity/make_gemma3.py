"""Reference values of Gemma 3 and of text models from `transformers`, for `tests/main/parity.rs`.

    HF_HUB_OFFLINE=1 python make_gemma3.py        (torch 2.15, transformers 5.24)

As `make_qwen.py`: only configurations and reference values are stored, weights and pictures follow its formulas. The
tokenizer has the parts of Gemma's: spaces as a letter, bytes for unknown letters, runs of line ends as tokens of
their own, thoughts between tokens that are not special.
"""
import hashlib, json, pathlib
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
import transformers as tf
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from make_qwen import picture, weight

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>",
           "<image_soft_token>"]
PLAIN = ["\n", "\n\n", "\n\n\n", "\n\n\n\n", "<unused94>", "<unused95>"]
# As the instruction-tuned checkpoints render it.
TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set prefix = messages[0]['content'][0]['text'] + '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set prefix = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role'])"
    " + '\n' + (prefix if loop.first else '') }}{% for item in message['content'] %}{% if item['type'] == 'image' %}"
    "{{ '<start_of_image>' }}{% else %}{{ item['text'] | trim }}{% endif %}{% endfor %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}")


def tokenizer():
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    letters = [chr(c) for c in range(33, 127)] + ["▁"]
    t.train_from_iterator(
        ["what is shown in this chest x ray image", "is there a fracture ? yes no left right",
         "here is the original image and here are some crops to help you see better"],
        trainers.BpeTrainer(vocab_size=420, special_tokens=SPECIAL + [f"<0x{b:02X}>" for b in range(256)],
                            initial_alphabet=letters, show_progress=False))
    described = json.loads(t.to_str())
    # Bytes are pieces of the vocabulary, not tokens that text can name.
    described["added_tokens"] = [a for a in described["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(described))
    t.add_tokens([AddedToken(p, normalized=False, special=False) for p in PLAIN])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=t, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>",
        chat_template=TEMPLATE, model_specific_special_tokens=dict(
            boi_token="<start_of_image>", eoi_token="<end_of_image>", image_token="<image_soft_token>"))


def weights(model):
    kinds = {}
    for name, module in model.named_modules():
        if isinstance(module, Gemma3RMSNorm):
            kinds[name] = 0.0
        elif isinstance(module, torch.nn.LayerNorm) or type(module).__name__.endswith("RMSNorm"):
            kinds[name] = 1.0
    rules = {}
    for name, p in model.named_parameters():
        module, leaf = name.rsplit(".", 1)
        if module in kinds:
            rule = [list(p.shape), 0.4, kinds[module] if leaf == "weight" else 0.0]
        elif p.dim() > 1:
            std = 0.3 if "embed" in name else 0.7 / p[0].numel() ** 0.5
            rule = [list(p.shape), round(std * 12 ** 0.5, 6), 0.0]
        else:
            rule = [list(p.shape), 0.2, 0.0]
        rules[name] = rule
        with torch.no_grad():
            p.copy_(weight(name, *rule))
    return rules


def write(family, name, config, model_class, processor, rules, ref, listed):
    folder = HERE / family
    folder.mkdir(exist_ok=True)
    settings = json.loads(config.to_json_string())
    settings["architectures"] = [model_class.__name__]
    settings["tie_word_embeddings"] = config.tie_word_embeddings
    facts = dict(config=settings, image_processor=processor, weights=rules, asks=listed)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file(ref, folder / f"{name}.safetensors")
    print(family, name, {k: tuple(v.shape) for k, v in ref.items()})


def generated(model, x, eos=1):
    with torch.no_grad():
        logits = model(**x).logits[0, -1]
        out = model.generate(**x, max_new_tokens=32, do_sample=False)[0, x["input_ids"].shape[1]:]
    assert (out != eos).all(), "the reply ends early: choose other weights"
    n = x["input_ids"].shape[1]
    return dict(input_ids=x["input_ids"][0].int(), position_ids=torch.arange(n).expand(3, n).int(), logits=logits,
                generated_ids=out.int())


def content(parts):
    images = [picture(*part) for part in parts if not isinstance(part, str)]
    words = [{"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in parts]
    return words, images


def conversation(ask):
    """The turns for a processor, and their pictures in order."""
    turns, images = [], []
    for role, parts in ask:
        words, more = content(parts)
        images += more
        turns.append({"role": role, "content": words})
    return turns, images


def case(name, text, vision, asks, tokens=4, pil=False, tied=True, pan=None):
    tok = tokenizer()
    ids = {k: tok.convert_tokens_to_ids(v) for k, v in dict(
        image_token_index="<image_soft_token>", boi_token_index="<start_of_image>", eoi_token_index="<end_of_image>").items()}
    config = tf.Gemma3Config(text_config=dict(text, vocab_size=len(tok), max_position_embeddings=2048),
                             vision_config=dict(vision, vision_use_head=False), mm_tokens_per_image=tokens,
                             tie_word_embeddings=tied, **ids)
    model = tf.Gemma3ForConditionalGeneration(config).float().eval()
    rules = weights(model)
    kind = Gemma3ImageProcessorPil if pil else tf.Gemma3ImageProcessor
    size = dict(height=vision["image_size"], width=vision["image_size"])
    processor, bytes_of = kind(size=size), kind(size=size, do_rescale=False, do_normalize=False)
    joined = tf.Gemma3Processor(processor, tok, image_seq_length=tokens)
    pan = dict(do_pan_and_scan=True, **pan) if pan else {}
    ref, listed = {}, []
    for i, ask in enumerate(asks):
        turns, images = conversation(ask)
        prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        x = joined(text=[prompt], images=[images] if images else None, return_tensors="pt", add_special_tokens=False, **pan)
        x.pop("num_crops", None)
        out = generated(model, x)
        if images:
            with torch.no_grad():
                features = model.model.get_image_features(x["pixel_values"], return_dict=True).pooler_output
            levels = bytes_of(images=images, return_tensors="pt", **pan)["pixel_values"].numpy()
            out |= dict(vision_features=features.flatten(0, 1), pixel_values=x["pixel_values"].flatten()[::61])
        ref |= {f"{i}.{k}": v.contiguous().clone() for k, v in out.items()}
        listed.append(dict(turns=ask, levels_sha256=hashlib.sha256(
            levels.round().astype(np.uint8).tobytes()).hexdigest() if images else None))
    settings = json.loads(processor.to_json_string())
    settings |= dict(image_processor_type=type(processor).__name__, **pan)
    write("gemma3", name, config, tf.Gemma3ForConditionalGeneration, settings, rules, ref, listed)
    (HERE / "gemma3" / "tokenizer").mkdir(exist_ok=True)
    described = json.loads(tok.backend_tokenizer.to_str())
    (HERE / "gemma3" / "tokenizer" / "tokenizer.json").write_text(
        json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n")


def ask(*parts):
    return [("user", list(parts))]


def text(hidden, layers, heads, kv, dim, wide, window, full, factor=8.0, scalar=16):
    far = dict(rope_type="linear", factor=factor, rope_theta=1e6) if factor else dict(rope_type="default", rope_theta=1e6)
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv,
                head_dim=dim, intermediate_size=wide, sliding_window=window, query_pre_attn_scalar=scalar,
                layer_types=["full_attention" if (i + 1) % full == 0 else "sliding_attention" for i in range(layers)],
                rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=1e4), full_attention=far))


def vision(hidden, layers, heads, wide, side, patch=14):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=wide,
                image_size=side, patch_size=patch)


PAN = dict(pan_and_scan_min_crop_size=48, pan_and_scan_max_num_crops=4, pan_and_scan_min_ratio_to_activate=1.2)

if __name__ == "__main__":
    case("gqa_two_images", text(64, 6, 4, 2, 16, 96, 8, 6), vision(32, 2, 2, 48, 112),
         [ask((233, 157, 1), "left", (120, 200, 2), "what is shown?"), ask("Where?\n\n", (97, 260, 4))])
    case("mha_untied_no_scaling", text(48, 7, 3, 3, 10, 80, 5, 3, factor=None, scalar=10), vision(24, 3, 2, 40, 56, 7),
         [ask((300, 181, 3), "Is there a fracture?"), ask((3, 5, 13), "tiny  é")], tokens=16, pil=True, tied=False)
    # More tokens a picture than the window has; words alone; several turns.
    case("five_images_mixed_lengths", text(64, 6, 8, 1, 8, 64, 8, 6), vision(32, 2, 4, 48, 84),
         [ask(*[(40 + 9 * i, 70 - 7 * i, 5 + i) for i in range(5)], "compare"), ask((64, 64, 11), "yes or no, é?"),
          ask("no picture at all, only words"),
          [("system", ["Short."]), ("user", [(64, 64, 11), "left or right?"]), ("assistant", ["left"]),
           ("user", ["sure? ", (50, 31, 12)])]], tokens=36)
    # Rows that are whole blocks of 256 weights.
    case("wide", text(256, 6, 4, 1, 64, 256, 8, 6, scalar=64), vision(32, 2, 2, 48, 56),
         [ask("Is there a fracture?\n\n", (97, 60, 4)), ask("only words, é")], tokens=1)
    case("pan_and_scan", text(32, 6, 2, 1, 16, 48, 32, 6), vision(16, 2, 1, 32, 56),
         [ask((400, 97, 14), "long"), ask((101, 252, 15), (60, 60, 16), "tall and square"), ask((150, 100, 17), "two"),
          ask((300, 40, 18), "too thin")], tokens=4, pan=PAN)
    case("pan_and_scan_pil", text(32, 6, 2, 1, 16, 48, 32, 6), vision(16, 2, 1, 32, 56),
         [ask((249, 100, 14), (31, 33, 15), "half rounds up")], tokens=4, pan=PAN, pil=True)
