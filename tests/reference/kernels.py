"""Values and gradients of convolutions, batch normalisation and max pooling by PyTorch, for tests/tensor/kernels.

    pip install torch==2.13.0        # the CPU build is enough
    python tests/reference/kernels.py

writes tests/tensor/kernels/fixtures/pytorch.json. Tensors are written as this project lays them out: images NHWC, filters
[KH, KW, Cin, Cout]. The inputs are small multiples of 1/8, so that they are exact in JSON and in float32; max pooling gets
distinct values, so that no tie leaves its gradient to chance.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

generator = torch.Generator().manual_seed(20)


def eighths(*shape):
    return torch.randint(-16, 17, shape, generator=generator).double() / 8


def distinct(*shape):
    count = torch.Size(shape).numel()
    return (torch.randperm(count, generator=generator).double() - count / 2).reshape(shape) / 8


def nhwc(t):
    return t.permute(0, 2, 3, 1)


def numbers(t):
    """A tensor as JSON: shape and values rounded to 7 decimals."""
    t = t.detach()
    return {"shape": list(t.shape), "values": [round(v, 7) for v in t.reshape(-1).tolist()]}


def convolution(name, size, kernel, **options):
    x = eighths(2, 3, *size).requires_grad_()
    weight = eighths(4, 3, *kernel).requires_grad_()
    y = F.conv2d(x, weight, **options)
    dy = eighths(*y.shape)
    y.backward(dy)
    filters = lambda t: t.permute(2, 3, 1, 0)
    return {
        "name": name,
        "options": options,
        "x": numbers(nhwc(x)),
        "filter": numbers(filters(weight)),
        "dy": numbers(nhwc(dy)),
        "y": numbers(nhwc(y)),
        "dx": numbers(nhwc(x.grad)),
        "dfilter": numbers(filters(weight.grad)),
    }


def pooling(name, size, **options):
    x = distinct(2, 2, *size).requires_grad_()
    y = F.max_pool2d(x, **options)
    dy = eighths(*y.shape)
    y.backward(dy)
    return {
        "name": name,
        "options": options,
        "x": numbers(nhwc(x)),
        "dy": numbers(nhwc(dy)),
        "y": numbers(nhwc(y)),
        "dx": numbers(nhwc(x.grad)),
    }


def normalisation(name, shape, epsilon):
    x = eighths(*shape).requires_grad_()
    scale = eighths(shape[1]).requires_grad_()
    offset = eighths(shape[1]).requires_grad_()
    mean, variance = torch.zeros(shape[1]).double(), torch.ones(shape[1]).double()
    # momentum 1: the running statistics become the batch's own. The variance comes out unbiased.
    y = F.batch_norm(x, mean, variance, scale, offset, training=True, momentum=1.0, eps=epsilon)
    dy = eighths(*y.shape)
    y.backward(dy)
    count = x.numel() // shape[1]
    return {
        "name": name,
        "epsilon": epsilon,
        "x": numbers(nhwc(x)),
        "scale": numbers(scale),
        "offset": numbers(offset),
        "dy": numbers(nhwc(dy)),
        "y": numbers(nhwc(y)),
        "mean": numbers(mean),
        "variance": numbers(variance * (count - 1) / count),
        "dx": numbers(nhwc(x.grad)),
        "dscale": numbers(scale.grad),
        "doffset": numbers(offset.grad),
    }


fixture = {
    "torch": torch.__version__,
    "convolutions": [
        convolution("3x3, padding 1", (5, 6), (3, 3), padding=1),
        convolution("3x3, stride 2, padding 1", (6, 7), (3, 3), stride=2, padding=1),
        convolution("3x3, dilation 3, padding 3", (6, 5), (3, 3), dilation=3, padding=3),
        convolution("5x5, stride 2, padding 2", (7, 8), (5, 5), stride=2, padding=2),
        convolution("1x1, stride 2", (5, 4), (1, 1), stride=2),
    ],
    "poolings": [
        pooling("2x2, ceil", (5, 7), kernel_size=2, stride=2, ceil_mode=True),
        pooling("3x3, stride 2, padding 1", (6, 7), kernel_size=3, stride=2, padding=1),
        pooling("3x3, stride 1, padding 1", (4, 5), kernel_size=3, stride=1, padding=1),
        pooling("3x3, stride 2, padding 1, ceil", (6, 5), kernel_size=3, stride=2, padding=1, ceil_mode=True),
        pooling("2x2, stride 3, padding 1, ceil", (4, 7), kernel_size=2, stride=3, padding=1, ceil_mode=True),
    ],
    "normalisations": [
        normalisation("a batch", (3, 4, 5, 4), 1e-5),
        normalisation("one image", (1, 3, 6, 5), 1e-3),
    ],
}

path = pathlib.Path(__file__).parent.parent / "tensor" / "kernels" / "fixtures" / "pytorch.json"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes, torch {torch.__version__}")
