"""Reference detections of dense detectors: torchvision's RetinaNet, and the EfficientDet release's rules written down in NumPy.

Run with NumPy, PyTorch and torchvision installed:  python tests/reference/dense_detections.py
Writes tests/boxes/fixtures/dense-detections.json.
"""

import json
import os
from types import SimpleNamespace

import numpy as np
import torch
from torchvision.models.detection import _utils, anchor_utils, image_list
from torchvision.models.detection.retinanet import RetinaNet

rng = np.random.default_rng(20170807)
WIDTH, HEIGHT, CLASSES = 128, 96, 4
MAPS = [(6, 8), (3, 4), (2, 2)]
SIZES = [(20, 26), (40, 52), (80,)]


def anchors():
    generator = anchor_utils.AnchorGenerator(tuple(SIZES), ((0.5, 1.0, 2.0),) * 3)
    images = image_list.ImageList(torch.zeros(1, 3, HEIGHT, WIDTH), [(HEIGHT, WIDTH)])
    return generator(images, [torch.zeros(1, 1, *m) for m in MAPS])[0]


def rounded(values, digits=9):
    return [float(f'{v:.{digits}g}') for v in np.asarray(values, float).reshape(-1)]


def retinanet(logits, deltas, boxes, counts, settings):
    model = SimpleNamespace(
        box_coder=_utils.BoxCoder((1.0, 1.0, 1.0, 1.0)),
        score_thresh=settings['scoreThreshold'],
        topk_candidates=settings['topK'],
        nms_thresh=settings['iouThreshold'],
        detections_per_img=settings['maxOutput'],
    )
    outputs = {
        'cls_logits': list(torch.tensor(logits)[None].split(counts, 1)),
        'bbox_regression': list(torch.tensor(deltas)[None].split(counts, 1)),
    }
    shape = (settings['contentHeight'], settings['contentWidth'])
    found = RetinaNet.postprocess_detections(model, outputs, [list(boxes.split(counts))], [shape])[0]
    return {
        'boxes': rounded(found['boxes']),
        'scores': rounded(found['scores']),
        'labels': found['labels'].tolist(),
    }


def efficientdet(logits, deltas, boxes, top, hard, keep):
    """Top pairs of all levels, decoding of ty, tx, th, tw, NMS class by class, the best of all classes."""
    flat = logits.astype(float).reshape(-1)
    pairs = np.argsort(-flat, kind='stable')[:top]
    a = boxes[pairs // CLASSES]
    ty, tx, th, tw = deltas.astype(float)[pairs // CLASSES].T
    wa, ha = a[:, 2] - a[:, 0], a[:, 3] - a[:, 1]
    x, y = a[:, 0] + wa / 2 + tx * wa, a[:, 1] + ha / 2 + ty * ha
    w, h = np.exp(tw) * wa, np.exp(th) * ha
    decoded = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    scores, labels = 1 / (1 + np.exp(-flat[pairs])), pairs % CLASSES
    found = []
    for label in range(CLASSES):
        rest = [(scores[i], i) for i in np.flatnonzero(labels == label) if hard or scores[i] > 0.001]
        while rest:
            best = max(rest, key=lambda r: (r[0], -r[1]))
            rest.remove(best)
            found.append((best[0], label, decoded[best[1]]))
            left = []
            for score, i in rest:
                lower = np.maximum(decoded[i, :2], decoded[best[1], :2])
                upper = np.minimum(decoded[i, 2:], decoded[best[1], 2:])
                inter = np.prod(np.maximum(upper - lower, 0))
                area = lambda b: (b[2] - b[0]) * (b[3] - b[1])
                iou = inter / (area(decoded[i]) + area(decoded[best[1]]) - inter)
                if hard and iou <= 0.5:
                    left.append((score, i))
                elif not hard and score * np.exp(-iou * iou / 0.5) > 0.001:
                    left.append((score * np.exp(-iou * iou / 0.5), i))
            rest = left
    found.sort(key=lambda f: (-f[0], f[1]))
    found = found[:keep]
    return {
        'boxes': rounded([f[2] for f in found]),
        'scores': rounded([f[0] for f in found]),
        'labels': [int(f[1]) for f in found],
    }


def main():
    levels = [rows * cols * 3 * len(s) for (rows, cols), s in zip(MAPS, SIZES)]
    boxes = anchors()
    # No two alike: PyTorch's topk leaves the order of equal ones open.
    spread = rng.permutation(np.linspace(-8, 4.5, len(boxes) * CLASSES))
    logits = np.float32(np.round(spread.reshape(-1, CLASSES), 4))
    deltas = np.float32(np.round(rng.normal(0, 0.4, (len(boxes), 4)), 4))
    cases = []
    for threshold, top, iou, keep, width, height in (
        (0.05, 1000, 0.5, 300, WIDTH, HEIGHT),
        (0.05, 60, 0.5, 300, WIDTH, HEIGHT),
        (0.3, 25, 0.3, 40, 110, 70),
    ):
        settings = {
            'scoreThreshold': threshold,
            'topK': top,
            'iouThreshold': iou,
            'maxOutput': keep,
            'contentWidth': width,
            'contentHeight': height,
        }
        cases.append({'options': settings, **retinanet(logits, deltas, boxes, levels, settings)})
    released = [
        {'hard': hard, 'topK': top, **efficientdet(logits, deltas, boxes.double().numpy(), top, hard, 100)}
        for hard, top in ((True, 300), (False, 300), (False, 5000))
    ]
    out = {
        'width': WIDTH,
        'height': HEIGHT,
        'maps': MAPS,
        'sizes': SIZES,
        'logits': rounded(logits, 7),
        'deltas': rounded(deltas, 7),
        'retinaNet': cases,
        'efficientDet': released,
    }
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, '..', 'boxes', 'fixtures', 'dense-detections.json'), 'w') as file:
        json.dump(out, file)
        file.write('\n')


if __name__ == '__main__':
    main()
