"""Picture file -> RGB pixels beside Pillow: read from disk (cached), one thread, the fastest of interleaved rounds. The
pixels must be Pillow's, byte for byte.

    cargo build --release -p loupe-preprocess --example picture_speed
    python benches/compare/picture.py PHOTO [target/release/examples/picture_speed]

PHOTO is any colour picture; it is resized to a slide's and a radiograph's size and written in each coding here.
"""
import hashlib
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

SOURCE = Image.open(sys.argv[1]).convert("RGB")
BINARY = sys.argv[2] if len(sys.argv) > 2 else "target/release/examples/picture_speed"
ENV = {**os.environ, "RAYON_NUM_THREADS": "1"}
ROUNDS = 8


def pillow(path):
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        pixels = np.asarray(Image.open(path).convert("RGB"))
        best = min(best, (time.perf_counter() - start) * 1e3)
    return best, hashlib.sha256(pixels.tobytes()).hexdigest()


def ours(path):
    done = subprocess.run([BINARY, path, str(ROUNDS)], env=ENV, check=True, capture_output=True, text=True)
    milliseconds, digest = done.stdout.split()
    return float(milliseconds), digest


colour, grey = SOURCE.resize((1024, 768)), SOURCE.resize((2400, 2800)).convert("L")
FORMS = {
    "JPEG 4:2:0, 1024×768": (colour, "a.jpg", {"quality": 90}),
    "JPEG 4:4:4, 1024×768": (colour, "b.jpg", {"quality": 90, "subsampling": 0}),
    "JPEG progressive, 1024×768": (colour, "c.jpg", {"quality": 90, "progressive": True}),
    "JPEG grey, 2400×2800": (grey, "d.jpg", {"quality": 90}),
    "PNG, 1024×768": (colour, "e.png", {}),
    "PNG grey, 2400×2800": (grey, "f.png", {}),
}
with tempfile.TemporaryDirectory() as folder:
    print("| picture | Pillow | loupe | ratio |")
    print("|---|---|---|---|")
    for name, (image, file, options) in FORMS.items():
        path = os.path.join(folder, file)
        image.save(path, **options)
        best = [float("inf")] * 2
        for _ in range(4):
            (a, wanted), (b, got) = pillow(path), ours(path)
            assert got == wanted, f"{name}: other pixels than Pillow's"
            best = [min(best[0], a), min(best[1], b)]
        print(f"| {name} | {best[0]:.1f} ms | {best[1]:.1f} ms | {best[0] / best[1]:.2f} |")
