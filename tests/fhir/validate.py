"""Validates bundles that `loupe reports --format fhir` wrote, against FHIR R4.

    pip install "fhir.resources>=7,<9"
    loupe reports WORKLIST --format fhir -o BATCH
    python validate.py BATCH/fhir/*.json [--schema fhir.schema.json]

The resources go through the models of `fhir.resources` (R4B: the four resources that a bundle holds are the same in R4 and R4B), which refuse
unknown fields, wrong types and missing ones. With `--schema`, HL7's own JSON Schema of R4 (hl7.org/fhir/R4/fhir.schema.json.zip) is asked too
(pip install jsonschema). What neither knows is checked here: every reference within the bundle leads to one of its entries, the narrative is
XHTML, and report and Provenance carry the label of what artificial intelligence asserted. Not part of the tests, as it needs these packages.
"""
import argparse
import base64
import json
import sys
import xml.etree.ElementTree as xml


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def check(text, validator):
    from fhir.resources.R4B.bundle import Bundle
    bundle = json.loads(text)
    Bundle.model_validate(bundle) if hasattr(Bundle, "model_validate") else Bundle.parse_obj(bundle)
    problems = [] if validator is None else [f"{'/'.join(map(str, e.path))}: {e.message[:200]}" for e in validator.iter_errors(bundle)]
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    if len(set(urls)) != len(urls):
        problems.append("two entries have one fullUrl")
    resources = {entry["resource"]["resourceType"]: entry["resource"] for entry in bundle["entry"]}
    problems += [f"{name} is missing" for name in ("DiagnosticReport", "Device", "Provenance", "DocumentReference") if name not in resources]
    problems += [f"a reference leads nowhere: {reference}" for reference in references(bundle) if reference not in urls]
    for name in ("DiagnosticReport", "Provenance"):
        codes = [label.get("code") for label in resources[name].get("meta", {}).get("security", [])]
        if codes != ["AIAST"]:
            problems.append(f"{name} has the labels {codes}")
    report = resources["DiagnosticReport"]
    if report["status"] != "preliminary":
        problems.append(f"the report is {report['status']}")
    root = xml.fromstring(report["text"]["div"])
    if root.tag != "{http://www.w3.org/1999/xhtml}div":
        problems.append(f"the narrative is a {root.tag}")
    base64.b64decode(report["presentedForm"][0]["data"], validate=True).decode()
    return problems


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bundles", nargs="+")
    p.add_argument("--schema")
    a = p.parse_args()
    validator = None
    if a.schema:
        import jsonschema
        with open(a.schema) as f:
            validator = jsonschema.Draft6Validator(json.load(f))
    wrong = 0
    for path in a.bundles:
        with open(path) as f:
            try:
                problems = check(f.read(), validator)
            except Exception as e:  # what the models refuse
                problems = [str(e)]
        wrong += bool(problems)
        for problem in problems:
            print(f"{path}: {problem}")
    print(f"{len(a.bundles)} bundles, {wrong} with problems")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
