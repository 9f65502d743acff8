"""Makes skimage_fixtures.json: sizes and the SHA-256 of what scikit-image makes of them with a cubic
spline, as MedSAM prepares its pictures.

Run with scikit-image 0.26 and SciPy 1.17:  python skimage_fixtures.py
Pixels are those of resize_fixtures.py, in three channels.
"""
import hashlib
import json
import pathlib

import numpy as np
from skimage.transform import resize

from resize_fixtures import pixels

SIZES = [(1, 1, 7, 5), (1, 9, 4, 9), (9, 1, 9, 4), (2, 3, 5, 7), (64, 48, 64, 31), (64, 48, 33, 48), (100, 60, 200, 120),
         (40, 33, 40, 33), (21, 22, 43, 44), (5, 7, 5, 14), (63, 65, 62, 66), (17, 17, 16, 16), (300, 200, 64, 64),
         (50, 200, 96, 96), (640, 90, 32, 128), (31, 47, 256, 256), (1100, 3, 20, 9)]
rows = []
for n, (w, h, ow, oh) in enumerate(size for size in SIZES for _ in range(2)):
    image = pixels(n, w, h, 3)
    out = resize(image, (oh, ow), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    rows.append([n, w, h, ow, oh, hashlib.sha256(out.tobytes()).hexdigest()[:16]])
text = "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n"
(pathlib.Path(__file__).parent / "skimage_fixtures.json").write_text(text)
