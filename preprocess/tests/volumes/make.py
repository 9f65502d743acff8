"""Makes small volume files and `want.json`: what nibabel and SimpleITK read from them, and from the
real files under the folder given (which are not copied, only measured).

    python make.py [DATA]        (nibabel 5.4, SimpleITK 2.5, numpy)
"""
import gzip
import hashlib
import json
import pathlib
import sys
import warnings

import nibabel as nib
import numpy as np
import SimpleITK as sitk

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(7)
SHAPE = (7, 5, 4)
OBLIQUE = np.array([[-1.9, 0.3, 0.1, 11], [0.32, 2.4, -0.5, -22], [0.2, 0.6, 3.1, 33], [0, 0, 0, 1]])
want = []


def digest(a):
    """SHA-256 of the frame as float32, first axis fastest."""
    return hashlib.sha256(np.asarray(a, dtype=np.float64).astype("<f4").tobytes(order="F")).hexdigest()[:16]


def itk_affine(path):
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    n = min(3, image.GetDimension())
    d = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)[:n, :n]
    a = np.eye(4)
    a[:n, :n] = d @ np.diag(image.GetSpacing()[:n])
    a[:n, 3] = image.GetOrigin()[:n]
    return (np.diag([-1, -1, 1, 1]) @ a)[:3].tolist()


def by_nibabel(name, path, root):
    image = nib.load(path)
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:
        data = sum((data[c].astype(np.uint32) * w for c, w in zip("RGB", (19595, 38470, 7471))), np.uint32(0))
        data = (data + 0x8000) >> 16
    elif np.iscomplexobj(data):
        data = np.abs(data.astype(np.complex128))
    else:
        data = image.get_fdata(dtype=np.float64)
    while data.ndim < 3:
        data = data[..., None]
    frames = data.reshape(*data.shape[:3], -1, order="F")
    want.append(dict(root=root, file=name, size=list(data.shape[:3]), frames=frames.shape[3],
                     ras=image.affine[:3].tolist(), itk=itk_affine(path),
                     first=digest(frames[..., 0]), last=digest(frames[..., -1])))


def by_itk(name, path, root):
    image = sitk.ReadImage(str(path))
    a = sitk.GetArrayFromImage(image)
    vector = image.GetNumberOfComponentsPerPixel() > 1
    frames = np.moveaxis(a, -1, 0) if vector else a.reshape((-1,) + ((1,) * (3 - a.ndim) + a.shape)[-3:])
    size = list(frames.shape[1:][::-1])
    want.append(dict(root=root, file=name, size=size, frames=frames.shape[0], ras=itk_affine(path), itk=None,
                     first=digest(frames[0].T), last=digest(frames[-1].T)))


def values(dtype):
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        return RNG.integers(max(info.min, -(2 ** 62)), min(info.max, 2 ** 62), SHAPE).astype(dtype)
    return (RNG.standard_normal(SHAPE) * 1000).astype(dtype)


def nifti():
    def put(name, image, edit=None):
        path = HERE / name
        nib.save(image, path)
        if edit:
            raw = bytearray(path.read_bytes())
            edit(raw)
            path.write_bytes(bytes(raw))
        by_nibabel(name, path, "volumes")

    for t in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"):
        put(f"le_{t}.nii", nib.Nifti1Image(values("<" + t), OBLIQUE, dtype="<" + t))
        header = nib.Nifti1Header(endianness=">")
        header.set_data_dtype(">" + t)
        put(f"be_{t}.nii", nib.Nifti1Image(values(">" + t), OBLIQUE, header))
    plain = values("<i2") // 100
    put("nifti2.nii.gz", nib.Nifti2Image(plain, OBLIQUE))
    header = nib.Nifti2Header(endianness=">")
    header.set_data_dtype(">f4")
    put("nifti2_be.nii", nib.Nifti2Image(values(">f4"), OBLIQUE, header))
    for name in ("pair.img", "pairgz.img.gz"):
        put(name, nib.Nifti1Pair(plain, OBLIQUE))
    put("analyze.img", nib.AnalyzeImage(plain, None))
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgba = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    for c in "RGB":
        rgb[c] = rgba[c] = RNG.integers(0, 256, SHAPE)
    put("rgb.nii", nib.Nifti1Image(rgb, OBLIQUE))
    put("rgba.nii", nib.Nifti1Image(rgba, OBLIQUE))
    put("complex64.nii", nib.Nifti1Image((values("f4") + 1j * values("f4")).astype("<c8"), OBLIQUE))
    put("complex128.nii", nib.Nifti1Image(values("f8") + 1j * values("f8"), OBLIQUE))
    put("time.nii.gz", nib.Nifti1Image(np.stack([plain, -plain, plain * 2], -1), OBLIQUE))
    put("five.nii", nib.Nifti1Image(RNG.integers(0, 99, (*SHAPE, 2, 3)).astype("i2"), OBLIQUE))
    put("flat.nii", nib.Nifti1Image(plain[:, :, 0], OBLIQUE))

    def floats(at, *numbers):
        def edit(raw):
            raw[at:at + 4 * len(numbers)] = np.array(numbers, "<f4").tobytes()
        return edit

    def shorts(at, *numbers):
        def edit(raw):
            raw[at:at + 2 * len(numbers)] = np.array(numbers, "<i2").tobytes()
        return edit
    base = nib.Nifti1Image(plain, OBLIQUE)
    put("slope.nii", base, floats(112, 0.37, -11.5))
    put("slope_nan.nii", base, floats(112, np.nan, 3))
    put("slope_zero.nii", base, floats(112, 0, 3))
    put("slope_inf.nii", base, floats(112, np.inf, 3))
    put("bitpix.nii", base, shorts(72, 8))
    put("no_codes.nii", base, shorts(252, 0, 0))
    extended = nib.Nifti1Image(plain, OBLIQUE)
    extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 77))
    put("extension.nii.gz", extended)
    turned = np.array([[0.0, -2, 0, 5], [1.5, 0, 0, 6], [0, 0, -3, 7], [0, 0, 0, 1]])
    for q in (0, 1, 2, 4):
        for s in (0, 1, 2, 4):
            image = nib.Nifti1Image(plain, turned)
            image.set_qform(turned, 1)
            # Not the qform: nibabel would make them agree, so it is written into the bytes.
            other = np.diag([1.5, 2.0, 3, 1])
            other[:3, 3] = 1, 2, 3
            nib.save(image, HERE / "codes.nii")
            raw = bytearray((HERE / "codes.nii").read_bytes())
            raw[252:256] = np.array([q, s], "<i2").tobytes()
            raw[280:328] = other[:3].astype("<f4").tobytes()
            (HERE / f"codes_q{q}_s{s}.nii").write_bytes(raw)
            by_nibabel(f"codes_q{q}_s{s}.nii", HERE / f"codes_q{q}_s{s}.nii", "volumes")
    (HERE / "codes.nii").unlink()
    sheared = np.array([[2.0, 0, 0.7, 1], [0, 2, 0, 2], [0, 0, 3, 3], [0, 0, 0, 1]])
    put("sheared.nii", nib.Nifti1Image(plain, sheared), shorts(252, 0, 2))
    raw = (HERE / "slope.nii").read_bytes()
    cuts = [0, 100, 352, 400, len(raw)]
    members = b"".join(gzip.compress(raw[a:b], mtime=0) for a, b in zip(cuts, cuts[1:]))
    (HERE / "members.nii.gz").write_bytes(members)
    by_nibabel("members.nii.gz", HERE / "members.nii.gz", "volumes")


def itk():
    def put(name, array, compress=False):
        image = sitk.GetImageFromArray(array)
        angle = sitk.Euler3DTransform((0, 0, 0), 0.2, -0.3, 0.5).GetMatrix()
        image.SetDirection(angle)
        image.SetSpacing((0.7, 1.1, 2.5))
        image.SetOrigin((-10, 20, 30.5))
        sitk.WriteImage(image, str(HERE / name), compress)
        by_itk(name, HERE / name, "volumes")
    for t in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"):
        put(f"{t}.mha", values(t).T, t in ("i2", "f4"))
        put(f"{t}.nrrd", values(t).T, t in ("u2", "f8"))
    put("raw.mhd", values("i2").T)
    put("packed.mhd", values("i2").T, True)
    put("apart.nhdr", values("f4").T)
    segments = RNG.integers(0, 3, (2, *SHAPE)).astype("u1")
    header = ("NRRD0004\ntype: unsigned char\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 7 5 4\n"
              "space directions: none (2,0,0) (0,2,0) (0,0,3)\nkinds: list domain domain domain\nendian: little\n"
              "encoding: gzip\nspace origin: (1,2,3)\nSegment0_Name:=Liver\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n"
              "Segment1_Name:=Tumour\nSegment1_LabelValue:=2\nSegment1_Layer:=1\n\n")
    (HERE / "layers.seg.nrrd").write_bytes(header.encode() + gzip.compress(segments.tobytes(order="F"), mtime=0))
    by_itk("layers.seg.nrrd", HERE / "layers.seg.nrrd", "volumes")


def arrays():
    for name, a in (("c_i2.npy", values("<i2")), ("f_f4.npy", np.asfortranarray(values("<f4"))),
                    ("be_f8.npy", values(">f8")), ("four.npy", RNG.integers(0, 9, (2, *SHAPE)).astype("u1")),
                    ("bool.npy", values("i2") > 0)):
        np.save(HERE / name, a)
        frames = a.reshape(-1, *a.shape[-3:])
        want.append(dict(root="volumes", file=name, size=list(frames.shape[1:][::-1]), frames=len(frames), ras=None,
                         itk=None, first=digest(frames[0].T), last=digest(frames[-1].T)))


def unusual():
    """Spellings that the libraries above do not write but that files have."""
    plain = np.random.default_rng(11).integers(-500, 500, SHAPE).astype("<i2")
    text = lambda a: "\n".join(" ".join(map(str, row)) for row in a.reshape(-1, SHAPE[0])).encode() + b"\n"
    rows = plain.T  # z, y, x

    def analyze(name, header_edits):
        nib.save(nib.AnalyzeImage(plain, np.eye(4)), HERE / f"{name}.img")
        raw = bytearray((HERE / f"{name}.hdr").read_bytes())
        for at, kind, numbers in [(76, "<f4", [0, 1.5, 2.5, 3]), *header_edits]:
            raw[at:at + np.dtype(kind).itemsize * len(numbers)] = np.array(numbers, kind).tobytes()
        (HERE / f"{name}.hdr").write_bytes(raw)
        by_nibabel(f"{name}.img", HERE / f"{name}.img", "volumes")
    analyze("spm", [(112, "<f4", [0.25]), (253, "<i2", [3, 2, 4])])
    analyze("spm_far", [(112, "<f4", [2, 7]), (253, "<i2", [30, 2, 4])])
    analyze("calibrated", [(124, "<f4", [1.0, -1.0]), (140, "<i4", [400, -400])])

    for name, at, kind, numbers in (("line.nii", 252, "<i2", [0, 0]), ("code9.nii", 252, "<i2", [9, 0]),
                                    ("qfac2.nii", 76, "<f4", [-2])):
        data = plain[:, 0, 0] if name == "line.nii" else plain
        image = nib.Nifti1Image(data, OBLIQUE)
        image.set_qform(np.diag([1.5, 2, -3, 1]), 1)
        image.set_sform(None, 0)
        nib.save(image, HERE / name)
        raw = bytearray((HERE / name).read_bytes())
        raw[at:at + np.dtype(kind).itemsize * len(numbers)] = np.array(numbers, kind).tobytes()
        (HERE / name).write_bytes(raw)
        by_nibabel(name, HERE / name, "volumes")

    mha = "ObjectType = Image\nNDims = 3\nBinaryData = {}\n{}DimSize = 7 5 4\nElementSpacing = 1 2 3\nElementType = MET_SHORT\nElementDataFile = {}\n"
    (HERE / "as_text.mha").write_bytes(mha.format("False", "", "LOCAL").encode() + text(rows))
    (HERE / "behind.mhd").write_text(mha.format("True", "HeaderSize = -1\n", "behind.dat"))
    (HERE / "behind.dat").write_bytes(b"another header" + rows.tobytes())
    nrrd = "NRRD0005\ntype: short\ndimension: 3\nsizes: 7 5 4\nendian: little\n"
    (HERE / "as_text.nrrd").write_bytes((nrrd + "spacings: 1.5 2 3\nencoding: ascii\n\n").encode() + text(rows))
    (HERE / "mins.nrrd").write_bytes(
        (nrrd + "spacings: 1.5 2 3\naxis mins: 3 4 -5\ncenterings: cell cell node\nencoding: raw\n\n").encode() + rows.tobytes())
    four = sitk.GetImageFromArray(np.stack([rows, rows[::-1]]), isVector=False)
    four.SetSpacing((0.7, 1.1, 2.5, 30.0))
    four.SetOrigin((-10, 20, 30.5, 0))
    sitk.WriteImage(four, str(HERE / "time.nrrd"))
    for name in ("as_text.mha", "behind.mhd", "as_text.nrrd", "mins.nrrd", "time.nrrd"):
        by_itk(name, HERE / name, "volumes")
    half = (plain / 7).astype("<f2")
    half[0, 0, :3] = 6e-8, -np.inf, 65504
    np.save(HERE / "half.npy", half)
    want.append(dict(root="volumes", file="half.npy", size=list(SHAPE[::-1]), frames=1, ras=None, itk=None,
                     first=digest(half.T), last=digest(half.T)))


def real(data):
    for pattern in ("nibabel/tests/data/*.nii*", "nifti_orient/*.nii.gz", "niivue/**/*.nii.gz", "totalseg/**/*.nii.gz",
                    "dipy/*.nii*", "brainchop/**/*.nii.gz"):
        for path in sorted(data.glob(pattern)):
            by_nibabel(str(path.relative_to(data)), path, "data")
    for pattern in ("niivue/**/*.mha", "pyradiomics/*.nrrd", "dcmqi/*.nrrd"):
        for path in sorted(data.glob(pattern)):
            by_itk(str(path.relative_to(data)), path, "data")


warnings.simplefilter("ignore")
np.seterr(all="ignore")
nifti()
itk()
arrays()
unusual()
if len(sys.argv) > 1:
    real(pathlib.Path(sys.argv[1]))
(HERE / "want.json").write_text("[\n" + ",\n".join(json.dumps(w) for w in want) + "\n]\n")
