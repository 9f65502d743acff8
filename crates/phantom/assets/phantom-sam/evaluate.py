"""Measures a checkpoint with `transformers`: python evaluate.py MODEL_DIR PHANTOM_DIR

PHANTOM_DIR is what `loupe phantom --out PHANTOM_DIR --seed N --studies K` writes. One prompt a region: its box, and the
pixel deepest inside it. Intervals are 95 % bootstrap intervals over pictures.
"""
import json
import os
import sys

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from transformers import SamModel, SamProcessor
from transformers.models.sam.image_processing_sam import SamImageProcessor


def interval(groups, values):
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    draws = np.random.default_rng(0).integers(0, len(names), (2000, len(names)))
    low, high = np.percentile(sums[draws].sum(1) / counts[draws].sum(1), [2.5, 97.5])
    return {"value": round(float(np.mean(values)), 4), "low": round(low, 4), "high": round(high, 4), "n": len(values)}


def main(folder, data):
    torch.set_num_threads(1)
    model = SamModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = SamProcessor(SamImageProcessor.from_pretrained(folder))
    processor.target_size = processor.image_processor.size["longest_edge"]
    rows = [json.loads(line) for line in open(os.path.join(data, "segmentation/segmentation.jsonl"))]
    done, last = {"box": [], "point": []}, None
    for r in rows:
        if r["image"] != last:
            last = r["image"]
            picture = Image.open(os.path.join(data, "segmentation", last)).convert("RGB")
            first = processor(picture, return_tensors="pt")
            with torch.no_grad():
                embedding = model.get_image_embeddings(first["pixel_values"])
        mask = np.array(Image.open(os.path.join(data, "segmentation", r["masks"][0]["path"])).convert("L")) > 0
        ys, xs = np.nonzero(mask)
        depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        for mode, prompt in (("box", {"input_boxes": [[[float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)]]]}),
                             ("point", {"input_points": [[[[x + 0.5, y + 0.5]]]], "input_labels": [[[1]]]})):
            asked = processor(picture, return_tensors="pt", **prompt)
            asked.pop("pixel_values")
            sizes, input_sizes = asked.pop("original_sizes"), asked.pop("reshaped_input_sizes")
            with torch.no_grad():
                out = model(image_embeddings=embedding, multimask_output=mode == "point", **asked)
            masks = processor.image_processor.post_process_masks(out.pred_masks, sizes, input_sizes)[0][0]
            got = masks[out.iou_scores[0, 0].argmax()].numpy()
            both = 2 * (got & mask).sum() / (got.sum() + mask.sum())
            done[mode].append((r["image"], r.get("tags", {}).get("what", ""), float(both)))
    result = {}
    for mode, all_rows in done.items():
        for what in ("", "finding", "structure"):
            own = [(g, v) for g, w, v in all_rows if not what or w == what]
            if own:
                result[f"dice_{mode}" + (f"_{what}" if what else "")] = interval(*zip(*own))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
