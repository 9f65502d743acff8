"""Compares each slice of every DICOM series below some folders with its file alone, as the binary shows both.

    python preprocess/tests/conformance/series.py PATH/TO/loupe DIR...

Prints the rows of the section "Series beside single files" of docs/reference/conformance.md. pydicom sorts the files of a
series by place; each series is then linked into folders of its own, once in that order of names and once in the opposite one.
Needs pydicom 3, numpy, Pillow.
"""
import collections, os, pathlib, subprocess, sys, tempfile, warnings
import numpy as np
import pydicom
from PIL import Image

warnings.simplefilter("ignore")


def render(loupe, source, out, *more):
    """Grey levels, or why not."""
    run = subprocess.run([loupe, "render", source, "-o", out, *map(str, more)], capture_output=True, text=True)
    return np.asarray(Image.open(out)).astype(int) if run.returncode == 0 else run.stderr.strip()


def series_of(root):
    """Files of grey slices with a place, by what makes a series."""
    groups = collections.defaultdict(list)
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:
            continue
        if not all(k in ds for k in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows")) or str(ds.get("NumberOfFrames", 1)).strip() not in ("1", "None", ""):
            continue
        if not ds.get("PhotometricInterpretation", "").startswith("MONOCHROME"):
            continue
        iop = np.round(np.array(ds.ImageOrientationPatient, float), 3)
        key = (str(path.parent), ds.get("SeriesInstanceUID"), ds.Rows, ds.Columns, str(ds.get("ImageType")), tuple(iop))
        normal = np.cross(iop[:3], iop[3:])
        order = [float(ds.get(k, 0) or 0) for k in ("TemporalPositionIdentifier", "EchoTime", "TriggerTime", "AcquisitionNumber", "InstanceNumber")]
        shown = any(k in ds for k in ("WindowCenter", "VOILUTSequence")) or ds.BitsStored == 8
        groups[key].append((round(float(normal @ np.array(ds.ImagePositionPatient, float)), 2), order, path, shown, "MOSAIC" in str(ds.get("ImageType"))))
    return list(groups.values())


def row(loupe, root, folder):
    counts = collections.Counter()
    for n, files in enumerate(series_of(root)):
        counts["series"] += 1
        files.sort(key=lambda f: (f[0], f[1]))
        places = collections.defaultdict(list)
        for f in files:
            places[f[0]].append(f)
        orders = []
        for name in ("there", "back"):
            made = folder / f"{root.name}-{n}-{name}"
            made.mkdir()
            names = range(len(files)) if name == "there" else reversed(range(len(files)))
            for at, f in zip(names, files):
                os.link(f[2], made / f"{at:05}.dcm") if os.stat(f[2]).st_dev == os.stat(made).st_dev else (made / f"{at:05}.dcm").write_bytes(f[2].read_bytes())
            orders.append(made)
        phases = max(map(len, places.values()))
        if any(f[4] for f in files):
            # The file alone shows all tiles at once.
            counts["tiles"] += 1
            middle = [render(loupe, made, folder / "a.png") for made in orders]
            refused = all(isinstance(m, str) for m in middle)
            counts["refused"] += refused
            same = refused or not any(isinstance(m, str) for m in middle) and np.array_equal(*middle)
            counts["same" if same else "other"] += 1
            continue
        same = True
        for k, place in enumerate(sorted(places)):
            for phase, (_, _, path, shown, _) in enumerate(places[place]):
                view = ("--slice", k, *(("--frame", phase) if phases > 1 else ()))
                out = folder / "a.png"
                got = render(loupe, orders[0], out, *view)
                if isinstance(got, str):
                    counts["refused"] += 1
                    continue
                if k in (0, len(places) // 2, len(places) - 1):
                    back = render(loupe, orders[1], out, *view)
                    same &= not isinstance(back, str) and np.array_equal(got, back)
                if not shown:
                    counts["no window"] += 1
                    continue
                alone = render(loupe, path, out)
                alike = not isinstance(alone, str) and got.shape == alone.shape and np.abs(got - alone).max() <= 1
                counts["alike" if alike else "WRONG"] += 1
                if not alike:
                    print("WRONG", path, file=sys.stderr)
        counts["same" if same else "other"] += 1
    cells = [counts[k] for k in ("series", "same", "alike", "no window", "tiles", "refused")] + [counts["WRONG"] + counts["other"]]
    return f"| {root.name} | " + " | ".join(map(str, cells)) + " |"


def rows(loupe, roots):
    with tempfile.TemporaryDirectory() as folder:
        return [row(loupe, root, pathlib.Path(folder)) for root in map(pathlib.Path, roots)]


if __name__ == "__main__":
    print("\n".join(rows(sys.argv[1], sys.argv[2:])))
