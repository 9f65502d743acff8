"""Writes segmentation.json: surface-distance 0.1 and MedPy 0.5.2 on small random masks in two and three dimensions.

pip install surface-distance-based-measures==0.1 MedPy==0.5.2 scipy numpy
python segmentation.py ../fixtures
"""
import json, sys
import numpy as np
np.Inf = np.inf
from scipy import ndimage
ndimage.filters = ndimage.morphology = ndimage
import surface_distance as sd
from medpy.metric.binary import assd, hd95

rng = np.random.default_rng(5)
cases = []
for shape, spacing in [((9, 14, 11), (3.0, .8, .7)), ((6, 6, 6), (1., 1., 1.)), ((12, 10, 9), (.5, 2., 1.2)), ((21, 17), (.4, .9)), ((9, 9), (1., 1.)), ((30, 25), (1.3, .6))] * 2:
    blob = lambda: ndimage.gaussian_filter(rng.standard_normal(shape), 1.2) > rng.uniform(-.05, .15)
    a, b = blob(), blob()
    if len(cases) % 5 == 4:
        b = np.roll(a, 1, axis=0)
    d = sd.compute_surface_distances(a, b, spacing)
    m = sd.compute_average_surface_distance(d)
    edge = lambda x: x ^ ndimage.binary_erosion(x)
    ab = ndimage.distance_transform_edt(~edge(b), sampling=spacing)[edge(a)]
    ba = ndimage.distance_transform_edt(~edge(a), sampling=spacing)[edge(b)]
    cases.append(dict(shape=shape, spacing=spacing, a="".join("01"[int(v)] for v in a.ravel()), b="".join("01"[int(v)] for v in b.ravel()),
                      dice=float(sd.compute_dice_coefficient(a, b)), hd95=float(sd.compute_robust_hausdorff(d, 95)), hd100=float(sd.compute_robust_hausdorff(d, 100)),
                      nsd1=float(sd.compute_surface_dice_at_tolerance(d, 1.0)), mean=[float(v) for v in m], hd95_medpy=float(hd95(b, a, spacing)), assd_medpy=float(assd(b, a, spacing)),
                      hd95_monai=float(max(np.percentile(ab, 95), np.percentile(ba, 95))), assd_monai=float(np.mean(np.concatenate([ab, ba]))), assd_means=float((ab.mean() + ba.mean()) / 2)))
json.dump(cases, open(f"{sys.argv[1]}/segmentation.json", "w"))
