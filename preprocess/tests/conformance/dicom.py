"""Compares what loupe reads from DICOM files with what pydicom reads, and writes docs/conformance.md.

    cargo build -p loupe-preprocess --example conformance
    python preprocess/tests/conformance/dicom.py --binary PATH/TO/conformance --out docs/conformance.md DIR...

Grey frames are compared as stored values (unused bits masked, signs extended), colour frames as RGB.
Without DIR, pydicom's own test files are compared. Needs pydicom 3 with pylibjpeg, numpy, Pillow.
"""
import argparse, collections, json, logging, pathlib, subprocess, tempfile, warnings
import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, pixel_array

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}


def is_dicom(path):
    with open(path, "rb") as f:
        head = f.read(132)
    return head[128:] == b"DICM" or path.suffix.lower() in (".dcm", ".ima")


def reference(path):
    """(values, grey, transfer syntax) or raises."""
    ds = pydicom.dcmread(path, force=True)
    if not any(k in ds for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ValueError("no image")
    if "TransferSyntaxUID" not in ds.file_meta:
        little, implicit = ds.original_encoding[::-1]
        ds.file_meta.TransferSyntaxUID = ("1.2.840.10008.1.2" if implicit else
            "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2")
    photometric = ds.get("PhotometricInterpretation", "MONOCHROME2")
    uid = str(ds.file_meta.TransferSyntaxUID)
    if photometric.startswith("MONOCHROME"):
        arr = np.asarray(pixel_array(ds, raw=True))
        stored, allocated = ds.get("BitsStored"), ds.get("BitsAllocated")
        high = ds.get("HighBit", (stored or 1) - 1)
        if arr.dtype.kind in "iu" and allocated and stored and (stored < allocated) and uid.count(".4.") == 0:
            shift = high + 1 - stored
            v = (arr.astype(np.int64) >> shift) & ((1 << stored) - 1)
            if ds.get("PixelRepresentation", 0) == 1:
                v = np.where(v >> (stored - 1), v - (1 << stored), v)
            arr = v
        return arr.astype("<f8").ravel(), True, uid
    if photometric == "PALETTE COLOR":
        arr = apply_color_lut(pixel_array(ds, raw=True), ds)
        arr = (arr >> 8).astype(np.uint8) if arr.dtype == np.uint16 else arr
        return arr.ravel(), False, uid
    # libjpeg (through Pillow) is the decoder that others are measured against; it knows 8 bits only.
    arr = pixel_array(ds, decoding_plugin="pillow" if uid == "1.2.840.10008.1.2.4.50" else "")
    if arr.dtype != np.uint8:
        top = (1 << ds.BitsStored) - 1
        arr = np.rint(arr.astype(np.float64) / top * 255).astype(np.uint8)
    return arr.ravel(), False, uid


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--out")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("dirs", nargs="*")
    args = parser.parse_args()
    roots = [("pydicom test files", pathlib.Path(pydicom.__file__).parent / "data" / "test_files")]
    roots += [(pathlib.Path(d).name, pathlib.Path(d)) for d in args.dirs]
    files = [(name, p) for name, root in roots for p in sorted(root.rglob("*"))
             if p.is_file() and p.name != "DICOMDIR" and is_dicom(p)]
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([args.binary, folder], input="\n".join(str(p) for _, p in files), text=True,
                             capture_output=True, check=True)
        lines = run.stdout.splitlines()
        rows = []
        for n, ((name, path), line) in enumerate(zip(files, lines, strict=True)):
            ours = json.loads(line)["result"]
            try:
                ref, grey, uid = reference(path)
            except Exception as e:
                ref, why = None, f"{type(e).__name__}"
            if "refused" in ours:
                verdict = ("both refuse" if ref is None else "refused", ours["refused"])
            elif ref is None:
                verdict = ("read by loupe alone", why)
            else:
                data = (pathlib.Path(folder) / f"{n}.bin").read_bytes()
                got = np.frombuffer(data, "<f8" if ours["grey"] else np.uint8)
                if ours["grey"] != grey or got.size != ref.size and got.size != ref.size // max(1, len(ours["frames"])) * min(4, len(ours["frames"])):
                    verdict = ("WRONG", f"{got.size} values where pydicom has {ref.size}")
                else:
                    ref = ref[: got.size]
                    same = np.array_equal(got, ref, equal_nan=grey)
                    delta = 0 if same else float(np.nanmax(np.abs(got.astype(float) - ref.astype(float))))
                    lossy_colour = not grey or uid in LOSSY
                    verdict = (("exact", "") if same else
                               ("within 2 levels", f"largest difference {delta:g}") if lossy_colour and delta <= 2
                               else ("WRONG", f"largest difference {delta:g}"))
            rows.append((name, path.name, ours.get("syntax", ""), *verdict))
    counts = collections.Counter((r[0], r[3]) for r in rows)
    if args.verbose:
        for r in rows:
            if r[3] in ("WRONG", "refused", "read by loupe alone", "within 2 levels"):
                print(*r[:2], "|", r[3], "|", r[4])
    print(dict(collections.Counter(r[3] for r in rows)))
    if args.out:
        kinds = ["exact", "within 2 levels", "refused", "both refuse", "read by loupe alone", "WRONG"]
        text = ["# DICOM conformance", "",
                f"Made by `preprocess/tests/conformance/dicom.py` with pydicom {pydicom.__version__} (Pillow for baseline JPEG, pylibjpeg). Grey frames are",
                "compared as stored values, colour frames as RGB; of files with many frames the first four. Lossless",
                "coding must agree exactly, lossy JPEG and colour conversion within 2 of 255 levels.", "",
                "| files of | " + " | ".join(kinds).replace("WRONG", "wrong values") + " |", "|---" * (len(kinds) + 1) + "|"]
        for name, _ in roots:
            text.append(f"| {name} | " + " | ".join(str(counts[(name, k)]) for k in kinds) + " |")
        text += ["", "## What is not exact, and why", "", "| file | verdict | reason |", "|---|---|---|"]
        tally = collections.Counter((r[1], r[3], r[4].replace("|", "/")) for r in rows if r[3] != "exact")
        text += [f"| {f} | {v} | {w} |" for f, v, w in sorted(tally)]
        text += ["", "Refused by design: objects without an image (`PixelData … absent`), video, and files cut off inside the",
                 "pixel data. A refusal names the attribute or the part of the codestream.", ""]
        pathlib.Path(args.out).write_text("\n".join(text))


main()
