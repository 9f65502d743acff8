"""Resizing beside Pillow and torchvision on one core: the fastest of many interleaved rounds.

    cargo build --release -p loupe-preprocess --example resize_speed
    python benches/compare/resize.py [target/release/examples/resize_speed]
"""
import os
import subprocess
import sys
import time

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode as Mode
from torchvision.transforms.v2 import functional as F

torch.set_num_threads(1)
BINARY = sys.argv[1] if len(sys.argv) > 1 else "target/release/examples/resize_speed"
ENV = {**os.environ, "RAYON_NUM_THREADS": "1"}
CASES = [(1411, 1411, 3, 448, 448), (512, 512, 3, 448, 448), (512, 512, 1, 448, 448), (512, 512, 3, 896, 896), (3000, 2400, 1, 896, 896)]
FILTERS = {"bicubic": (Image.BICUBIC, Mode.BICUBIC), "bilinear": (Image.BILINEAR, Mode.BILINEAR),
           "lanczos": (Image.LANCZOS, None)}


def fastest(work, rounds):
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def ours(case, name, backend, rounds):
    done = subprocess.run([BINARY, *map(str, case), name, backend, str(rounds)], env=ENV, check=True,
                          capture_output=True, text=True)
    return float(done.stdout)


print("| size | filter | Pillow ms | loupe pillow ms | ratio | torchvision ms | loupe torchvision ms | ratio |")
print("|---|---|---|---|---|---|---|---|")
for case in CASES:
    w, h, c, ow, oh = case
    array = np.random.default_rng(0).integers(0, 256, (h, w, c), dtype=np.uint8)
    image = Image.fromarray(array[:, :, 0] if c == 1 else array)
    tensor = torch.from_numpy(array).permute(2, 0, 1).contiguous()
    for name, (pil, tv) in FILTERS.items():
        best = [float("inf")] * 4
        for _ in range(4):
            best[0] = min(best[0], fastest(lambda: image.resize((ow, oh), pil), 8))
            best[1] = min(best[1], ours(case, name, "pillow", 8))
            if tv is not None:
                best[2] = min(best[2], fastest(lambda: F.resize(tensor, [oh, ow], tv, antialias=True), 8))
                best[3] = min(best[3], ours(case, name, "torchvision", 8))
        a, b, d, e = best
        right = f"{d:.2f} | {e:.2f} | {d / e:.1f}" if tv is not None else "– | – | –"
        print(f"| {w}×{h}×{c} → {ow}×{oh} | {name} | {a:.2f} | {b:.2f} | {a / b:.1f} | {right} |")
