"""Makes a small oblique CT series with segmentations and a structure set of it, and says what they hold.

    python make.py

The voxels of want.json are drawn here with numpy and are what any reader has to find: [slice, row, column] of the
series from its first position along row x column. Written with highdicom 0.28.2 and pydicom 3.0.2.
"""

import json
from pathlib import Path

import numpy as np
import pydicom
from highdicom.seg import SegmentDescription, Segmentation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage

HERE = Path(__file__).parent
ROOT = "1.2.826.0.1.3680043.9999.7."
ROWS, COLUMNS, SLICES = 10, 12, 6
SPACING = [2.0, 1.5]  # between rows, between columns
ROW, COLUMN = np.array([0.8, 0.6, 0.0]), np.array([-0.6, 0.8, 0.0])
NORMAL = np.cross(ROW, COLUMN)
STEP, FIRST = 3.0, np.array([-20.0, 10.0, 40.0])
FRAME = ROOT + "1"


def position(k):
    return FIRST + k * STEP * NORMAL


def mm(k, x, y):
    """The place of column x and row y (centres at whole numbers) of slice k."""
    return position(k) + x * SPACING[1] * ROW + y * SPACING[0] * COLUMN


def file(dataset, sop_class, uid):
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    return dataset


def study(dataset, modality, series):
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "", "", "", ""
    dataset.StudyInstanceUID, dataset.StudyID, dataset.StudyDate, dataset.StudyTime = ROOT + "2", "", "", ""
    dataset.AccessionNumber, dataset.ReferringPhysicianName, dataset.Manufacturer = "", "", ""
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber = modality, ROOT + series, 1


def ct():
    (HERE / "ct").mkdir(exist_ok=True)
    rng = np.random.default_rng(7)
    out = []
    for k in range(SLICES):
        d = file(Dataset(), CTImageStorage, f"{ROOT}10.{k}")
        study(d, "CT", "3")
        d.FrameOfReferenceUID, d.PositionReferenceIndicator = FRAME, ""
        d.InstanceNumber, d.ImageType = k + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
        d.Rows, d.Columns, d.PixelSpacing, d.SliceThickness = ROWS, COLUMNS, SPACING, STEP
        d.ImageOrientationPatient = [*ROW, *COLUMN]
        d.ImagePositionPatient = [round(float(v), 6) for v in position(k)]
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 1
        d.BitsAllocated, d.BitsStored, d.HighBit = 16, 16, 15
        d.RescaleSlope, d.RescaleIntercept, d.KVP, d.AcquisitionNumber = 1, 0, None, 1
        d.PixelData = (rng.integers(-200, 400, (ROWS, COLUMNS)) + 10 * k).astype("<i2").tobytes()
        d.save_as(HERE / "ct" / f"{k}.dcm", enforce_file_format=True)
        out.append(d)
    return out


def blank():
    return np.zeros((SLICES, ROWS, COLUMNS), bool)


def segment(number, label, code):
    return SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=code,
        algorithm_type="MANUAL",
    )


def segmentation(name, pixels, kind, descriptions, images, uid, **more):
    seg = Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=ROOT + uid,
        series_number=2,
        sop_instance_uid=ROOT + uid + ".1",
        instance_number=1,
        manufacturer="",
        manufacturer_model_name="",
        software_versions="",
        device_serial_number="",
        **more,
    )
    # The day of making would change the file each time.
    for tag in ["ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"]:
        if tag in seg:
            setattr(seg, tag, "20200101" if tag.endswith("Date") else "000000")
    seg.save_as(HERE / name)


def contour(points, image):
    c = Dataset()
    c.ContourGeometricType, c.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
    c.ContourData = [round(float(v), 4) for p in points for v in p]
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, image.SOPInstanceUID
    c.ContourImageSequence = [item]
    return c


def rectangle(k, x0, y0, x1, y1):
    """Along pixel edges: columns x0 to x1 and rows y0 to y1, the last of each not in it."""
    return [mm(k, x - 0.5, y - 0.5) for x, y in [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]


def structures(images, want):
    d = file(Dataset(), RTStructureSetStorage, ROOT + "40.1")
    study(d, "RTSTRUCT", "40")
    d.StructureSetLabel, d.StructureSetDate, d.StructureSetTime = "SET", "", ""
    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ContourImageSequence = []
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, image.SOPInstanceUID
        series.ContourImageSequence.append(item)
    referenced, reference = Dataset(), Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", ROOT + "2"
    referenced.RTReferencedSeriesSequence = [series]
    reference.FrameOfReferenceUID = FRAME
    reference.RTReferencedStudySequence = [referenced]
    d.ReferencedFrameOfReferenceSequence = [reference]
    ring, parts, keyhole, centres = blank(), blank(), blank(), blank()
    contours = {n: [] for n in (1, 2, 5, 9)}
    for k in (1, 2):
        ring[k, 1:8, 2:10], ring[k, 3:6, 4:7] = True, False
        contours[1] += [contour(rectangle(k, 2, 1, 10, 8), images[k]), contour(rectangle(k, 4, 3, 7, 6), images[k])]
    parts[0, 0:2, 0:3], parts[0, 5:9, 6:12], parts[4, 4:6, 4:6] = True, True, True
    contours[2] += [contour(rectangle(0, 0, 0, 3, 2), images[0]), contour(rectangle(0, 6, 5, 12, 9), images[0])]
    contours[2] += [contour(rectangle(4, 4, 4, 6, 6), images[4])]
    # In through one way and out by the same: the hole is outside, the way is no gap.
    keyhole[3, 1:9, 1:11], keyhole[3, 4:7, 5:8] = True, False
    way = [(1, 1), (11, 1), (11, 9), (1, 9), (1, 6), (5, 6), (5, 7), (8, 7), (8, 4), (5, 4), (5, 6), (1, 6)]
    contours[5].append(contour([mm(3, x - 0.5, y - 0.5) for x, y in way], images[3]))
    # Drawn through the centres of the outermost pixels, as cv2.findContours gives them.
    centres[5, 2:7, 3:9] = True
    contours[9].append(contour([mm(5, x, y) for x, y in [(3, 2), (8, 2), (8, 6), (3, 6)]], images[5]))
    names = {1: "Ring", 2: "Parts", 5: "Keyhole", 9: "Centres"}
    d.StructureSetROISequence, d.ROIContourSequence, d.RTROIObservationsSequence = [], [], []
    for number, name in names.items():
        roi, lines, seen = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, "MANUAL"
        roi.ReferencedFrameOfReferenceUID = FRAME
        lines.ReferencedROINumber, lines.ContourSequence = number, contours[number]
        seen.ObservationNumber, seen.ReferencedROINumber, seen.RTROIInterpretedType, seen.ROIInterpreter = number, number, "ORGAN", ""
        if number == 1:
            code = Dataset()
            code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "10200004", "SCT", "Liver"
            seen.RTROIIdentificationCodeSequence = [code]
        d.StructureSetROISequence.append(roi)
        d.ROIContourSequence.append(lines)
        d.RTROIObservationsSequence.append(seen)
    d.save_as(HERE / "structures.dcm", enforce_file_format=True)
    want["structures"] = [
        {"number": n, "name": names[n], "voxels": voxels(m)}
        for n, m in [(1, ring), (2, parts), (5, keyhole), (9, centres)]
    ]


def voxels(mask):
    return np.argwhere(mask).tolist()


def main():
    images, want = ct(), {}
    liver, cyst = blank(), blank()
    liver[1:5, 2:8, 1:9] = True
    cyst[2, 3:6, 7:11] = True  # shares six voxels with the liver, and lies in one slice alone
    kinds = [segment(1, "Liver", codes.SCT.Liver), segment(2, "Cyst", codes.SCT.Cyst)]
    both = np.stack([liver, cyst], -1)
    segmentation("binary.dcm", both.astype(np.uint8), "BINARY", kinds, images, "20")
    want["binary"] = [
        {"number": 1, "name": "Liver", "voxels": voxels(liver)},
        {"number": 2, "name": "Cyst", "voxels": voxels(cyst)},
    ]
    # Slices 0 and 3 alone, so that the frames are three steps apart.
    far = blank()
    far[0, 1:3, 1:3] = far[3, 5:7, 5:7] = True
    segmentation("sparse.dcm", far.astype(np.uint8), "BINARY", kinds[:1], images, "21")
    want["sparse"] = [{"number": 1, "name": "Liver", "voxels": voxels(far)}]
    share = np.zeros((SLICES, ROWS, COLUMNS))
    share[2, 4, 3:9] = [0.1, 0.3, 0.48, 0.5, 0.7, 1.0]
    segmentation("fractional.dcm", share, "FRACTIONAL", kinds[:1], images, "22", max_fractional_value=128, fractional_type="PROBABILITY")
    want["fractional"] = [{"number": 1, "name": "Liver", "voxels": voxels(np.round(share * 128) >= 64)}]
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    labels[liver & ~cyst], labels[cyst] = 1, 2
    segmentation("labelmap.dcm", labels, "LABELMAP", kinds, images, "23")
    want["labelmap"] = [
        {"number": 1, "name": "Liver", "voxels": voxels(labels == 1)},
        {"number": 2, "name": "Cyst", "voxels": voxels(labels == 2)},
    ]
    structures(images, want)
    (HERE / "want.json").write_text(json.dumps(want, separators=(",", ":")) + "\n")


main()
