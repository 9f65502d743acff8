"""Makes the three tables of this folder from the DICOM standard:

    python profile.py part15.xml module_attribute_map.json

`part15.xml` is PS3.15 as DocBook (dicom.nema.org, edition 2026c); `module_attribute_map.json` holds the attributes of the
modules of PS3.3 with their types (it is part of highdicom, 0.28.2). Needs pydicom (3.0.2) for the dictionary.

- profile.csv: table E.1-1, then what it leaves out: text, dates and UIDs of the dictionary, so that free text goes wherever it stands.
- content.csv: table E.3.4-1, content items of structured reports.
- private.csv: table E.3.10-1, private attributes that are thought to be safe.
"""
import collections
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ET

from pydicom._dicom_dict import DicomDictionary

DOCBOOK = "{http://docbook.org/ns/docbook}"
HERE = pathlib.Path(__file__).resolve().parent
OPTIONS = {"UIDs": "u", "Dev. Id.": "d", "Inst. Id.": "i", "Pat. Chars.": "p", "Long. Full Dates": "t"}
TEXT = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
TIMES = {"DA", "DT", "TM"}

# Words of the machine, not of people: makers, models, methods and names out of menus, without which pictures cannot be understood.
# Nothing else that is text stays.
SAFE = """
Manufacturer ManufacturerModelName SoftwareVersions SecondaryCaptureDeviceManufacturer SecondaryCaptureDeviceManufacturerModelName
SecondaryCaptureDeviceSoftwareVersions DetectorManufacturerName DetectorManufacturerModelName SequenceName PulseSequenceName
ImagedNucleus Radionuclide Radiopharmaceutical ContrastBolusRoute RadiopharmaceuticalRoute TriggerSourceOrType CardiacFramingType
PVCRejection FilterType TypeOfFilters CollimatorGridName PhosphorType PlateType ConvolutionKernel ReceiveCoilName TransmitCoilName
MultiCoilElementName ReceiveCoilManufacturerName TransmitCoilManufacturerName ImageFilter AcquisitionDeviceProcessingCode
PositionReferenceIndicator StackID DimensionDescriptionLabel DimensionIndexPrivateCreator FunctionalGroupPrivateCreator
RescaleType WindowCenterWidthExplanation ModalityLUTType LUTLabel MIMETypeOfEncapsulatedDocument OpticalPathIdentifier
ReferencedOpticalPathIdentifier AttenuationCorrectionMethod ReconstructionMethod DetectorLinesOfResponseUsed ScatterCorrectionMethod
CodeValue ExtendedCodeValue LongCodeValue URNCodeValue CodingSchemeDesignator CodingSchemeVersion CodeMeaning CodingSchemeRegistry
SOPClassUID RelatedGeneralSOPClassUID OriginalSpecializedSOPClassUID SOPClassesInStudy SOPClassesSupported ReferencedSOPClassUID
CodingSchemeUID ContextUID MappingResourceUID StoredInstanceTransferSyntaxUID AvailableTransferSyntaxUID FlowTransferSyntaxUID
MACCalculationTransferSyntaxUID PertinentSOPClassesInStudy PertinentSOPClassesInSeries
""".split()

# Table E.1-1 removes these, but no presentation state and no template can be without: a dummy says as little.
REQUIRED = ["PresentationCreationDate", "PresentationCreationTime", "PositionAcquisitionTemplateName"]

# Code strings that people choose.
CHOSEN = ["ContentLabel", "GraphicLayer"]


def words(element):
    return " ".join(" ".join(element.itertext()).replace("\u200b", "").split())


def table(root, name):
    found = next(t for t in root.iter(DOCBOOK + "table") if t.get("{http://www.w3.org/XML/1998/namespace}id") == name)
    head, *rows = [[words(cell) for cell in row] for row in found.iter(DOCBOOK + "tr")]
    return [dict(zip(head, row)) for row in rows]


def column(row, begin):
    return next(value for key, value in row.items() if key.startswith(begin))


def kept(row):
    return "".join(letter for name, letter in OPTIONS.items() if column(row, f"Rtn. {name}") == "K")


def write(name, head, rows):
    with open(HERE / name, "w") as out:
        out.write("".join(f"# {line}\n" for line in head))
        out.writelines(",".join(row) + "\n" for row in rows)


def profile(root, types):
    standard, rows = {}, []
    for row in table(root, "table_E.1-1"):
        tag = row["Tag"].strip("()").replace(",", "").lower()
        if not re.fullmatch("[0-9a-f]{8}", tag):
            continue  # private attributes, curves and overlays are rules of their own
        entry = DicomDictionary.get(int(tag, 16))
        keyword = entry[4] if entry else ""
        action = column(row, "Basic").rstrip("*")
        if keyword in REQUIRED:
            action = "D"
        if entry and entry[0] == "SQ":
            # What only refers to other objects stays valid for every type when the UIDs inside are new ones.
            if keyword in ("ReferencedStudySequence", "ReferencedPerformedProcedureStepSequence", "ReferencedImageSequence", "SourceImageSequence"):
                action = "U"
            # Cleaned by the rules for what is inside (E.3.3, E.3.4).
            elif keyword in ("ContentSequence", "GraphicAnnotationSequence", "WaveformAnnotationSequence"):
                action = "C"
            # Zero items are for type 2 alone.
            elif action == "Z" and not types[keyword] & {"2", "2C"}:
                action = "X"
        standard[tag] = action
        rows.append((tag, {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U": "U"}.get(action, action), kept(row)))
    for number, (vr, _, _, _, keyword) in sorted(DicomDictionary.items()):
        tag = f"{number:08x}"
        if tag in standard or number >> 16 in (0, 2, 4):
            continue
        vr = vr.split(" or ")[0]
        if keyword in SAFE:
            action = "K"
        elif vr == "UI":
            action = "U"
        elif vr in TEXT | TIMES or keyword in CHOSEN:
            action = "D" if types[keyword] & {"1", "1C"} else "Z" if types[keyword] & {"2", "2C"} else "X"
        else:
            continue
        rows.append((tag, action, "u" if action == "U" else "t" if vr in TIMES and "Birth" not in keyword else ""))
    missing = set(SAFE) - {entry[4] for entry in DicomDictionary.values()}
    assert not missing, missing
    return sorted(rows)


def main():
    root = ET.parse(sys.argv[1]).getroot()
    edition = words(root.find(DOCBOOK + "subtitle")).split(" - ")[0].removeprefix("DICOM ")
    types = collections.defaultdict(set)
    for module in json.load(open(sys.argv[2])).values():
        for attribute in module:
            types[attribute["keyword"]].add(attribute["type"])
    letters = "options that keep it (u UIDs, d device, i institution, p patient, t dates)"
    rows = profile(root, types)
    write("profile.csv", [f"{edition} table E.1-1, and text, dates and UIDs beyond it",
                          f"tag,action (X remove, Z empty, D dummy, U new UIDs, C clean what is inside, K keep),{letters}"], rows)
    content = [(column(r, "Coding Scheme"), column(r, "Code Value"), r["Value Type"], column(r, "Basic"), kept(r)) for r in table(root, "table_E.3.4-1")]
    write("content.csv", [f"{edition} table E.3.4-1", f"scheme,code,value type,action,{letters}"], content)
    private = []
    for row in table(root, "table_E.3.10-1"):
        match = re.fullmatch(r"\(([0-9A-F]{4}),xx([0-9A-Fa-f]{2})\)", row["Data Element"])
        # Text, sequences and raw bytes of a maker are not taken on trust.
        if match and row["VR"] in ("CS", "DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"):
            private.append((match[1].lower(), match[2].lower(), row["VR"], row["Private Creator"]))
    write("private.csv", [f"{edition} table E.3.10-1, numbers and code strings", "group,offset,VR,creator"], private)


main()
