"""DICOM slice -> window 40/400 -> 448 x 448 RGB (bicubic) beside pydicom + numpy + Pillow: files read from
disk (cached) each time, the best of interleaved rounds. On one thread the processor time is compared,
which other programs on the machine disturb least; on two, the wall clock.

    cargo build --release -p loupe-preprocess --example dicom_speed
    python benches/compare/dicom.py CT.dcm [target/release/examples/dicom_speed]

CT.dcm is an uncompressed 512 x 512 CT slice; its RLE and JPEG lossless forms are made here (pydicom, and
GDCM through `python-gdcm`). Python's side is given every advantage that keeps it readable: the resize
works on one grey channel, which is copied to RGB afterwards. The `pillow` mode must give its very pixels.
"""
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import gdcm
import numpy as np
import pydicom
from PIL import Image

SOURCE = sys.argv[1]
BINARY = sys.argv[2] if len(sys.argv) > 2 else "target/release/examples/dicom_speed"
LOW, WIDTH = 40 - 0.5 - (400 - 1) / 2, 400 - 1
SLICES = 24


def python_slice(path):
    data = pydicom.dcmread(path)
    values = data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept)
    levels = np.rint(np.clip((values - LOW) / WIDTH, 0, 1) * 255).astype(np.uint8)
    grey = Image.fromarray(levels).resize((448, 448), Image.BICUBIC)
    return np.asarray(Image.merge("RGB", (grey, grey, grey)))


def python_round(path, threads):
    if threads == 1:
        start = time.process_time()
        for _ in range(SLICES):
            python_slice(path)
        return (time.process_time() - start) * 1e3 / SLICES
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(python_slice, [path] * SLICES))
    return (time.perf_counter() - start) * 1e3 / SLICES


def ours(path, backend, threads):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([BINARY, path, backend, str(threads), "3"], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    milliseconds, digest = done.stdout.split()
    if threads == 1:
        # Three rounds and the slice whose digest is printed; starting the program is charged as well.
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return used * 1e3 / (3 * SLICES + 1), digest
    return float(milliseconds), digest


def forms(folder):
    """The slice in three transfer syntaxes."""
    native, rle, lossless = (os.path.join(folder, name) for name in ("native", "rle", "jpeg-lossless"))
    data = pydicom.dcmread(SOURCE)
    data.save_as(native)
    data.compress(pydicom.uid.RLELossless)
    data.save_as(rle)
    reader = gdcm.ImageReader()
    reader.SetFileName(native)
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(lossless)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return native, rle, lossless


with tempfile.TemporaryDirectory() as folder:
    print("| coding | time | pydicom + numpy + Pillow | loupe pillow | ratio | loupe torchvision | ratio |")
    print("|---|---|---|---|---|---|---|")
    for path in forms(folder):
        pixels = hashlib.sha256(python_slice(path).tobytes()).hexdigest()
        assert ours(path, "pillow", 1)[1] == pixels, f"{path}: other pixels than Pillow's"
        for threads in (1, 2):
            best = [float("inf")] * 3
            for _ in range(4):
                best[0] = min(best[0], python_round(path, threads))
                best[1] = min(best[1], ours(path, "pillow", threads)[0])
                best[2] = min(best[2], ours(path, "torchvision", threads)[0])
            a, b, c = best
            kind = "processor, 1 thread" if threads == 1 else f"wall, {threads} threads"
            print(f"| {os.path.basename(path)} | {kind} | {a:.2f} ms | {b:.2f} ms | {a / b:.1f} | {c:.2f} ms | {a / c:.1f} |")
