"""Writes ../fixtures/stats.json: figures of two drawn systems by the packages people cite.

Needs numpy, scipy, statsmodels, scikit-learn. Run: python stats.py
"""
import json
import math
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import brier_score_loss, cohen_kappa_score, f1_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(7)
n, groups = 301, 90
cluster = rng.integers(0, groups, n)
ease = rng.normal(0, 1, groups)[cluster]
a = (rng.normal(0, 1, n) + ease > -0.6).astype(int)
b = (rng.normal(0, 1, n) + ease > -0.4).astype(int)
confidence = np.round(rng.beta(5, 2, n), 4)
k = int(a.sum())
mean = a.mean()
sums = np.array([(a - mean)[cluster == c].sum() for c in np.unique(cluster)])
g = len(sums)
out = {"a": a.tolist(), "b": b.tolist(), "cluster": cluster.tolist(), "confidence": confidence.tolist()}
out["se_clt"] = float(stats.sem(a))
out["se_inspect"] = float(math.sqrt((sums**2).sum() * g / (g - 1)) / n)
cross = sum(
    float((a - mean)[i] * (a - mean)[j])
    for c in np.unique(cluster)
    for i in np.flatnonzero(cluster == c)
    for j in np.flatnonzero(cluster == c)
    if i != j
)
out["se_lmms"] = math.sqrt(stats.sem(a) ** 2 + cross / n**2)
for name, method in [("wilson", "wilson"), ("clopper", "beta"), ("agresti", "agresti_coull")]:
    out[name] = [float(v) for v in proportion_confint(k, n, method=method)]
out["t_interval"] = [float(v) for v in stats.t.interval(0.95, n - 1, mean, out["se_clt"])]
t = stats.ttest_rel(a, b)
out["paired_t"] = {"t": float(t.statistic), "p": float(t.pvalue), "ci": [float(v) for v in t.confidence_interval(0.95)]}
table = np.array([[((a == i) & (b == j)).sum() for j in (1, 0)] for i in (1, 0)])
out["mcnemar"] = {
    "table": table.tolist(),
    "exact": float(mcnemar(table, exact=True).pvalue),
    "chi2": float(mcnemar(table, exact=False, correction=False).pvalue),
    "chi2_corrected": float(mcnemar(table, exact=False, correction=True).pvalue),
}
out["mcnemar_pairs"] = []
for x, y in [(5, 15), (0, 6), (10, 12), (1, 9), (7, 7), (91, 77), (0, 0), (1, 0)]:
    m, lo = x + y, min(x, y)
    exact = stats.binomtest(lo, m).pvalue if m else 1.0
    # Fagerland, Lydersen and Laake (2013): outcomes more extreme, and half of those as extreme.
    far = abs(np.arange(m + 1) - m / 2)
    pmf = stats.binom.pmf(np.arange(m + 1), m, 0.5)
    mid = pmf[far > far[x]].sum() + pmf[far == far[x]].sum() / 2 if m else 1.0
    out["mcnemar_pairs"].append([x, y, float(exact), float(mid)])
draw = np.random.default_rng(42)
means = [a[draw.integers(0, n, n)].mean() for _ in range(2000)]
out["bootstrap"] = [float(v) for v in np.percentile(means, [2.5, 97.5])]
draw = np.random.default_rng(0)
diffs = np.array([(a - b)[draw.integers(0, n, n)].mean() for _ in range(2000)])
out["bootstrap_difference"] = {
    "ci": [float(v) for v in np.percentile(diffs, [2.5, 97.5])],
    "p": float(min(1.0, 2 * min((diffs <= 0).mean(), (diffs >= 0).mean()))),
}
draw = np.random.default_rng(2**32 - 1)
out["stream"] = {
    "u64": [str(v) for v in draw.bit_generator.random_raw(3)],
    "below_1000": [int(v) for v in draw.integers(0, 1000, 5)],
    "below_3e9": [int(v) for v in draw.integers(0, 3_000_000_000, 8)],
    "unit": [float(v) for v in draw.random(3)],
}
p = [0.001, 0.04, 0.03, 0.2, 0.012, 0.9, 0.04]
out["multiple"] = {"p": p, "holm": multipletests(p, method="holm")[1].tolist(), "bh": multipletests(p, method="fdr_bh")[1].tolist()}
for bins in (10, 15):
    at = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = [((at == i).mean(), abs(a[at == i].mean() - confidence[at == i].mean())) for i in range(bins) if (at == i).any()]
    out[f"ece{bins}"] = [
        float(sum(s * d for s, d in gaps)),
        float(math.sqrt(sum(s * d * d for s, d in gaps))),
        float(max(d for _, d in gaps)),
    ]
out["brier"] = float(brier_score_loss(a, confidence))
out["auroc"] = float(roc_auc_score(a, confidence))
out["kappa"] = float(cohen_kappa_score(a, b))
out["f1"] = [float(f1_score(a, b, average=m)) for m in ("macro", "weighted")]
out["functions"] = {
    "normal_quantile": [[q, float(stats.norm.ppf(q))] for q in (1e-9, 0.025, 0.3, 0.5, 0.8, 0.975, 1 - 1e-7)],
    "t_quantile": [[q, d, float(stats.t.ppf(q, d))] for q in (0.6, 0.975, 0.9995) for d in (1, 2.5, 10, 1000, 1e6)],
    "t_two_sided": [[v, d, float(2 * stats.t.sf(v, d))] for v in (0.1, 2.0, 9.0) for d in (1, 7, 500)],
    "beta_cdf": [[x, p1, q1, float(stats.beta.cdf(x, p1, q1))] for x in (1e-6, 0.1, 0.5, 0.99) for p1, q1 in ((0.5, 0.5), (2, 300), (5000, 4000), (1, 1))],
    "chi2_sf": [[x, d, float(stats.chi2.sf(x, d))] for x in (0.01, 1.0, 30.0) for d in (1, 4)],
    "normal_sf": [[x, float(stats.norm.sf(x))] for x in (-3.0, 0.0, 0.7, 5.0, 12.0)],
}
Path(__file__).parent.parent.joinpath("fixtures/stats.json").write_text(json.dumps(out))
