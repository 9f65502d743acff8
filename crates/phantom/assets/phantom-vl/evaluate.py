"""Measures a checkpoint with `transformers`, greedily: python evaluate.py MODEL_DIR PHANTOM_DIR [--limit N] [--blank]

PHANTOM_DIR is what `loupe phantom --out PHANTOM_DIR --seed N --studies K` writes; its patients were
never trained on. Intervals are 95 % bootstrap intervals over patients.
"""
import argparse
import glob
import io
import json
import math
import os
import re

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from prompts import AGAIN, CHOICE, LOOK, OPEN, OPEN_ZH, YES_NO, YES_NO_ZH

BATCH = 32


class Asker:
    def __init__(self, folder):
        torch.set_num_threads(1)
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(folder)
        self.processor.tokenizer.padding_side = "left"

    def __call__(self, asks):
        """asks: list of (pictures, turns) with turns as the chat template takes them -> list of texts"""
        out = []
        for at in range(0, len(asks), BATCH):
            part = asks[at:at + BATCH]
            texts = [self.processor.apply_chat_template(t, add_generation_prompt=True, tokenize=False) for _, t in part]
            inputs = self.processor(text=texts, images=[p for ps, _ in part for p in ps], padding=True, return_tensors="pt")
            with torch.no_grad():
                ids = self.model.generate(**inputs, max_new_tokens=32, do_sample=False)
            new = ids[:, inputs["input_ids"].shape[1]:]
            out += self.processor.batch_decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return out


def user(pictures, text):
    several = len(pictures) > 1
    content = []
    for i in range(len(pictures)):
        content += [{"type": "text", "text": f"<image_{i + 1}>: "}] * several + [{"type": "image"}]
    return {"role": "user", "content": content + [{"type": "text", "text": text}]}


def box_of(text):
    numbers = re.search(r'"bbox_2d": \[(\d+), (\d+), (\d+), (\d+)\]', text)
    return [int(n) for n in numbers.groups()] if numbers else None


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inner = max(w, 0) * max(h, 0)
    area = lambda r: max(r[2] - r[0], 0) * max(r[3] - r[1], 0)
    return inner / max(area(a) + area(b) - inner, 1e-9)


def interval(groups, values, seed=0):
    """Mean with a bootstrap interval over groups."""
    values = np.asarray(values, float)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(names), (2000, len(names)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return {"value": round(values.mean(), 4), "low": round(low, 4), "high": round(high, 4), "n": len(values)}


def majority(golds):
    _, counts = np.unique(golds, return_counts=True)
    return round(counts.max() / counts.sum(), 4)


def form(question, answer, zh):
    closed = answer in ("yes", "no", "是", "否")
    return ((YES_NO_ZH if zh else YES_NO) if closed else (OPEN_ZH if zh else OPEN)).format(q=question)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model")
    ap.add_argument("data")
    ap.add_argument("--limit", type=int, default=600)
    ap.add_argument("--blank", action="store_true", help="show a grey picture in place of every picture")
    args = ap.parse_args()
    ask = Asker(args.model)
    rng = np.random.default_rng(0)
    cache = {}

    def picture(path):
        if path not in cache:
            cache[path] = Image.open(os.path.join(args.data, path)).convert("RGB")
        return Image.new("RGB", cache[path].size, (90, 90, 90)) if args.blank else cache[path]

    def some(rows):
        keep = sorted(rng.permutation(len(rows))[:args.limit])
        return [rows[i] for i in keep]

    result = {}
    rows = some(json.load(open(os.path.join(args.data, "vqa-rad/testset.json"))))
    said = ask([([p], [user([p], form(r["question"], r["answer"], False))])
                for r in rows for p in [picture("vqa-rad/images/" + r["image_name"])]])
    for name, closed in (("closed_accuracy", True), ("open_exact", False)):
        own = [(r, s) for r, s in zip(rows, said) if (r["answer_type"] == "CLOSED") == closed]
        result[name] = interval([r["image_name"] for r, _ in own], [s.strip().lower() == r["answer"].lower() for r, s in own])
        result[name]["majority"] = majority([r["answer"] for r, _ in own])
    kinds = sorted({(r["question_type"], r["answer_type"]) for r in rows})
    result["by_type"] = {f"{t} {a}": [round(np.mean(good), 3), len(good)] for t, a in kinds for good in [[
        s.strip().lower() == r["answer"].lower() for r, s in zip(rows, said) if (r["question_type"], r["answer_type"]) == (t, a)]]}

    rows = some([r for r in json.load(open(os.path.join(args.data, "slake/test.json"))) if r["q_lang"] == "zh"])
    said = ask([([p], [user([p], form(r["question"], r["answer"], True))]) for r in rows for p in [picture("slake/imgs/" + r["img_name"])]])
    result["chinese_exact"] = interval([r["img_name"] for r in rows], [s.strip() == r["answer"] for r, s in zip(rows, said)])

    rows = some([json.loads(line) for line in open(os.path.join(args.data, "grounding/grounding.jsonl"))])
    said = ask([([p], [user([p], r["question"])]) for r in rows for p in [picture("grounding/" + r["image"])]])
    overlaps = []
    for r, s in zip(rows, said):
        box, scale = box_of(s), picture("grounding/" + r["image"]).size[0] / 112
        overlaps.append(iou([v * scale for v in box], r["boxes"][0]["box"]) if box else 0.0)
    result["grounding_acc_50"] = interval([r["image"] for r in rows], [o >= 0.5 for o in overlaps])
    result["grounding_mean_iou"] = round(float(np.mean(overlaps)), 4)
    for what in ("finding", "structure"):
        own = [(r, o) for r, o in zip(rows, overlaps) if r["tags"]["what"] == what]
        result["grounding_" + what] = interval([r["image"] for r, _ in own], [o >= 0.5 for _, o in own])

    rows = some([json.loads(line) for line in open(os.path.join(args.data, "second-look/second-look.jsonl"))])
    shown = [picture("second-look/" + r["image"]) for r in rows]
    one = ask([([p], [user([p], form(r["question"], r["answer"], False))]) for r, p in zip(rows, shown)])
    first = [user([p], LOOK.format(q=r["question"])) for r, p in zip(rows, shown)]
    where = ask([([p], [t]) for p, t in zip(shown, first)])
    again, index = [], []
    for i, (r, p, t, w) in enumerate(zip(rows, shown, first, where)):
        box = box_of(w)
        if not box:
            continue
        x0, y0, x1, y1 = (v * p.size[0] / 112 for v in box)
        dx, dy = (x1 - x0) * 0.1, (y1 - y0) * 0.1
        cut = [max(0, math.floor(x0 - dx)), max(0, math.floor(y0 - dy)), min(p.size[0], math.ceil(x1 + dx)), min(p.size[1], math.ceil(y1 + dy))]
        if cut[2] <= cut[0] or cut[3] <= cut[1]:
            continue
        factor = min(8, p.size[0] / max(cut[2] - cut[0], cut[3] - cut[1]))
        crop = p.crop(cut)
        crop = crop.resize([round(v * factor) for v in crop.size], Image.BICUBIC)
        again.append(([p, crop], [t, {"role": "assistant", "content": w}, user([crop], AGAIN)]))
        index.append(i)
    two = list(where)
    for i, s in zip(index, ask(again)):
        two[i] = s
    right = lambda said: np.array([s.strip() == r["answer"] for r, s in zip(rows, said)], float)
    groups = [r["image"] for r in rows]
    result["one_look"] = interval(groups, right(one))
    result["two_looks"] = interval(groups, right(two))
    result["second_look_gain"] = interval(groups, right(two) - right(one))

    frames = glob.glob(os.path.join(args.data, "medframeqa/**/*.parquet"), recursive=True)
    if frames:
        import pyarrow.parquet as pq
        rows = some(pq.read_table(frames[0]).to_pylist())
        asks = []
        for r in rows:
            ps = [Image.open(io.BytesIO(r[f"image_{k}"]["bytes"])).convert("RGB") for k in range(1, 6) if r[f"image_{k}"]]
            ps = [Image.new("RGB", p.size, (90, 90, 90)) for p in ps] if args.blank else ps
            options = "\n".join(f"{'ABCDE'[i]}. {o}" for i, o in enumerate(r["options"]))
            asks.append((ps, [user(ps, CHOICE.format(q=r["question"], options=options))]))
        said = ask(asks)
        good = [s.strip().endswith("Answer: " + r["correct_answer"]) for r, s in zip(rows, said)]
        result["multi_image_accuracy"] = interval([r["video_id"] for r in rows], good)
        result["multi_image_accuracy"]["majority"] = majority([r["correct_answer"] for r in rows])
        result["multi_image_accuracy"]["chance"] = round(float(np.mean([1 / len(r["options"]) for r in rows])), 4)
        result["multi_by_keyword"] = {k: [round(np.mean([g for g, r in zip(good, rows) if r["keyword"] == k]), 3),
                                          sum(r["keyword"] == k for r in rows)] for k in sorted({r["keyword"] for r in rows})}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
