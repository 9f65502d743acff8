"""Reading .nii.gz beside nibabel and SimpleITK on one core: the fastest of interleaved rounds.

    cargo build --release -p loupe-preprocess --example volume_speed
    python benches/compare/nifti.py [target/release/examples/volume_speed]

The file is drawn: smooth tissue with noise, 256 x 256 x 170, int16, about a fifth of its size packed.
nibabel's `get_fdata` gives float64; float32 is asked for as well.
"""
import os
import subprocess
import sys
import tempfile
import time

import nibabel as nib
import numpy as np
import SimpleITK as sitk

BINARY = sys.argv[1] if len(sys.argv) > 1 else "target/release/examples/volume_speed"
ENV = {**os.environ, "RAYON_NUM_THREADS": "1"}
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def drawn():
    rng = np.random.default_rng(0)
    k, j, i = np.mgrid[0:170, 0:256, 0:256]
    inside = ((i - 128) / 100) ** 2 + ((j - 128) / 110) ** 2 + ((k - 85) / 80) ** 2 < 1
    tissue = 300 + 200 * np.sin(i / 9) * np.cos(j / 11) + 100 * np.sin(k / 7) + rng.normal(0, 8, inside.shape)
    return np.where(inside, tissue, 0).astype(np.int16).T


def fastest(work, rounds=3):
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


with tempfile.TemporaryDirectory() as folder:
    print("| file | nibabel float64 | nibabel float32 | SimpleITK float32 | loupe float32 | to nibabel | to SimpleITK |")
    print("|---|---|---|---|---|---|---|")
    for slope in (1, 0.37):
        path = os.path.join(folder, "volume.nii.gz")
        image = nib.Nifti1Image(drawn(), np.diag([1, 1, 1.2, 1]))
        image.header.set_slope_inter(slope, 0)
        nib.save(image, path)
        size = os.path.getsize(path) / 1e6
        best = [float("inf")] * 4
        for _ in range(5):
            best[0] = min(best[0], fastest(lambda: nib.load(path).get_fdata()))
            best[1] = min(best[1], fastest(lambda: nib.load(path).get_fdata(dtype=np.float32)))
            best[2] = min(best[2], fastest(lambda: sitk.GetArrayFromImage(sitk.ReadImage(path, sitk.sitkFloat32))))
            done = subprocess.run([BINARY, path, "3"], env=ENV, check=True, capture_output=True, text=True)
            best[3] = min(best[3], float(done.stdout))
        a, b, c, d = best
        print(f"| {size:.1f} MB packed, slope {slope} | {a:.0f} ms | {b:.0f} ms | {c:.0f} ms | {d:.0f} ms | {a / d:.2f} | {c / d:.2f} |")
