"""COCO's evaluation by pycocotools: `COCOeval.evaluate` and `accumulate`, without reading the files.

    python coco_rival.py annotations.json results.json

answers requests on stdin, one JSON object a line, as rivals.ts describes; the value of a run is the average precision.
"""

import contextlib
import importlib.metadata
import io
import json
import resource
import sys
import time

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def main():
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(sys.argv[1])
        found = truth.loadRes(sys.argv[2])

    def run():
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, found, 'bbox')
            started = time.perf_counter()
            evaluation.evaluate()
            evaluation.accumulate()
            milliseconds = (time.perf_counter() - started) * 1000
            evaluation.summarize()
        return milliseconds, float(evaluation.stats[0])

    about = f"pycocotools {importlib.metadata.version('pycocotools')}"
    print(json.dumps({'ready': True, 'memory': peak_memory(), 'about': about}), flush=True)
    for line in sys.stdin:
        milliseconds, values = zip(*(run() for _ in range(json.loads(line)['times'])))
        print(json.dumps({'milliseconds': milliseconds, 'values': values, 'peak': peak_memory()}), flush=True)


main()
