"""Networks with weights that a formula gives: both sides draw them from the same integer hash, exact to the bit, so that a fixture holds
names, shapes and samples of outputs only. tests/weights/hashed.ts is the other side.
"""

import math

import torch

MASK = 0xFFFFFFFF


def hashed(count, number):
    """`count` numbers in [-1, 1), the same in JavaScript: a hash of the index and the tensor's number, in 32-bit integers."""
    x = (torch.arange(count, dtype=torch.int64) * 0x9E3779B1 + number * 0x85EBCA6B) & MASK
    x = ((x ^ (x >> 15)) * 0x2C1B3C6D) & MASK
    x = ((x ^ (x >> 12)) * 0x297A2D39) & MASK
    x = x ^ (x >> 15)
    return x.double() / 2**31 - 1


def weights_of(name, shape, number):
    u = hashed(math.prod(shape), number).reshape(shape)
    if len(shape) > 1:
        return u * math.sqrt((6 if len(shape) == 4 else 3) / math.prod(shape[1:]))
    return {'running_var': 1 + 0.5 * u, 'running_mean': 0.2 * u, 'bias': 0.1 * u}.get(name.split('.')[-1], 0.7 + 0.2 * u)


def fill(net):
    """Gives a network its weights, rounded to float32. Returns the names and shapes, which are in the order of the numbers."""
    entries = []
    with torch.no_grad():
        for number, (name, tensor) in enumerate(net.state_dict().items()):
            entries.append([name, *tensor.shape])
            if not name.endswith('num_batches_tracked'):
                tensor.copy_(weights_of(name, tensor.shape, number).float())
    return entries


def image(number, batch, height, width, channels=3):
    """Numbers in [-2, 2), drawn as NHWC; returned as NCHW."""
    x = (2 * hashed(batch * height * width * channels, number)).float().double()
    return x.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def sampled(t):
    """Layers last, as this project has images."""
    flat = (t.permute(0, 2, 3, 1) if t.dim() == 4 else t).reshape(-1)
    step = max(1, flat.numel() // 40)
    return {'count': flat.numel(), 'step': step, 'largest': flat.abs().max().item(), 'mean': flat.mean().item(), 'sample': [float(f'{v:.8g}') for v in flat[::step].tolist()]}
