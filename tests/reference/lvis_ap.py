"""LVIS's average precision by the official code, the lvis package, on data made to reach its rules.

Run with lvis installed (0.5.3 wrote the fixtures):  python tests/reference/lvis_ap.py
Writes tests/eval/fixtures/lvis.json: data sets of the two files and what LVISEval says of them.
"""

import json
import os
import tempfile

import numpy as np

np.float = float  # the package asks for a name that NumPy dropped
from lvis import LVIS, LVISEval, LVISResults

KEYS = ['AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf', 'AR@300', 'ARs@300', 'ARm@300', 'ARl@300']


def make(rng, images, categories, objects, found, levels):
    image_ids = [int(i) for i in rng.choice(10**5, images, replace=False) + 1]
    category_ids = [int(i) for i in rng.choice(1200, categories, replace=False) + 1]
    annotations, results, image_rows = [], [], []

    def box():
        w, h = (int(v) for v in np.exp(rng.uniform(np.log(6), np.log(200), 2)))
        return [int(rng.integers(0, 400 - w)), int(rng.integers(0, 400 - h)), w, h]

    for image_id in image_ids:
        for _ in range(rng.integers(0, objects + 1)):
            category_id, where = int(rng.choice(category_ids)), box()
            annotations.append([len(annotations) + 1, image_id, category_id, *where,
                                int(where[2] * where[3] * 0.7), int(rng.uniform() < 0.1)])
            for _ in range(rng.integers(0, 3)):
                moved = [max(1, int(v)) for v in np.array(where) + rng.normal(0, 3, 4)]
                results.append([image_id, category_id, *moved, int(rng.integers(1, levels + 1)) / levels])
        for _ in range(rng.integers(0, found + 1)):
            results.append([image_id, int(rng.choice(category_ids)), *box(), int(rng.integers(1, levels + 1)) / levels])
        present = {a[2] for a in annotations if a[1] == image_id}
        negative = [c for c in category_ids if c not in present and rng.uniform() < 0.3]
        partly = [c for c in category_ids if rng.uniform() < 0.25]
        image_rows.append([image_id, negative, partly])
    return {
        'images': image_rows,
        'categories': [[c, str(rng.choice(['r', 'c', 'f']))] for c in category_ids],
        'annotations': annotations,
        'results': [results[i] for i in rng.permutation(len(results))],
    }


def evaluate(data):
    content = {
        'images': [{'id': i, 'neg_category_ids': n, 'not_exhaustive_category_ids': p} for i, n, p in data['images']],
        'categories': [{'id': c, 'name': str(c), 'frequency': f} for c, f in data['categories']],
        'annotations': [
            {'id': a[0], 'image_id': a[1], 'category_id': a[2], 'bbox': a[3:7], 'area': a[7], 'ignore': a[8]}
            for a in data['annotations']
        ],
    }
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(content, file)
        file.flush()
        truth = LVIS(file.name)
    rows = [{'image_id': r[0], 'category_id': r[1], 'bbox': r[2:6], 'score': r[6]} for r in data['results']]
    run = LVISEval(truth, LVISResults(truth, rows), 'bbox')
    run.run()
    return [float(run.results[key]) for key in KEYS]


def main():
    rng = np.random.default_rng(2019)
    cases = []
    for i in range(24):
        if i == 0:  # more than three hundred detections of an image
            data = make(rng, 2, 6, 12, 420, 40)
        else:
            data = make(rng, int(rng.integers(1, 9)), int(rng.integers(2, 9)), 6, 6, int(rng.choice([3, 1000])))
        cases.append({**data, 'expected': evaluate(data)})
    path = os.path.join(os.path.dirname(__file__), '..', 'eval', 'fixtures', 'lvis.json')
    with open(path, 'w') as file:
        json.dump({'keys': KEYS, 'cases': cases}, file, separators=(',', ':'))


if __name__ == '__main__':
    main()
