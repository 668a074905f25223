"""TIDE's breakdown of detection errors (Bolya et al., ECCV 2020) by the authors' code, tidecv.

Run with tidecv installed (1.0.1 wrote the fixtures):  python tests/reference/tide_errors.py
Writes tests/eval/fixtures/tide.json: images of objects and detections (xyxy boxes) and what TIDE says of them.
"""

import json
import os

import numpy as np
from tidecv import TIDE, Data


def make(rng, images, classes, objects, strays, levels, size):
    data = []

    def box():
        w, h = rng.integers(4, size // 2, 2)
        x, y = rng.integers(0, size - w), rng.integers(0, size - h)
        return [int(x), int(y), int(x + w), int(y + h)]

    for _ in range(images):
        truth, found = [], []
        score = lambda: int(rng.integers(1, levels + 1)) / levels
        for _ in range(rng.integers(0, objects + 1)):
            label, where = int(rng.integers(0, max(1, classes - 1))), box()
            truth.append([label, where, bool(rng.uniform() < 0.15)])
            for _ in range(rng.integers(0, 4)):
                moved = [int(v) for v in np.array(where) + rng.normal(0, rng.choice([0, 2, 8]), 4)]
                if moved[2] > moved[0] and moved[3] > moved[1]:
                    wrong = rng.uniform() < 0.25
                    found.append([int(rng.integers(0, classes)) if wrong else label, moved, score()])
        for _ in range(rng.integers(0, strays + 1)):
            found.append([int(rng.integers(0, classes)), box(), score()])
        data.append([truth, [found[i] for i in rng.permutation(len(found))]])
    return data


def analyse(data, classes, pos, background):
    xywh = lambda b: [b[0], b[1], b[2] - b[0], b[3] - b[1]]
    truth, found = Data('truth'), Data('found')
    for label in range(classes):
        truth.add_class(label, str(label))
    for i, (objects, detections) in enumerate(data):
        truth.add_image(i, str(i))
        for label, where, crowd in objects:
            (truth.add_ignore_region if crowd else truth.add_ground_truth)(i, label, xywh(where))
        for label, where, score in detections:
            found.add_detection(i, label, score, xywh(where))
    tide = TIDE(pos, background)
    run = tide.evaluate(truth, found)
    order = ['Cls', 'Loc', 'Both', 'Dupe', 'Bkg', 'Miss']
    counts = {t.short_name: n for t, n in run.count_errors().items()}
    main, special = tide.get_main_errors()['found'], tide.get_special_errors()['found']
    return {
        'iouThreshold': pos,
        'backgroundThreshold': background,
        'ap': run.ap / 100,
        'counts': [counts[name] for name in order],
        'gains': [main[name] / 100 for name in order],
        'special': [special[name] / 100 for name in ('FalsePos', 'FalseNeg')],
    }


def main():
    rng = np.random.default_rng(2020)
    cases = []
    for i in range(60):
        classes = int(rng.integers(1, 5))
        large = i == 0
        data = make(
            rng, 40 if large else int(rng.integers(1, 6)), classes, int(rng.integers(1, 7)),
            int(rng.integers(0, 5)), int(rng.choice([2, 5, 100000])), int(rng.choice([30, 90, 250])),
        )
        if i == 1:  # more than a hundred detections of an image
            data[0][1] += [[0, [j, 0, j + 20, 20], (j % 9 + 1) / 9] for j in range(130)]
        if i > 1:  # tidecv divides by zero where nothing is left
            data[0][0].append([0, [3, 3, 20, 20], False])
            data[0][1].append([0, [3, 3, 20, 20], 0.5])
        settings = [(0.5, 0.1)] if i % 6 else [(0.5, 0.1), (0.75, 0.3)]
        cases.append({'classes': classes, 'images': data,
                      'results': [analyse(data, classes, *pair) for pair in settings]})
    path = os.path.join(os.path.dirname(__file__), '..', 'eval', 'fixtures', 'tide.json')
    with open(path, 'w') as file:
        json.dump(cases, file, separators=(',', ':'))


if __name__ == '__main__':
    main()
