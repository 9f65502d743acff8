"""Reference values of Hulu-Med for `tests/main/parity.rs`, by the code of its authors.

    HF_HUB_OFFLINE=1 python make_hulu_med.py HULU_MED        (torch 2.15, transformers 5.24)

The argument is a checkout of ZJUI-AI4H/Hulu-Med at a0060ad. Processor, vision tower, projector, template and the rule by
which tokens of slices are left out are theirs (read, not imported, where their modules need more than torch); the text
model is that of `transformers`. As `make_qwen.py`: only configurations and reference values are stored, weights and
pictures follow its formulas; a picture with a fourth number is a slice of a volume.
"""
import ast, hashlib, importlib.util, json, math, pathlib, re, sys, types, typing
import numpy as np
import torch
import transformers as tf
import transformers.image_utils as image_utils
from make_gemma3 import weights
from make_qwen import picture, tokenizer
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
CHECKOUT = pathlib.Path(sys.argv[1]) / "src" / "hulumed_qwen3"
torch.set_num_threads(1)
# As the main branches render it; `image_token` is the processor's.
TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\n' -}}{% if message['content'] is string %}"
    "{{- message['content'] + '<|im_end|>\n' -}}{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'text' or 'text' in content %}{{- content['text'] -}}"
    "{% elif content['type'] == 'image' or 'image' in content %}{{- image_token + '\n' -}}"
    "{% elif content['type'] == 'video' or 'video' in content %}{% for i in range(content['num_frames']) %}"
    "{% if i < content['num_frames'] - 1 %}{{- image_token + ',' -}}{% else %}{{- image_token + '\n' -}}{% endif %}{% endfor %}"
    "{% endif %}{% endfor %}{{- '<|im_end|>\n' -}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{- '<|im_start|>assistant\n' -}}{% endif %}")


def module(name, file):
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "model" / file)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def taken(file, names, **space):
    """Top-level definitions of a file, run on their own."""
    tree = ast.parse((CHECKOUT / "model" / file).read_text())
    space |= dict(torch=torch, nn=torch.nn, re=re, math=math, List=typing.List, Optional=typing.Optional, Tuple=typing.Tuple,
                  Union=typing.Union, DEFAULT_IMAGE_TOKEN="<image>")
    for node in tree.body:
        target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
        if getattr(node, "name", getattr(target, "id", None)) in names:
            exec(compile(ast.Module([node], []), file, "exec"), space)
    return [space[name] for name in names]


# Their code was written for transformers 4.51.
if not hasattr(image_utils, "VideoInput"):
    image_utils.VideoInput = list
if not hasattr(image_utils, "make_list_of_images"):
    image_utils.make_list_of_images = lambda images: list(images) if isinstance(images, (list, tuple)) else [images]
Config = module("configuration_hulumed_encoder", "hulumed_encoder/configuration_hulumed_encoder.py").HulumedVisionEncoderConfig
Tower = module("modeling_hulumed_encoder", "hulumed_encoder/modeling_hulumed_encoder.py").HulumedVisionEncoderModel
Processor = module("image_processing_hulumed", "hulumed_encoder/image_processing_hulumed.py").HulumedImageProcessor
_, Projector = taken("projector.py", ["build_mlp", "MlpGeluProjector"])
[Rules] = taken("hulumed_arch.py", ["HulumedMetaForCausalLM"], ABC=object, abstractmethod=lambda f: f)
[OWN_TEMPLATE] = taken("processor.py", ["DEFAULT_CHAT_TEMPLATE"])


def shown(w, h, seed, number=None):
    """A picture, or a slice: in every second one the left half is turned to its negative."""
    image = picture(w, h, seed)
    if number is None:
        return image
    levels = np.asarray(image).copy()
    if number % 2:
        levels[:, :w // 2] = 255 - levels[:, :w // 2]
    return levels.transpose(2, 0, 1)  # the processor of the main branches gives slices as arrays


def conversation(ask):
    """Turns, and what the image processor gets: pictures one by one, or the slices of a volume together."""
    turns, images = [], []
    for role, parts in ask:
        words, slices = [], []
        for part in parts:
            if isinstance(part, str):
                words.append({"type": "text", "text": part})
            elif len(part) == 3:
                words.append({"type": "image"})
                images.append([shown(*part)])
            else:
                slices.append(shown(*part))
        if slices:
            words.insert(0, {"type": "video", "num_frames": len(slices)})
            images.append(slices)
        turns.append({"role": role, "content": words})
    volume = any("num_frames" in word for turn in turns for word in turn["content"])
    return turns, images, volume


def case(name, text, vision, asks, budget, kind="qwen2", tied=False, original=False):
    tok = tokenizer(OWN_TEMPLATE if original else TEMPLATE)
    tok.add_special_tokens({"additional_special_tokens": ["<image>"]})
    image_token = tok.convert_tokens_to_ids("<image>")
    config_class, model_class = dict(qwen2=(tf.Qwen2Config, tf.Qwen2ForCausalLM), qwen3=(tf.Qwen3Config, tf.Qwen3ForCausalLM))[kind]
    config = config_class(**text, vocab_size=len(tok), max_position_embeddings=2048, rms_norm_eps=1e-6, tie_word_embeddings=tied)
    model = model_class(config).float().eval()
    seen = Config(**vision)
    seen._attn_implementation = "sdpa"
    model.model.vision_encoder = Tower(seen).eval()
    model.model.mm_projector = Projector(vision["hidden_size"], text["hidden_size"], "mlp2x_gelu")
    rules = weights(model)
    numbers = dict(min_tokens=budget[0], max_tokens=budget[1], patch_size=vision["patch_size"], image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor, bytes_of = Processor(**numbers), Processor(do_rescale=False, do_normalize=False, **numbers)
    ref, listed = {}, []
    for i, ask in enumerate(asks):
        turns, images, volume = conversation(ask)
        prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False, image_token="<image>")
        found, levels = {}, b""
        with torch.no_grad():
            features = None
            if images:
                x = processor(images=images, merge_size=2 if volume else 1, return_tensors="pt")
                levels = bytes_of(images=images, merge_size=2 if volume else 1)["pixel_values"].astype(np.uint8).tobytes()
                pixels, grids, merges = x["pixel_values"].float(), x["grid_sizes"], x["merge_sizes"]
                for grid, merge in zip(grids, merges):
                    for _ in range(grid[0]):
                        prompt = prompt.replace("<image>", "<hole>" * int(grid[1] * grid[2] // merge**2), 1)
                prompt = prompt.replace("<hole>", "<image>")
                features = model.model.mm_projector(model.model.vision_encoder(pixels, grids, merges))
            ids = tok(prompt, return_tensors="pt")["input_ids"][0]
            if images:
                own = types.SimpleNamespace(config=types.SimpleNamespace(image_token_index=image_token))
                counts = (grids.prod(dim=1) / merges**2).long()
                modals = ["video" if volume else "image"] * len(grids)
                mask = Rules._get_compression_mask(own, pixels, counts, grids, merges, modals)
                features, ids, *_ = Rules._compress_visual_tokens(own, mask, features, ids)
                found["kept"] = mask.int()
            embeds = model.get_input_embeddings()(ids).clone()
            if images:
                embeds[ids == image_token] = features
                each = torch.tensor([[1, *grid[1:]] for grid in grids for _ in range(grid[0])])
                found |= dict(vision_features=features, pixel_values=pixels.flatten()[::61], image_grid_thw=each.int())
            embeds = embeds[None]
            logits = model(inputs_embeds=embeds).logits[0, -1]
            out = model.generate(inputs_embeds=embeds, max_new_tokens=32, do_sample=False, eos_token_id=None, pad_token_id=0)[0]
            assert len(out) == 32 and not (out == tok.convert_tokens_to_ids("<|im_end|>")).any(), "choose other weights"
        n = len(ids)
        found |= dict(input_ids=ids.int(), position_ids=torch.arange(n).expand(3, n).int(), logits=logits, generated_ids=out.int())
        kept = found.pop("kept", torch.ones(1))
        assert not volume or 0 < kept.sum() < len(kept), "the slices do not show what compression does"
        ref |= {f"{i}.{k}": v.contiguous().clone() for k, v in found.items()}
        listed.append(dict(turns=ask, levels_sha256=hashlib.sha256(levels).hexdigest() if images else None))
    settings = json.loads(config.to_json_string())
    of_three = kind == "qwen3" and not original
    settings |= dict(
        architectures=["HulumedQwen3ForCausalLM" if of_three else "HulumedQwen2ForCausalLM"],
        model_type="hulumed_qwen3" if of_three else "hulumed_qwen2", mm_projector_type="mlp2x_gelu", use_token_compression=True,
        image_token_index=-1 if original else image_token, vision_encoder="SigLip-NaViT" if original else None,
        vision_encoder_config=dict(vision, model_type="hulumed_vision_encoder", hidden_act="gelu_pytorch_tanh", num_channels=3),
        tie_word_embeddings=tied)
    numbers |= dict(image_processor_type="HulumedImageProcessor", resample=3, do_resize=True)
    facts = dict(config=settings, image_processor=numbers, weights=rules, asks=listed)
    if original:
        facts["original"] = True
    folder = HERE / "hulu_med"
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file(ref, folder / f"{name}.safetensors")
    described = json.loads(tok.backend_tokenizer.to_str())
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(name, {k: tuple(v.shape) for k, v in ref.items()})


def ask(*parts):
    return [("user", list(parts))]


def text(hidden, layers, heads, kv, wide, **more):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv, intermediate_size=wide, **more)


def vit(hidden, layers, heads, wide, patch=14):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=wide, patch_size=patch)


CASES = [
    ("gqa_two_images", text(64, 3, 4, 2, 96), vit(32, 3, 2, 64),
     [ask((233, 157, 1), "left", (120, 200, 2), "what is shown?"), ask((233, 157, 1), "Is there a fracture?")], (16, 60), dict()),
    ("qwen3_tied", text(48, 2, 4, 2, 80, head_dim=16), vit(24, 2, 2, 48, patch=8),
     [ask((150, 50, 3), "Is there a fracture?"), ask("no picture at all, only words"), ask((20, 11, 4), "small")], (4, 90),
     dict(kind="qwen3", tied=True)),
    ("volume", text(64, 2, 4, 2, 96), vit(32, 2, 4, 48),
     [ask(*[(150, 110, 6, n) for n in range(4)], "Write a report."), ask((64, 64, 11), "yes or no, é?")], (4, 400), dict()),
    ("original_five_images", text(64, 2, 8, 2, 64, head_dim=8), vit(48, 2, 3, 64),
     [ask(*[(40 + 9 * i, 70 - 7 * i, 5 + i) for i in range(5)], "compare"), ask((64, 64, 11), "yes or no, é?"), ask("only words"),
      [("system", ["Short."]), ("user", [(64, 64, 11), "left or right?"]), ("assistant", ["left"]), ("user", ["sure? ", (50, 31, 12)])]],
     (4, 100), dict(kind="qwen3", original=True)),
]

if __name__ == "__main__":
    for name, t, v, asks, budget, more in CASES:
        case(name, t, v, asks, budget, **more)
