"""Makes resize_fixtures.json: sizes and the SHA-256 of what Pillow and torchvision make of them.

Run with Pillow 13 and torchvision 0.29 (CPU with AVX2):  python resize_fixtures.py
Pixels come from an integer hash that tests/main/resize.rs repeats, so only hashes are stored.
"""
import hashlib
import json
import pathlib

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as F
from torchvision.transforms import InterpolationMode as Mode

FILTERS = {"nearest": (Image.NEAREST, Mode.NEAREST), "box": (Image.BOX, None),
           "bilinear": (Image.BILINEAR, Mode.BILINEAR), "hamming": (Image.HAMMING, None),
           "bicubic": (Image.BICUBIC, Mode.BICUBIC), "lanczos": (Image.LANCZOS, None)}


def mix(v):
    """lowbias32 of C. Wellons on uint32."""
    v = v.astype(np.uint32)
    v ^= v >> np.uint32(16)
    v *= np.uint32(0x7FEB352D)
    v ^= v >> np.uint32(15)
    v *= np.uint32(0x846CA68B)
    return v ^ (v >> np.uint32(16))


def pixels(seed, w, h, c):
    """Noise for even seeds; black and white tiles of 7 x 5 pixels over a ramp for odd ones."""
    if seed % 2 == 0:
        flat = mix(np.arange(w * h * c, dtype=np.uint32) + np.uint32(seed * 1000003))
        return (flat >> np.uint32(24)).astype(np.uint8).reshape(h, w, c)
    y, x, k = np.meshgrid(np.arange(h), np.arange(w), np.arange(c), indexing="ij")
    tile = mix((y // 5 * 4096 + x // 7 + k * 77 + seed).astype(np.uint32)) & np.uint32(3)
    ramp = (x * 3 + y * 2 + k * 50) % 256
    return np.select([tile == 0, tile == 1], [0, 255], ramp).astype(np.uint8)


def main():
    rng = np.random.default_rng(20261121)
    rows = []
    special = [(1, 1, 3, 7, 5), (1, 9, 1, 4, 9), (9, 1, 3, 9, 4), (3000, 2, 3, 1, 1), (2, 3000, 1, 5, 1),
               (1, 1, 1, 3000, 2), (64, 48, 3, 64, 31), (64, 48, 1, 33, 48), (640, 480, 3, 320, 240),
               (512, 512, 1, 448, 448), (100, 60, 3, 200, 120), (333, 77, 3, 896, 896), (21, 22, 3, 43, 44),
               (5, 7, 3, 5, 14), (63, 65, 3, 62, 66), (64, 64, 1, 63, 63), (17, 17, 1, 16, 16), (1411, 700, 3, 448, 223)]
    for n in range(150):
        if n < len(special):
            w, h, c, ow, oh = special[n]
        else:
            top = 3000 if n % 6 == 0 else 200
            w, ow = (int(rng.integers(1, top + 1)) for _ in range(2))
            h, oh = (int(rng.integers(1, (120 if top == 3000 else 200) + 1)) for _ in range(2))
            if n % 12 == 0:
                w, h, ow, oh = h, w, oh, ow
            c = (1, 3)[int(rng.integers(2))]
        src = pixels(n, w, h, c)
        # Every filter on the special sizes, three in turn on the rest.
        names = list(FILTERS) if n < len(special) else [list(FILTERS)[(n + k) % 6] for k in (0, 2, 3)]
        for name in names:
            pil, tv = FILTERS[name]
            image = Image.fromarray(src[:, :, 0] if c == 1 else src)
            out = {"pillow": np.asarray(image.resize((ow, oh), pil))}
            if tv is not None:
                t = torch.from_numpy(src).permute(2, 0, 1).contiguous()
                try:
                    t = F.resize(t, [oh, ow], tv, antialias=True)
                    out["torchvision"] = t.permute(1, 2, 0).contiguous().numpy()
                except RuntimeError as error:  # torch 2.15 asserts on some one-pixel pictures
                    print(f"{w}x{h}x{c} -> {ow}x{oh} {name}: {str(error)[:60]}")
            for backend, a in out.items():
                rows.append([n, w, h, c, ow, oh, name, backend,
                             hashlib.sha256(a.tobytes()).hexdigest()[:16]])
    text = ",\n".join(json.dumps(r) for r in rows)
    pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
