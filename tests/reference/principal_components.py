"""Principal components by NumPy's singular value decomposition.

Writes tests/features/fixtures/principal-components.json: sets of rows (float32), more rows than features and fewer, and of lower
rank, with their components, projections, variances and shares. Signs: the entry of largest magnitude is positive.
Run with NumPy installed:  python tests/reference/principal_components.py
"""

import json
import os

import numpy as np


def case(rows, k):
    rows = rows.astype(np.float32).astype(np.float64)
    centred = rows - rows.mean(axis=0)
    _, s, vt = np.linalg.svd(centred, full_matrices=False)
    vt = vt[:k]
    vt *= np.sign(vt[np.arange(k), np.abs(vt).argmax(axis=1)])[:, None]
    variances = s**2 / (len(rows) - 1)
    return dict(
        count=rows.shape[0],
        dimensions=rows.shape[1],
        rows=rows.ravel().tolist(),
        components=vt.ravel().tolist(),
        projection=(centred @ vt.T).ravel().tolist(),
        variances=variances[:k].tolist(),
        explained=(variances[:k] / variances.sum()).tolist(),
    )


def main():
    random = np.random.default_rng(7)
    mixed = random.normal(size=(40, 7)) @ random.normal(size=(7, 7)) + random.normal(size=7) * 5
    few = random.normal(size=(9, 24)) * np.linspace(3, 0.5, 24) + 2
    low = random.normal(size=(20, 3)) @ random.normal(size=(3, 12))
    cases = [case(mixed, 3), case(few, 4), case(low, 3)]
    folder = os.path.join(os.path.dirname(__file__), '..', 'features', 'fixtures')
    with open(os.path.join(folder, 'principal-components.json'), 'w') as file:
        json.dump(dict(cases=cases), file)
        file.write('\n')


main()
