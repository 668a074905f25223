"""Reference values for lib/data/transforms and lib/data/resize.ts: torchvision's v2 transforms, Pillow and PyTorch.

Run with torch, torchvision and Pillow installed:  python tests/reference/transforms.py
Writes tests/data/fixtures/transforms.json. Images are base64 of RGB bytes.
"""

import base64
import json
import math
import os

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

BILINEAR = InterpolationMode.BILINEAR
rng = np.random.default_rng(7)


def encode(array):
    return {
        "width": int(array.shape[1]),
        "height": int(array.shape[0]),
        "data": base64.b64encode(np.ascontiguousarray(array, np.uint8).tobytes()).decode(),
    }


def picture(width, height):
    """Noise on a slope: extremes, so that rounding and clipping show."""
    slope = np.linspace(0, 255, width)[None, :, None] * np.linspace(0.2, 1, height)[:, None, None]
    noise = rng.integers(-90, 90, (height, width, 3))
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


def tensor(array):
    return tv_tensors.Image(torch.from_numpy(array).permute(2, 0, 1).contiguous())


def array_of(image):
    return image.permute(1, 2, 0).numpy()


def boxes_of(boxes, width, height):
    return tv_tensors.BoundingBoxes(
        torch.tensor(boxes, dtype=torch.float64), format="XYXY", canvas_size=(height, width)
    )


def resizing():
    cases = []
    for (w, h), (tw, th) in [
        ((17, 11), (8, 5)),
        ((17, 11), (34, 22)),
        ((17, 11), (23, 7)),
        ((17, 11), (5, 19)),
        ((40, 31), (7, 4)),
        ((5, 7), (2, 1)),
        ((1, 2), (3, 2)),
        ((24, 16), (12, 8)),
        ((24, 16), (8, 16)),
        ((64, 48), (21, 33)),
        ((3, 200), (2, 67)),
    ]:
        array = picture(w, h)
        image = tensor(array)
        # A batch of two: PyTorch 2.13 has an internal error for some single images one pixel wide.
        stacked = torch.stack([image, image])
        floats = image.to(torch.float64)[None]
        plain = torch.nn.functional.interpolate(floats, (th, tw), mode="bilinear", align_corners=False)[0]
        boxes = boxes_of([[0, 0, w, h], [w / 3, h / 4, w / 2, h]], w, h)
        cases.append(
            {
                "image": encode(array),
                "width": tw,
                "height": th,
                # torchvision's own path for Pillow images; rows first, which Pillow 13 need not do when proportions change.
                "pillow": encode(
                    np.asarray(F.resize(F.resize(Image.fromarray(array), [h, tw], BILINEAR), [th, tw], BILINEAR))
                ),
                "nearest": encode(array_of(F.resize(image, [th, tw], InterpolationMode.NEAREST_EXACT))),
                **{
                    name: encode(array_of(F.resize(stacked, [th, tw], antialias=antialias)[0]))
                    for name, antialias in [("tensor_antialias", True), ("tensor_plain", False)]
                },
                "plain": array_of(plain).reshape(-1).tolist(),
                "boxes_in": boxes.tolist(),
                "boxes": F.resize(boxes, [th, tw]).tolist(),
            }
        )
    return cases


def flips():
    array = picture(9, 6)
    boxes = boxes_of([[1, 2, 4.5, 6], [0, 0, 9, 1]], 9, 6)
    return {
        "image": encode(array),
        "boxes": boxes.tolist(),
        "horizontal": {
            "image": encode(array_of(F.horizontal_flip(tensor(array)))),
            "boxes": F.horizontal_flip(boxes).tolist(),
        },
        "vertical": {
            "image": encode(array_of(F.vertical_flip(tensor(array)))),
            "boxes": F.vertical_flip(boxes).tolist(),
        },
    }


def short_side():
    """Sizes only; Detectron2's rule is `ResizeShortestEdge.get_output_shape`, written out."""
    cases = []
    for w, h in [(640, 480), (480, 640), (500, 375), (333, 500), (1333, 800), (70, 1000), (300, 300), (201, 199)]:
        for size, largest in [(800, 1333), (600, 1000), (300, None), (480, 500), (16, 40)]:
            out = v2.Resize(size, max_size=largest if largest is None or largest > size else None)(
                tv_tensors.Image(torch.zeros(1, h, w, dtype=torch.uint8))
            )
            scale = size * 1.0 / min(h, w)
            nh, nw = (size, scale * w) if h < w else (scale * h, size)
            if largest is not None and max(nh, nw) > largest:
                scale = largest * 1.0 / max(nh, nw)
                nh, nw = nh * scale, nw * scale
            cases.append(
                {
                    "width": w,
                    "height": h,
                    "short_side": size,
                    "max_size": largest,
                    "torchvision": [out.shape[-1], out.shape[-2]],
                    "detectron2": [int(nw + 0.5), int(nh + 0.5)],
                }
            )
    return cases


class Script:
    """Stands in for torch's random numbers: the same uniform numbers that the test feeds to the library."""

    def __init__(self, seed):
        self.source = np.random.default_rng(seed)
        self.used = []

    def next(self):
        self.used.append(float(self.source.random()))
        return self.used[-1]

    def rand(self, *size):
        count = math.prod(size) if size else 1
        return torch.tensor([self.next() for _ in range(count)], dtype=torch.float64)

    def randint(self, low, high, size):
        return torch.tensor([low + math.floor(self.next() * (high - low))])


def scripted(seed, act):
    script = Script(seed)
    rand, randint = torch.rand, torch.randint
    torch.rand, torch.randint = script.rand, script.randint
    try:
        return act(), script.used
    finally:
        torch.rand, torch.randint = rand, randint


def iou_crops():
    width, height = 41, 29
    array = picture(width, height)
    boxes = [[2, 3, 21, 25], [15.5, 8, 40, 20.25], [30, 1, 33, 4]]
    clean = v2.SanitizeBoundingBoxes(min_size=1)
    cases = []
    for seed in range(24):
        crop = v2.RandomIoUCrop()
        sample = {
            "image": tensor(array),
            "boxes": boxes_of(boxes, width, height),
            "labels": torch.arange(len(boxes)),
        }
        out, used = scripted(seed, lambda: crop(sample))
        out = clean(out)
        cases.append(
            {
                "random": used,
                "image": encode(array_of(out["image"])),
                "boxes": out["boxes"].tolist(),
                "labels": out["labels"].tolist(),
            }
        )
    return {"image": encode(array), "boxes": boxes, "cases": cases}


def scale_jitter():
    """torchvision's ScaleJitter: the size before cropping and padding."""
    cases = []
    for seed, (w, h) in enumerate([(41, 29), (29, 41), (100, 30), (7, 7), (333, 500)]):
        jitter = v2.ScaleJitter(target_size=(64, 96), scale_range=(0.1, 2.0))
        image = tv_tensors.Image(torch.zeros(3, h, w, dtype=torch.uint8))
        out, used = scripted(seed, lambda: jitter(image))
        cases.append({"width": w, "height": h, "random": used, "size": [out.shape[-1], out.shape[-2]]})
    return cases


def hues():
    array = picture(24, 16)
    return {
        "image": encode(array),
        "cases": [
            {"degrees": degrees, "image": encode(array_of(F.adjust_hue(tensor(array), degrees / 360)))}
            for degrees in [-90, -18, -5, 0, 7, 18, 120, 180]
        ],
    }


fixture = {
    "resize": resizing(),
    "flips": flips(),
    "short_side": short_side(),
    "iou_crop": iou_crops(),
    "scale_jitter": scale_jitter(),
    "hue": hues(),
}
here = os.path.dirname(os.path.abspath(__file__))
path = os.path.join(here, "..", "data", "fixtures", "transforms.json")
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "w") as file:
    json.dump(fixture, file)
    file.write("\n")
