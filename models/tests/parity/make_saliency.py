"""Reference values of attribution by an information bottleneck (M2IB), for `tests/main/saliency.rs`.

    HF_HUB_OFFLINE=1 python make_saliency.py        (torch 2.15, transformers 5.24, open_clip 3.3, timm 1.0.31)

The formulas are those of Wang et al., "Visual Explanations of Image-Text Representations via Multi-Modal Information
Bottleneck Attribution" (NeurIPS 2023), with the numbers of its code, which MedCLIP-SAMv2 uses: behind one layer of the
tower a number alpha for every place and channel, at first 5, lets lambda = sigmoid(alpha) of the value through and fills
up with noise of deviation 1 - lambda; Adam at rate 1 makes the mean capacity small (times beta) and the cosine of picture
and text large over ten draws. The map is the capacity in the last step, summed over channels.

Torch computes in 64 bits; in 32, as published, 1 - sigmoid(14) has few digits left (the difference is printed). Noise is
drawn by SplitMix64 and Box and Muller's formula, so that one seed is the same noise here and there. Towers and weights are
cases of make_clip.py, of which only reference values are stored.
"""
import json, pathlib
import numpy as np
import torch
import transformers as tf
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file
from tokenizers import Tokenizer
from make_clip import biomedclip_model
from make_qwen import picture, weight
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)


class Noise:
    def __init__(self, seed):
        self.state = seed

    def units(self, count):
        with np.errstate(over="ignore"):
            z = np.uint64(self.state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            self.state = int(z[-1])
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        return (z >> np.uint64(11)).astype(np.float64) / 2.0 ** 53

    def normal(self, shape):
        count = int(np.prod(shape))
        u = self.units(count + count % 2)
        r, turn = np.sqrt(-2 * np.log(1 - u[0::2])), 2 * np.pi * u[1::2]
        values = np.stack([r * np.cos(turn), r * np.sin(turn)], 1).reshape(-1)[:count]
        return torch.tensor(values.astype(np.float32).reshape(shape))


def bottleneck(layer, image, text, noise, beta, steps, copies, dtype):
    """`image(copies)` computes vectors with what is hooked behind `layer`; `text` is the text's vector."""
    alpha, found = None, {}

    def behind(module, args, out):
        nonlocal alpha
        x = out[0] if isinstance(out, tuple) else out
        if alpha is None:
            alpha = torch.full((1, *x.shape[1:]), 5.0, dtype=dtype, requires_grad=True)
            return None
        kept = torch.sigmoid(alpha)
        mean, variance = x * kept, (1 - kept) ** 2
        found["capacity"] = -0.5 * (1 + torch.log(variance) - mean ** 2 - variance)
        eps = torch.stack([noise.normal(x.shape[1:]) for _ in range(copies)]).to(dtype)
        t = mean + variance.sqrt() * eps
        return (t, *out[1:]) if isinstance(out, tuple) else t

    hook = layer.register_forward_hook(behind)
    with torch.no_grad():
        image(1)
    adam = torch.optim.Adam([alpha], lr=1)
    for _ in range(steps):
        adam.zero_grad()
        cosine = torch.nn.functional.cosine_similarity(text.expand(copies, -1), image(copies), eps=1e-6)
        (beta * found["capacity"].mean() - cosine.mean()).backward()
        adam.step()
    hook.remove()
    return found["capacity"].mean(0).nansum(-1)[1:].detach()


def mapped(capacity, side):
    grid = int(len(capacity) ** 0.5)
    large = torch.nn.functional.interpolate(capacity.reshape(1, 1, grid, grid), size=side, mode="bilinear").reshape(-1)
    return (large - large.min()) / (large.max() - large.min())


def store(family, case, layer_of, image_of, text_of, side, layer, beta, steps, seed, image, text):
    runs = {}
    for dtype in [torch.float64, torch.float32]:
        runs[dtype] = bottleneck(layer_of(dtype, layer), image_of(dtype), text_of(dtype), Noise(seed), beta, steps, 10, dtype).double()
    capacity = runs[torch.float64]
    off = (mapped(capacity, side) - mapped(runs[torch.float32], side)).abs().max()
    folder = HERE / "saliency"
    folder.mkdir(exist_ok=True)
    facts = dict(family=family, case=case, layer=layer, beta=beta, steps=steps, seed=seed, picture=image, text=text, side=side)
    name = f"{family}_{layer}"
    (folder / f"{name}.json").write_text(json.dumps(facts) + "\n")
    save_file(dict(capacity=capacity.float(), map=mapped(capacity, side).float()), folder / f"{name}.safetensors")
    print(name, f"f32 differs by {off:.1e}", capacity[:6].tolist())


def tokenizer(family):
    """The one of the cases: a trainer would make another."""
    return Tokenizer.from_file(str(HERE / family / "tokenizer" / "tokenizer.json"))


def filled(model, facts):
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(weight(name, *facts["weights"][name]))
    return model.eval()


def clip(case, layer, beta, steps, seed, image, text):
    facts = json.loads((HERE / "clip" / f"{case}.json").read_text())
    config = tf.CLIPConfig.from_dict(facts["config"])
    model = filled(tf.CLIPModel(config), facts)
    side = config.vision_config.image_size
    numbers = {k: v for k, v in facts["image_processor"].items() if k != "image_processor_type"}
    kind = CLIPImageProcessorPil if facts["image_processor"]["image_processor_type"].endswith("Pil") else tf.CLIPImageProcessor
    pixels = kind(**numbers)(images=[picture(*image)], return_tensors="pt")["pixel_values"]
    ids = torch.tensor([tokenizer("clip").encode(text).ids])
    with torch.no_grad():
        said = model(input_ids=ids, pixel_values=pixels).text_embeds
    vision = lambda dtype: model.to(dtype).vision_model
    store("clip", case, lambda dtype, n: vision(dtype).encoder.layers[n],
          lambda dtype: lambda copies: model.visual_projection(vision(dtype)(pixels.to(dtype).expand(copies, -1, -1, -1)).pooler_output),
          lambda dtype: said.to(dtype), side, layer, beta, steps, seed, image, text)


def biomedclip(case, sizes, layer, beta, steps, seed, image, text):
    facts = json.loads((HERE / "biomedclip" / f"{case}.json").read_text())
    model, *_ = biomedclip_model(*sizes)
    filled(model, facts)
    cfg = PreprocessCfg(size=sizes[1], **facts["config"]["preprocess_cfg"])
    pixels = image_transform_v2(cfg, is_train=False)(picture(*image))[None]
    with torch.no_grad():
        said = model.encode_text(torch.tensor([tokenizer("biomedclip").encode(text).ids]))
    visual = lambda dtype: model.to(dtype).visual
    store("biomedclip", case, lambda dtype, n: visual(dtype).trunk.blocks[n],
          lambda dtype: lambda copies: visual(dtype)(pixels.to(dtype).expand(copies, -1, -1, -1)),
          lambda dtype: said.to(dtype), sizes[1], layer, beta, steps, seed, image, text)


if __name__ == "__main__":
    clip("landscape_and_portrait", 1, 0.1, 10, 42, (233, 157, 1), "no pleural effusion is seen here")
    clip("legacy_end_gelu_pil", 0, 1.0, 10, 12, (31, 77, 4), "a chest x ray")
    rows = dict(intermediate_size=96, num_hidden_layers=2)
    biomedclip("named_heads", (dict(embed_dim=48, depth=3, num_heads=4), 42, 14, dict(hidden_size=32, num_attention_heads=4, **rows), 24, "mean_pooler"),
               1, 2.0, 10, 7, (31, 77, 4), "left lower lobe opacity")
    biomedclip("squashed", (dict(embed_dim=64, depth=2, num_heads=1), 32, 8, dict(hidden_size=128, num_attention_heads=2, **rows), 48, "cls_last_hidden_state_pooler"),
               0, 0.1, 10, 1, (64, 33, 7), "the heart is enlarged")
