"""MobileNetV2 by PyTorch, in float64, for tests/models/mobilenet-v2.test.ts.

    pip install torch==2.13.0 torchvision        # the CPU builds are enough
    python tests/reference/mobilenet.py

writes tests/models/fixtures/mobilenet-v2.json: small networks of torchvision's blocks (values and every gradient), the same with
TensorFlow's SAME padding and with biases instead of batch norm, and torchvision's own network for weights that a formula gives.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.mobilenetv2 import Conv2dNormActivation, InvertedResidual

from torch_cases import case, laid_out, nhwc


class Same(nn.Conv2d):
    """TensorFlow's SAME: an odd row or column of padding at the bottom and right."""

    def forward(self, x):
        (k, _), (s, _) = self.kernel_size, self.stride
        h, w = [max(0, (math.ceil(size / s) - 1) * s + k - size) for size in x.shape[2:]]
        return self._conv_forward(F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2)), self.weight, self.bias)


def pad_as_tensorflow(module):
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and child.kernel_size != (1, 1):
            child.__class__ = Same
            child.padding = (0, 0)


def fold(module):
    """Batch norm gives way to biases; the numbers of the other layers of a sequence stay."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            delattr(module, name)
        elif isinstance(child, nn.Conv2d):
            child.bias = nn.Parameter(torch.zeros(child.out_channels))
        else:
            fold(child)


class Small(nn.Module):
    def __init__(self, stem, stages, last, taps='outputs'):
        super().__init__()
        relu6 = dict(norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU6)
        features = [Conv2dNormActivation(3, stem, stride=2, **relu6)]
        self.strides = [2]
        before = stem
        for stage in stages:
            for block in range(stage['repeats']):
                step = stage['stride'] if block == 0 else 1
                self.strides.append(step)
                features.append(InvertedResidual(before, stage['channels'], step, stage['expand']))
                before = stage['channels']
        if last:
            features.append(Conv2dNormActivation(before, last, kernel_size=1, **relu6))
            self.strides.append(1)
        self.features = nn.Sequential(*features)
        self.taps = taps

    def forward(self, x):
        maps = []
        for index, feature in enumerate(self.features):
            if index > 0 and self.strides[index] == 2:
                maps.append(feature.conv[0](x) if self.taps == 'expansions' else x)
            x = feature(x)
        return [*maps, x]


def small(name, size, stem, last, *stages, taps='outputs', same=False, folded=False):
    stages = [dict(zip(('expand', 'channels', 'repeats', 'stride'), stage)) for stage in stages]
    net = Small(stem, stages, last, taps)
    options = {'stem': stem, 'stages': stages, 'last': last, 'taps': taps}
    if same:
        pad_as_tensorflow(net)
        options['padding'] = 'same'
    if folded:
        fold(net)
        options['batchNorm'] = False
    return case(name, options, net, *size)


def published():
    net = torchvision.models.mobilenet_v2().double().eval()
    modules = dict(net.named_modules())
    parameters = [
        {'name': key, 'shape': list(laid_out(key, p, modules).shape)}
        for key, p in net.named_parameters()
        if not key.startswith('classifier.')
    ]
    with torch.no_grad():
        for number, (key, p) in enumerate(net.named_parameters()):
            if p.dim() == 4:  # sin is the same everywhere; the index is that of PyTorch's layout
                index = torch.arange(p.numel(), dtype=torch.float64)
                p.copy_((torch.sin(index * 0.7 + number) * math.sqrt(4 / p[0].numel())).reshape(p.shape))
        index = torch.arange(3 * 64 * 48, dtype=torch.float64)
        y = torch.sin(index * 0.3).reshape(1, 64, 48, 3).permute(0, 3, 1, 2)
        maps = []
        for number, feature in enumerate(net.features):
            y = feature(y)
            if number not in (1, 3, 6, 13, 18):
                continue
            flat = nhwc(y).reshape(-1)
            step = max(1, flat.numel() // 16)
            maps.append({'shape': list(nhwc(y).shape), 'mean': flat.mean().item(), 'step': step, 'sample': flat[::step].tolist()})
    return {'parameters': parameters, 'count': sum(p.numel() for p in net.parameters()), 'maps': maps}


content = {
    'torch': torch.__version__,
    'torchvision': torchvision.__version__,
    'small': [
        small('outputs', (2, 3, 14, 11), 8, 16, (1, 8, 1, 1), (2, 8, 2, 2), (3, 16, 2, 2)),
        small('expansions, no last convolution', (2, 3, 15, 12), 8, 0, (1, 8, 1, 1), (2, 8, 2, 2), (2, 16, 1, 2), taps='expansions'),
        small('TensorFlow’s padding', (2, 3, 14, 12), 8, 8, (1, 8, 1, 1), (2, 8, 2, 2), same=True),
        small('biases, TensorFlow’s padding', (1, 3, 14, 12), 8, 8, (1, 8, 1, 1), (2, 8, 2, 2), taps='expansions', same=True, folded=True),
    ],
    'published': published(),
}
path = pathlib.Path(__file__).parent.parent / 'models' / 'fixtures' / 'mobilenet-v2.json'
path.write_text(json.dumps(content, separators=(',', ':')) + '\n')
print(f'{path.name}: {path.stat().st_size} bytes')
