"""How long pycocotools takes to evaluate: `COCOeval.evaluate` and `accumulate`, without reading the files.

Run with pycocotools installed:  python tests/reference/coco_seconds.py annotations.json results.json
Prints one line of JSON: the seconds of each of the two, and the twelve figures.
"""

import contextlib
import io
import json
import sys
import time

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def main():
    annotations, results = sys.argv[1:3]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(annotations)
        run = COCOeval(truth, truth.loadRes(results), 'bbox')
        times = [time.perf_counter()]
        for step in (run.evaluate, run.accumulate):
            step()
            times.append(time.perf_counter())
        run.summarize()
    seconds = {'evaluate': times[1] - times[0], 'accumulate': times[2] - times[1]}
    print(json.dumps({**seconds, 'stats': list(run.stats)}))


if __name__ == '__main__':
    main()
