"""Values and gradients of layers and networks by PyTorch, in float64, for tests/nn and tests/models.

    pip install torch==2.13.0 torchvision        # the CPU builds are enough
    python tests/reference/networks.py

writes tests/nn/fixtures/blocks.json and tests/models/fixtures/resnet.json and backbones.json. Tensors are written as this project lays them out:
images NHWC, filters [KH, KW, in, out], depthwise filters [KH, KW, C, multiplier]. Inputs and weights are small multiples of 1/8,
so that they are exact in JSON and in float32.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.shufflenetv2 import InvertedResidual

from torch_cases import case, laid_out, nhwc


class Depthwise(nn.Conv2d):
    """Alone, so that its parameters have no prefix."""

    def __init__(self, channels, kernel, multiplier=1, **options):
        super().__init__(channels, channels * multiplier, kernel, groups=channels, **options)


def depthwise_case(name, options, size, **torch_options):
    wrapped = nn.Module()
    layer = Depthwise(options['channels'], options['kernel'], options.get('multiplier', 1), **torch_options)
    wrapped.add_module('layer', layer)
    wrapped.forward = layer.forward
    return case(name, options, wrapped, *size)


class SamePadding(nn.Conv2d):
    """TensorFlow's SAME: an odd row or column of padding at the bottom and right."""

    def forward(self, x):
        (k, _), (s, _) = self.kernel_size, self.stride
        total = [max(0, (math.ceil(size / s) - 1) * s + k - size) for size in x.shape[2:]]
        (h, w) = total
        return super().forward(F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2)))


class MBConv(nn.Module):
    """Tan and Le, ICML 2019, as google/automl's EfficientDet has it."""

    def __init__(self, i, o, kernel, stride, expand, squeeze, symmetric=False):
        super().__init__()
        norm = lambda channels: nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
        width = i * expand
        if expand != 1:
            self.expand_conv = nn.Conv2d(i, width, 1, bias=False)
            self.bn0 = norm(width)
        if symmetric:
            self.depthwise_conv = nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False)
        else:
            self.depthwise_conv = SamePadding(width, width, kernel, stride, groups=width, bias=False)
        self.bn1 = norm(width)
        if squeeze > 0:
            squeezed = max(1, int(i * squeeze))
            self.se_reduce = nn.Conv2d(width, squeezed, 1)
            self.se_expand = nn.Conv2d(squeezed, width, 1)
        self.project_conv = nn.Conv2d(width, o, 1, bias=False)
        self.bn2 = norm(o)
        self.skip = stride == 1 and i == o

    def forward(self, x):
        y = x
        if hasattr(self, 'expand_conv'):
            y = F.silu(self.bn0(self.expand_conv(y)))
        y = F.silu(self.bn1(self.depthwise_conv(y)))
        if hasattr(self, 'se_reduce'):
            squeezed = F.silu(self.se_reduce(y.mean((2, 3), keepdim=True)))
            y = y * torch.sigmoid(self.se_expand(squeezed))
        y = self.bn2(self.project_conv(y))
        return y + x if self.skip else y


def mbconv_case(name, size, i, o, kernel, stride=1, expand=6, squeeze=0.25, symmetric=False):
    options = dict(inChannels=i, outChannels=o, kernel=kernel, stride=stride, expand=expand, squeezeRatio=squeeze)
    if symmetric:
        options['padding'] = 'symmetric'
    return case(name, options, MBConv(i, o, kernel, stride, expand, squeeze, symmetric), *size)


class ShuffleUnit(nn.Module):
    """Ma et al., ECCV 2018, with the four choices of DetNAS; the split takes even and odd channels."""

    def __init__(self, i, o, stride, kind):
        super().__init__()
        k = {'shuffle3': 3, 'shuffle5': 5, 'shuffle7': 7, 'xception': 3}[kind]
        mid = o // 2
        a, b = (mid, mid) if stride == 1 else (i, o - i)
        dw = lambda c, s: [nn.Conv2d(c, c, k, s, k // 2, groups=c, bias=False), nn.BatchNorm2d(c)]
        pw = lambda c, d: [nn.Conv2d(c, d, 1, bias=False), nn.BatchNorm2d(d), nn.ReLU()]
        if kind == 'xception':
            main = dw(a, stride) + pw(a, mid) + dw(mid, 1) + pw(mid, mid) + dw(mid, 1) + pw(mid, b)
        else:
            main = pw(a, mid) + dw(mid, stride) + pw(mid, b)
        self.branch_main = nn.Sequential(*main)
        if stride == 2:
            self.branch_proj = nn.Sequential(*dw(i, 2), *pw(i, i))

    def forward(self, x):
        if hasattr(self, 'branch_proj'):
            return torch.cat([self.branch_proj(x), self.branch_main(x)], 1)
        return torch.cat([x[:, 0::2], self.branch_main(x[:, 1::2])], 1)


def shuffle_case(size, i, o, stride, kind):
    options = dict(inChannels=i, outChannels=o, stride=stride, kind=kind)
    return case(f'{kind}, stride {stride}', options, ShuffleUnit(i, o, stride, kind), *size)


class SmallResNet(nn.Module):
    """torchvision's blocks under stems and widths of one's own."""

    def __init__(self, kernel, stride, pool, widths, blocks, block_type=BasicBlock):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.pool = nn.MaxPool2d(3, 2, 1) if pool else nn.Identity()
        self.stages = len(widths)
        before = widths[0]
        for n, (width, count) in enumerate(zip(widths, blocks)):
            layers = []
            for block in range(count):
                step = 2 if n > 0 and block == 0 else 1
                down = None
                out = width * block_type.expansion
                if step != 1 or before != out:
                    down = nn.Sequential(nn.Conv2d(before, out, 1, step, bias=False), nn.BatchNorm2d(out))
                layers.append(block_type(before, width, step, down))
                before = out
            self.add_module(f'layer{n + 1}', nn.Sequential(*layers))

    def forward(self, x):
        y = self.pool(F.relu(self.bn1(self.conv1(x))))
        maps = []
        for n in range(self.stages):
            y = getattr(self, f'layer{n + 1}')(y)
            maps.append(y)
        return maps


def resnet_case(name, size, kernel, stride, pool, widths, blocks, block_type=BasicBlock):
    options = {'stem': {'kernel': kernel, 'stride': stride, 'pool': pool}, 'widths': widths, 'blocks': blocks}
    if block_type is Bottleneck:
        options['block'] = 'bottleneck'
    return case(name, options, SmallResNet(kernel, stride, pool, widths, blocks, block_type), *size)


class SmallEfficientNet(nn.Module):
    """Stages of MBConv; the last map of each size."""

    def __init__(self, stem, stages):
        super().__init__()
        self.conv_stem = SamePadding(3, stem, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(stem, eps=1e-3, momentum=0.01)
        self.blocks = nn.ModuleList()
        self.strides = [stage['stride'] for stage in stages]
        before = stem
        for stage in stages:
            blocks = []
            for block in range(stage['repeats']):
                step = stage['stride'] if block == 0 else 1
                blocks.append(MBConv(before, stage['channels'], stage['kernel'], step, stage['expand'], 0.25))
                before = stage['channels']
            self.blocks.append(nn.Sequential(*blocks))

    def forward(self, x):
        y = F.silu(self.bn1(self.conv_stem(x)))
        maps = []
        for stage, stride in zip(self.blocks, self.strides):
            if stride == 1 and maps:
                maps.pop()
            y = stage(y)
            maps.append(y)
        return maps


def efficientnet_case(name, size, stem, *stages):
    stages = [dict(zip(('repeats', 'kernel', 'stride', 'expand', 'channels'), stage)) for stage in stages]
    options = {'width': 1, 'depth': 1, 'stem': stem, 'stages': stages}
    return case(name, options, SmallEfficientNet(stem, stages), *size)


class SmallShuffleNet(nn.Module):
    """torchvision's units at widths of one's own."""

    def __init__(self, stem, widths, blocks):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = stem
        for n, (width, count) in enumerate(zip(widths, blocks)):
            units = [InvertedResidual(before if unit == 0 else width, width, 2 if unit == 0 else 1) for unit in range(count)]
            self.add_module(f'stage{n + 2}', nn.Sequential(*units))
            before = width

    def forward(self, x):
        maps = [self.maxpool(self.conv1(x))]
        for stage in (self.stage2, self.stage3, self.stage4):
            maps.append(stage(maps[-1]))
        return maps


def shufflenet_case(name, size, stem, widths, blocks):
    options = {'stem': stem, 'widths': widths, 'blocks': blocks, 'last': 8, 'release': 'torchvision'}
    return case(name, options, SmallShuffleNet(stem, widths, blocks), *size)


def published(make):
    """torchvision's own network: its parameters, and its maps for weights that a formula gives."""
    net = make().double()
    parameters = [
        {'name': key, 'shape': list(laid_out(key, p, dict(net.named_modules())).shape)}
        for key, p in net.named_parameters()
        if not key.startswith('fc.')
    ]
    with torch.no_grad():
        for number, (key, p) in enumerate(net.named_parameters()):
            if p.dim() == 4:  # sin is the same everywhere; the index is that of PyTorch's layout
                index = torch.arange(p.numel(), dtype=torch.float64)
                p.copy_((torch.sin(index * 0.7 + number) * math.sqrt(4 / p[0].numel())).reshape(p.shape))
        index = torch.arange(3 * 64 * 48, dtype=torch.float64)
        x = torch.sin(index * 0.3).reshape(1, 64, 48, 3).permute(0, 3, 1, 2)
        net.eval()
        y = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        maps = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            y = layer(y)
            flat = nhwc(y).reshape(-1)
            step = flat.numel() // 16
            maps.append({'shape': list(nhwc(y).shape), 'mean': flat.mean().item(), 'step': step, 'sample': flat[::step].tolist()})
    return {
        'parameters': parameters,
        'count': sum(p.numel() for p in net.parameters()),
        'maps': maps,
    }


def write(folder, name, content):
    path = pathlib.Path(__file__).parent.parent / folder / 'fixtures' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {'torch': torch.__version__, 'torchvision': torchvision.__version__, **content}
    path.write_text(json.dumps(content, separators=(',', ':')) + '\n')
    print(f'{path.name}: {path.stat().st_size} bytes')


write(
    'nn',
    'blocks.json',
    {
        'depthwise': [
            depthwise_case('3x3', {'channels': 3, 'kernel': 3}, (2, 3, 5, 4), padding=1),
            depthwise_case(
                '5x5, stride 2, multiplier 2, no bias',
                {'channels': 2, 'kernel': 5, 'stride': 2, 'multiplier': 2, 'bias': False},
                (2, 2, 6, 7),
                stride=2,
                padding=2,
                bias=False,
            ),
            depthwise_case(
                '3x3, dilation 2, padding 1',
                {'channels': 2, 'kernel': 3, 'dilation': 2, 'padding': 1},
                (1, 2, 6, 5),
                dilation=2,
                padding=1,
            ),
        ],
        'mbconv': [
            mbconv_case('k3, skip', (2, 4, 4, 5), 4, 4, 3),
            mbconv_case('k5, stride 2, even size', (2, 4, 6, 8), 4, 5, 5, stride=2, expand=2),
            mbconv_case('k3, stride 2, odd size', (2, 4, 5, 7), 4, 5, 3, stride=2, expand=2),
            mbconv_case('no expansion, other channels', (2, 4, 4, 4), 4, 3, 3, expand=1),
            mbconv_case('k5, stride 2, even size, symmetric', (2, 3, 6, 4), 3, 4, 5, stride=2, expand=2, symmetric=True),
            mbconv_case('no squeeze', (2, 3, 4, 3), 3, 3, 3, expand=2, squeeze=0),
        ],
        'shuffle': [
            *(shuffle_case((2, 6, 6, 5), 6, 6, 1, kind) for kind in ('shuffle3', 'shuffle5', 'shuffle7', 'xception')),
            *(shuffle_case((2, 4, 6, 7), 4, 10, 2, kind) for kind in ('shuffle3', 'shuffle5', 'shuffle7', 'xception')),
        ],
    },
)
write(
    'models',
    'resnet.json',
    {
        'small': [
            resnet_case('7x7 stem and pool', (2, 3, 18, 21), 7, 2, True, [3, 4], [1, 2]),
            resnet_case('3x3 stem of stride 2', (2, 3, 10, 9), 3, 2, False, [3, 4, 5], [1, 1, 1]),
            resnet_case('3x3 stem of stride 1', (2, 3, 6, 7), 3, 1, False, [3, 4], [2, 1]),
            resnet_case('bottlenecks', (2, 3, 9, 8), 3, 2, False, [2, 3], [2, 1], Bottleneck),
        ],
        'resnet18': published(torchvision.models.resnet18),
        'resnet34': published(torchvision.models.resnet34),
    },
)
write(
    'models',
    'backbones.json',
    {
        'efficientnet': [
            efficientnet_case('four stages, three sizes', (2, 3, 14, 11), 8, (1, 3, 1, 1, 8), (2, 3, 2, 2, 8), (1, 5, 2, 2, 16), (1, 3, 1, 2, 8)),
        ],
        'shufflenet': [
            shufflenet_case('of torchvision', (2, 3, 33, 9), 4, [4, 6, 8], [2, 1, 2]),
        ],
    },
)
