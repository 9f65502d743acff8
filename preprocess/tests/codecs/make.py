"""Makes one small DICOM file of each transfer syntax that loupe decodes, and what is in it.

    python make.py        (pydicom 3, imagecodecs 2026, numpy)

`values.json` holds, by file, the stored values that a decoder must give: for lossless syntaxes those
that were encoded, for lossy ones what the reference named beside it gives and how far off one may be.
The patient of every file is made up; `deidentify` is tested on them.
"""
import json
import pathlib

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID

HERE = pathlib.Path(__file__).parent
H, W = 19, 23
y, x = np.mgrid[0:H, 0:W]
HU = (np.hypot(x - 11, y - 9) * 190 - 1024 + 40 * np.sin(x * y / 9)).astype(np.int16)
GREY12 = (HU + 1024).clip(0, 4095).astype(np.uint16)
GREY8 = (GREY12 >> 4).astype(np.uint8)
RGB = np.stack([GREY8, 255 - GREY8, (x * 11 + y) % 256], -1).astype(np.uint8)
WANT = {}
T = "1.2.840.10008.1.2"


def dataset(array, bits):
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.SOPInstanceUID = "1.2.826.0.1.3680043.10.1.77.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.826.0.1.3680043.10.1.77", "1.2.826.0.1.3680043.10.1.77.2"
    ds.StudyDate, ds.Modality, ds.Manufacturer = "20200229", "CT", "Maker of Scanners"
    ds.InstitutionName, ds.PatientName, ds.PatientID = "General Hospital", "Doe^Jane", "4711"
    ds.PatientSex, ds.PatientBirthDate = "F", "19500101"
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.5], "2"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-5, -4, 3], [1, 0, 0, 0, 1, 0]
    ds.RescaleSlope, ds.RescaleIntercept = "1", "0" if array.dtype.kind == "i" else "-1024"
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    ds.Rows, ds.Columns = array.shape[:2]
    ds.SamplesPerPixel = 1 if array.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if array.ndim == 2 else "RGB"
    if array.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = array.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelRepresentation = int(array.dtype.kind == "i")
    return ds


def put(name, uid, array, bits, stream=None, want=None, within=0, photometric=None, reference=None):
    ds = dataset(array, bits)
    ds.file_meta = FileMetaDataset()
    # pydicom does not know JPEG XL yet; a syntax of equal length stands in for it and is replaced.
    jpeg_xl = uid in (T + ".4.110", T + ".4.112")
    ds.file_meta.TransferSyntaxUID = UID(T + ".4.201" if jpeg_xl else uid)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    if photometric:
        ds.PhotometricInterpretation = photometric
    if stream is None:
        ds.PixelData = array.tobytes() if uid != "1.2.840.10008.1.2.2" else array.byteswap().tobytes()
        if len(ds.PixelData) % 2:
            ds.PixelData += b"\0"
        ds["PixelData"].VR = "OW" if array.dtype.itemsize == 2 else "OB"
    else:
        ds.PixelData = encapsulate([stream])
        ds["PixelData"].VR = "OB"
    big, implicit = uid.endswith("1.2.2"), uid == T
    pydicom.dcmwrite(HERE / f"{name}.dcm", ds, little_endian=not big, implicit_vr=implicit, enforce_file_format=True)
    if jpeg_xl:
        path = HERE / f"{name}.dcm"
        path.write_bytes(path.read_bytes().replace((T + ".4.201").encode(), uid.encode()))
    want = array if want is None else want
    WANT[name] = {"values": np.asarray(want).astype(int).ravel().tolist(), "within": within}
    if reference:
        WANT[name]["reference"] = reference


put("implicit", T, HU, 16)
put("explicit", T + ".1", GREY12, 12)
put("big_endian", T + ".2", HU, 16)
put("deflated", T + ".1.99", HU, 16)
put("colour", T + ".1", RGB, 8)
ds = pydicom.dcmread(HERE / "implicit.dcm")
ds.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom")
put("rle", T + ".5", HU, 16, next(generate_frames(ds.PixelData, number_of_frames=1)))
jpeg = imagecodecs.jpeg8_encode
stream = jpeg(GREY8, level=80)
put("jpeg_baseline", T + ".4.50", GREY8, 8, stream, imagecodecs.jpeg8_decode(stream), reference="libjpeg-turbo")
stream = jpeg(RGB, level=80, subsampling="420")
put("jpeg_colour", T + ".4.50", RGB, 8, stream, imagecodecs.jpeg8_decode(stream), reference="libjpeg-turbo",
    photometric="YBR_FULL_422")
put("jpeg_lossless_sv1", T + ".4.70", GREY12, 12, jpeg(GREY12, lossless=True, predictor=1, bitspersample=12))
put("jpeg_lossless", T + ".4.57", GREY12, 12, jpeg(GREY12, lossless=True, predictor=6, bitspersample=12))
put("jpeg_ls", T + ".4.80", GREY12, 12, imagecodecs.jpegls_encode(GREY12))
stream = imagecodecs.jpegls_encode(GREY12, level=3)
put("jpeg_ls_near", T + ".4.81", GREY12, 12, stream, imagecodecs.jpegls_decode(stream), reference="CharLS")
j2k = dict(codecformat="j2k", bitspersample=12)
put("jpeg2000_lossless", T + ".4.90", GREY12, 12, imagecodecs.jpeg2k_encode(GREY12, reversible=True, **j2k))
stream = imagecodecs.jpeg2k_encode(GREY12, level=40, reversible=False, **j2k)
put("jpeg2000", T + ".4.91", GREY12, 12, stream, imagecodecs.jpeg2k_decode(stream), reference="OpenJPEG")
put("htj2k_lossless", T + ".4.201", GREY12, 12, imagecodecs.htj2k_encode(GREY12, reversible=True))
stream = imagecodecs.htj2k_encode(GREY12, level=0.01, reversible=False)
put("htj2k", T + ".4.203", GREY12, 12, stream, imagecodecs.htj2k_decode(stream), within=1, reference="OpenJPH")
put("jpeg_xl_lossless", T + ".4.110", GREY12, 12, imagecodecs.jpegxl_encode(GREY12, lossless=True, bitspersample=12))
stream = imagecodecs.jpegxl_encode(RGB, distance=1.0)
put("jpeg_xl", T + ".4.112", RGB, 8, stream, imagecodecs.jpegxl_decode(stream), within=3, reference="libjxl")
lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(want)}" for name, want in sorted(WANT.items()))
(HERE / "values.json").write_text("{\n" + lines + "\n}\n")
