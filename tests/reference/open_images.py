"""TensorFlow Lite's raw outputs and detections of the Open Images detector, for tests/models/open-images.

    pip install ai-edge-litert pillow numpy
    python tests/reference/open_images.py PACKAGE

PACKAGE is the folder of npm's @mediapipe/objectron@0.4.1675468480. Writes tests/models/open-images/fixtures/tflite.json: the network's
description, samples of its outputs for pixels that a formula gives, and detections on the photographs beside it. Resizing, decoding and
suppression are written here once more, after MediaPipe's graph (ImageToTensor: stretched, bilinear, -1 to 1; SsdAnchors: 6 layers, 0.2 to
0.95, reduced boxes in the lowest; TensorsToDetections: sigmoid, best class but 0, 0.5; NonMaxSuppression: IoU 0.5, all classes).
"""

import json
import math
import pathlib
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

bundle = (pathlib.Path(sys.argv[1]) / 'objectron_solution_packed_assets.data').read_bytes()
names = bundle[:184].decode().split('\n')[1:-1]
interpreter = Interpreter(model_content=bundle[184:])
interpreter.allocate_tensors()
(given,) = interpreter.get_input_details()
boxes_out, classes_out = sorted(interpreter.get_output_details(), key=lambda d: d['shape'][-1])


def run(x):
    interpreter.set_tensor(given['index'], x.astype(np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(boxes_out['index'])[0], interpreter.get_tensor(classes_out['index'])[0]


def anchors():
    """[1917, 4]: centre x, centre y, width, height, as shares of the input."""
    found = []
    scale = lambda level: 1.0 if level == 6 else 0.2 + 0.75 * level / 5
    for level, stride in enumerate((16, 32, 64, 128, 256, 512)):
        cells = math.ceil(300 / stride)
        if level == 0:
            shapes = [(0.1, 1.0), (scale(0), 2.0), (scale(0), 0.5)]
        else:
            shapes = [(scale(level), r) for r in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append((math.sqrt(scale(level) * scale(level + 1)), 1.0))
        for row in range(cells):
            for col in range(cells):
                for s, r in shapes:
                    found.append([(col + 0.5) / cells, (row + 0.5) / cells, s * math.sqrt(r), s / math.sqrt(r)])
    return np.array(found)


def bilinear(image, size):
    """Two taps an axis between pixel centres."""

    def axis(values, count):
        at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, count - 1)
        t = (at - low).reshape(-1, 1, 1)
        return values[low] * (1 - t) + values[high] * t

    y = axis(image.astype(np.float64), image.shape[0])
    y = axis(y.swapaxes(0, 1), image.shape[1]).swapaxes(0, 1)
    return y


def iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    area = lambda c: (c[2] - c[0]) * (c[3] - c[1])
    return w * h / (area(a) + area(b) - w * h)


def detect(image, least):
    height, width, _ = image.shape
    deltas, logits = run(bilinear(image, 300)[None] / 127.5 - 1)
    scores = 1 / (1 + np.exp(-logits[:, 1:].astype(np.float64)))
    priors = anchors()
    candidates = []
    for a in range(len(priors)):
        label = int(scores[a].argmax())
        if scores[a, label] < least:
            continue
        ty, tx, th, tw = deltas[a].astype(np.float64)
        cx, cy, w, h = priors[a]
        cx, cy = cx + tx / 10 * w, cy + ty / 10 * h
        w, h = w * math.exp(tw / 5), h * math.exp(th / 5)
        candidates.append((scores[a, label], label, [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]))
    candidates.sort(key=lambda c: -c[0])
    kept = []
    for candidate in candidates:
        if all(iou(candidate[2], other[2]) <= 0.5 for other in kept):
            kept.append(candidate)
    size = (width, height, width, height)
    return [
        {
            'name': names[label],
            'label': label,
            'score': round(float(score), 6),
            'box': [round(float(np.clip(v, 0, 1)) * s, 3) for v, s in zip(box, size)],
        }
        for score, label, box in kept[:100]
    ]


def sample(values):
    flat = values.reshape(-1)
    step = 97  # a prime: all columns come by
    return {'mean': float(flat.astype(np.float64).mean()), 'step': step, 'sample': [float(v) for v in flat[::step]]}


if __name__ == '__main__':
    folder = pathlib.Path(__file__).parent.parent / 'models' / 'open-images'
    index = np.arange(300 * 300 * 3, dtype=np.float64)
    boxes, classes = run(np.sin(index * 0.37).reshape(1, 300, 300, 3) * np.cos(index * 0.0011).reshape(1, 300, 300, 3))
    operators = {}
    for operator in interpreter._get_ops_details():
        if operator['op_name'] != 'DELEGATE':
            operators[operator['op_name']] = operators.get(operator['op_name'], 0) + 1
    photos = sorted((folder / 'photos').glob('*.jpg'))
    content = {
        'operators': operators,
        'classNames': names,
        'raw': {'boxDeltas': sample(boxes), 'classLogits': sample(classes)},
        'photos': {
            photo.name: {
                'graph': detect(np.array(Image.open(photo).convert('RGB')), 0.5),
                'low': detect(np.array(Image.open(photo).convert('RGB')), 0.2),
            }
            for photo in photos
        },
    }
    out = folder / 'fixtures' / 'tflite.json'
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + '\n')
    print(f'{out.name}: {out.stat().st_size} bytes')
    for name, found in content['photos'].items():
        for threshold, detections in found.items():
            print(name, threshold, [(d['name'], round(d['score'], 3), [round(v) for v in d['box']]) for d in detections])
