"""Reference values for lib/boxes: scalar Python and PyTorch, written from the papers' rules, independent of the library.

Run with NumPy and PyTorch installed:  python tests/reference/boxes.py
Writes tests/boxes/fixtures/boxes.json.
"""

import json
import math
import os

import numpy as np
import torch


def iou(a, b):
    aw, ah, bw, bh = a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1]
    if aw <= 0 or ah <= 0 or bw <= 0 or bh <= 0:
        return 0.0
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0.0) * max(h, 0.0)
    return inter / (aw * ah + bw * bh - inter)


def giou(a, b):
    area = lambda r: max(r[2] - r[0], 0) * max(r[3] - r[1], 0)
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0.0) * max(h, 0.0)
    union = area(a) + area(b) - inter
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return inter / union - (hull - union) / hull


def encode(boxes, anchors, variances):
    """In the normalised centre-size form that SSD code bases use, in float64."""
    b, a = torch.tensor(boxes, dtype=torch.float64), torch.tensor(anchors, dtype=torch.float64)
    bc, bs = (b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]
    ac, as_ = (a[:, :2] + a[:, 2:]) / 2, a[:, 2:] - a[:, :2]
    v = torch.tensor(variances, dtype=torch.float64)
    return torch.cat([(bc - ac) / (v[:2] * as_), torch.log(bs / as_) / v[2:]], 1).tolist()


def decode(deltas, anchors, variances, limit=None):
    d, a = torch.tensor(deltas, dtype=torch.float64), torch.tensor(anchors, dtype=torch.float64)
    ac, as_ = (a[:, :2] + a[:, 2:]) / 2, a[:, 2:] - a[:, :2]
    v = torch.tensor(variances, dtype=torch.float64)
    c = ac + d[:, :2] * v[:2] * as_
    log_scale = d[:, 2:] * v[2:]
    if limit is not None:
        log_scale = log_scale.clamp(max=limit)
    s = as_ * torch.exp(log_scale)
    return torch.cat([c - s / 2, c + s / 2], 1).tolist()


def nms(boxes, scores, threshold):
    """Quadratic, in plain Python. Ties in the score go to the lower index (sorted is stable)."""
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    for i in order:
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def classwise(boxes, scores, score_threshold, threshold, top_k, keep_top_k):
    found = []
    for c in range(len(scores[0])):
        candidates = sorted((i for i in range(len(boxes)) if scores[i][c] > score_threshold), key=lambda i: -scores[i][c])
        candidates = candidates[:top_k]
        kept = nms([boxes[i] for i in candidates], [scores[i][c] for i in candidates], threshold)
        found += [(candidates[k], c, scores[candidates[k]][c]) for k in kept]
    found.sort(key=lambda f: -f[2])
    return found[:keep_top_k]


def match_independent(truths, labels, anchors, threshold):
    """Each anchor its best object, each object its best anchor (the later object wins), with torch operations."""
    overlaps = torch.tensor([[iou(t, a) for a in anchors] for t in truths], dtype=torch.float64)
    best_anchor = overlaps.argmax(1)
    best_overlap, best_truth = overlaps.max(0)
    best_overlap.index_fill_(0, best_anchor, 2)
    for j in range(len(truths)):
        best_truth[best_anchor[j]] = j
    conf = torch.tensor(labels)[best_truth]
    conf[best_overlap < threshold] = -1
    return conf.tolist(), torch.where(conf >= 0, best_truth, -1).tolist()


def match_greedy(truths, labels, anchors, threshold):
    """The pair with the highest overlap of all leaves the pool, until objects run out; then per prediction."""
    matched = [-1] * len(anchors)
    pool = list(range(len(truths)))
    while pool:
        best = (0.0, -1, -1)
        for i in range(len(anchors)):
            if matched[i] >= 0:
                continue
            for j in pool:
                value = iou(anchors[i], truths[j])
                if value > best[0]:
                    best = (value, i, j)
        if best[1] < 0:
            break
        matched[best[1]] = best[2]
        pool.remove(best[2])
    for i in range(len(anchors)):
        if matched[i] >= 0:
            continue
        best = 0.0
        for j in range(len(truths)):
            value = iou(anchors[i], truths[j])
            if value >= threshold and value > best:
                best, matched[i] = value, j
    return [labels[j] if j >= 0 else -1 for j in matched], matched


def random_boxes(rng, n, size, smallest, largest):
    """Float32 values, so that the library reads the very numbers used here."""
    xy = rng.uniform(0, size - smallest, (n, 2))
    wh = rng.uniform(smallest, largest, (n, 2))
    return np.concatenate([xy, xy + wh], 1).astype(np.float32).astype(float).tolist()


def main():
    rng = np.random.default_rng(20190610)
    a, b = random_boxes(rng, 7, 100, 5, 60), random_boxes(rng, 5, 100, 5, 60)
    b[1] = a[3]  # equal boxes
    b[2] = [a[0][2], a[0][1], a[0][2] + 10, a[0][3]]  # touching
    pairs = {
        'a': a,
        'b': b,
        'iou': [[iou(x, y) for y in b] for x in a],
        'giou': [[giou(x, y) for y in b] for x in a],
    }

    variances = [0.1, 0.1, 0.2, 0.2]
    boxes, anchors = random_boxes(rng, 8, 300, 4, 200), random_boxes(rng, 8, 300, 10, 250)
    deltas = rng.normal(0, 2, (8, 4)).astype(np.float32).astype(float)
    deltas[0] = [0, 0, 40, 40]  # beyond the limit
    deltas = deltas.tolist()
    coder = {
        'boxes': boxes,
        'anchors': anchors,
        'encoded': encode(boxes, anchors, variances),
        'encodedUnit': encode(boxes, anchors, [1, 1, 1, 1]),
        'deltas': deltas,
        'decoded': decode(deltas, anchors, variances),
        'decodedLimited': decode(deltas, anchors, variances, math.log(1000 / 16)),
    }

    suppression = []
    for n, levels in ((60, 1000), (60, 5)):  # the second with many equal scores
        boxes = random_boxes(rng, n, 60, 10, 40)
        scores = (rng.integers(1, levels + 1, n) / levels).astype(np.float32).astype(float).tolist()
        for threshold in (0.0, 0.3, 0.45, 0.5, 0.7, 1.0):
            suppression.append({'boxes': boxes, 'scores': scores, 'threshold': threshold, 'kept': nms(boxes, scores, threshold)})

    boxes = random_boxes(rng, 50, 60, 10, 40)
    scores = (rng.uniform(0, 1, (50, 3)) ** 3).astype(np.float32).astype(float).tolist()
    by_class = classwise(boxes, scores, 0.01, 0.45, 20, 15)

    matching = []
    for objects in (1, 3, 12):
        anchors = random_boxes(rng, 80, 100, 15, 50)
        truths = random_boxes(rng, objects, 100, 10, 60)
        if objects == 12:
            # Objects that want the same anchor, and an exact 0.5: [0, 0, 20, 10] against [0, 0, 10, 10].
            truths[4] = [x + 0.25 for x in truths[2]]
            truths[5] = [x + 0.5 for x in truths[2]]
            truths[6], anchors[6] = [0, 0, 20, 10], [0, 0, 10, 10]
        labels = rng.integers(0, 4, objects).tolist()
        for rule, function in (('independent', match_independent), ('greedy', match_greedy)):
            got, indices = function(truths, labels, anchors, 0.5)
            matching.append(
                {'anchors': anchors, 'truths': truths, 'labels': labels, 'rule': rule, 'matched': got, 'objects': indices}
            )

    out = {
        'pairs': pairs,
        'coder': coder,
        'nms': suppression,
        'classwise': {'boxes': boxes, 'scores': scores, 'kept': by_class},
        'matching': matching,
    }
    path = os.path.join(os.path.dirname(__file__), '..', 'boxes', 'fixtures', 'boxes.json')
    with open(path, 'w') as file:
        json.dump(out, file)


if __name__ == '__main__':
    main()
