"""Pascal VOC's average precision by the development kit's rule, in NumPy, on inclusive pixel coordinates as in VOC files.

Writes tests/eval/fixtures/voc.json: random images with difficult objects, duplicates and equal scores, and the results.
"""

import json
import os

import numpy as np


def evaluate(images, label, threshold, method):
    """images: (objects, detections); objects (label, box, difficult), detections (label, box, score). Boxes are inclusive."""
    npos = sum(1 for objects, _ in images for o in objects if o[0] == label and not o[2])
    listed = [(d[2], i, d[1]) for i, (_, detections) in enumerate(images) for d in detections if d[0] == label]
    order = np.argsort([-d[0] for d in listed], kind='stable')
    found = [[False] * len(objects) for objects, _ in images]
    tp, fp = np.zeros(len(listed)), np.zeros(len(listed))
    for d, at in enumerate(order):
        _, i, bb = listed[at]
        ovmax, jmax = -np.inf, -1
        for j, (gt_label, gt, _) in enumerate(images[i][0]):
            if gt_label != label:
                continue
            iw = min(bb[2], gt[2]) - max(bb[0], gt[0]) + 1
            ih = min(bb[3], gt[3]) - max(bb[1], gt[1]) + 1
            if iw > 0 and ih > 0:
                ua = (
                    (bb[2] - bb[0] + 1) * (bb[3] - bb[1] + 1)
                    + (gt[2] - gt[0] + 1) * (gt[3] - gt[1] + 1)
                    - iw * ih
                )
                ov = iw * ih / ua
                if ov > ovmax:
                    ovmax, jmax = ov, j
        if ovmax >= threshold:
            if not images[i][0][jmax][2]:
                if not found[i][jmax]:
                    tp[d], found[i][jmax] = 1, True
                else:
                    fp[d] = 1
        else:
            fp[d] = 1
    if npos == 0:
        return None, npos, int(tp.sum()), int(fp.sum())
    fpc, tpc = np.cumsum(fp), np.cumsum(tp)
    rec, prec = tpc / npos, tpc / np.maximum(tpc + fpc, np.finfo(np.float64).eps)
    if method == '11-point':
        ap = 0.0
        for t in np.arange(0.0, 1.1, 0.1):
            ap += (np.max(prec[rec >= t]) if np.sum(rec >= t) else 0) / 11.0
    else:
        mrec, mpre = np.concatenate([[0.0], rec, [1.0]]), np.concatenate([[0.0], prec, [0.0]])
        for i in range(mpre.size - 1, 0, -1):
            mpre[i - 1] = np.maximum(mpre[i - 1], mpre[i])
        i = np.where(mrec[1:] != mrec[:-1])[0]
        ap = float(np.sum((mrec[i + 1] - mrec[i]) * mpre[i + 1]))
    return float(ap), npos, int(tp.sum()), int(fp.sum())


def random_image(rng, classes, score_levels):
    objects, detections = [], []
    for _ in range(rng.integers(0, 6)):
        x, y = rng.integers(1, 150, 2)
        w, h = rng.integers(8, 60, 2)
        label = int(rng.integers(0, classes - 1))  # the last class has no objects, but detections
        box = [int(x), int(y), int(x + w), int(y + h)]
        objects.append([label, box, bool(rng.uniform() < 0.2)])
        for _ in range(rng.integers(0, 4)):  # some missed, some found twice and more, some by the wrong class
            jitter = rng.integers(-9, 10, 4)
            near = [int(v + j) for v, j in zip(box, jitter)]
            if near[2] <= near[0] or near[3] <= near[1]:
                continue
            wrong = rng.uniform() < 0.1
            score = int(rng.integers(1, score_levels + 1)) / score_levels
            detections.append([int(rng.integers(0, classes)) if wrong else label, near, score])
    for _ in range(rng.integers(0, 4)):
        x, y = rng.integers(1, 150, 2)
        w, h = rng.integers(8, 60, 2)
        score = int(rng.integers(1, score_levels + 1)) / score_levels
        detections.append([int(rng.integers(0, classes)), [int(x), int(y), int(x + w), int(y + h)], score])
    return objects, detections


def main():
    rng = np.random.default_rng(2007)
    cases = []
    for images, classes, levels in ((40, 4, 100000), (30, 3, 8), (4, 2, 10)):
        data = [random_image(rng, classes, levels) for _ in range(images)]
        results = []
        for threshold in (0.5, 0.75, 0.3):
            for method in ('11-point', 'all-point'):
                rows = [evaluate(data, c, threshold, method) for c in range(classes)]
                results.append({'iouThreshold': threshold, 'method': method, 'classes': rows})
        cases.append({'classes': classes, 'images': data, 'results': results})
    path = os.path.join(os.path.dirname(__file__), '..', 'eval', 'fixtures', 'voc.json')
    with open(path, 'w') as file:
        json.dump(cases, file)


if __name__ == '__main__':
    main()
