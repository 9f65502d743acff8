"""Writes radfact.json: RadFact's own scores of drawn reports with judgements, and of its example reports with invented ones.

Needs a checkout of microsoft/RadFact at 72463ac, and pip install pydantic pandas numpy
python radfact.py CHECKOUT ../fixtures

Of the example reports nothing but scores is kept. Their judgements are invented by a rule that the test repeats: the phrase i
of a report is entailed unless (i + id) % 3 == 0, and its evidence is the phrases i and 2 i + 1 of the other one, modulo its length.
"""
import json, math, random, sys
from unittest.mock import MagicMock

checkout, out = sys.argv[1:3]
sys.path.insert(0, f"{checkout}/src")
for name in ("hydra", "hydra.core", "hydra.core.global_hydra", "omegaconf", "radfact.llm_utils.nli.processor", "radfact.llm_utils.report_to_phrases.processor",
             "radfact.llm_utils.report_to_phrases.schema", "radfact.llm_utils.text_utils", "radfact.llm_utils.processor.base_processor"):
    sys.modules[name] = MagicMock()
import pydantic
sys.modules["radfact.llm_utils.processor.base_processor"].BaseModelWithId = pydantic.BaseModel
pydantic.root_validator = lambda *_, **__: lambda f: f
from radfact.data_utils.grounded_phrase_list import GroundedPhrase, NormalizedBox
from radfact.metric.radfact import RadFactMetric
from radfact.metric.schema import GroundedPhraseEvidenced, PerSampleNLIResult

metric = object.__new__(RadFactMetric)
metric.image_size, metric.box_precision_threshold, metric.is_narrative_text, metric.meta_metrics = 224, 0.5, False, {}
NAMES = [f"{kind}_{way}" for kind in ("logical", "grounding", "spatial") for way in ("precision", "recall")]
rng = random.Random(5)


def phrase(written):
    boxes = written["boxes"] and [NormalizedBox(*b) if isinstance(b, list) else NormalizedBox(**b) for b in written["boxes"]]
    return GroundedPhrase(written["text"], boxes)


def evidenced(of, other):
    found = []
    for written in of:
        own, evidence = phrase(written), [phrase(other[n]) for n in written["evidence"]]
        found.append(GroundedPhraseEvidenced(text=own.text, boxes=own.boxes, status=written["status"], evidence=evidence, evidence_indices=written["evidence"]))
    return found


def number(value):
    return None if math.isnan(value) else float(value)


def scored(lines):
    results = []
    for line in lines:
        reply, reference = line["radfact"]["reply"], line["radfact"]["reference"]
        a, b = evidenced(reply, reference), evidenced(reference, reply)
        results.append(PerSampleNLIResult(study_id=line["id"], candidate_phrases=a, reference_phrases=b, scores=metric.compute_radfact_score(a, b)))
    samples = {r.study_id: {n: number(getattr(r.scores, n)) for n in NAMES} for r in results}
    total = metric.aggregate_results(results)[1]
    return {"samples": samples, "set": {n: number(total[n]) for n in NAMES + ["logical_f1", "grounding_f1", "spatial_f1"]}}


def box(near=None):
    if near and rng.random() < 0.7:
        x0, y0, x1, y1 = (min(1, max(0, v + rng.uniform(-0.15, 0.15))) for v in near)
    else:
        x0, x1, y0, y1 = (rng.random() for _ in range(4))
    return [round(min(x0, x1), 3), round(min(y0, y1), 3), round(max(x0, x1), 3), round(max(y0, y1), 3)]


def report(n, near):
    rows = []
    for i in range(n):
        boxes = [box(rng.choice(near) if near else None) for _ in range(rng.choice([0, 0, 1, 1, 2]))] or None
        rows.append({"text": f"Finding {i}.", "boxes": boxes})
    return rows


lines = []
for i in range(12):
    reference = report(rng.randint(0 if i == 3 else 1, 6), [])
    reply = report(0 if i == 5 else rng.randint(1, 6), [b for p in reference for b in p["boxes"] or []])
    for own, other in ((reply, reference), (reference, reply)):
        for row in own:
            evidence = rng.sample(range(len(other)), k=min(len(other), rng.randint(0, 2)))
            row |= {"status": "entailment" if evidence and rng.random() < 0.8 else "not_entailment", "evidence": evidence}
    lines.append({"id": f"s{i}", "radfact": {"reply": reply, "reference": reference}})

examples = []
for row in json.load(open(f"{checkout}/examples/grounded_reporting_examples.json")):
    sides = {"reply": row["prediction"], "reference": row["target"]}
    for own, other in (("reply", "reference"), ("reference", "reply")):
        n = len(sides[other])
        sides[own] = [p | {"status": "not_entailment" if (i + row["example_id"]) % 3 == 0 else "entailment", "evidence": [i % n, (2 * i + 1) % n]} for i, p in enumerate(sides[own])]
    examples.append({"id": str(row["example_id"]), "radfact": sides})
json.dump({"lines": lines, "drawn": scored(lines), "examples": scored(examples)}, open(f"{out}/radfact.json", "w"), indent=0)
print(scored(lines)["set"], scored(examples)["set"])
