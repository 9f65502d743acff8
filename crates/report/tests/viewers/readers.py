"""Opens what `loupe export` writes of a series with the programs of others, and says where they see something else.

    python readers.py LOUPE SERIES_FOLDER MASK RUN WORK_FOLDER [cornerstone-bundle.mjs]

RUN is a run whose samples are the objects of the series, MASK a mask on it. Needs highdicom, SimpleITK, dcmqi and pycocotools (pip), dciodvfy,
dsrdump and dcmpschk (dicom3tools, dcmtk), and for the last argument what `cornerstone.mjs` says. Not run by the tests; what it printed
is in docs/reference/conformance.md.
"""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk

loupe, series, mask, run, work = sys.argv[1], *map(Path, sys.argv[2:6])
bundle = sys.argv[6] if len(sys.argv) > 6 else None
work.mkdir(parents=True, exist_ok=True)
failures = []


def say(what, good, detail=""):
    print(("ok  " if good else "NOT ") + what + (f": {detail}" if detail else ""))
    if not good:
        failures.append(what)


def export(source, to, *more):
    out = work / "-".join([to, *(m.strip("-") for m in more)])
    arguments = [loupe, "export", str(source), "--to", to, "-o", str(out), "--quiet", *more]
    if source == mask:
        arguments += ["--source", str(series)]
    subprocess.run(arguments, check=True)
    return out


def lines(*command):
    made = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return made.returncode, (made.stdout + made.stderr).splitlines()


def whole(points):
    """Positions in micrometres, as a set."""
    return set(map(tuple, np.round(np.asarray(points) * 1000).astype(int).tolist()))


def positions(image, array):
    """Where the voxels of an image of SimpleITK lie."""
    matrix = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return whole(np.argwhere(array)[:, ::-1] @ matrix.T + np.array(image.GetOrigin()))


images = {i.SOPInstanceUID: i for i in map(pydicom.dcmread, sorted(series.iterdir()))}
findings = list(csv.DictReader((export(run, "findings-csv") / "findings.csv").open()))
boxes = sorted((f["sop_instance_uid"], *(float(f[k]) for k in ("x0_px", "y0_px", "x1_px", "y1_px"))) for f in findings if f["kind"] == "box")
files = {f"dicom-seg {k}": export(mask, "dicom-seg", "--segments", k) / "seg.dcm" for k in ("binary", "fractional", "label-map")}
files["dicom-seg used frames"] = export(mask, "dicom-seg", "--used-frames") / "seg.dcm"
files["dicom-rtstruct"] = export(mask, "dicom-rtstruct") / "rtstruct.dcm"
files |= {to: export(run, to) / name for to, name in (("dicom-sr", "sr.dcm"), ("dicom-gsps", "gsps.dcm"), ("dicom-ko", "ko.dcm"))}
files["dicom-sc"] = sorted(export(run, "dicom-sc").glob("*.dcm"))[0]

for name, file in files.items():
    # dciodvfy does not know every class; what it says of the source's own values is said of the copies too.
    errors = [line for line in lines("dciodvfy", str(file))[1] if line.startswith("Error")]
    unknown = errors == ["Error - Information Object Not found"]
    say(f"dciodvfy, {name}", not errors or unknown, "class not known to it" if unknown else "; ".join(errors[:3]))
    checked, said = lines(loupe, "export", "check", str(file), "--source", str(series))
    if name != "dicom-sc":
        say(f"loupe export check, {name}", checked == 0, said[0] if said else "")
code, said = lines("dcmpschk", str(files["dicom-gsps"]))
say("dcmpschk, dicom-gsps", any("Test passed" in line for line in said), "" if code == 0 else said[-1])
for name in ("dicom-sr", "dicom-ko"):
    code, said = lines("dsrdump", str(files[name]))
    say(f"dsrdump, {name}", code == 0 and not any(line.startswith("E:") for line in said))


def near(found, within=4e-5):
    found = sorted(found)
    far = max((abs(a - b) for f, w in zip(found, boxes) for a, b in zip(f[1:], w[1:])), default=np.inf)
    same = len(found) == len(boxes) and all(f[0] == w[0] for f, w in zip(found, boxes))
    return same and far < within, f"{len(found)} of {len(boxes)} boxes, largest difference {far:.1e} px"


def around(uid, points):
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return (uid, *points.min(axis=0), *points.max(axis=0))


groups = hd.sr.srread(files["dicom-sr"]).content.get_planar_roi_measurement_groups()
say("highdicom, dicom-sr", *near([around(g.roi.ContentSequence[0].referenced_sop_instance_uid, g.roi.value) for g in groups]))
gsps = pydicom.dcmread(files["dicom-gsps"])
drawn = [around(a.ReferencedImageSequence[0].ReferencedSOPInstanceUID, g.GraphicData) for a in gsps.GraphicAnnotationSequence for g in a.get("GraphicObjectSequence", [])]
say("pydicom, dicom-gsps", *near(drawn))

# Masks on the grid of the series: SimpleITK reads the mask, highdicom and dcmqi the segmentations.
reader = sitk.ImageSeriesReader()
reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
grid = reader.Execute()
want = sitk.GetArrayFromImage(sitk.Resample(sitk.ReadImage(str(mask)), grid, sitk.Transform(), sitk.sitkNearestNeighbor)) > 0
for name, file in files.items():
    if not name.startswith("dicom-seg"):
        continue
    seg = hd.seg.segread(file)
    volume = seg.get_volume(combine_segments=False)
    array = np.asarray(volume.array)
    array = array.max(axis=-1) > 0 if array.ndim == 4 else array > 0
    geometry = volume.get_geometry()
    expected = positions(grid, want)
    placed = whole(geometry.map_indices_to_reference(np.argwhere(array)))
    say(f"highdicom, {name}", placed == expected, f"{len(placed)} voxels, {len(placed ^ expected)} elsewhere")
    if "label-map" in name or shutil.which("segimage2itkimage") is None:
        continue
    out = work / "dcmqi" / name.replace(" ", "-")
    out.mkdir(parents=True, exist_ok=True)
    lines("segimage2itkimage", "--inputDICOM", str(file), "--outputDirectory", str(out), "--outputType", "nrrd")
    made = sorted(out.glob("*.nrrd"))
    if made:
        image = sitk.ReadImage(str(made[0]))
        placed = positions(image, sitk.GetArrayFromImage(image) > 0)
    say(f"dcmqi, {name}", bool(made) and placed == expected, f"{len(placed)} voxels" if made else "nothing read")

coco = export(run, "coco")
from pycocotools.coco import COCO

truth = COCO(str(coco / "references.json"))
scored = json.loads((coco / "detections.json").read_text())
scored = scored if isinstance(scored, list) else scored.get("annotations", [])
say("pycocotools, coco", len(truth.imgs) > 0, f"{len(truth.anns)} references of {len(truth.imgs)} images, {len(scored)} detections")
if scored and "score" in scored[0]:
    truth.loadRes(str(coco / "detections.json"))

if bundle:
    _, said = lines("node", bundle, str(series), str(files["dicom-sr"]), str(files["dicom-seg binary"]), str(files["dicom-seg used frames"]), str(files["dicom-seg fractional"]))
    rows = [json.loads(line) for line in said if line.startswith("{")]
    found = []
    for row in (r for r in rows if r.get("tool") == "RectangleROI"):
        image = images[row["image"]]
        across, down = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        rows_mm, columns_mm = map(float, image.PixelSpacing)
        offset = np.array(row["points"]) - np.array(image.ImagePositionPatient, float)
        # Millimetres of the middle of pixels to continuous edges.
        found.append(around(row["image"], np.stack([offset @ across / columns_mm + 0.5, offset @ down / rows_mm + 0.5], 1)))
    say("cornerstone adapter, dicom-sr", *near(found, 2e-4))
    for name in ("binary", "used frames", "fractional"):
        counted = {r["image"]: sum(r["pixels"].values()) for r in rows if r["file"] == str(files[f"dicom-seg {name}"])}
        places = list(images.values())
        z = {i.SOPInstanceUID: round(grid.TransformPhysicalPointToIndex([float(v) for v in i.ImagePositionPatient])[2]) for i in places}
        say(f"cornerstone adapter, dicom-seg {name}", all(counted.get(uid, 0) == int(want[k].sum()) for uid, k in z.items()), f"{sum(counted.values())} voxels")

print(f"{len(failures)} not as expected")
sys.exit(bool(failures))
