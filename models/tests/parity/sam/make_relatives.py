"""Reference values of MedSAM, SAM-Med2D, MobileSAM and LiteMedSAM for random checkpoints in the original names, offline.

    HF_HUB_OFFLINE=1 python make_relatives.py     (torch 2.15, transformers 5.23, scikit-image 0.26, SciPy 1.17,
                                                   opencv-python-headless 4 or 5)

Prompt encoder and mask decoder are those of `transformers`' SamModel with the epsilon of the original. What the
relatives have of their own is restated from their publications and repositories: MedSAM's preparation of pictures
and reading of masks (MedSAM_Inference.py), SAM-Med2D's adapters and predictor (image_encoder.py,
predictor_sammed.py), MobileSAM's TinyViT (tiny_vit_sam.py), and LiteMedSAM's stem, preparation and reading of masks
(tiny_vit_lite_medsam.py, CVPR24_LiteMedSAM_infer.py). Folders and their files are as in make.py.
"""
import shutil

import cv2
import numpy as np
import skimage.transform
import torch
import torch.nn.functional as F
from torch import nn
from transformers import SamConfig, SamImageProcessor, SamModel, SamProcessor

from make import HERE, PROMPTS, described, earlier_logits, original_names, picture, points_and_boxes, randomise, state_of, write

MEAN, STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])


def sam(side, out, **vision):
    vision = dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=side, patch_size=16,
                  window_size=3, global_attn_indexes=[0, 2], mlp_dim=32, num_pos_feats=out // 2, output_channels=out) | vision
    return SamModel(SamConfig(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=out, image_size=side, patch_size=16, mask_input_channels=8),
        mask_decoder_config=dict(hidden_size=out, mlp_dim=2 * out, num_hidden_layers=2, num_attention_heads=8,
                                 attention_downsample_rate=2, iou_head_hidden_dim=out, layer_norm_eps=1e-5),
    )).float()


def record(name, model, encoder, state, image, pixels, scale, finish, prompts, side, files=None, whole=False):
    """`scale` brings numbers to the input, which cuts them to `whole` ones; `finish` logits to the picture."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    ref, told = {}, []
    cut = int if whole else float
    with torch.no_grad():
        ref["embedding"] = encoder(pixels)
        for n, prompt in enumerate(prompts):
            boxes, points = points_and_boxes(prompt, *image.size)
            given = dict(image_embeddings=ref["embedding"])
            if boxes:
                given["input_boxes"] = torch.tensor([[[cut(v * scale[i % 2]) for i, v in enumerate(b)] for b in boxes]])
            if points:
                given["input_points"] = torch.tensor([[[[v * scale[i] for i, v in enumerate(p)] for p in points]]])
                given["input_labels"] = torch.tensor([[prompt["labels"]]])
            if prompt.get("mask"):
                given["input_masks"] = ref[f"prompt{n}.mask"] = earlier_logits(n, side // 4)
            one, many = model(**given, multimask_output=False), model(**given)
            masks = torch.cat([one.pred_masks, many.pred_masks], 2)
            ref[f"prompt{n}.low"], ref[f"prompt{n}.iou"] = masks, torch.cat([one.iou_scores, many.iou_scores], 2)
            if n == 0:
                ref["prompt0.full"] = finish(masks[0, :, :2])
            told.append(described(prompt, boxes, points))
    for file, text in (files or {}).items():
        (folder / file).write_text(text)
    write(folder, state, ref, image, told)


def resized(masks, height, width):
    return F.interpolate(masks, (height, width), mode="bilinear", align_corners=False)


def medsam():
    side, image = 80, picture(57, 93, "RGB", 11)
    model = randomise(sam(side, 16))
    width, height = image.size
    small = skimage.transform.resize(np.asarray(image), (side, side), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    unit = (small - small.min()) / np.clip(small.max() - small.min(), a_min=1e-8, a_max=None)
    pixels = torch.tensor(unit).float().permute(2, 0, 1)[None]
    state = original_names(state_of(model))
    finish = lambda masks: resized(torch.sigmoid(masks), height, width) - 0.5
    boxes = [p for p in PROMPTS if set(p) == {"boxes"}]
    record("medsam", model, model.get_image_embeddings, state, image, pixels,
           (side / width, side / height), finish, boxes, side)


class Adapter(nn.Module):
    """SAM-Med2D's Adapter_Layer."""

    def __init__(self, width):
        super().__init__()
        inner = width // 4
        self.norm = nn.LayerNorm(width)
        self.channel = nn.Sequential(nn.Linear(width, inner, bias=False), nn.ReLU(), nn.Linear(inner, width, bias=False), nn.Sigmoid())
        self.spatial = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.ReLU(),
                                     nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False), nn.ReLU())

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)
        share = self.channel(x.mean((2, 3)))[:, :, None, None]
        return self.norm((x + self.spatial(share * x)).permute(0, 2, 3, 1))


def sam_med2d():
    side, image = 96, picture(70, 45, "L", 12)
    model = sam(side, 16, window_size=4)
    for layer in model.vision_encoder.layers:
        layer.Adapter = Adapter(16)
        layer.mlp.forward = (lambda layer, mlp: lambda x: mlp(x) + layer.Adapter(x))(layer, layer.mlp.forward)
    randomise(model)
    width, height = image.size
    normal = (np.asarray(image.convert("RGB")) - MEAN) / STD
    small = cv2.resize(normal, (side, side), interpolation=cv2.INTER_NEAREST)
    pixels = torch.tensor(small).float().permute(2, 0, 1)[None]
    finish = lambda masks: resized(resized(masks, side, side), height, width)
    record("sam_med2d", model, model.get_image_embeddings, original_names(state_of(model)), image, pixels,
           (side / width, side / height), finish, PROMPTS, side)


class ConvNorm(nn.Sequential):
    def __init__(self, a, b, side=1, stride=1, groups=1):
        super().__init__()
        self.add_module("c", nn.Conv2d(a, b, side, stride, side // 2, groups=groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(b))


class Convolutions(nn.Module):
    """MBConv, or a merge of patches when the width changes."""

    def __init__(self, a, b, inner, stride=1):
        super().__init__()
        self.residual = a == b
        self.conv1, self.conv2, self.conv3 = ConvNorm(a, inner), ConvNorm(inner, inner, 3, stride, inner), ConvNorm(inner, b)

    def forward(self, x):
        y = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return F.gelu(x + y) if self.residual else y


class Attention(nn.Module):
    def __init__(self, width, heads, window):
        super().__init__()
        self.heads, self.window = heads, window
        self.norm, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        y, x = (v.flatten() for v in torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
        self.offsets = (y[:, None] - y).abs() * window + (x[:, None] - x).abs()

    def forward(self, x):
        n, length, width = x.shape
        head = width // self.heads
        q, k, v = self.qkv(self.norm(x)).view(n, length, self.heads, 3 * head).split(head, 3)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        scores = q @ k.transpose(-2, -1) * head**-0.5 + self.attention_biases[:, self.offsets]
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.fc1, self.fc2 = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    def __init__(self, width, heads, window):
        super().__init__()
        self.attn, self.mlp = Attention(width, heads, window), Mlp(width)
        self.local_conv = ConvNorm(width, width, 3, groups=width)

    def forward(self, x):
        b, c, h, w = x.shape
        s = self.attn.window
        rows, columns = -(-h // s), -(-w // s)
        y = F.pad(x, (0, columns * s - w, 0, rows * s - h))
        y = y.view(b, c, rows, s, columns, s).permute(0, 2, 4, 3, 5, 1).reshape(b * rows * columns, s * s, c)
        y = self.attn(y).view(b, rows, columns, s, s, c).permute(0, 5, 1, 3, 2, 4).reshape(b, c, rows * s, columns * s)
        x = self.local_conv(x + y[:, :, :h, :w])
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Stage(nn.Module):
    def __init__(self, blocks, downsample):
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        if downsample:
            self.downsample = downsample

    def forward(self, x):
        x = self.blocks(x)
        return self.downsample(x) if hasattr(self, "downsample") else x


class TinyVit(nn.Module):
    def __init__(self, widths, depths, heads, windows, neck, stem=(3, 2)):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.seq = nn.Sequential(ConvNorm(3, widths[0] // 2, *stem), nn.GELU(), ConvNorm(widths[0] // 2, widths[0], *stem))
        self.layers = nn.Sequential()
        for n, (w, d, h, s) in enumerate(zip(widths, depths, heads, windows)):
            blocks = [Convolutions(w, w, 4 * w) if n == 0 else Block(w, h, s) for _ in range(d)]
            # The reference merges without a stride where the new width is 320, that of its last stage.
            merge = Convolutions(w, widths[n + 1], widths[n + 1], 1 if n == 2 else 2) if n < 3 else None
            self.layers.append(Stage(blocks, merge))
        # Left over from classification; stored, never used.
        self.norm_head, self.head = nn.LayerNorm(widths[-1]), nn.Linear(widths[-1], 3)
        self.neck = neck

    def forward(self, x):
        return self.neck(self.layers(self.patch_embed.seq(x)).permute(0, 2, 3, 1))


def tiny_sam(side, vision_side, stem):
    """A SAM whose encoder is a TinyViT; `vision_side` is the side of the ViT that it replaces."""
    model = sam(vision_side, 16, hidden_size=32)
    encoder = TinyVit([8, 16, 24, 32], [1, 1, 2, 1], [1, 2, 3, 4], [7, 7, 14, 7], model.vision_encoder.neck, stem)
    model.vision_encoder = encoder
    randomise(model)
    with torch.no_grad():
        g = torch.Generator().manual_seed(5)
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_((1 + 0.2 * torch.randn(module.weight.shape, generator=g)).half())
                module.running_mean.copy_((0.3 * torch.randn(module.weight.shape, generator=g)).half())
                module.running_var.copy_((0.5 + torch.rand(module.weight.shape, generator=g)).half())
            if isinstance(module, Attention):
                module.attention_biases.copy_(torch.randn(module.attention_biases.shape, generator=g).half())
    # TinyViT's names are its own; only the prompt encoder, the decoder and the neck go through the table.
    state = state_of(model)
    tiny = {k.replace("vision_encoder.", "image_encoder."): v for k, v in state.items() if k.startswith("vision_encoder.") and ".neck." not in k}
    state = tiny | original_names({k: v for k, v in state.items() if not k.startswith("vision_encoder.") or ".neck." in k})
    return model, encoder, state


def as_state_dict(name, state, **how):
    """As authors publish weights."""
    (HERE / name / "model.safetensors").unlink()
    # This name, because the folder has other safetensors too.
    torch.save(state, HERE / name / "pytorch_model.bin", **how)


def longest_edge(side):
    return {"preprocessor_config.json": '{"size": {"longest_edge": %d}}\n' % side}


def mobile_sam():
    side, image = 128, picture(61, 90, "RGB", 13)
    model, encoder, state = tiny_sam(side, side, (3, 2))
    processor = SamProcessor(SamImageProcessor(size=dict(longest_edge=side), pad_size=dict(height=side, width=side)))
    x = processor(image, return_tensors="pt")
    rows, columns = x["reshaped_input_sizes"][0].tolist()
    width, height = image.size
    finish = lambda masks: resized(resized(masks, side, side)[..., :rows, :columns], height, width)
    record("mobile_sam", model, encoder, state, image, x["pixel_values"], (columns / width, rows / height), finish, PROMPTS, side, longest_edge(side))
    # In the format before PyTorch 1.6.
    as_state_dict("mobile_sam", state, _use_new_zipfile_serialization=False)


def lite_medsam():
    """The stem keeps the grid: prompts are measured in a quarter of the pixels that a ViT of this grid would have."""
    side, image = 64, picture(83, 120, "RGB", 14)
    model, encoder, state = tiny_sam(side, 4 * side, (1, 1))
    # The coordinates of prompts are shares of the input's side.
    model.prompt_encoder.input_image_size = side
    width, height = image.size
    scale = side / max(image.size)
    columns, rows = (int(v * scale + 0.5) for v in image.size)
    small = cv2.resize(np.asarray(image), (columns, rows), interpolation=cv2.INTER_AREA)
    unit = (small - small.min()) / np.clip(small.max() - small.min(), a_min=1e-8, a_max=None)
    pixels = F.pad(torch.tensor(unit).float().permute(2, 0, 1)[None], (0, side - columns, 0, side - rows))
    # The decoder's logits have the side of the input.
    finish = lambda masks: resized(masks[..., :rows, :columns], height, width)
    boxes = [p for p in PROMPTS if set(p) == {"boxes"}]
    record("lite_medsam", model, encoder, state, image, pixels, (scale, scale), finish, boxes, side, longest_edge(side), whole=True)
    as_state_dict("lite_medsam", {"model": state, "optimizer": {"lr": 1e-4, "betas": (0.9, 0.999)}, "epoch": 3})


if __name__ == "__main__":
    medsam()
    sam_med2d()
    mobile_sam()
    lite_medsam()
