"""Reference values of SAM from `transformers`' SamModel, offline, for random checkpoints of several shapes.

    HF_HUB_OFFLINE=1 python make.py        (torch 2.15, transformers 5.23)

Each case folder holds the checkpoint (weights rounded to f16, computed in f32), the picture and
ref.safetensors: the image embedding and, for every prompt, low-resolution logits, predicted IoU and
the logits at the picture's own size. Case `original` is written in the names of the original
repository, without config.json, and has that repository's epsilon in the decoder (PyTorch's default).
"""
import json, pathlib, re, shutil
import numpy as np, torch
from PIL import Image
from safetensors.torch import save_file
from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

HERE = pathlib.Path(__file__).parent
torch.manual_seed(0)
torch.set_num_threads(1)

CASES = {
    "window3": dict(vision=dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=64, patch_size=16, window_size=3, global_attn_indexes=[1]), out=16, size=(50, 34)),
    "window4": dict(vision=dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, image_size=64, patch_size=8, window_size=4, global_attn_indexes=[1]), out=16, size=(34, 61)),
    "grey": dict(vision=dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=1, image_size=96, patch_size=16, window_size=5, global_attn_indexes=[0]), out=16, size=(97, 40), mode="L"),
    "pil": dict(vision=dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16, window_size=2, global_attn_indexes=[1]), out=16, size=(83, 60), pil=True),
    "original": dict(vision=dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=80, patch_size=16, window_size=3, global_attn_indexes=[0, 2]), out=32, heads=8, size=(64, 64), original=True, decoder_eps=1e-5),
    "stretched": dict(vision=dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=80, patch_size=16, window_size=2, global_attn_indexes=[1]), out=16, size=(40, 71), tables=[3, 11, 5]),
}
# Numbers are in pixels of the picture, given as shares of its size.
PROMPTS = [
    dict(boxes=[[0.12, 0.2, 0.61, 0.74]]),
    dict(boxes=[[0.1, 0.1, 0.4, 0.5], [0.3, 0.2, 0.9, 0.8], [0.5, 0.5, 0.98, 0.97]]),
    dict(points=[[0.3, 0.4]], labels=[1]),
    dict(points=[[0.3, 0.4], [0.7, 0.6], [0.1, 0.9]], labels=[1, 0, 1]),
    dict(boxes=[[0.2, 0.2, 0.8, 0.7]], points=[[0.4, 0.4], [0.75, 0.65]], labels=[1, 0]),
    dict(boxes=[[0.2, 0.2, 0.8, 0.7]], mask=True),
]


def picture(width, height, mode, seed):
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([x * 255 / width, y * 255 / height, 127 + 120 * np.sin(x / 9) * np.cos(y / 7)], -1)
    return Image.fromarray((a + r.normal(0, 12, a.shape)).clip(0, 255).astype("uint8")).convert(mode)


def randomise(model):
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            scale = 0.7 / p[0].numel() ** 0.5 if p.dim() > 1 else 0.05
            noise = torch.randn(p.shape, generator=g) * scale
            p.copy_((p + noise if "norm" in name and name.endswith("weight") else noise).half().float())
        for name, b in model.named_buffers():
            if "positional_embedding" in name:
                b.copy_(b.half().float())
    return model.eval()


def original_names(state):
    """The inverse of transformers' convert_sam_to_hf.py."""
    rules = [
        (r"^shared_image_embedding\.positional_embedding$", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
        (r"^vision_encoder\.", "image_encoder."), (r"patch_embed\.projection", "patch_embed.proj"),
        (r"image_encoder\.layers\.(\d+)\.layer_norm", r"image_encoder.blocks.\1.norm"),
        (r"image_encoder\.layers\.", "image_encoder.blocks."),
        (r"neck\.conv1", "neck.0"), (r"neck\.layer_norm1", "neck.1"), (r"neck\.conv2", "neck.2"), (r"neck\.layer_norm2", "neck.3"),
        (r"prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
        (r"mask_embed\.conv1", "mask_downscaling.0"), (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
        (r"mask_embed\.conv2", "mask_downscaling.3"), (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
        (r"mask_embed\.conv3", "mask_downscaling.6"),
        (r"upscale_conv1", "output_upscaling.0"), (r"upscale_layer_norm", "output_upscaling.1"), (r"upscale_conv2", "output_upscaling.3"),
        (r"layer_norm_final_attn", "norm_final_attn"),
        (r"(transformer\.layers\.\d+)\.layer_norm", r"\1.norm"),
        (r"((?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.0", r"\1.layers.1"),
        (r"((?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.proj_in", r"\1.layers.0"),
        (r"((?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.proj_out", r"\1.layers.2"),
    ]
    out = {}
    for name, tensor in state.items():
        for pattern, to in rules:
            name = re.sub(pattern, to, name)
        out[name] = tensor
    return out


def points_and_boxes(prompt, width, height):
    """Boxes and points of a prompt in pixels of the picture."""
    scaled = lambda rows: [[round(v * (width, height)[i % 2], 1) for i, v in enumerate(row)] for row in rows]
    return scaled(prompt["boxes"]) if "boxes" in prompt else None, scaled(prompt["points"]) if "points" in prompt else None


def described(prompt, boxes, points):
    return dict(boxes=boxes, points=points, labels=prompt.get("labels"), mask=bool(prompt.get("mask")))


def earlier_logits(n, low):
    return torch.randn(1, 1, low, low, generator=torch.Generator().manual_seed(n)) * 4


def state_of(model):
    return {k: v.half().contiguous().clone() for k, v in model.state_dict().items() if k != "prompt_encoder.shared_embedding.positional_embedding"}


def write(folder, state, ref, image, prompts):
    save_file(state, folder / "model.safetensors")
    # Every second row and column of the low-resolution logits is enough; whole masks are in prompt0.full.
    thinned = {k: v[..., ::2, ::2] if k.endswith(".low") else v for k, v in ref.items()}
    save_file({k: v.contiguous().clone() for k, v in thinned.items()}, folder / "ref.safetensors")
    image.save(folder / "picture.png")
    (folder / "prompts.json").write_text(json.dumps(prompts, indent=1) + "\n")
    print(folder.name, sum(f.stat().st_size for f in folder.iterdir()) // 1024, "kB")


def make(seed, name, case):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    vision, out = case["vision"], case["out"]
    config = SamConfig(
        vision_config=dict(vision, output_channels=out, mlp_dim=2 * vision["hidden_size"], num_pos_feats=out // 2),
        prompt_encoder_config=dict(hidden_size=out, image_size=vision["image_size"], patch_size=vision["patch_size"], mask_input_channels=8),
        mask_decoder_config=dict(hidden_size=out, mlp_dim=2 * out, num_hidden_layers=2, num_attention_heads=case.get("heads", 2), attention_downsample_rate=2, iou_head_hidden_dim=out,
                                 layer_norm_eps=case.get("decoder_eps", 1e-6)),
    )
    model = randomise(SamModel(config).float())
    for layer, rows in zip(model.vision_encoder.layers, case.get("tables", [])):
        # Tables of relative positions made for other grids: the reference interpolates them as it runs.
        for axis in "hw":
            table = torch.randn(rows, vision["hidden_size"] // vision["num_attention_heads"], generator=torch.Generator().manual_seed(rows)).half().float()
            setattr(layer.attn, f"rel_pos_{axis}", torch.nn.Parameter(table))
    side = vision["image_size"]
    processor_class = SamImageProcessorPil if case.get("pil") else SamImageProcessor
    processor = SamProcessor(processor_class(size=dict(longest_edge=side), pad_size=dict(height=side, width=side)))
    image = picture(*case["size"], case.get("mode", "RGB"), seed)
    width, height = image.size
    ref, prompts = {}, []
    rgb = image.convert("RGB")
    pixels = processor(rgb, return_tensors="pt")
    with torch.no_grad():
        ref["embedding"] = model.get_image_embeddings(pixels["pixel_values"])
    for n, prompt in enumerate(PROMPTS):
        boxes, points = points_and_boxes(prompt, width, height)
        given = dict(return_tensors="pt")
        if boxes: given["input_boxes"] = [boxes]
        if points: given["input_points"], given["input_labels"] = [[points]], [[prompt["labels"]]]
        x = processor(rgb, **given)
        extra = {}
        if prompt.get("mask"):
            mask = earlier_logits(n, 4 * side // vision["patch_size"])
            extra["input_masks"] = mask
            ref[f"prompt{n}.mask"] = mask
        keys = [k for k in ("pixel_values", "input_boxes", "input_points", "input_labels") if k in x]
        with torch.no_grad():
            arguments = {k: x[k].float() if x[k].dtype == torch.float64 else x[k] for k in keys}
            many = model(**arguments, **extra)
            one = model(**arguments, **extra, multimask_output=False)
        masks = torch.cat([one.pred_masks, many.pred_masks], 2)
        ref[f"prompt{n}.low"] = masks
        ref[f"prompt{n}.iou"] = torch.cat([one.iou_scores, many.iou_scores], 2)
        if n == 0:
            ref["prompt0.full"] = processor.post_process_masks(masks[:, :, :2], x["original_sizes"], x["reshaped_input_sizes"], binarize=False)[0]
        prompts.append(described(prompt, boxes, points))
    folder.mkdir()
    state = state_of(model)
    if case.get("original"):
        state = original_names(state)
    else:
        model.config.save_pretrained(folder)
        processor.save_pretrained(folder)
    write(folder, state, ref, image, prompts)


if __name__ == "__main__":
    for seed, (name, case) in enumerate(CASES.items()):
        make(seed, name, case)
