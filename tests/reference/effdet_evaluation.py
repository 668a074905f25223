"""What effdet's evaluation does around the network, for tests/evaluate/efficientdet.test.ts: images to the network's input, and predictions to
detections in the image's pixels.

    pip install torch==2.13.0 torchvision timm effdet
    python tests/reference/effdet_evaluation.py

writes tests/evaluate/fixtures/effdet.json. Images and predictions are not written (see hashed_weights.py).
The file that is there was made with a plain loop, sorted by score, in place of torchvision's compiled NMS, which was built for another PyTorch.
"""

import base64
import importlib.metadata
import json
import pathlib

import numpy as np
import torch
from PIL import Image
from effdet.anchors import Anchors
from effdet.bench import _batch_detection, _post_process
from effdet.config import get_efficientdet_config
from effdet.data.transforms import transforms_coco_eval

from hashed_weights import hashed

SIDE = 64
CLASSES = 90


def picture(width, height, number):
    values = np.floor((hashed(width * height * 3, number).numpy() + 1) * 128).astype(np.uint8)
    return values.reshape(height, width, 3)


def resized(width, height, side, number):
    """As validate.py has it: bilinear, filled with the mean."""
    transform = transforms_coco_eval(side, interpolation='bilinear', use_prefetcher=True, fill_color='mean')
    boxes = np.array([[0.25 * height, 0.125 * width, 0.75 * height, 0.5 * width]], dtype=np.float64)
    pixels, annotation = transform(Image.fromarray(picture(width, height, number)), {'bbox': boxes, 'cls': np.array([1])})
    return {
        'width': width,
        'height': height,
        'side': side,
        'number': number,
        'scale': annotation['img_scale'],
        'box': annotation['bbox'][0].tolist(),
        'pixels': base64.b64encode(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)).tobytes()).decode(),
    }


def detections(width, height, number):
    """Of one image of a network that has the levels 3 to 5 alone."""
    config = get_efficientdet_config('tf_efficientdet_d0')
    config.image_size = (SIDE, SIDE)
    config.max_level = 5
    anchors = Anchors.from_config(config)
    count = len(anchors.boxes)
    logits = (6 * hashed(count * CLASSES, number) - 3).float().reshape(1, -1, CLASSES)
    deltas = (0.7 * hashed(count * 4, number + 1)).float().reshape(1, -1, 4)
    cells = [(SIDE >> level) ** 2 * 9 for level in (3, 4, 5)]

    def maps(values, columns):
        parts = torch.split(values, cells, dim=1)
        return [p.reshape(1, SIDE >> level, SIDE >> level, 9 * columns).permute(0, 3, 1, 2) for level, p in zip((3, 4, 5), parts)]

    found = _post_process(maps(logits, CLASSES), maps(deltas, 4), num_levels=3, num_classes=CLASSES, max_detection_points=5000)
    scores, boxes, indices, classes = found
    scale = torch.tensor([1 / min(SIDE / width, SIDE / height)])
    size = torch.tensor([[width, height]], dtype=torch.float32)
    rows = _batch_detection(1, scores, boxes, anchors.boxes, indices, classes, scale, size, max_det_per_image=100)
    return {
        'width': width,
        'height': height,
        'number': number,
        'detections': [[float(f'{v:.7g}') for v in row] for row in rows[0].tolist()],
    }


fixture = {
    'versions': {name: importlib.metadata.version(name) for name in ('torch', 'timm', 'effdet', 'pillow')},
    'side': SIDE,
    'resized': [
        resized(37, 23, 16, 3000),
        resized(23, 50, 32, 3001),
        resized(11, 17, 32, 3002),
        resized(40, 40, 16, 3003),
        resized(50, 33, 24, 3004),
    ],
    'detections': [detections(120, 90, 3100), detections(40, 60, 3200)],
}
target = pathlib.Path(__file__).parent.parent / 'evaluate' / 'fixtures' / 'effdet.json'
target.parent.mkdir(exist_ok=True)
target.write_text(json.dumps(fixture) + '\n')
