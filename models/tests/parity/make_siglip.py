"""Reference values of SigLIP from `transformers`, for `tests/main/pairs.rs`.

    HF_HUB_OFFLINE=1 python make_siglip.py        (torch 2.15, transformers 5.24)

As `make_qwen.py`: only configurations and reference values are stored. The tokenizer has the parts of the published
one: letters made small, punctuation taken out, spaces as a letter, an end token behind each text.
"""
import hashlib, json, pathlib
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
import transformers as tf
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from make_qwen import picture, weight

HERE = pathlib.Path(__file__).parent
# A whole checkpoint for the tests of the command line, with a picture and what its texts have to do with it.
WHOLE = HERE.parents[2] / "tests" / "siglip"
torch.set_num_threads(1)
TEXTS = ["a chest x ray", "A photo of: a FRACTURE, left?", "", "no pleural effusion is seen here"]


def tokenizer():
    # Pieces and scores are written down: a trainer breaks ties as it pleases, and every case is read with one tokenizer.
    letters = list("▁abcdefghijklmnopqrstuvwxyz")
    words = ["▁a", "▁chest", "▁x", "ray", "▁photo", "fracture", "left", "▁no", "al", "ef"]
    pieces = [(piece, -4.0 - n / 10) for n, piece in enumerate(letters)] + [(piece, -3.0 - n / 10) for n, piece in enumerate(words)]
    specials = ["<unk>", "</s>", "<pad>"]
    t = Tokenizer(models.Unigram([(piece, 0.0) for piece in specials] + pieces, unk_id=0, byte_fallback=False))
    t.add_special_tokens(specials)
    t.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex(r"[!-,./:-@\[-`{-~-]"), ""),
                                         normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=t, eos_token="</s>", pad_token="</s>", unk_token="<unk>",
                                      model_input_names=["input_ids"])


def weights(model):
    norms = {n for n, m in model.named_modules() if isinstance(m, torch.nn.LayerNorm)}
    rules = {}
    for name, p in model.named_parameters():
        module, _, leaf = name.rpartition(".")
        if module in norms:
            rule = [list(p.shape), 0.4, 1.0 if leaf == "weight" else 0.0]
        elif name == "logit_scale":
            rule = [list(p.shape), 0.2, 2.0]
        elif name == "logit_bias":
            rule = [list(p.shape), 0.2, -3.0]
        elif p.dim() > 1:
            std = 0.3 if "embedding.weight" in name and "patch" not in name else 0.7 / p[0].numel() ** 0.5
            rule = [list(p.shape), round(std * 12 ** 0.5, 6), 0.0]
        else:
            rule = [list(p.shape), 0.2, 0.0]
        rules[name] = rule
        with torch.no_grad():
            p.copy_(weight(name, *rule))
    return rules


def whole(model, tok, processor, image, logits):
    WHOLE.mkdir(exist_ok=True)
    model.save_pretrained(WHOLE)
    processor.save_pretrained(WHOLE)
    tok.save_pretrained(WHOLE)
    image.save(WHOLE / "picture.png")
    expected = dict(texts=TEXTS, logits=logits.tolist(), probabilities=torch.sigmoid(logits).tolist())
    (WHOLE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def case(name, text, vision, sizes, resample=2, pil=False, stored=False):
    tok = tokenizer()
    config = tf.SiglipConfig(text_config=dict(text, vocab_size=len(tok), pad_token_id=1, projection_size=vision["hidden_size"]),
                             vision_config=vision)
    model = tf.SiglipModel(config).float().eval()
    rules = weights(model)
    kind = SiglipImageProcessorPil if pil else tf.SiglipImageProcessor
    size = dict(height=vision["image_size"], width=vision["image_size"])
    processor, bytes_of = kind(size=size, resample=resample), kind(size=size, resample=resample, do_rescale=False, do_normalize=False)
    images = [picture(*s) for s in sizes]
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    ids = tok(TEXTS, padding="max_length", max_length=text["max_position_embeddings"], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        out = model(input_ids=ids, pixel_values=pixels)
    levels = bytes_of(images=images, return_tensors="pt")["pixel_values"].numpy()
    ref = dict(input_ids=ids.int(), image_embeds=out.image_embeds, text_embeds=out.text_embeds,
               logits_per_image=out.logits_per_image)
    settings = json.loads(config.to_json_string())
    settings["architectures"] = ["SiglipModel"]
    preprocessor = json.loads(processor.to_json_string()) | dict(image_processor_type=type(processor).__name__)
    facts = dict(config=settings, image_processor=preprocessor, weights=rules, pictures=sizes, texts=TEXTS)
    folder = HERE / "siglip"
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file({k: v.contiguous().clone() for k, v in ref.items()}, folder / f"{name}.safetensors")
    described = json.loads(tok.backend_tokenizer.to_str())
    described["padding"] = described["truncation"] = None
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n")
    if stored:
        whole(model, tok, processor, images[0], out.logits_per_image[0])
    print(name, ids[1].tolist(), {k: tuple(v.shape) for k, v in ref.items()})


def tower(hidden, layers, heads, wide, **more):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=wide, **more)


if __name__ == "__main__":
    case("square", tower(32, 2, 2, 64, max_position_embeddings=34), tower(32, 3, 2, 64, image_size=112, patch_size=14),
         [(233, 157, 1), (120, 200, 2), (112, 112, 3)])
    case("patches_do_not_fill_pil", tower(24, 3, 3, 40, max_position_embeddings=36), tower(48, 2, 4, 72, image_size=60, patch_size=14),
         [(31, 77, 4), (3, 5, 5)], pil=True)
    case("bicubic", tower(16, 1, 1, 48, max_position_embeddings=40), tower(16, 2, 2, 32, image_size=56, patch_size=8),
         [(64, 300, 6)], resample=3, stored=True)
