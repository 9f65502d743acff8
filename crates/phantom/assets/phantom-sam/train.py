"""Trains phantom-sam on a stream of phantoms. See README.md.

    python train.py --dump ../../../../target/release/examples/dump --out OUT --until 14:00
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import torch
import torch.nn.functional as F
from transformers import SamConfig, SamModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "phantom-vl"))
from muon import Muon  # noqa: E402

SIDE = 192
TARGETS = 5  # per picture and step
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def fresh_model():
    config = SamConfig(
        vision_config={"hidden_size": 128, "output_channels": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
                       "image_size": SIDE, "patch_size": 8, "window_size": 6, "global_attn_indexes": [1, 3],
                       "mlp_dim": 512, "num_pos_feats": 48},
        prompt_encoder_config={"hidden_size": 96, "image_size": SIDE, "patch_size": 8, "image_embedding_size": SIDE // 8},
        mask_decoder_config={"hidden_size": 96, "mlp_dim": 256, "num_attention_heads": 4, "iou_head_hidden_dim": 96})
    model = SamModel(config)
    # The library's own start is for loading weights: the tower's would be 1e-10.
    for module in model.modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            module.reset_parameters()
    torch.nn.init.normal_(model.vision_encoder.pos_embed, std=0.1)
    # Frequencies of places as in SAM's own code: near places are alike.
    with torch.no_grad():
        model.shared_image_embedding.positional_embedding.normal_(std=1.0)
    return model


class Stream:
    """Pictures with their masks; when the generator is behind, earlier ones are used again."""

    def __init__(self, binary, first, keep=4000):
        self.pipe = subprocess.Popen([binary, "masks", str(first), str(1 << 40)], stdout=subprocess.PIPE, bufsize=1 << 20).stdout
        self.fresh, self.kept = collections.deque(), collections.deque(maxlen=keep)
        self.room, self.last, self.seen = threading.Semaphore(400), first, 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        n = SIDE * SIDE
        while head := self.pipe.read(4):
            header = json.loads(self.pipe.read(struct.unpack("<I", head)[0]))
            raw = np.frombuffer(self.pipe.read(5 * n), np.uint8)
            labels, findings = raw[3 * n:4 * n].reshape(SIDE, SIDE), raw[4 * n:].reshape(SIDE, SIDE)
            self.room.acquire()
            self.last = header["seed"]
            self.fresh.append((raw[:3 * n].reshape(SIDE, SIDE, 3), labels, findings, header))

    def take(self, rng):
        while not self.fresh and not self.kept:
            time.sleep(0.1)
        if self.fresh and not (len(self.kept) > 500 and rng.random() < 0.3):
            got = self.fresh.popleft()
            self.room.release()
            self.kept.append(got)
            self.seen += 1
            return got
        return self.kept[rng.randrange(len(self.kept))]


def targets(record, rng):
    """Masks of findings (twice as often) and structures, with what lies on top of each."""
    _, labels, findings, header = record
    found = [((findings >> k) & 1).astype(bool) for k in range(header["findings"])]
    parts = [(labels == s, (labels == s) & (findings == 0)) for s in header["structures"]]
    small = [(m, m) for m in found if m.sum() >= 6]
    parts = [(m, top) for m, top in parts if m.sum() >= 20 and top.sum() >= 10]
    pool = small * 2 + parts
    if not pool:
        return None
    return [rng.choice(pool) for _ in range(TARGETS)]


def inside(mask, rng, central):
    """A random pixel of the mask, or the one deepest in it; as (x, y) of its centre."""
    ys, xs = np.nonzero(mask)
    if central:
        depth = cv_distance(mask)
        i = int(np.argmax(depth[ys, xs]))
    else:
        i = rng.randrange(len(ys))
    return xs[i] + 0.5, ys[i] + 0.5


def cv_distance(mask):
    from scipy.ndimage import distance_transform_edt
    return distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def box_of(mask, rng):
    ys, xs = np.nonzero(mask)
    edges = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], float)
    if rng.random() < 0.7:
        # As a reader or a model draws it: a tenth of its size off.
        size = np.array([edges[2] - edges[0], edges[3] - edges[1]] * 2)
        edges = edges + np.clip([rng.gauss(0, 1) for _ in range(4)], -2, 2) * np.minimum(0.07 * size + 0.5, 8)
    return np.clip(edges, 0, SIDE)


def prompts(rows, mode, rng):
    """Points (1 in, or 2 in and 1 out) or boxes for each target of each picture."""
    if mode == "box":
        return {"input_boxes": torch.tensor(np.array([[box_of(m, rng) for m, _ in row] for row in rows]), dtype=torch.float32)}
    points, labels = [], []
    for row in rows:
        for mask, top in row:
            chosen, signs = [inside(top, rng, rng.random() < 0.5)], [1]
            if mode == "points":
                chosen.append(inside(top, rng, False))
                near = ~mask
                ys, xs = np.nonzero(mask)
                reach = 12
                around = np.zeros_like(mask)
                around[max(0, ys.min() - reach):ys.max() + reach, max(0, xs.min() - reach):xs.max() + reach] = True
                if (near & around).any():
                    near = near & around
                chosen.append(inside(near, rng, False))
                signs += [1, 0]
            points.append(chosen)
            labels.append(signs)
    shape = (len(rows), TARGETS, -1)
    out = {"input_points": torch.tensor(np.array(points), dtype=torch.float32).view(*shape, 2),
           "input_labels": torch.tensor(labels).view(*shape)}
    if mode == "points" and rng.random() < 0.3:
        out |= prompts(rows, "box", rng)
    return out


def dice(p, t):
    return 1 - (2 * (p * t).sum((-1, -2)) + 1) / (p.sum((-1, -2)) + t.sum((-1, -2)) + 1)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--dump", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--until", required=True, help="HH:MM (24 h), when to be done")
    ap.add_argument("--decay-minutes", type=float, default=15)
    ap.add_argument("--batch", type=int, default=6)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--first", type=int, default=1 << 44)
    ap.add_argument("--resume")
    args = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(20)
    hh, mm = map(int, args.until.split(":"))
    end = datetime.datetime.now().replace(hour=hh, minute=mm, second=0).timestamp()
    end += 86400 * (end < time.time())
    model = fresh_model()
    spent = step = 0
    if args.resume:
        state = torch.load(args.resume)
        model.load_state_dict(state["model"])
        step, spent, args.first = state["step"], state["spent"], state["next"]
    print(sum(p.numel() for p in model.parameters()), "parameters")
    layers = [p for n, p in model.named_parameters() if p.dim() == 2 and ".layers." in n and "rel_pos" not in n]
    chosen = {id(p) for p in layers}
    others = [p for p in model.parameters() if id(p) not in chosen and p.requires_grad]
    muon, adam = Muon(layers), torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    stream, rng = Stream(args.dump, args.first), random.Random(args.first)
    running, begun = collections.defaultdict(lambda: [0.0, 0.0]), time.time()
    last_log = last_save = time.time()

    def save(name):
        path = os.path.join(args.out, name)
        torch.save({"model": model.state_dict(), "step": step, "spent": spent + time.time() - begun, "next": stream.last + 4096}, path + ".tmp")
        os.replace(path + ".tmp", path)

    os.makedirs(args.out, exist_ok=True)
    while (left := end - time.time()) > 0:
        lr = args.lr * min(1, (step + 1) / 50) * min(1, left / (60 * args.decay_minutes) + 0.02)
        rows, pictures = [], []
        while len(rows) < args.batch:
            record = stream.take(rng)
            if (row := targets(record, rng)) is not None:
                rows.append(row)
                pictures.append(record[0])
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        goal = torch.from_numpy(np.stack([[m for m, _ in row] for row in rows])).float()
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            embedding = model.get_image_embeddings((pixels - MEAN) / STD)
            loss = 0.0
            # Every picture is asked twice: the tower is the dear part.
            for mode in ("box", rng.choice(["point", "points"])):
                asked, seen = prompts(rows, mode, rng), embedding
                if mode == "points" and rng.random() < 0.4:
                    # Corrections to the mask that the box gave; masks go with pictures, so each target is one of its own.
                    asked = {k: v.flatten(0, 1)[:, None] for k, v in asked.items()}
                    asked["input_masks"] = out.pred_masks.detach().flatten(0, 1)
                    seen = embedding.repeat_interleave(TARGETS, 0)
                out = model(image_embeddings=seen, multimask_output=mode == "point", **asked)
                masks = F.interpolate(out.pred_masks.flatten(0, 1).float(), (SIDE, SIDE), mode="bilinear", align_corners=False)
                want = goal.flatten(0, 1)[:, None].expand_as(masks)
                p = masks.sigmoid()
                # Cross-entropy over as much of the outside as of the object, and Dice. SAM's focal loss found the empty mask here.
                cross = F.binary_cross_entropy_with_logits(masks, want, reduction="none")
                share = want.mean((-1, -2), keepdim=True)
                cross = (cross * (want + (1 - want) * (4 * share / (1 - share)).clamp(max=1))).sum((-1, -2)) / (want.sum((-1, -2)) * 5)
                each = cross + dice(p, want)
                with torch.no_grad():
                    hard = masks > 0
                    both = (hard & (want > 0)).sum((-1, -2)).float()
                    union = (hard | (want > 0)).sum((-1, -2)).clamp(min=1)
                    iou = both / union
                    best = each.argmin(-1)
                scores = out.iou_scores.flatten(0, 1).float()
                loss = loss + each.gather(-1, best[:, None]).mean() + 0.05 * each.mean() + F.mse_loss(scores, iou)
                with torch.no_grad():
                    pick = scores.argmax(-1, keepdim=True)
                    d = 2 * both / (hard.sum((-1, -2)) + (want > 0).sum((-1, -2)))
                    d = d.gather(-1, pick)
                    for row, value in zip([t for r in rows for t in r], d.flatten().tolist()):
                        key = mode + (" small" if row[0].sum() < 120 else "")
                        running[key][0] = running[key][0] * 0.998 + value
                        running[key][1] = running[key][1] * 0.998 + 1
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = lr
        adam.step()
        muon.step(1.5 * lr)
        step += 1
        if time.time() - last_log > 30:
            last_log = time.time()
            print(f"{datetime.datetime.now():%H:%M:%S} step {step} seen {stream.seen} loss {loss.item():.3f} cpu {time.process_time() / step:.2f} s/step "
                  + "  ".join(f"{k} {v[0] / v[1]:.3f}" for k, v in sorted(running.items())), flush=True)
        if time.time() - last_save > 150:
            last_save = time.time()
            save("last.pt")
    save("final.pt")


if __name__ == "__main__":
    main()
