"""Perceptual hashes of invented pictures by imagehash.phash; writes perceptual.json.

The pictures are made by the same formula in tests/main/perceptual.rs."""
import json
import pathlib

import imagehash
import numpy as np
from PIL import Image

cases = []
for n, (width, height, channels) in enumerate([(32, 32, 1), (40, 56, 1), (200, 131, 3), (17, 9, 3), (512, 300, 1), (33, 250, 3)]):
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    pixels = ((x * (n + 3) + y * y // (7 + n) + x * y // 11 + 53 * c + (x // 9 % 2) * 60) % 256).astype(np.uint8)
    image = Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])
    cases.append({"width": width, "height": height, "channels": channels, "phash": str(imagehash.phash(image))})
out = pathlib.Path(__file__).parent / "perceptual.json"
out.write_text(json.dumps(cases, indent=1) + "\n")
