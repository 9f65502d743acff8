"""Writes medvision.json: MedVision's own functions on invented replies, and what its two scripts add them up to.

Needs a checkout of YongchengYAO/MedVision at the commit named in eval/src/profiles/medvision.rs, and
pip install nibabel numpy
python medvision.py CHECKOUT ../fixtures
"""
import copy, json, math, random, sys, types

checkout, out = sys.argv[1:3]
# The packages as plain folders: their __init__ files want a whole training set-up.
for name in ("medvision_bm", "medvision_bm.utils", "medvision_bm.benchmark"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [f"{checkout}/src/{name.replace('.', '/')}"]
from medvision_bm.benchmark import parse_outputs, summarize_AD_task as AD, summarize_detection_task as D, summarize_TL_task as TL
from medvision_bm.utils.parse_utils import cal_metrics, cal_metrics_detection_task, extract_last_k_nums

rng = random.Random(11)
SUM = {
    "Detection": (cal_metrics_detection_task, D._initialize_metric_counters_detection_task, D._update_metric_counters_detection_task, D._calculate_final_metrics_detection_task),
    "TL": (TL.cal_metrics_TL_task, TL._initialize_metric_counters_TL_task, TL._update_metric_counters_TL_task, TL._calculate_final_metrics_TL_task),
    "AD": (AD.cal_metrics_AD_task, AD._initialize_metric_counters_AD_task, AD._update_metric_counters_AD_task, AD._calculate_final_metrics_AD_task),
}
K = {"Detection": 4, "TL": 2, "AD": 1}
WORDS = ["", "I cannot tell.", "about {}", "{}.", "<think>maybe 12 or 13</think> {}", "slice 7: {} (sure to 80)", "{} mm", "[{}]", "-{}", "１２ and {}", "T2, 5-6, {}", "{}e3"]


def clean(value):
    value = float(value)
    return None if math.isnan(value) else value


def box():
    x, y = sorted(rng.random() for _ in range(2)), sorted(rng.random() for _ in range(2))
    return [x[0], y[0], x[1], y[1]]


def target(task):
    if task == "Detection":
        return box()
    if task == "TL":
        a, b = rng.uniform(3, 90), rng.uniform(3, 90)
        return [max(a, b), min(a, b)]
    return rng.choice([rng.uniform(1, 120), rng.uniform(-8, -1), 0.0])


def reply(task, wanted):
    numbers = wanted if isinstance(wanted, list) else [wanted]
    scale = rng.choice([0, 0.02, 0.1, 0.3, 0.6 if task != "AD" else 0.4])
    near = [v + rng.gauss(0, scale) * (1 if task == "Detection" else abs(v)) for v in numbers]
    if rng.random() < 0.1:
        near = near[::-1]
    return rng.choice(WORDS).replace("{}", ", ".join(f"{v:.{rng.choice([0, 2, 3])}f}" for v in near))


tasks = {}
for task, (metrics_of, initialise, update, finish) in SUM.items():
    rows, stopped, counters = [], [], initialise()
    parsed = dict(sum_MAE=0, sum_MRE=0, sum_IoU=0, num_success=0, count_valid_AE=0, count_valid_RE=0, count_valid_IoU=0, count_RE_ls=[0] * 10)
    for _ in range(160):
        wanted = target(task)
        text = reply(task, wanted)
        result = {"filtered_resps": [extract_last_k_nums(text, K[task])], "target": str(wanted)}
        both = metrics_of(result)
        before = copy.deepcopy(counters)
        try:
            update(both, counters)
        except IndexError:
            # The script stops on this row; it is no part of a set.
            counters, stopped = before, stopped + [{"target": wanted, "reply": text}]
            continue
        # As parse_outputs._process_jsonl_file adds rows up.
        one = cal_metrics(result, task)
        if not math.isnan(one["avgMAE"]["MAE"]):
            parsed["sum_MAE"] += one["avgMAE"]["MAE"]
            parsed["count_valid_AE"] += 1
        if "avgMRE" in one and not math.isnan(one["avgMRE"]["MRE"]):
            parsed["sum_MRE"] += one["avgMRE"]["MRE"]
            parsed["count_valid_RE"] += 1
            parse_outputs._update_re_counts(one["avgMRE"]["MRE"], parsed["count_RE_ls"])
        if "avgIoU" in one and not math.isnan(one["avgIoU"]["IoU"]):
            parsed["sum_IoU"] += one["avgIoU"]["IoU"]
            parsed["count_valid_IoU"] += 1
        parsed["num_success"] += one["SuccessRate"]["success"]
        row = {"target": wanted, "reply": text, "MAE": clean(both["avgMAE"]["MAE"]), "success": bool(both["SuccessRate"]["success"])}
        row |= {k: clean(both[k][k]) for k in ("F1", "Precision", "Recall") if k in both}
        row |= {"IoU": clean(both["avgIoU"]["IoU"])} if "avgIoU" in both else {"MRE": clean(both["avgMRE"]["MRE"])}
        rows.append(row)
    if task == "Detection":
        parsed |= {"sum_MRE": "N/A", "count_valid_RE": "N/A", "count_RE_ls": "N/A"}
    else:
        parsed |= {"sum_IoU": "N/A", "count_valid_IoU": "N/A"}
    printed = parse_outputs._update_results_summary({"results": {"x": {}}}, parsed, len(rows))["results"]["x"]
    tasks[task] = {
        "rows": rows,
        "stopped": stopped,
        "parse_outputs": {k.split(",")[0]: clean(v) for k, v in printed.items() if v != "N/A"},
        "summarize": {k: clean(v) for k, v in finish(counters, len(rows)).items()},
    }
json.dump(tasks, open(f"{out}/medvision.json", "w"), indent=0)
print({k: (len(v["rows"]), v["parse_outputs"], v["summarize"]) for k, v in tasks.items()})
