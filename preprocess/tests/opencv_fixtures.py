"""Makes opencv_fixtures.json and opencv_linear.json: sizes and the SHA-256 of what OpenCV makes of them by INTER_AREA, as
LiteMedSAM prepares its pictures, and by INTER_LINEAR, as AG-KD does.

Run with opencv-python-headless 5.0:  python opencv_fixtures.py
Pixels are those of resize_fixtures.py, in three channels.
"""
import hashlib
import json
import pathlib

import cv2
import numpy as np

from resize_fixtures import pixels

SIZES = [(1, 1, 7, 5), (9, 1, 4, 1), (1, 9, 1, 4), (2, 3, 5, 7), (64, 48, 32, 24), (63, 48, 21, 16), (64, 48, 16, 8), (64, 48, 64, 31),
         (64, 48, 33, 48), (100, 60, 200, 120), (40, 33, 40, 33), (63, 65, 62, 66), (17, 17, 16, 16), (300, 200, 256, 171),
         (512, 512, 256, 256), (512, 400, 256, 200), (391, 512, 196, 256), (1024, 333, 256, 83), (50, 200, 96, 96),
         (31, 47, 169, 256), (255, 255, 256, 256), (480, 640, 192, 256), (257, 256, 256, 255)]
for name, how in (("opencv_fixtures", cv2.INTER_AREA), ("opencv_linear", cv2.INTER_LINEAR)):
    rows = []
    for n, (w, h, ow, oh) in enumerate(size for size in SIZES for _ in range(2)):
        image = np.ascontiguousarray(pixels(n, w, h, 3))
        out = cv2.resize(image, (ow, oh), interpolation=how)
        rows.append([n, w, h, ow, oh, hashlib.sha256(out.tobytes()).hexdigest()[:16]])
    text = "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n"
    (pathlib.Path(__file__).parent / f"{name}.json").write_text(text)
