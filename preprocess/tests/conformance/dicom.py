"""Compares what loupe reads from DICOM files with what pydicom reads, and writes docs/reference/conformance.md.

    cargo build --workspace --bins --example conformance
    python preprocess/tests/conformance/dicom.py --binary PATH/TO/conformance --loupe PATH/TO/loupe \
        --out docs/reference/conformance.md --pictures DIR --volumes DIR DIR...

Grey frames are compared as stored values (unused bits masked, signs extended), as values of the modality
(rescaled or looked up) and, where the file has a window or VOI table, as the grey levels that it makes;
colour frames as RGB.
Without DIR, pydicom's own test files are compared. Needs pydicom 3 with pylibjpeg, numpy, Pillow, nibabel, SimpleITK.
"""
import argparse, collections, json, logging, pathlib, subprocess, tempfile, warnings
import nibabel as nib
import numpy as np
import PIL
import pydicom
import SimpleITK as sitk
import series
from PIL import Image, ImageOps
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}


def few(names):
    """The first six names, and how many more."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


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


def groups(ds, frame):
    """The data set or functional group that holds an attribute for a frame, per-frame before shared."""
    places = []
    for name, at in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        if name in ds and len(ds[name].value) > at:
            places += [item for element in ds[name].value[at] if element.VR == "SQ" for item in element.value]
    return places + [ds]


def flattened(ds, frame):
    """The attributes of the transform of one frame at the top, where pydicom looks for them."""
    flat = pydicom.Dataset()
    wanted = ["RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth",
              "VOILUTFunction", "VOILUTSequence", "BitsStored", "PixelRepresentation", "DoseGridScaling"]
    for place in groups(ds, frame):
        for name in wanted:
            if name in place and name not in flat:
                flat[name] = place[name]
    return flat


def transforms(path, stored, ours, base):
    """Compares modality and VOI values of up to four frames: the largest differences, or why not."""
    ds = pydicom.dcmread(path, force=True)
    frames = min(4, len(ours["frames"]))
    stored = stored[: frames * ours["rows"] * ours["columns"]].reshape(frames, -1)
    got = np.fromfile(base.with_suffix(".modality"), "<f4").reshape(frames, -1)
    levels = np.fromfile(base.with_suffix(".voi"), np.uint8)
    signed = ds.get("PixelRepresentation", 0)
    worst_value, worst_level = 0.0, None
    for n in range(frames):
        flat = flattened(ds, n)
        whole = np.all(stored[n] == np.rint(stored[n]))
        raw = stored[n].astype(np.int32 if signed else np.uint32) if whole else stored[n]
        value = np.asarray(apply_modality_lut(raw, flat), np.float64)
        if "DoseGridScaling" in flat and "RescaleSlope" not in flat:
            value = value * float(flat.DoseGridScaling)
        scale = np.maximum(1, np.abs(value))
        worst_value = max(worst_value, float(np.nanmax(np.abs(got[n] - value) / scale)))
        if not levels.size:
            continue
        if "WindowCenter" in flat and "WindowWidth" in flat:
            centre, width = (np.atleast_1d(flat[k].value)[0] for k in ("WindowCenter", "WindowWidth"))
            one = pydicom.Dataset()
            # A range of our own: pydicom's output spans what the bits could hold, rescaled.
            one.WindowCenter, one.WindowWidth, one.BitsStored, one.PixelRepresentation = centre, width, 8, 0
            one.VOILUTFunction = flat.get("VOILUTFunction", "LINEAR")
            one.PhotometricInterpretation = "MONOCHROME2"
            level = np.asarray(apply_voi_lut(value, one, prefer_lut=False), np.float64)
        else:
            item = flat.VOILUTSequence[0]
            bits = item.LUTDescriptor[2]
            level = np.asarray(apply_voi_lut(np.rint(value).astype(np.int64), flat), np.float64) / ((1 << bits) - 1) * 255
        if ds.PhotometricInterpretation == "MONOCHROME1":
            level = 255 - level
        shown = levels.reshape(frames, -1)[n]
        worst_level = max(worst_level or 0.0, float(np.nanmax(np.abs(shown - np.clip(level, 0, 255)))))
    return worst_value, worst_level


def pictures(binary, roots):
    """Rows of a table: picture files against Pillow's RGB."""
    rows = []
    for root in map(pathlib.Path, roots):
        files = [p for p in sorted(root.rglob("*")) if p.suffix.lower() in (".jpg", ".jpeg", ".png")]
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run([binary, folder], input="\n".join(map(str, files)), text=True, capture_output=True, check=True)
            counts, worst = collections.Counter(), 0
            for n, (path, line) in enumerate(zip(files, run.stdout.splitlines(), strict=True)):
                try:
                    image = Image.open(path)
                    if image.mode.startswith("I"):
                        continue  # 16-bit grey, which Pillow clips
                    kind = image.format
                    want = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
                except Exception:
                    counts["unreadable for Pillow"] += 1
                    continue
                if "refused" in json.loads(line)["result"]:
                    counts[(kind, "refused")] += 1
                    continue
                got = np.fromfile(pathlib.Path(folder) / f"{n}.bin", np.uint8)
                same = got.size == want.size and np.array_equal(got, want.ravel())
                counts[(kind, "exact" if same else "other")] += 1
                if not same:
                    worst = max(worst, int(np.abs(got.astype(int) - want.ravel()).max()) if got.size == want.size else 255)
        for kind in ("JPEG", "PNG"):
            if any(k[0] == kind for k in counts if isinstance(k, tuple)):
                cells = [counts[(kind, w)] for w in ("exact", "other", "refused")]
                rows.append(f"| {root.name} | {kind} | " + " | ".join(map(str, cells)) + f" | {worst if cells[1] else 0} |")
    return rows


VOLUMES = (".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz", ".mha", ".mhd", ".nrrd", ".nhdr")


def reference_volume(path):
    """(first frame, last frame) as float32 in slice, row, column order, number of frames, RAS matrix."""
    if path.name.lower().endswith((".mha", ".mhd", ".nrrd", ".nhdr")):
        image = sitk.ReadImage(str(path))
        a, n = sitk.GetArrayFromImage(image), image.GetDimension()
        if image.GetNumberOfComponentsPerPixel() > 1:
            a = np.moveaxis(a, -1, 0)
        ras = np.eye(4)
        m = min(n, 3)
        ras[:m, :m] = (np.array(image.GetDirection()).reshape(n, n) @ np.diag(image.GetSpacing()))[:m, :m]
        ras[:m, 3] = image.GetOrigin()[:m]
        ras = np.diag([-1, -1, 1, 1]) @ ras
        a = a.reshape((-1,) + ((1,) * (3 - a.ndim) + a.shape)[-3:])
        return a[0].astype("<f4"), a[-1].astype("<f4"), len(a), ras
    image = nib.load(path)
    if isinstance(image, nib.Cifti2Image):
        image = nib.Nifti2Image.from_filename(path)  # as voxels, with the header's matrix
    a = np.asanyarray(image.dataobj)
    if a.dtype.names:
        a = (sum(a[c].astype(np.uint32) * w for c, w in zip("RGB", (19595, 38470, 7471))) + 0x8000) >> 16
    elif np.iscomplexobj(a):
        a = np.abs(a.astype(np.complex128))
    while a.ndim < 3:
        a = a[..., None]
    a = a.reshape(*a.shape[:3], -1, order="F").T
    return a[0].astype("<f4"), a[-1].astype("<f4"), len(a), image.affine


def volumes(binary, roots):
    """Rows of a table, and what is not exact: volume files against nibabel and SimpleITK."""
    rows, rest = [], []
    for name, root in roots:
        files = [p for p in sorted(root.rglob("*")) if p.name.lower().endswith(VOLUMES)]
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run([binary, folder], input="\n".join(map(str, files)), text=True, capture_output=True, check=True)
            counts = collections.Counter()
            for n, (path, line) in enumerate(zip(files, run.stdout.splitlines(), strict=True)):
                ours = json.loads(line)["result"]
                try:
                    first, last, frames, ras = reference_volume(path)
                except Exception as e:
                    first, why = None, type(e).__name__
                if "refused" in ours or first is None:
                    kind = ("both refuse" if first is None else "refused") if "refused" in ours else "read by loupe alone"
                    rest.append((path.name, kind, ours.get("refused") or why))
                else:
                    got = np.fromfile(pathlib.Path(folder) / f"{n}.bin", "<f4")
                    want = np.concatenate([first.ravel(), last.ravel()])
                    same = got.shape == want.shape and frames == ours["frames"] and np.array_equal(got, want, equal_nan=True)
                    scale = np.maximum(1, np.abs(want))
                    near = got.shape == want.shape and float(np.nanmax(np.abs(got - want) / scale, initial=0)) < 1e-6
                    place = np.abs(np.array(ours["ras"]) - np.asarray(ras)[:3]).max() < 1e-4
                    kind = "exact" if same and place else "to rounding" if near and place else "WRONG"
                    if kind != "exact":
                        rest.append((path.name, kind, "voxels differ" if not near else "matrix differs" if not place else "last digit of a float"))
                counts[kind] += 1
            kinds = ("exact", "to rounding", "refused", "both refuse", "read by loupe alone", "WRONG")
            rows.append(f"| {name} | " + " | ".join(str(counts[k]) for k in kinds) + " |")
    return rows, rest


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--out")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--volumes", action="append", default=[], metavar="DIR", help="folders of NIfTI, MetaImage and NRRD files")
    parser.add_argument("--pictures", action="append", default=[], metavar="DIR", help="folders of PNG and JPEG files")
    parser.add_argument("--loupe", metavar="BINARY", help="loupe itself, for the section on series")
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
        rows, tally_values, tally_levels, off = [], collections.Counter(), collections.Counter(), []
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
            if verdict[0] == "exact" and grey:
                try:
                    value, level = transforms(path, ref, ours, pathlib.Path(folder) / f"{n}.bin")
                except Exception as e:
                    off.append((name, path.name, f"not compared: {type(e).__name__} in the reference"))
                    continue
                tally_values[(name, value < 1e-6)] += 1
                if level is not None:
                    # Half a level is rounding; the rest is room for ties.
                    tally_levels[(name, level <= 0.51)] += 1
                if value >= 1e-6:
                    off.append((name, path.name, f"modality values differ by {value:.3g} (relative)"))
                if level is not None and level > 0.51:
                    off.append((name, path.name, f"grey levels differ by {level:.3g}"))
    counts = collections.Counter((r[0], r[3]) for r in rows)
    print(dict(tally_values), dict(tally_levels), *off, sep="\n")
    if args.verbose:
        for r in rows:
            if r[3] in ("WRONG", "refused", "read by loupe alone", "within 2 levels"):
                print(*r[:2], "|", r[3], "|", r[4])
    print(dict(collections.Counter(r[3] for r in rows)))
    if args.out:
        kinds = ["exact", "within 2 levels", "refused", "both refuse", "read by loupe alone", "WRONG"]
        text = ["# Conformance", "",
                f"Made by `preprocess/tests/conformance/dicom.py` with pydicom {pydicom.__version__} (Pillow for baseline JPEG, pylibjpeg). Grey frames are",
                "compared as stored values, colour frames as RGB; of files with many frames the first four. Lossless",
                "coding must agree exactly, lossy JPEG and colour conversion within 2 of 255 levels.", "",
                "| files of | " + " | ".join(kinds).replace("WRONG", "wrong values") + " |", "|---" * (len(kinds) + 1) + "|"]
        for name, _ in roots:
            text.append(f"| {name} | " + " | ".join(str(counts[(name, k)]) for k in kinds) + " |")
        text += ["", "Of the grey files, the values of the modality (Hounsfield units and the like: slope and intercept or table)",
                 "must agree to 1e-6 of the value, and the grey levels that the file's first window or VOI table makes to half a",
                 "level, which is rounding. pydicom's `apply_modality_lut` and `apply_voi_lut` compute the other side.", "",
                 "| files of | modality values agree | differ | grey levels agree | differ |", "|---|---|---|---|---|"]
        for name, _ in roots:
            cells = [tally_values[(name, True)], tally_values[(name, False)], tally_levels[(name, True)], tally_levels[(name, False)]]
            text.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
        if off:
            text += ["", "| file | of | what |", "|---|---|---|"] + [f"| {f} | {n} | {w} |" for n, f, w in sorted(off)]
        if args.volumes:
            roots_of = [("nibabel test data", pathlib.Path(nib.__file__).parent / "tests" / "data")]
            roots_of += [(pathlib.Path(d).name, pathlib.Path(d)) for d in args.volumes]
            table, odd = volumes(args.binary, roots_of)
            text += ["", "## Volumes", "", f"NIfTI and Analyze against nibabel {nib.__version__}, MetaImage and NRRD against SimpleITK {sitk.Version_VersionString()}: voxels of the",
                     "first and last frame as float32, number of frames, and the matrix to 1e-4 mm.", "",
                     "| files of | exact | to rounding | refused | both refuse | read by loupe alone | wrong values |", "|---|---|---|---|---|---|---|", *table]
            if odd:
                text += ["", "| file | verdict | reason |", "|---|---|---|"] + [f"| {f} | {v} | {w.replace('|', '/')} |" for f, v, w in sorted(set(odd))]
        if args.pictures:
            text += ["", "## Pictures", "", f"PNG and JPEG files against `convert(\"RGB\")` of Pillow {PIL.__version__} after the EXIF orientation, byte for byte.", "",
                     "| files of | format | exact | other | refused | largest difference |", "|---|---|---|---|---|---|"]
            text += pictures(args.binary, args.pictures)
        if args.loupe:
            text += ["", "## Series beside single files", "",
                     "Made by `preprocess/tests/conformance/series.py`. Every series of grey slices with a place, slice by slice: the picture that loupe makes of the slice in its series beside the",
                     "one that it makes of the slice's file alone, without a window being asked for, to one grey level. Slices without a stored",
                     "window, VOI table or 8-bit levels have nothing that holds for both: a file alone is scaled over itself, a series over all its",
                     "slices. Each series is read with its files named in one order and in the opposite one; first, middle and last slice of every",
                     "phase must be the same picture.", "",
                     "| files of | series | same in either order | slices alike | no stored window | mosaics | refused | wrong |",
                     "|---|---|---|---|---|---|---|---|"]
            text += series.rows(args.loupe, args.dirs)
        text += ["", "## What is not exact, and why", "", "| file | verdict | reason |", "|---|---|---|"]
        tally = collections.Counter((r[1], r[3], r[4].replace("|", "/")) for r in rows if r[3] != "exact")
        rest = collections.defaultdict(list)
        for f, v, w in sorted(tally):
            rest[(v, w)].append(f)
        text += [f"| {few(files)} | {v} | {w} |" for (v, w), files in sorted(rest.items(), key=lambda r: r[1])]
        text += ["", "Refused by design: objects without an image (`PixelData … absent`), video, and files cut off inside the",
                 "pixel data. A refusal names the attribute or the part of the codestream.", ""]
        pathlib.Path(args.out).write_text("\n".join(text))


if __name__ == "__main__":
    main()
