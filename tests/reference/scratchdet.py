"""The parts of ScratchDet's networks by PyTorch, in float64, for tests/models: stems, and extra layers that are residual blocks.

    pip install torch==2.13.0        # the CPU build is enough
    python tests/reference/scratchdet.py

writes tests/models/fixtures/scratchdet.json, laid out as networks.py says.
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from torch import nn

from torch_cases import case


class BasicBlock(nn.Module):
    """He et al., CVPR 2016; one whose first convolution has no padding adds the middle of its input."""

    def __init__(self, i, o, stride, padding=1):
        super().__init__()
        self.padding = padding
        self.conv1 = nn.Conv2d(i, o, 3, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.padding == 0:
            x = x[:, :, 1:-1, 1:-1]
        return F.relu(y + (self.downsample(x) if hasattr(self, 'downsample') else x))


class StemAndStages(nn.Module):
    """Convolutions, a pool, and stages of one basic block each."""

    def __init__(self, kernel, stride, convolutions, pool, widths):
        super().__init__()
        for n in range(convolutions):
            i, s = (widths[0], 1) if n else (3, stride)
            self.add_module(f'conv{n + 1}', nn.Conv2d(i, widths[0], kernel, s, kernel // 2, bias=False))
            self.add_module(f'bn{n + 1}', nn.BatchNorm2d(widths[0]))
        self.convolutions = convolutions
        self.pool = pool
        self.stages = len(widths)
        for n, (i, o) in enumerate(zip([widths[0], *widths], widths)):
            self.add_module(f'layer{n + 1}', nn.Sequential(BasicBlock(i, o, 2 if n else 1)))

    def forward(self, x):
        for n in range(self.convolutions):
            x = F.relu(getattr(self, f'bn{n + 1}')(getattr(self, f'conv{n + 1}')(x)))
        x = self.pool(x)
        maps = []
        for n in range(self.stages):
            x = getattr(self, f'layer{n + 1}')(x)
            maps.append(x)
        return maps


def stem_case(stem, size, kernel, stride, convolutions=1, pool=nn.Identity(), widths=(3, 4)):
    options = {'stem': stem, 'widths': list(widths), 'blocks': [1] * len(widths)}
    return case(stem, options, StemAndStages(kernel, stride, convolutions, pool, widths), *size)


class ResidualExtras(nn.Module):
    """Extra layers, each a basic block."""

    def __init__(self, i, layers):
        super().__init__()
        self.extras = nn.ModuleList()
        for o, stride, padding in layers:
            self.extras.append(nn.ModuleList([BasicBlock(i, o, stride, padding)]))
            i = o

    def forward(self, x):
        maps = []
        for (block,) in self.extras:
            x = block(x)
            maps.append(x)
        return maps


def extras_case(name, size, layers):
    options = {
        'inChannels': size[1],
        'extras': [dict(block='residual', channels=o, stride=stride, padding=padding) for o, stride, padding in layers],
    }
    return case(name, options, ResidualExtras(size[1], layers), *size)


content = {
    'torch': torch.__version__,
    'stems': [
        stem_case('unpooled', (1, 3, 14, 11), 7, 2),
        stem_case('unstrided', (1, 3, 10, 9), 7, 1, pool=nn.MaxPool2d(3, 2, 1)),
        stem_case('root', (2, 3, 8, 7), 3, 1, convolutions=3, pool=nn.MaxPool2d(2, 2, ceil_mode=True)),
    ],
    'extras': [
        extras_case('strides 2 and 1', (2, 4, 7, 6), [(3, 2, 1), (3, 1, 1)]),
        extras_case('unpadded', (2, 4, 9, 8), [(3, 2, 0), (3, 1, 0)]),
    ],
}
path = pathlib.Path(__file__).parent.parent / 'models' / 'fixtures' / 'scratchdet.json'
path.write_text(json.dumps(content, separators=(',', ':')) + '\n')
print(f'{path.name}: {path.stat().st_size} bytes')
