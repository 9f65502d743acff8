"""Reference values of CLIP from `transformers`, and of BiomedCLIP from open_clip, for `tests/main/pairs.rs`.

    HF_HUB_OFFLINE=1 python make_clip.py        (torch 2.15, transformers 5.24, open_clip 3.3, timm 1.0.31)

As `make_siglip.py`: only configurations and reference values are stored. BiomedCLIP is open_clip's `CustomTextCLIP` with
timm's vision transformer and BERT, in small; its state dict as published is stored whole for one case.
"""
import functools, json, pathlib, tempfile
import numpy as np
import open_clip, timm
import torch
import transformers as tf
from open_clip.model import CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from encoder_tokenizers import clip_pairs, wordpiece
from make_qwen import picture
from make_siglip import TEXTS, weights

HERE = pathlib.Path(__file__).parent
# A whole checkpoint as published for the tests of the command line, with a picture and what its texts have to do with it.
WHOLE = HERE.parents[2] / "tests" / "biomedclip"
torch.set_num_threads(1)


# Trainers break ties as they please, and every case is read with one tokenizer.
words = functools.cache(wordpiece)
tokenizer = functools.cache(clip_pairs)


def stored(folder, name, facts, tokenizer, ref):
    folder = HERE / folder
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file({k: v.detach().contiguous().clone() for k, v in ref.items()}, folder / f"{name}.safetensors")
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    print(name, {k: tuple(v.shape) for k, v in ref.items()})


def tower(hidden, layers, heads, wide, **more):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=wide, **more)


def clip(name, text, vision, width, sizes, pil=False, legacy=False, **processor):
    t, begin, end = tokenizer()
    vocab = t.get_vocab_size()
    ends = dict(eos_token_id=2 if legacy else end, bos_token_id=begin, pad_token_id=1)
    config = tf.CLIPConfig(text_config=dict(text, vocab_size=vocab, projection_dim=width, **ends), vision_config=dict(vision, projection_dim=width),
                           projection_dim=width)
    model = tf.CLIPModel(config).float().eval()
    rules = weights(model)
    kind = CLIPImageProcessorPil if pil else tf.CLIPImageProcessor
    side = vision["image_size"]
    numbers = dict(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side)) | processor
    prepare = kind(**numbers)
    pixels = prepare(images=[picture(*s) for s in sizes], return_tensors="pt")["pixel_values"]
    t.enable_padding(pad_id=end, pad_token="<|endoftext|>")
    ids = torch.tensor([e.ids for e in t.encode_batch(TEXTS)])
    t.no_padding()
    with torch.no_grad():
        out = model(input_ids=ids, pixel_values=pixels, attention_mask=None)
    settings = json.loads(config.to_json_string())
    settings["architectures"] = ["CLIPModel"]
    numbers |= dict(image_mean=list(prepare.image_mean), image_std=list(prepare.image_std), image_processor_type=kind.__name__)
    stored("clip", name, dict(config=settings, image_processor=numbers, weights=rules, pictures=sizes, texts=TEXTS), t,
           dict(image_embeds=out.image_embeds, text_embeds=out.text_embeds, logits_per_image=out.logits_per_image))


def biomedclip_model(vision, side, patch, text, width, pooler):
    t = words()
    bert = tf.BertConfig(vocab_size=t.get_vocab_size(), max_position_embeddings=40, **text)
    create = timm.create_model
    timm.create_model = functools.partial(create, img_size=side, patch_size=patch, **vision)
    with tempfile.TemporaryDirectory() as own:
        bert.save_pretrained(own)
        model = CustomTextCLIP(width, CLIPVisionCfg(timm_model_name="vit_base_patch16_224", timm_pool="", timm_proj="linear", image_size=side),
                               CLIPTextCfg(hf_model_name=own, hf_model_pretrained=False, hf_proj_type="mlp", hf_pooler_type=pooler, context_length=40)).float().eval()
    timm.create_model = create
    return model, bert, t


def biomedclip(name, vision, side, patch, text, width, sizes, pooler="cls_last_hidden_state_pooler", whole=False, **preprocess):
    model, bert, t = biomedclip_model(vision, side, patch, text, width, pooler)
    rules = weights(model)
    cfg = PreprocessCfg(size=side, **preprocess)
    pixels = torch.stack([image_transform_v2(cfg, is_train=False)(picture(*s)) for s in sizes])
    def tokens(texts):
        t.enable_padding(length=40, pad_id=0, pad_token="[PAD]")
        ids = torch.tensor([e.ids for e in t.encode_batch(texts)])
        t.no_padding()
        return ids

    ids = tokens(TEXTS)
    with torch.no_grad():
        images, texts, scale = model(pixels, ids)[:3]
    settings = dict(model_cfg=dict(embed_dim=width, vision_cfg=dict(timm_model_name="vit_base_patch16_224", timm_model_pretrained=False, timm_pool="",
                                                                    timm_proj="linear", image_size=side),
                                   text_cfg=dict(hf_model_name="beside/bert" if text["num_attention_heads"] * 64 != text["hidden_size"] else "microsoft/BiomedNLP-BiomedBERT",
                                                 hf_tokenizer_name="microsoft/BiomedNLP-BiomedBERT", hf_proj_type="mlp", hf_pooler_type=pooler, context_length=40)),
                    preprocess_cfg=dict(mean=list(cfg.mean), std=list(cfg.std), **preprocess))
    heads = vision["num_heads"]
    if heads * 64 != vision["embed_dim"]:
        settings["model_cfg"]["vision_cfg"]["heads"] = heads
    logits = scale * images @ texts.T
    stored("biomedclip", name, dict(config=settings, bert=json.loads(bert.to_json_string()), weights=rules, pictures=sizes, texts=TEXTS), t,
           dict(image_embeds=images, text_embeds=texts, logits_per_image=logits))
    if whole:
        WHOLE.mkdir(exist_ok=True)
        # Half the size; the network computes with what is stored.
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(p.half().float())
            found, said, scale = model(pixels, ids)[:3]
        logits = scale * found @ said.T
        torch.save({k: v.half() for k, v in model.state_dict().items()}, WHOLE / "open_clip_pytorch_model.bin")
        (WHOLE / "open_clip_config.json").write_text(json.dumps(settings, indent=1) + "\n")
        (WHOLE / "tokenizer.json").write_text((HERE / "biomedclip" / "tokenizer" / "tokenizer.json").read_text())
        picture(*sizes[-1]).save(WHOLE / "picture.png")
        encode = lambda texts: model.encode_text(tokens(texts), normalize=True)
        prompts = {"effusion": ["pleural effusion", "an effusion on the left"], "clear lungs": ["lungs are clear", "no opacity", "clear"], "atelectasis": ["atelectasis"]}
        descriptors = {"effusion": ["blunted angles", "fluid"], "opacity": ["consolidation", "a dense lobe", "left lower haze"]}
        (WHOLE / "prompts.json").write_text(json.dumps(prompts) + "\n")
        (WHOLE / "descriptors.json").write_text(json.dumps(descriptors) + "\n")
        with torch.no_grad():
            mean = torch.stack([torch.nn.functional.normalize(encode(list(p)).mean(0), dim=0) for p in prompts.values()])
            zero_shot = torch.softmax(scale * found[-1] @ mean.T, -1)
            # As `model.py` of Xplainer.
            described = {}
            for label, texts in descriptors.items():
                both = [encode([f"There are {d} indicating {label}", f"There are no {d} indicating {label}"]) @ found[-1] for d in texts]
                chances = torch.stack([torch.softmax(c / 0.5, 0) for c in both])
                described[label] = dict(each=chances[:, 0].tolist(), both=torch.exp(torch.log(chances).mean(0)).tolist())
        expected = dict(zero_shot=dict(zip(prompts, zero_shot.tolist())), descriptors=described, texts=TEXTS, image_embed=found[-1].tolist(), text_embeds=said.tolist(), logits=logits[-1].tolist(), probabilities=torch.softmax(logits[-1], -1).tolist())
        (WHOLE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    clip("landscape_and_portrait", tower(32, 2, 2, 64, max_position_embeddings=60), tower(48, 3, 4, 64, image_size=56, patch_size=14), 24,
         [(233, 157, 1), (120, 201, 2), (56, 56, 3)])
    clip("legacy_end_gelu_pil", tower(24, 3, 3, 40, max_position_embeddings=64, hidden_act="gelu"),
         tower(32, 2, 2, 48, image_size=60, patch_size=14, hidden_act="gelu"), 40, [(31, 77, 4), (3, 5, 5)], pil=True, legacy=True)
    clip("squashed", tower(16, 1, 1, 48, max_position_embeddings=56), tower(16, 2, 2, 32, image_size=32, patch_size=8), 16,
         [(50, 91, 6), (64, 33, 7)], size=dict(height=32, width=32), do_center_crop=False)
    rows = dict(intermediate_size=96, num_hidden_layers=2)
    biomedclip("heads_of_64", dict(embed_dim=64, depth=2, num_heads=1, mlp_ratio=1), 48, 16,
               dict(hidden_size=64, num_attention_heads=1, intermediate_size=64, num_hidden_layers=1), 32, [(233, 157, 1), (80, 201, 2), (48, 51, 3)], whole=True)
    biomedclip("named_heads", dict(embed_dim=48, depth=3, num_heads=4), 42, 14, dict(hidden_size=32, num_attention_heads=4, **rows), 24,
               [(31, 77, 4), (301, 100, 5)], pooler="mean_pooler", interpolation="bilinear")
    biomedclip("squashed", dict(embed_dim=64, depth=2, num_heads=1), 32, 8, dict(hidden_size=128, num_attention_heads=2, **rows), 48,
               [(50, 91, 6), (64, 33, 7)], resize_mode="squash")
