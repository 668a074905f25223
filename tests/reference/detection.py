"""Reference values for lib/boxes from torchvision, and from the EfficientDet release's rules written down in NumPy.

Run with NumPy, PyTorch and torchvision installed:  python tests/reference/detection.py
Writes tests/boxes/fixtures/detection.json.
"""

import json
import os

import numpy as np
import torch
from torchvision.models.detection import _utils, anchor_utils, image_list
from torchvision.ops import (
    MultiScaleRoIAlign,
    batched_nms,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    nms,
    roi_align,
)
from torchvision.ops.boxes import box_iou, remove_small_boxes
from torchvision.ops.poolers import LevelMapper

rng = np.random.default_rng(20201122)


def single(values):
    """float32 numbers, as Python numbers."""
    return np.asarray(values, np.float32).astype(float)


def random_boxes(n, width, height, smallest, largest, whole=False):
    size = np.exp(rng.uniform(np.log(smallest), np.log(largest), (n, 2)))
    corner = rng.uniform(-0.1, 1, (n, 2)) * (np.array([width, height]) - size)
    boxes = np.concatenate([corner, corner + size], 1)
    if whole:
        boxes = np.round(boxes)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return single(boxes)


def measures():
    a, b = random_boxes(6, 100, 80, 5, 70), random_boxes(5, 100, 80, 5, 70)
    b[0] = a[2]
    b[1] = [a[0][2], a[0][1], a[0][2] + 10, a[0][3]]
    x, y = torch.tensor(a), torch.tensor(b)
    out = {'a': a.tolist(), 'b': b.tolist()}
    for name, function in (
        ('iou', box_iou),
        ('giou', generalized_box_iou),
        ('diou', distance_box_iou),
        ('ciou', complete_box_iou),
    ):
        out[name] = function(x, y).tolist()
    small = torch.tensor([[0, 0, 4, 4], [0, 0, 3.9, 9], [5, 5, 9, 9.5], [0, 0, 8, -8]])
    out['large'] = remove_small_boxes(small, 4).tolist()
    return out


def coders():
    boxes, anchors = random_boxes(7, 300, 300, 4, 200), random_boxes(7, 300, 300, 10, 250)
    deltas = single(rng.normal(0, 1.5, (7, 4)))
    deltas[0, 2:] = 30
    out = {'boxes': boxes.tolist(), 'anchors': anchors.tolist(), 'deltas': deltas.tolist(), 'cases': []}
    for weights in ((10, 10, 5, 5), (1, 1, 1, 1), (30, 30, 15, 15)):
        coder = _utils.BoxCoder(weights)
        b, a = torch.tensor(boxes), torch.tensor(anchors)
        out['cases'].append(
            {
                'weights': weights,
                'encoded': coder.encode_single(b, a).tolist(),
                'decoded': coder.decode_single(torch.tensor(deltas), a).tolist(),
            }
        )
    # The EfficientDet release: y first, nothing scaled, nothing limited; its boxes are y1, x1, y2, x2.
    deltas[0, 2:] = 5
    ha, wa = anchors[:, 3] - anchors[:, 1], anchors[:, 2] - anchors[:, 0]
    ya, xa = anchors[:, 1] + ha / 2, anchors[:, 0] + wa / 2
    h, w = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    y, x = boxes[:, 1] + h / 2, boxes[:, 0] + w / 2
    encoded = np.stack([(y - ya) / ha, (x - xa) / wa, np.log(h / ha), np.log(w / wa)], 1)
    ty, tx, th, tw = deltas.T
    h, w, y, x = np.exp(th) * ha, np.exp(tw) * wa, ty * ha + ya, tx * wa + xa
    decoded = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    out['efficientDet'] = {'deltas': deltas.tolist(), 'encoded': encoded.tolist(), 'decoded': decoded.tolist()}
    linear = _utils.BoxLinearCoder(normalize_by_size=True)
    points = torch.tensor(anchors[:, :2].copy())
    strides = torch.full((7, 1), 8.0, dtype=torch.float64)
    cells = torch.cat([points - strides / 2, points + strides / 2], 1)
    out['distances'] = {
        'points': points.tolist(),
        'stride': 8,
        'encoded': linear.encode(cells, torch.tensor(boxes)).tolist(),
        'decoded': linear.decode(torch.tensor(np.abs(deltas)), cells).tolist(),
        'deltas': np.abs(deltas).tolist(),
    }
    return out


def grids(width, height, first, count):
    return [(-(-height // 2 ** (first + k)), -(-width // 2 ** (first + k))) for k in range(count)]


def generated(generator, width, height, maps):
    images = image_list.ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    return generator(images, [torch.zeros(1, 1, *grid) for grid in maps])[0]


def retinanet_generator():
    sizes = tuple((x, int(x * 2 ** (1.0 / 3)), int(x * 2 ** (2.0 / 3))) for x in [32, 64, 128, 256, 512])
    return anchor_utils.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)


def rpn_generator():
    return anchor_utils.AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)


def efficientdet_anchors(width, height, aspects, min_level=3, max_level=7, scale=4.0):
    """x first, in double; the release stores float32."""
    out = []
    for rows, cols in grids(width, height, min_level, max_level - min_level + 1):
        sy, sx = height / rows, width / cols
        y, x = np.arange(sy / 2, height, sy), np.arange(sx / 2, width, sx)
        assert (len(y), len(x)) == (rows, cols)
        xv, yv = (v.reshape(-1) for v in np.meshgrid(x, y))
        shapes = []
        for octave in range(3):
            for ax, ay in aspects:
                w, h = scale * sx * 2 ** (octave / 3.0) * ax / 2.0, scale * sy * 2 ** (octave / 3.0) * ay / 2.0
                shapes.append(np.stack([xv - w, yv - h, xv + w, yv + h], 1))
        out.append(np.stack(shapes, 1).reshape(-1, 4))
    return np.concatenate(out)


def sampled(boxes, step=53):
    boxes = np.asarray(boxes, np.float32).astype(float)
    return {'count': len(boxes), 'sum': boxes.sum(0).tolist(), 'step': step, 'boxes': boxes[::step].tolist()}


def anchors():
    ssd = anchor_utils.DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    release = [(1.0, 1.0), (1.4, 0.7), (0.7, 1.4)]
    roots = [(np.sqrt(r), 1.0 / np.sqrt(r)) for r in (1.0, 2.0, 0.5)]
    maps = [(n, n) for n in (38, 19, 10, 5, 3, 1)]
    retinanet = generated(retinanet_generator(), 320, 224, grids(320, 224, 3, 5))
    rpn = generated(rpn_generator(), 320, 224, grids(320, 224, 2, 5))
    return {
        'ssd': sampled(generated(ssd, 300, 300, maps), 397),
        'retinaNet': sampled(retinanet, 199),
        'rpn': sampled(rpn, 199),
        'efficientDet': sampled(efficientdet_anchors(384, 256, release), 397),
        'efficientDetOdd': sampled(efficientdet_anchors(300, 200, release), 199),
        'efficientDetD7x': sampled(efficientdet_anchors(512, 512, roots, max_level=8, scale=5.0), 997),
    }


def argmax_matcher(quality, threshold):
    """The release's ArgMaxMatcher with a forced match for each row, on a float32 matrix [objects, anchors]."""
    matches = quality.argmax(0)
    matches[quality.max(0) < np.float32(threshold)] = -1
    indicators = np.eye(quality.shape[1], dtype=int)[quality.argmax(1)]
    return np.where(indicators.max(0) > 0, indicators.argmax(0), matches)


def matching():
    cases = []
    width, height = 160, 96
    retinanet = generated(retinanet_generator(), width, height, grids(width, height, 3, 5))
    rpn = generated(rpn_generator(), width, height, grids(width, height, 2, 5))
    release = efficientdet_anchors(width, height, [(1.0, 1.0), (1.4, 0.7), (0.7, 1.4)])
    release = torch.tensor(release.astype(np.float32))
    for whole in (True, False):
        truths = random_boxes(9, width, height, 6, 90, whole)
        truths[3] = truths[2]  # the same twice: both want the same anchors
        truths[5, :2] = truths[4, :2] + 1
        truths[5, 2:] = truths[4, 2:] + 1
        gt = torch.tensor(truths, dtype=torch.float32)
        proposals = torch.cat([gt + torch.tensor(single(rng.normal(0, s, (9, 4)))).float() for s in (1, 4, 9)])
        proposals[:, 2:] = torch.maximum(proposals[:, 2:], proposals[:, :2] + 1)
        for name, boxes, matcher in (
            ('retinaNet', retinanet, _utils.Matcher(0.5, 0.4, True)),
            ('rpn', rpn, _utils.Matcher(0.7, 0.3, True)),
            ('roi', proposals, _utils.Matcher(0.5, 0.5, False)),
            ('ssd', retinanet, _utils.SSDMatcher(0.5)),
            ('efficientDet', release, lambda quality: torch.tensor(argmax_matcher(quality.numpy(), 0.5))),
        ):
            quality = box_iou(gt, boxes)
            assert (quality.max(1).values > 0).all()
            matches = matcher(quality).tolist()
            case = {'rule': name, 'truths': truths.tolist()}
            case['matches'] = [[i, m] for i, m in enumerate(matches) if m != -1]
            if name == 'roi':
                case['proposals'] = boxes.double().tolist()
            cases.append(case)
    return {'width': width, 'height': height, 'cases': cases}


def suppression():
    n = 150
    boxes = random_boxes(n, 100, 80, 8, 50)
    boxes[10] = boxes[11]
    scores, classes = single(rng.permutation(n) / n), rng.integers(0, 4, n)
    b, s, c = torch.tensor(boxes).float(), torch.tensor(scores).float(), torch.tensor(classes)
    out = {'boxes': boxes.tolist(), 'scores': scores.tolist(), 'classes': classes.tolist(), 'cases': []}
    for threshold in (0.1, 0.3, 0.5, 0.75):
        out['cases'].append(
            {
                'threshold': threshold,
                'nms': nms(b, s, threshold).tolist(),
                'batched': batched_nms(b, s, c, threshold).tolist(),
            }
        )
    return out


def soft_nms(boxes, scores, method, sigma, iou_threshold, score_threshold, one):
    """Bodla et al., ICCV 2017, figure 2, on (box, score, index) in double; `one` is added to widths and heights."""
    rest = [(list(box), score, i) for i, (box, score) in enumerate(zip(boxes, scores)) if score > score_threshold]
    kept = []
    while rest:
        best = max(rest, key=lambda r: (r[1], -r[2]))
        rest.remove(best)
        kept.append((best[2], best[1]))
        remaining = []
        for box, score, i in rest:
            w = min(box[2], best[0][2]) - max(box[0], best[0][0]) + one
            h = min(box[3], best[0][3]) - max(box[1], best[0][1]) + one
            inter = max(w, 0) * max(h, 0)
            area = lambda r: (r[2] - r[0] + one) * (r[3] - r[1] + one)
            iou = inter / (area(box) + area(best[0]) - inter)
            if method == 'gaussian':
                score *= np.exp(-iou * iou / sigma)
            elif iou > iou_threshold:
                score *= 1 - iou
            if score > score_threshold:
                remaining.append((box, score, i))
        rest = remaining
    return {'indices': [i for i, _ in kept], 'scores': [float(s) for _, s in kept]}


def softening():
    boxes, scores = random_boxes(60, 100, 80, 8, 50), single(rng.uniform(0, 1, 60))
    cases = []
    for method, sigma, iou_threshold, score_threshold, one in (
        ('gaussian', 0.5, 0.3, 0.001, 0),
        ('gaussian', 0.3, 0.3, 0.05, 1),
        ('linear', 0.5, 0.3, 0.001, 0),
        ('linear', 0.5, 0.5, 0.1, 1),
    ):
        kept = soft_nms(boxes, scores, method, sigma, iou_threshold, score_threshold, one)
        options = dict(method=method, sigma=sigma, iouThreshold=iou_threshold, scoreThreshold=score_threshold)
        cases.append({'options': {**options, 'pixelOffset': one}, **kept})
    return {'boxes': boxes.tolist(), 'scores': scores.tolist(), 'cases': cases}


def regions():
    """Features are [B, C, H, W] in PyTorch; written down as [B, H, W, C]."""
    b, c, h, w = 2, 3, 7, 9
    features = single(rng.normal(0, 1, (b, c, h, w)))
    rois = np.concatenate([random_boxes(6, 9, 7, 1, 8), single([[-3, -2, 4, 5], [6, 4, 13, 11], [2, 2, 2.2, 2.3]])])
    rois = np.concatenate([rois, single([[12, 3, 16, 6], [0, 0, 9, 7]])])
    images = rng.integers(0, b, len(rois))
    nhwc = lambda t: [round(v, 9) for v in t.permute(0, 2, 3, 1).reshape(-1).tolist()]
    out = {
        'shape': [b, h, w, c],
        'features': nhwc(torch.tensor(features)),
        'boxes': rois.tolist(),
        'images': images.tolist(),
        'cases': [],
    }
    for aligned in (False, True):
        for size, ratio, scale in (((2, 3), 2, 1.0), ((1, 1), 1, 1.0), ((3, 2), 3, 0.5), ((2, 2), -1, 1.0), ((1, 2), 0, 0.75)):
            x = torch.tensor(features, requires_grad=True)
            boxes = torch.tensor(np.concatenate([images[:, None], rois], 1))
            y = roi_align(x, boxes, size, scale, ratio, aligned)
            dy = torch.tensor(single(rng.normal(0, 1, tuple(y.shape))))
            y.backward(dy)
            out['cases'].append(
                {
                    'aligned': aligned,
                    'size': size,
                    'ratio': max(ratio, 0),
                    'scale': scale,
                    'pooled': nhwc(y.detach()),
                    'dy': nhwc(dy),
                    'gradient': nhwc(x.grad),
                }
            )
    maps = {str(k): torch.tensor(single(rng.normal(0, 1, (2, 2, 12 // 2**k, 16 // 2**k)))) for k in range(3)}
    pooler = MultiScaleRoIAlign(['0', '1', '2'], 3, 2, canonical_scale=4, canonical_level=1)
    rois = [random_boxes(5, 16, 12, 1, 6), random_boxes(4, 16, 12, 5, 15)]
    pooled = pooler(maps, [torch.tensor(r) for r in rois], [(12, 16), (12, 16)])
    out['pyramid'] = {
        'maps': [{'shape': [2, 12 // 2**k, 16 // 2**k, 2], 'values': nhwc(maps[str(k)])} for k in range(3)],
        'boxes': np.concatenate(rois).tolist(),
        'images': [0] * 5 + [1] * 4,
        'levels': pooler.map_levels([torch.tensor(r) for r in rois]).tolist(),
        'pooled': nhwc(pooled),
    }
    edges = [[0, 0, s, s] for s in (0, 1, 111.99, 112, 112.01, 223.9999, 224, 224.0001, 447.99, 448, 900)]
    boxes = np.concatenate([random_boxes(30, 1300, 800, 8, 900), single(edges)])
    levels = LevelMapper(2, 5)([torch.tensor(boxes).float()])
    out['mapper'] = {'boxes': boxes.tolist(), 'levels': (levels + 2).tolist()}
    return out


def main():
    out = {
        'measures': measures(),
        'coders': coders(),
        'anchors': anchors(),
        'matching': matching(),
        'suppression': suppression(),
        'softening': softening(),
        'regions': regions(),
    }
    path = os.path.join(os.path.dirname(__file__), '..', 'boxes', 'fixtures', 'detection.json')
    with open(path, 'w') as file:
        json.dump(out, file)


if __name__ == '__main__':
    main()
