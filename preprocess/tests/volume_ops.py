"""Makes volume_ops.json: what numpy, scipy, torch and nibabel give for a drawn volume.

    python volume_ops.py      (scipy's map_coordinates(order=1, mode="nearest") is MONAI's Spacing to
                               6e-8, torch's interpolate is MONAI's Resize)
"""
import json
import pathlib

import nibabel as nib
import numpy as np
import torch
from scipy.ndimage import map_coordinates

W, H, D = 11, 9, 6
SPACING = np.array([1.3, 0.9, 2.5])


def hu():
    """The volume of tests/main/volume_ops.rs, indexed (k, j, i)."""
    k, j, i = np.mgrid[0:D, 0:H, 0:W]
    return (((i * 37 + j * 101 + k * 59) % 97) * 25 - 1100 + i * j).astype(np.float32)


def spaced(a, old, new):
    """a is (k, j, i); spacings are (i, j, k)."""
    size = [int(np.round((n - 1) * o / t)) + 1 for n, o, t in zip(a.shape[::-1], old, new)]
    axes = [np.arange(s) * t / o for s, o, t in zip(size, old, new)]
    grid = np.meshgrid(*axes[::-1], indexing="ij")
    return map_coordinates(a.astype(np.float64), grid, order=1, mode="nearest")


def resized(a, size, mode="trilinear"):
    t = torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32))[None, None]
    extra = {} if mode == "nearest" else {"align_corners": False}
    return torch.nn.functional.interpolate(t, size=size[::-1], mode=mode, **extra)[0, 0].numpy()


def central(a, size, fill):
    size = size[::-1]
    for axis, want in enumerate(size):
        have = a.shape[axis]
        if want > have:
            before = (want - have) // 2
            pad = [(0, 0)] * 3
            pad[axis] = (before, want - have - before)
            a = np.pad(a, pad, constant_values=fill)
        else:
            start = have // 2 - want // 2
            a = np.take(a, range(start, start + want), axis)
    return a


def summary(a):
    """Shape (k, j, i), mean and every 1/40 of the values in order."""
    flat = np.asarray(a, dtype=np.float64).ravel()
    picks = [int(n * (flat.size - 1) / 40) for n in range(41)]
    return dict(shape=list(a.shape), mean=float(flat.mean()), values=[float(flat[p]) for p in picks])


def level(a, low, high):
    return np.round(np.clip((a.astype(np.float64) - low) / (high - low), 0, 1) * 255)


def m3d(a):
    x = (a - a.min()) / (a.max() - a.min())
    inside = np.argwhere(x > 0)
    lo, hi = inside.min(0), inside.max(0) + 1
    return resized(x[lo[0]:hi[0], lo[1]:hi[1], lo[2]:hi[2]], [256, 256, 32])


def main():
    a = hu()
    out = {
        "spaced_fine": summary(spaced(a, SPACING, [0.7, 1.0, 1.1])),
        "spaced_coarse": summary(spaced(a, SPACING, [3.1, 2.0, 4.0])),
        "resized_up": summary(resized(a, [20, 13, 9])),
        "resized_down": summary(resized(a, [5, 4, 3])),
        "nearest": summary(resized(a, [20, 4, 9], "nearest")),
        "central": summary(central(a, [7, 12, 4], -7)),
        "central_odd": summary(central(a, [14, 4, 9], 0)),
    }
    # The volume lies in LPS with these spacings; RAS flips i and j.
    affine = np.diag([-1.3, -0.9, 2.5, 1.0])
    for letters in ("RAS", "LPS", "ASR", "ILP"):
        image = nib.Nifti1Image(a.T, affine)
        change = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(letters))
        turned = image.as_reoriented(change)
        out[letters] = dict(summary(np.asarray(turned.dataobj).T), ras=turned.affine[:3].tolist())
    x = np.clip(a, -1000, 1000) / 1000
    size = [int(n * o / t) for n, o, t in zip(a.shape[::-1], SPACING, (0.75, 0.75, 1.5))]
    out["ct-chat"] = summary(central(resized(x, size), [480, 480, 240], -1))
    out["m3d"] = summary(m3d(a))
    ras = a[:, ::-1, ::-1]
    x = (np.clip(spaced(ras, SPACING, (1.5, 1.5, 3)), -1000, 1000) + 1000) / 2000
    out["merlin"] = summary(central(x, [224, 224, 160], 0))
    out["medgemma-ct"] = summary(np.stack([level(a[3], -1024, 1024), level(a[3], -135, 215), level(a[3], 0, 80)], -1))
    # Whole HU through `window_accurate` of Google-Health/medgemma 04b60ac; half the widths are those of its windows.
    served = lambda low, high: np.round(np.interp(np.round(a[3]).clip(low, high), (low, high), (0, 255)))
    out["medgemma-ct-serving"] = summary(np.stack([served(-1024, 1024), served(135, 215), served(0, 80)], -1))
    first = np.stack([level(a[3], -1225, 1025), level(a[3], -135, 215), level(a[3], 0, 80)], -1)
    out["medgemma1-ct"] = summary(np.pad(first, ((1, 1), (0, 0), (0, 0))))
    out["medgemma-mr"] = summary(np.stack([level(a[3], a.min(), a.max())] * 3, -1))
    turned = a[3].T.astype(np.float64)
    turned = ((turned - turned.min()) / (turned.max() - turned.min()) * 255.0).astype(np.uint8)
    out["hulu-med"] = summary(np.stack([turned] * 3, -1))
    s = m3d(a)[[int(v) for v in np.linspace(0, 31, 11)]][4]
    out["fleming-vl"] = summary(np.stack([level(s, s.min(), s.max())] * 3, -1))
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items())
    pathlib.Path(__file__).with_suffix(".json").write_text("{\n" + text + "\n}\n")


main()
