"""COCO's average precision and recall by the official code, pycocotools, on data made to reach its corners.

Run with pycocotools installed (2.0.11 wrote the fixtures):  python tests/reference/coco_ap.py
Writes tests/eval/fixtures/coco.json: data sets of COCO's two files and what COCOeval says of them.
"""

import contextlib
import io
import json
import os

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SIZES = ['all', 'small', 'medium', 'large']


def make(rng, images, categories, objects, found, levels, decimals=2, size=400, near=9.0):
    """A data set: sparse ids in no order, images and classes without objects, crowds, areas below the box's."""
    image_ids = [int(i) for i in rng.choice(10**6, images, replace=False) + 1]
    category_ids = [int(i) for i in rng.choice(200, categories, replace=False) + 1]
    ids = iter(int(i) for i in rng.choice(10**6, 4000, replace=False) + 1)
    with_objects = category_ids[:-1] if categories > 1 else category_ids
    number = lambda value: round(float(value), decimals) if decimals else int(value)
    annotations, results = [], []

    def box():
        w, h = np.exp(rng.uniform(np.log(6), np.log(size / 2), 2))
        x, y = rng.uniform(0, size - w), rng.uniform(0, size - h)
        return [number(x), number(y), number(w), number(h)]

    def detect(image_id, category_id, where):
        score = int(rng.integers(1, levels + 1)) / levels
        results.append([image_id, category_id, *where, score])

    for image_id in image_ids:
        if rng.uniform() < 0.15:
            continue  # neither objects nor detections
        if rng.uniform() < 0.9:
            for _ in range(rng.integers(0, objects + 1)):
                category_id = int(rng.choice(with_objects))
                where = box()
                crowd = int(rng.uniform() < 0.12)
                area = number(where[2] * where[3] * rng.uniform(0.4, 1.0))
                annotations.append([next(ids), image_id, category_id, *where, area, crowd])
                for _ in range(rng.integers(0, 4)):
                    moved = [number(v) for v in np.array(where) + rng.normal(0, near, 4) * min(where[2:]) / 60]
                    moved[2:] = [max(v, 1) for v in moved[2:]]
                    wrong = rng.uniform() < 0.1
                    detect(image_id, int(rng.choice(category_ids)) if wrong else category_id, moved)
        for _ in range(rng.integers(0, found + 1)):
            detect(image_id, int(rng.choice(category_ids)), box())
    order = rng.permutation(len(annotations))
    results = [results[i] for i in rng.permutation(len(results))]
    return {
        'images': image_ids,
        'categories': category_ids,
        'annotations': [annotations[i] for i in order],
        'results': results,
    }


def evaluate(data, class_agnostic=False, max_detections=None, thresholds=None):
    annotation_keys = ['id', 'image_id', 'category_id']
    truth, found = COCO(), COCO()
    images = [{'id': i, 'width': 400, 'height': 400} for i in data['images']]
    categories = [{'id': i, 'name': f'class {i}'} for i in data['categories']]
    truth.dataset = {
        'images': images,
        'categories': categories,
        'annotations': [
            {**dict(zip(annotation_keys, a)), 'bbox': a[3:7], 'area': a[7], 'iscrowd': a[8]}
            for a in data['annotations']
        ],
    }
    truth.createIndex()
    rows = [
        {'image_id': r[0], 'category_id': r[1], 'bbox': r[2:6], 'score': r[6]} for r in data['results']
    ]
    if rows:
        found = truth.loadRes(rows)
    else:  # loadRes cannot read an empty list
        found.dataset = {'images': images, 'categories': categories, 'annotations': []}
        found.createIndex()
    run = COCOeval(truth, found, 'bbox')
    if class_agnostic:
        run.params.useCats = 0
    if max_detections:
        run.params.maxDets = max_detections
    if thresholds:
        run.params.iouThrs = np.array(thresholds)
    run.evaluate()
    run.accumulate()
    return run


def mean(values):
    values = values[values > -1]
    return float(np.mean(values)) if values.size else -1.0


def expected(run):
    precision, recall, scores = (run.eval[key] for key in ('precision', 'recall', 'scores'))
    thresholds = list(run.params.iouThrs)
    at = lambda t: [i for i, value in enumerate(thresholds) if value == t]
    stats = [mean(precision[:, :, :, 0, -1])]
    stats += [mean(precision[at(t)][:, :, :, 0, -1]) for t in (0.5, 0.75)]
    stats += [mean(precision[:, :, :, a, -1]) for a in (1, 2, 3)]
    stats += [mean(recall[:, :, 0, m]) for m in (0, 1, 2)]
    stats += [mean(recall[:, :, a, -1]) for a in (1, 2, 3)]
    if run.params.maxDets == [1, 10, 100]:
        run.summarize()
        assert np.array_equal(run.stats, stats)
    flat = lambda values: [float(f'{v:.12g}') for v in values.ravel()]
    return {
        'stats': stats,
        'shape': list(precision.shape),
        # [T, K, A, M], and at the first threshold and all sizes the curves, [R, K].
        'precision': flat(precision.mean(axis=1)),
        'recall': flat(recall),
        'curves': flat(precision[0, :, :, 0, -1]),
        'scores': flat(scores[0, :, :, 0, -1]),
    }


def cases():
    rng = np.random.default_rng(2014)
    yield 'typical', make(rng, 30, 5, 6, 4, 10**5), {}
    yield 'equal scores, whole pixels', make(rng, 20, 3, 7, 6, 4, decimals=0), {}
    yield 'other limits and thresholds', make(rng, 12, 3, 8, 6, 20), {
        'max_detections': [1, 3, 7],
        'thresholds': [0.3, 0.5, 0.75, 1.0],
    }
    yield 'without classes', make(rng, 15, 4, 6, 6, 5, decimals=0), {'class_agnostic': True}
    yield 'an overlap of 1, whose quotient may be a digit less', make(rng, 12, 2, 6, 1, 50, near=0.0), {
        'thresholds': [0.9, 1.0],
    }
    crowded = make(rng, 2, 1, 25, 0, 30, decimals=0)
    for image_id in crowded['images']:
        category_id = crowded['categories'][0]
        for _ in range(130):  # more than a hundred of one class
            x, y, w, h = (int(v) for v in rng.integers(5, 120, 4))
            crowded['results'].append([image_id, category_id, x, y, w, h, int(rng.integers(1, 9)) / 8])
    yield 'more than a hundred detections', crowded, {}

    one = {'images': [7], 'categories': [3]}
    yield 'one object, found', {**one, 'annotations': [[1, 7, 3, 5, 5, 50, 50, 2500, 0]],
                                'results': [[7, 3, 5, 5, 50, 50, 0.9]]}, {}
    yield 'no detections', {**one, 'annotations': [[1, 7, 3, 5, 5, 50, 50, 2500, 0]], 'results': []}, {}
    yield 'no objects', {**one, 'annotations': [], 'results': [[7, 3, 5, 5, 50, 50, 0.9]]}, {}
    yield 'only a crowd', {**one, 'annotations': [[1, 7, 3, 5, 5, 200, 200, 30000, 1]],
                           'results': [[7, 3, 5, 5, 50, 50, 0.9], [7, 3, 30, 30, 9, 9, 0.8],
                                       [7, 3, 180, 180, 60, 60, 0.7]]}, {}
    yield 'nothing at all', {'images': [4, 2], 'categories': [9, 1], 'annotations': [], 'results': []}, {}
    yield 'annotation id 0, which the official code takes for no match', {
        **one,
        'annotations': [[0, 7, 3, 5, 5, 50, 50, 2500, 0], [1, 7, 3, 105, 5, 50, 50, 2500, 0],
                        [2, 7, 3, 205, 5, 5, 5, 25, 0]],
        'results': [[7, 3, 5, 5, 50, 50, 0.9], [7, 3, 105, 5, 50, 50, 0.8], [7, 3, 205, 5, 5, 5, 0.7]],
    }, {}
    yield 'areas and overlaps on the limits', {
        'images': [7, 3],
        'categories': [3],
        'annotations': [[11, 7, 3, 0, 0, 32, 32, 1024, 0], [12, 7, 3, 100, 0, 96, 96, 9216, 0],
                        [13, 7, 3, 200, 0, 40, 40, 1600, 0], [14, 3, 3, 0, 0, 100, 100, 1024, 0],
                        [15, 3, 3, 0, 200, 20, 20, 0, 0]],
        'results': [[7, 3, 0, 0, 16, 32, 0.9], [7, 3, 0, 0, 32, 24, 0.8], [7, 3, 100, 0, 96, 96, 0.7],
                    [7, 3, 200, 0, 40, 34, 0.6], [3, 3, 0, 0, 100, 60, 0.5], [3, 3, 0, 0, 100, 95, 0.5],
                    [3, 3, 0, 200, 20, 20, 0.4], [7, 3, 300, 300, 32, 32, 0.85], [7, 3, 300, 300, 96, 96, 0.65]],
    }, {}
    yield 'two objects alike and one in a crowd', {
        **one,
        'annotations': [[4, 7, 3, 0, 0, 60, 60, 3600, 0], [3, 7, 3, 20, 0, 60, 60, 500, 0],
                        [9, 7, 3, 0, 0, 300, 300, 90000, 1]],
        'results': [[7, 3, 10, 0, 60, 60, 0.9], [7, 3, 10, 0, 60, 60, 0.9], [7, 3, 10, 0, 60, 60, 0.9],
                    [7, 3, 10, 0, 60, 400, 0.8]],
    }, {}
    yield 'what the official code takes: no extent, unknown classes, any score', {
        **one,
        'annotations': [[1, 7, 3, 5, 5, 50, 50, 2500, 0], [2, 7, 3, 100, 100, 0, 20, 0, 0]],
        'results': [[7, 3, 5, 5, 50, 50, -1.5], [7, 3, 60, 60, 0, 0, 7.25], [7, 44, 5, 5, 50, 50, 0.8],
                    [7, 3, 60, 60, -5, 10, 0.5], [7, 3, 60, 60, -50, -50, 0.25]],
    }, {}


def main():
    folder = os.path.join(os.path.dirname(__file__), '..', 'eval', 'fixtures')
    with contextlib.redirect_stdout(io.StringIO()):
        written = []
        for name, data, options in cases():
            run = evaluate(data, **options)
            written.append({'name': name, 'options': options, **data, 'expected': expected(run)})
        run = evaluate(written[0])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            run.summarize()
        rng = np.random.default_rng(42)
        small = []
        for i in range(160):
            levels = int(rng.choice([1, 2, 3, 8, 1000]))
            data = make(
                rng, int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(1, 6)),
                int(rng.integers(0, 4)), levels, decimals=int(i % 2), size=int(rng.choice([40, 130, 400])),
                near=float(rng.choice([0.0, 4.0, 12.0])),
            )
            result = expected(evaluate(data))
            small.append({**data, 'stats': result['stats']})
    content = {
        'cases': written,
        'random': small,
        'summary': printed.getvalue(),
        'iouThresholds': list(run.params.iouThrs),
        'recallThresholds': list(run.params.recThrs),
    }
    with open(os.path.join(folder, 'coco.json'), 'w') as file:
        json.dump(content, file, separators=(',', ':'))


if __name__ == '__main__':
    main()
