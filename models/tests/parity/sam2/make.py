"""Reference values of SAM 2 from `transformers`' Sam2Model and Sam2VideoModel, offline, for random
networks of several shapes.

    HF_HUB_OFFLINE=1 python make.py        (torch 2.15, transformers 5.23)

Weights are not stored: every value is a hash of its tensor's name and its place, computed here and in
tests/sam2.rs alike, and a multiple of 2^-11 times a power of two, so that both are exact. A case
folder holds case.json (the tensors' names, shapes, scales), config.json, processor_config.json, the
pictures, the prompts and ref.safetensors.
"""
import json, pathlib, re, shutil, zlib
import numpy as np, torch
from PIL import Image
from safetensors.torch import save_file
from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model, Sam2Processor
from transformers import Sam2VideoConfig, Sam2VideoModel, Sam2VideoProcessor, Sam2VideoVideoProcessor

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)


def values(name, count):
    """Uniform in [-1, 1) in steps of 2^-10: 32-bit mixing (murmur3's finaliser) of place and name."""
    x = np.arange(count, dtype=np.uint64) * 2654435761 + zlib.crc32(name.encode())
    x &= 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint64(shift)
        x = x * np.uint64(factor) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(16)
    return ((x & np.uint64(2047)).astype(np.float32) - 1024) / 1024


def scale_of(name, shape):
    """Power of two near 1.2 / sqrt(inputs); small for biases."""
    if "positional_embedding" in name:
        return 1.0
    if len(shape) <= 1:
        return 0.125
    inputs = int(np.prod(shape[1:])) if not re.search("upscale_conv", name) else shape[0]
    if "pos_embed" in name or "embed" in name or "token" in name or "encoding" in name or "pointer" == name[-7:]:
        return 0.5
    return 2.0 ** round(np.log2(1.5 / inputs ** 0.5))


def fill(model, present=0.0, damp=1.0):
    """Fills a model, `present` added to the logit of the object score and mask logits damped; gives (name, shape, scale, offset) of every tensor."""
    table = []
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            seed = name.replace("prompt_encoder.shared_embedding.", "shared_image_embedding.")
            offset = 1.0 if re.search(r"norm\w*\.weight$", name) else 0.0
            if name == "mask_decoder.pred_obj_score_head.proj_out.bias":
                offset = present
            scale = 0.5 if name.endswith(".scale") else scale_of(name, tensor.shape)
            if "hypernetworks" in name and name.endswith("proj_out.weight"):
                scale *= damp
            tensor.copy_(torch.from_numpy(values(seed, tensor.numel())).reshape(tensor.shape) * scale + offset)
            table.append(dict(name=name, seed=seed, shape=list(tensor.shape), scale=scale, offset=offset))
    return table


def original_names(table):
    """Into the names of the `sam2` repository (convert_sam2_to_hf.py backwards)."""
    three = {"proj_in": "layers.0", "layers.0": "layers.1", "proj_out": "layers.2"}
    two = {"proj_in": "layers.0", "proj_out": "layers.1"}

    def rename(name):
        name = re.sub(r"^vision_encoder\.backbone\.", "image_encoder.trunk.", name)
        name = re.sub(r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv.", name)
        name = name.replace("patch_embed.projection", "patch_embed.proj")
        name = re.sub(r"^shared_image_embedding\.positional_embedding", "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", name)
        name = re.sub(r"^prompt_encoder\.", "sam_prompt_encoder.", name)
        name = re.sub(r"^mask_decoder\.", "sam_mask_decoder.", name)
        for a, b in (("conv1", 0), ("layer_norm1", 1), ("conv2", 3), ("layer_norm2", 4), ("conv3", 6)):
            name = name.replace(f"mask_embed.{a}.", f"mask_downscaling.{b}.")
        for a, b in (("upscale_conv1", 0), ("upscale_layer_norm", 1), ("upscale_conv2", 3)):
            name = name.replace(f"sam_mask_decoder.{a}.", f"sam_mask_decoder.output_upscaling.{b}.")
        mlp = r"((?:iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+|object_pointer_proj)\.)(proj_in|layers\.0|proj_out)"
        name = re.sub(mlp, lambda m: m[1] + three[m[2]], name)
        name = re.sub(r"(\.mlp\.)(proj_in|proj_out)", lambda m: m[1] + two[m[2]], name)
        name = name.replace("memory_encoder.projection.", "memory_encoder.out_proj.").replace("feature_projection", "pix_feat_proj")
        name = name.replace(".o_proj.", ".out_proj.")
        def down(m):
            return "mask_downsampler.encoder.12" if m[1] == "final_conv" else f"mask_downsampler.encoder.{3 * int(m[2]) + (m[3] == 'layer_norm')}"
        name = re.sub(r"mask_downsampler\.(final_conv|layers\.(\d+)\.(conv|layer_norm))", down, name)
        name = name.replace("memory_fuser", "fuser").replace("depthwise_conv", "dwconv").replace("pointwise_conv", "pwconv")
        if name.startswith("memory_encoder.fuser") and name.endswith(".scale"):
            name = name[:-5] + "gamma"
        name = name.replace("layer_norm", "norm")
        whole = {"memory_temporal_positional_encoding": "maskmem_tpos_enc", "no_memory_embedding": "no_mem_embed",
                 "no_memory_positional_encoding": "no_mem_pos_enc", "no_object_pointer": "no_obj_ptr",
                 "occlusion_spatial_embedding_parameter": "no_obj_embed_spatial"}
        name = whole.get(name, name)
        return name.replace("object_pointer_proj", "obj_ptr_proj").replace("temporal_positional_encoding_projection_layer", "obj_ptr_tpos_proj")

    out = []
    for row in table:
        if row["name"] == "prompt_encoder.shared_embedding.positional_embedding":
            continue
        if row["name"] == "prompt_encoder.point_embed.weight":
            width = row["shape"][1]
            out += [dict(row, name=f"sam_prompt_encoder.point_embeddings.{n}.weight", shape=[1, width], start=n * width) for n in range(4)]
            continue
        out.append(dict(row, name=rename(row["name"])))
    return out


def picture(width, height, mode, seed, shift=0):
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([x * 255 / width, y * 255 / height, 127 + 120 * np.sin((x - shift) / 9) * np.cos(y / 7)], -1)
    return Image.fromarray((a + r.normal(0, 12, a.shape)).clip(0, 255).astype("uint8")).convert(mode)


def grey(volume):
    """From the minimum to the maximum, fractions dropped."""
    volume = volume.astype(np.int16)
    return np.uint8((volume - volume.min()) / (volume.max() - volume.min()) * 255.0)


def medsam2_pixels(levels, low, high):
    """A volume of 4 · level - 400 as MedSAM2's medsam2_infer_3D_CT.py prepares it, at 64 pixels."""
    pre = grey(np.clip(levels.astype(np.int16) * 4 - 400, low, high))
    small = np.stack([np.array(Image.fromarray(s).convert("RGB").resize((64, 64))).transpose(2, 0, 1) for s in pre]) / 255.0
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return ((torch.from_numpy(small) - mean) / std).float()


def sizes(side, width, blocks, widths, heads, windows, glob, background, decoder_heads=2, mlp=64):
    grid = side // 16
    return dict(
        vision_config=dict(
            backbone_config=dict(model_type="sam2_hiera_det_model", hidden_size=widths[0], image_size=[side, side], blocks_per_stage=blocks,
                                 embed_dim_per_stage=widths, num_attention_heads_per_stage=heads, window_size_per_stage=windows,
                                 global_attention_blocks=glob, window_positional_embedding_background_size=[background, background], mlp_ratio=2.0),
            backbone_channel_list=widths[::-1], backbone_feature_sizes=[[4 * grid] * 2, [2 * grid] * 2, [grid] * 2], fpn_hidden_size=width),
        prompt_encoder_config=dict(hidden_size=width, image_size=side, patch_size=16, mask_input_channels=8),
        mask_decoder_config=dict(hidden_size=width, mlp_dim=mlp, num_hidden_layers=2, num_attention_heads=decoder_heads, iou_head_hidden_dim=width),
    )


# Numbers are shares of the picture's size.
PROMPTS = [
    dict(boxes=[[0.12, 0.2, 0.61, 0.74]]),
    dict(boxes=[[0.1, 0.1, 0.4, 0.5], [0.3, 0.2, 0.9, 0.8], [0.5, 0.5, 0.98, 0.97]]),
    dict(points=[[0.3, 0.4]], labels=[1]),
    dict(points=[[0.3, 0.4], [0.7, 0.6], [0.1, 0.9]], labels=[1, 0, 1]),
    dict(boxes=[[0.2, 0.2, 0.8, 0.7]], points=[[0.4, 0.4], [0.75, 0.65]], labels=[1, 0]),
    dict(boxes=[[0.2, 0.2, 0.8, 0.7]], mask=True),
]
PICTURES = {
    "wide": dict(size=(83, 50), config=sizes(128, 32, [1, 1, 2, 1], [16, 32, 64, 128], [1, 2, 4, 8], [8, 4, 4, 2], [3], 4)),
    "tall": dict(size=(41, 97), mode="L", config=sizes(96, 16, [1, 2, 3, 1], [8, 16, 32, 64], [1, 1, 2, 4], [8, 4, 14, 7], [4], 7)),
    "original": dict(size=(64, 60), damp=0.25, original=True, config=sizes(64, 64, [2, 1, 2, 1], [12, 24, 48, 96], [2, 4, 8, 16], [4, 2, 4, 2], [4], 5, decoder_heads=8)),
}
VIDEOS = {
    "medsam2": dict(present=0.25, size=(60, 44), frames=7, prompts={3: dict(box=[0.2, 0.2, 0.7, 0.8])}, original=True, window=[-300, 500], extra=dict(num_maskmem=3, max_object_pointers_in_encoder=4)),
    "point": dict(present=0.09375, size=(40, 61), frames=5, prompts={2: dict(points=[[0.5, 0.45]], labels=[1])}, extra=dict(memory_attention_num_layers=2)),
    "mask": dict(present=-0.015625, size=(64, 64), frames=5, prompts={1: dict(mask=True)}, extra=dict(num_maskmem=4)),
    "two_prompts": dict(present=0.25, size=(50, 50), frames=7, prompts={1: dict(box=[0.2, 0.2, 0.7, 0.8]), 4: dict(points=[[0.5, 0.5], [0.1, 0.1]], labels=[1, 0])},
                        extra=dict(max_cond_frame_num=1, enable_temporal_pos_encoding_for_object_pointers=False, enable_occlusion_spatial_embedding=False)),
}


def start(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def finish(folder, model, case, table, ref, processor, **facts):
    if case.get("original"):
        table = original_names(table)
    (folder / "case.json").write_text(json.dumps(dict(tensors=table, **facts)) + "\n")
    (folder / "config.json").write_text(json.dumps(model.config.to_dict(), indent=1, default=str) + "\n")
    processor.save_pretrained(folder)
    save_file({k: (v if v.dtype in (torch.float16, torch.bfloat16) else v.float()).contiguous().clone() for k, v in ref.items()}, folder / "ref.safetensors")
    print(folder.name, sum(f.stat().st_size for f in folder.iterdir()) // 1024, "kB")


def pictures():
    for seed, (name, case) in enumerate(PICTURES.items()):
        folder = start(name)
        model = Sam2Model(Sam2Config(**case["config"])).float().eval()
        table = fill(model, damp=case.get("damp", 1.0))
        side = model.config.prompt_encoder_config.image_size
        processor = Sam2Processor(Sam2ImageProcessor(size=dict(height=side, width=side), mask_size=dict(height=side // 4, width=side // 4)), target_size=side)
        image = picture(*case["size"], case.get("mode", "RGB"), seed)
        width, height = image.size
        rgb, ref, prompts = image.convert("RGB"), {}, []
        with torch.no_grad():
            for level, t in enumerate(model.get_image_embeddings(processor(rgb, return_tensors="pt")["pixel_values"])):
                ref[f"embedding{level}"] = t
        for n, prompt in enumerate(PROMPTS):
            scaled = lambda rows: [[round(v * (width, height)[i % 2], 1) for i, v in enumerate(row)] for row in rows]
            boxes = scaled(prompt["boxes"]) if "boxes" in prompt else None
            points = scaled(prompt["points"]) if "points" in prompt else None
            given = dict(return_tensors="pt")
            if boxes: given["input_boxes"] = [boxes]
            if points: given["input_points"], given["input_labels"] = [[points]], [[prompt["labels"]]]
            x = processor(rgb, **given)
            extra = {}
            if prompt.get("mask"):
                extra["input_masks"] = torch.from_numpy(values(f"mask{n}", (side // 4) ** 2)).reshape(1, 1, side // 4, side // 4) * 4
            arguments = {k: x[k] for k in ("pixel_values", "input_boxes", "input_points", "input_labels") if k in x}
            with torch.no_grad():
                many = model(**arguments, **extra)
                one = model(**arguments, **extra, multimask_output=False)
                model.mask_decoder.dynamic_multimask_via_stability = False
                zero = model(**arguments, **extra, multimask_output=False)
                model.mask_decoder.dynamic_multimask_via_stability = True
            masks = torch.cat([zero.pred_masks, many.pred_masks], 2)[0]
            ref[f"prompt{n}.low"] = masks if n < 2 else masks[:, :, ::2, ::2]
            ref[f"prompt{n}.iou"] = torch.cat([zero.iou_scores, many.iou_scores], 2)[0]
            ref[f"prompt{n}.score"] = many.object_score_logits[0]
            ref[f"prompt{n}.single_iou"] = one.iou_scores[0]
            if n == 0:
                ref["prompt0.full"] = processor.post_process_masks(masks[None][:, :, :2], x["original_sizes"], binarize=False)[0]
            prompts.append(dict(boxes=boxes, points=points, labels=prompt.get("labels"), mask=bool(prompt.get("mask"))))
        image.save(folder / "picture.png")
        finish(folder, model, case, table, ref, processor, prompts=prompts)


def videos():
    for seed, (name, case) in enumerate(VIDEOS.items()):
        folder = start(name)
        width = 128  # the reference needs pointers wider than the memory, which is 64
        config = sizes(64, width, [1, 1, 2, 1], [8, 16, 32, 64], [1, 2, 4, 8], [4, 2, 4, 2], [3], 4)
        small = dict(image_size=64, memory_attention_hidden_size=width, memory_attention_num_layers=1, memory_attention_feed_forward_hidden_size=48,
                     memory_attention_rope_feat_sizes=[4, 4], memory_encoder_hidden_size=width, memory_encoder_output_channels=64,
                     mask_downsampler_embed_dim=width, memory_fuser_embed_dim=width, memory_fuser_intermediate_dim=80)
        model = Sam2VideoModel(Sam2VideoConfig(**config, **{**small, **case["extra"]})).float().eval()
        table = fill(model, case["present"])
        processor = Sam2VideoProcessor(Sam2ImageProcessor(size=dict(height=64, width=64)), Sam2VideoVideoProcessor(size=dict(height=64, width=64)), target_size=64)
        columns, rows = case["size"]
        frames = [picture(columns, rows, "L", 10 * seed + n, shift=2 * n) for n in range(case["frames"])]
        rgb = [Image.fromarray(f).convert("RGB") for f in grey(np.stack([np.array(f) for f in frames]))]
        ref, prompts = {}, []
        if "window" in case:
            pixels = medsam2_pixels(np.stack([np.array(f) for f in frames]), *case["window"])
        else:
            pixels = torch.cat([processor.image_processor(f, return_tensors="pt")["pixel_values"] for f in rgb])
        for reverse in (False, True):
            session = processor.init_video_session(video=[np.stack([np.array(f) for f in rgb])][0], dtype=torch.float32)
            # Frames as the picture processor prepares them: the video processor resizes in another order.
            session.processed_frames = dict(enumerate(pixels))
            for at, prompt in case["prompts"].items():
                scaled = lambda rows_: [[round(v * (columns, rows)[i % 2], 1) for i, v in enumerate(row)] for row in rows_]
                given = {}
                entry = dict(slice=at, box=None, points=None, labels=None, mask=False)
                if "box" in prompt:
                    entry["box"] = scaled([prompt["box"]])[0]
                    given["input_boxes"] = [[entry["box"]]]
                if "points" in prompt:
                    entry["points"], entry["labels"] = scaled(prompt["points"]), prompt["labels"]
                    given["input_points"], given["input_labels"] = [[entry["points"]]], [[prompt["labels"]]]
                if prompt.get("mask"):
                    entry["mask"] = True
                    y, x = np.mgrid[0:rows, 0:columns]
                    given["input_masks"] = ((x - 0.45 * columns) ** 2 + (y - 0.5 * rows) ** 2 < (0.3 * rows) ** 2)
                processor.add_inputs_to_inference_session(session, frame_idx=at, obj_ids=1, **given)
                with torch.inference_mode():
                    out = model(session, frame_idx=at)
                if not reverse:
                    prompts.append(entry)
            first = min(case["prompts"])
            for out in model.propagate_in_video_iterator(session, start_frame_idx=first, reverse=reverse):
                key = f"{'down' if reverse else 'up'}{out.frame_idx}"
                if reverse and out.frame_idx == first:
                    continue
                ref[f"{key}.low"] = out.pred_masks[0, 0] if out.pred_masks.dim() == 4 else out.pred_masks[0]
                ref[f"{key}.score"] = out.object_score_logits.flatten()
                full = torch.nn.functional.interpolate(ref[f"{key}.low"][None, None], (rows, columns), mode="bilinear", align_corners=False)
                ref[f"{key}.full"] = full[0, 0].half()
                for kind in ("cond_frame_outputs", "non_cond_frame_outputs"):
                    kept = session.output_dict_per_obj[0][kind].get(out.frame_idx)
                    if kept is not None:
                        ref[f"{key}.memory"] = kept["maskmem_features"][:, 0]
                        ref[f"{key}.pointer"] = kept["object_pointer"].reshape(1, -1)
        Image.fromarray(np.concatenate([np.array(f) for f in frames])).save(folder / "frames.png")
        print({k: round(float(v.max()), 3) for k, v in ref.items() if k.endswith("low")}, {k: round(float(v.max()), 3) for k, v in ref.items() if k.endswith("score")})
        finish(folder, model, case, table, ref, processor, prompts=prompts, frames=case["frames"], window=case.get("window"))


if __name__ == "__main__":
    pictures()
    videos()
