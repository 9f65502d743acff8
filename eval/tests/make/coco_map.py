"""Writes coco_map.json: pycocotools 2.0.11 on random scenes (small, large, crowds, ties, many boxes, empty images).

python coco_map.py ../fixtures
"""
import contextlib, io, json, random, sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

rng = random.Random(3)


def box(size):
    w, h = rng.uniform(2, size), rng.uniform(2, size)
    return [round(rng.uniform(0, 300), 1), round(rng.uniform(0, 300), 1), round(w, 1), round(h, 1)]


def near(b, jitter):
    return [round(v + rng.uniform(-jitter, jitter) * max(b[2], b[3]), 1) if i < 2 else round(max(1, v * rng.uniform(1 - jitter, 1 + jitter)), 1) for i, v in enumerate(b)]


cases = []
for images, classes, per_image, size, jitter, crowd, ties in [(5, 1, 3, 80, .1, 0, False), (8, 3, 4, 150, .2, .2, True), (3, 2, 2, 20, .05, 0, True), (2, 1, 130, 60, .15, .05, False), (4, 2, 5, 250, .3, .3, False), (3, 1, 0, 30, 0, 0, False)]:
    truths, founds = [], []
    for image in range(images):
        for _ in range(rng.randint(0, per_image)):
            c, b = rng.randrange(classes), box(size)
            is_crowd = rng.random() < crowd
            truths.append(dict(image=image, **{"class": c}, xywh=b, area=round(b[2] * b[3] * rng.uniform(.5, 1), 2) if rng.random() < .5 else None, crowd=is_crowd))
            for _ in range(rng.choice([0, 1, 1, 2])):
                founds.append(dict(image=image, **{"class": c}, xywh=near(b, jitter), score=round(rng.random(), 1 if ties else 6)))
        for _ in range(rng.randint(0, 2)):
            founds.append(dict(image=image, **{"class": rng.randrange(classes)}, xywh=box(size), score=round(rng.random(), 1 if ties else 6)))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"info": {}, "images": [{"id": i} for i in range(images)], "categories": [{"id": c} for c in range(classes)],
                        "annotations": [{"id": n + 1, "image_id": t["image"], "category_id": t["class"], "bbox": t["xywh"], "area": t["area"] or t["xywh"][2] * t["xywh"][3], "iscrowd": int(t["crowd"])} for n, t in enumerate(truths)]}
        coco.createIndex()
        found = coco.loadRes([{"image_id": f["image"], "category_id": f["class"], "bbox": f["xywh"], "score": f["score"]} for f in founds]) if founds else None
        ev = COCOeval(coco, found, "bbox")
        ev.evaluate(), ev.accumulate(), ev.summarize()
    cases.append(dict(truths=truths, founds=founds, figures=[float(v) for v in ev.stats]))
json.dump(cases, open(f"{sys.argv[1]}/coco_map.json", "w"))
