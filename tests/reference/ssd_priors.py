"""SSD's prior boxes by the published rules, in scalar Python: the two ways of writing them down, Caffe's and PyTorch's.

Writes tests/boxes/fixtures/ssd-priors.json: for each model every 397th prior and, for all of them, sums a level; and every 397th
prior as the fractions in float32 that each of the two computes.
Run with NumPy installed:  python tests/reference/ssd_priors.py
"""

import json
import math
import os

import numpy as np

RATIOS_300 = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
RATIOS_512 = [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]]
MODELS = {
    'ssd300Voc': dict(
        size=300,
        maps=[38, 19, 10, 5, 3, 1],
        steps=[8, 16, 32, 64, 100, 300],
        min=[30, 60, 111, 162, 213, 264],
        max=[60, 111, 162, 213, 264, 315],
        ratios=RATIOS_300,
    ),
    'ssd300Coco': dict(
        size=300,
        maps=[38, 19, 10, 5, 3, 1],
        steps=[8, 16, 32, 64, 100, 300],
        min=[21, 45, 99, 153, 207, 261],
        max=[45, 99, 153, 207, 261, 315],
        ratios=RATIOS_300,
    ),
    'ssd512Voc': dict(
        size=512,
        maps=[64, 32, 16, 8, 4, 2, 1],
        steps=[8, 16, 32, 64, 128, 256, 512],
        min=[35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8],
        max=[76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6],
        ratios=RATIOS_512,
    ),
    'ssd512Coco': dict(
        size=512,
        maps=[64, 32, 16, 8, 4, 2, 1],
        steps=[8, 16, 32, 64, 128, 256, 512],
        min=[20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8],
        max=[51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72],
        ratios=RATIOS_512,
    ),
}


def caffe(model, clip):
    """Corners as fractions of the image, sizes as integers; clip cuts the corners. Returns a list a level, in pixels."""
    levels = []
    size = model['size']
    model = {**model, 'min': [int(v) for v in model['min']], 'max': [int(v) for v in model['max']]}
    for k, cells in enumerate(model['maps']):
        ratios = [1.0]
        for r in model['ratios'][k]:
            ratios += [r, 1.0 / r]
        shapes = [(model['min'][k], model['min'][k])]
        side = math.sqrt(model['min'][k] * model['max'][k])
        shapes.append((side, side))
        shapes += [(model['min'][k] * math.sqrt(r), model['min'][k] / math.sqrt(r)) for r in ratios if abs(r - 1) > 1e-6]
        priors = []
        for h in range(cells):
            for w in range(cells):
                x, y = (w + 0.5) * model['steps'][k], (h + 0.5) * model['steps'][k]
                for bw, bh in shapes:
                    box = [(x - bw / 2) / size, (y - bh / 2) / size, (x + bw / 2) / size, (y + bh / 2) / size]
                    if clip:
                        box = [min(max(v, 0.0), 1.0) for v in box]
                    priors.append([v * size for v in box])
        levels.append(priors)
    return levels


def pytorch(model, clip):
    """Centre and size as fractions of the image; clip cuts those. Returns corners, a list a level, in pixels."""
    levels = []
    size = model['size']
    for k, cells in enumerate(model['maps']):
        priors = []
        f_k = size / model['steps'][k]
        s_k = model['min'][k] / size
        s_k_prime = math.sqrt(s_k * (model['max'][k] / size))
        for i in range(cells):
            for j in range(cells):
                cx, cy = (j + 0.5) / f_k, (i + 0.5) / f_k
                cell = [[cx, cy, s_k, s_k], [cx, cy, s_k_prime, s_k_prime]]
                for r in model['ratios'][k]:
                    cell.append([cx, cy, s_k * math.sqrt(r), s_k / math.sqrt(r)])
                    cell.append([cx, cy, s_k / math.sqrt(r), s_k * math.sqrt(r)])
                for prior in cell:
                    if clip:
                        prior = [min(max(v, 0.0), 1.0) for v in prior]
                    x, y, w, h = (v * size for v in prior)
                    priors.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        levels.append(priors)
    return levels


def caffe_fractions(model, clip):
    """The layer's arithmetic: float variables, double expressions where a literal is a double, float32 results."""
    f32 = np.float32
    size = model['size']
    priors = []
    for k, cells in enumerate(model['maps']):
        low, high = int(model['min'][k]), int(model['max'][k])
        ratios = []
        for r in model['ratios'][k]:
            ratios += [f32(r), f32(1.0 / float(f32(r)))]
        shapes = [(f32(low), f32(low)), (f32(math.sqrt(low * high)),) * 2]
        shapes += [(f32(low * math.sqrt(float(r))), f32(low / math.sqrt(float(r)))) for r in ratios]
        for h in range(cells):
            for w in range(cells):
                x, y = (float(f32((v + 0.5) * model['steps'][k])) for v in (w, h))
                for bw, bh in shapes:
                    half_w, half_h = float(bw) / 2.0, float(bh) / 2.0
                    box = [f32(v / size) for v in (x - half_w, y - half_h, x + half_w, y + half_h)]
                    priors.append([float(min(max(v, f32(0)), f32(1))) if clip else float(v) for v in box])
    return priors


def pytorch_fractions(model, clip):
    """Doubles until the tensor is made; the tensor is clamped."""
    size = model['size']
    priors = []
    for k, cells in enumerate(model['maps']):
        f_k = size / model['steps'][k]
        s_k = model['min'][k] / size
        large = math.sqrt(s_k * (model['max'][k] / size))
        shapes = [(s_k, s_k), (large, large)]
        for r in model['ratios'][k]:
            shapes += [(s_k * math.sqrt(r), s_k / math.sqrt(r)), (s_k / math.sqrt(r), s_k * math.sqrt(r))]
        for i in range(cells):
            for j in range(cells):
                for w, h in shapes:
                    prior = [np.float32(v) for v in ((j + 0.5) / f_k, (i + 0.5) / f_k, w, h)]
                    priors.append([float(min(max(v, 0), 1)) if clip else float(v) for v in prior])
    return priors


def summary(levels):
    flat = [p for level in levels for p in level]
    return {
        'counts': [len(level) for level in levels],
        'sums': [[math.fsum(p[i] for p in level) for i in range(4)] for level in levels],
        'every397th': flat[::397],
    }


def main():
    out = {}
    for name, model in MODELS.items():
        out[name] = {
            'none': summary(caffe(model, False)),
            'noneByPytorch': summary(pytorch(model, False)),
            'corners': summary(caffe(model, True)),
            'size': summary(pytorch(model, True)),
            'fractions': {
                'caffe': caffe_fractions(model, False)[::397],
                'caffeClipped': caffe_fractions(model, True)[::397],
                'pytorch': pytorch_fractions(model, False)[::397],
                'pytorchClipped': pytorch_fractions(model, True)[::397],
            },
        }
    path = os.path.join(os.path.dirname(__file__), '..', 'boxes', 'fixtures', 'ssd-priors.json')
    with open(path, 'w') as file:
        json.dump(out, file)


if __name__ == '__main__':
    main()
