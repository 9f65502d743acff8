"""De-identified copies of a folder of DICOM files, looked at by other programs.

    python plant.py LOUPE FOLDER PROFILE.csv

For every DICOM file below FOLDER:

1. The copy that LOUPE makes has no error in dciodvfy (dicom3tools) that its original lacks, apart from the values that errors quote.
2. pydicom reads it, with the same pixels; highdicom reads segmentations, structured reports and annotations as it reads the originals;
   dsrdump (dcmtk) reads structured reports as it reads the originals.
3. Markers are planted: in every text, date and UID of the file, in every item, and in every further text attribute of the dictionary.
   No marker is left in the copy. What PROFILE.csv keeps (`K`: terms of the machine and codes) is not planted.

An object may be refused; it is counted. Needs pydicom, highdicom and numpy; dciodvfy and dsrdump are used where they are there.
Prints what was found and exits with 1 when something is wrong.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import warnings

import pydicom
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.pixels.utils import get_expected_length

warnings.simplefilter("ignore")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
MARK = "ZZLEAK"
DATE, UID = "19571104", "1.3.999.1957"
TEXT = {"LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR", "AE"}
VALUES = {**{vr: MARK for vr in TEXT}, "DA": DATE, "DT": DATE + "112233", "UI": UID}
PROFILE = "Basic Application Confidentiality Profile"
MARKS = [MARK.encode(), DATE.encode(), UID.encode()]


def files(folder):
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file() and path.name != "DICOMDIR":
            head = path.open("rb").read(132)
            if head[128:] == b"DICM" or path.suffix == ".dcm":
                yield path


def copy_of(binary, path, work, *options):
    """The copy of one file, or the words with which it was refused."""
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    made = subprocess.run([binary, "deidentify", path, "-o", out, "--json", *options], capture_output=True, text=True)
    copies = [p for p in out.rglob("*") if p.is_file()] if out.exists() else []
    if len(copies) == 1 and made.returncode == 0:
        return copies[0], None
    failed = json.loads(made.stdout)["failed"] if made.stdout.startswith("{") else []
    return None, failed[0]["error"] if failed else (made.stderr.strip() or "no word")


def errors(path):
    """Errors of dciodvfy, without the values that they quote; nothing when it cannot read the file."""
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace")
    lines = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    if any("read failed" in line or "out of order" in line for line in lines):
        return None
    return collections.Counter(re.sub(r"= <[^>]*>|<[^>]*>|ReferencedSOPInstanceUID [0-9.]+", "", line) for line in lines)


def dumped(path):
    said = subprocess.run(["dsrdump", "-Er", path], capture_output=True, text=True, errors="replace")
    return said.returncode


def pixels(data):
    try:
        return data.pixel_array
    except Exception:
        return None


def highdicom_reads(path):
    import highdicom

    data = pydicom.dcmread(path)
    try:
        if data.Modality == "SEG":
            highdicom.seg.segread(path)
        elif data.Modality == "SR":
            highdicom.sr.srread(path)
        elif data.Modality == "ANN":
            highdicom.ann.annread(path)
        elif "PixelData" in data:
            highdicom.imread(path)
        return True
    except Exception:
        return False


def planted(path, kept, to):
    """The file with markers, or nothing when pydicom cannot write it."""
    def mark(data):
        for element in data:
            if element.tag.group == 2 or element.tag in kept:
                continue
            if element.VR == "SQ":
                for item in element.value:
                    mark(item)
            elif element.VR in VALUES and not element.tag.is_private_creator and element.keyword not in ("SpecificCharacterSet",):
                element.value = VALUES[element.VR]

    try:
        data = pydicom.dcmread(path, force=True)
        mark(data)
        for number, (vr, _, _, _, keyword) in DicomDictionary.items():
            if vr in VALUES and number not in data and number not in kept and number >> 16 > 4 and keyword:
                data[number] = DataElement(number, vr, VALUES[vr])
        data[0x60003000] = DataElement(0x60003000, "OW", MARK.encode())
        data[0x60001500] = DataElement(0x60001500, "LO", MARK)
        data[0x60000022] = DataElement(0x60000022, "LO", MARK)
        data[0x50003000] = DataElement(0x50003000, "OW", MARK.encode())
        data[0x00110010] = DataElement(0x00110010, "LO", MARK)
        data[0x00111001] = DataElement(0x00111001, "LO", MARK)
        for refused in ("EncapsulatedDocument",):
            if refused in data and len(data[refused].value) < 100:
                del data[refused]
        # Behind the last sample, where the file has them all; before it, bytes are samples.
        if "PixelData" in data and "Rows" in data and not data.file_meta.TransferSyntaxUID.is_encapsulated:
            if len(data.PixelData) >= get_expected_length(data):
                data.PixelData = bytes(data.PixelData) + MARK.encode()
        data.save_as(to)
        return True
    except Exception:
        return False


def main():
    binary, folder, profile = sys.argv[1:]
    rows = (line.split(",") for line in open(profile) if not line.startswith("#"))
    kept = {int(tag, 16) for tag, action, _ in rows if action == "K"}
    validators = {name: shutil.which(name) for name in ("dciodvfy", "dsrdump")}
    for name, found in validators.items():
        if not found:
            print(f"skipped: {name} is not installed")
    counts, wrong = collections.Counter(), []
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for path in files(folder):
            counts["files"] += 1
            name = os.path.relpath(path, folder)
            copy, refused = copy_of(binary, path, work, "--keep", "private") if counts["files"] % 2 else copy_of(binary, path, work)
            if copy is None:
                counts["refused"] += 1
                print(f"refused: {name}: {refused}")
            else:
                if validators["dciodvfy"]:
                    before, after = errors(path), errors(copy)
                    if before is None:
                        counts["beyond dciodvfy"] += 1
                    elif after is None:
                        wrong.append(f"{name}: dciodvfy cannot read the copy")
                    else:
                        wrong += [f"{name}: {line}" for line in after - before]
                try:
                    before, after = pydicom.dcmread(path, force=True), pydicom.dcmread(copy)
                    a, b = pixels(before), pixels(after)
                    if a is not None:
                        counts["pictures"] += 1
                        if b is None or a.shape != b.shape or not (a == b).all():
                            wrong.append(f"{name}: other pixels in pydicom")
                    if before.get("Modality") == "SR" and validators["dsrdump"]:
                        counts["reports"] += 1
                        if dumped(path) == 0 and dumped(copy) != 0:
                            wrong.append(f"{name}: dsrdump cannot read the copy")
                    codes = [item.CodeValue for item in after.get("DeidentificationMethodCodeSequence", [])]
                    words = list(after.DeidentificationMethod)
                    # The codes of a report are those of its content: its options are told in words.
                    told = PROFILE in words and not codes if "ContentSequence" in after else codes[:1] == ["113100"]
                    if not told or after.PatientIdentityRemoved != "YES":
                        wrong.append(f"{name}: does not say that it is de-identified")
                except Exception as error:
                    wrong.append(f"{name}: pydicom: {type(error).__name__}")
                try:
                    if highdicom_reads(path):
                        counts["read by highdicom"] += 1
                        if not highdicom_reads(copy):
                            wrong.append(f"{name}: highdicom cannot read the copy")
                except Exception:
                    pass
            marked = work / "marked.dcm"
            if planted(path, kept, marked):
                counts["planted"] += 1
                copy, refused = copy_of(binary, marked, work)
                if copy is not None:
                    raw = copy.read_bytes()
                    for mark in (m for m in MARKS if m in raw):
                        data = pydicom.dcmread(copy)
                        where = [e.keyword or str(e.tag) for e in data.iterall() if e.VR != "SQ" and mark.decode() in str(e.value)]
                        wrong.append(f"{name}: {mark.decode()} is left in {', '.join(where) or 'bytes'}")
                else:
                    counts["planted and refused"] += 1
                    print(f"planted and refused: {name}: {refused}")
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    for line in wrong:
        print(f"WRONG {line}")
    sys.exit(bool(wrong) or not counts["files"])


main()
