"""One case of the benchmark in PyTorch, on the CPU or another device, channels_last: same network, weights, loss and update.

    python torch_rival.py FOLDER THREADS [DEVICE]

reads FOLDER/case.json and FOLDER/tensors.bin, then answers requests on stdin, one JSON object a line, as rivals.ts describes.
"""

import json
import pathlib
import struct
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


def read_tensors(path):
    """The layout of safetensors: a length, a JSON header, the values."""
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack('<Q', data[:8])
    header = json.loads(data[8 : 8 + length].decode())
    tensors = {}
    for name, entry in header.items():
        start, end = entry['data_offsets']
        kind = {'F32': torch.float32, 'I32': torch.int32}[entry['dtype']]
        values = torch.frombuffer(data, dtype=kind, count=(end - start) // 4, offset=8 + length + start)
        tensors[name] = values.reshape(entry['shape']).clone()
    return tensors


def convolution(i, o, kernel, stride=1, groups=1, bias=False):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=bias)


class Basic(nn.Module):
    """He et al., CVPR 2016, figure 5, left."""

    def __init__(self, plan, norm):
        super().__init__()
        i, o, stride = plan['inChannels'], plan['outChannels'], plan['stride']
        self.conv1, self.bn1 = convolution(i, o, 3, stride), norm(o)
        self.conv2, self.bn2 = convolution(o, o, 3), norm(o)
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(convolution(i, o, 1, stride), norm(o))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y + (self.downsample(x) if hasattr(self, 'downsample') else x), inplace=True)


class MBConv(nn.Module):
    """EfficientNet's block: Tan and Le, ICML 2019."""

    def __init__(self, plan, norm):
        super().__init__()
        i, o, stride, kernel = plan['inChannels'], plan['outChannels'], plan['stride'], plan['kernel']
        width = i * plan['expand']
        if width != i:
            self.expand_conv, self.bn0 = convolution(i, width, 1), norm(width)
        self.depthwise_conv, self.bn1 = convolution(width, width, kernel, stride, width), norm(width)
        self.se_reduce = convolution(width, i // 4, 1, bias=True)
        self.se_expand = convolution(i // 4, width, 1, bias=True)
        self.project_conv, self.bn2 = convolution(width, o, 1), norm(o)
        self.skip = stride == 1 and i == o

    def forward(self, x):
        y = F.silu(self.bn0(self.expand_conv(x)), inplace=True) if hasattr(self, 'expand_conv') else x
        y = F.silu(self.bn1(self.depthwise_conv(y)), inplace=True)
        squeezed = F.silu(self.se_reduce(y.mean((2, 3), keepdim=True)))
        y = y * torch.sigmoid(self.se_expand(squeezed))
        y = self.bn2(self.project_conv(y))
        return y + x if self.skip else y


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's unit (Ma et al., ECCV 2018) with the choices of DetNAS."""

    def __init__(self, plan, norm):
        super().__init__()
        i, o, stride, choice = plan['inChannels'], plan['outChannels'], plan['stride'], plan['choice']
        kernel, middle = (3, 5, 7, 3)[choice], o // 2
        a, b = (middle, middle) if stride == 1 else (i, o - i)

        def depthwise(c, step):
            return [convolution(c, c, kernel, step, c), norm(c)]

        def pointwise(c, d):
            return [convolution(c, d, 1), norm(d), nn.ReLU(inplace=True)]

        if choice == 3:
            main = depthwise(a, stride) + pointwise(a, middle) + depthwise(middle, 1) + pointwise(middle, middle)
            main += depthwise(middle, 1) + pointwise(middle, b)
        else:
            main = pointwise(a, middle) + depthwise(middle, stride) + pointwise(middle, b)
        self.branch_main = nn.Sequential(*main)
        if stride == 2:
            self.branch_proj = nn.Sequential(*depthwise(i, 2), *pointwise(i, i))

    def forward(self, x):
        if hasattr(self, 'branch_proj'):
            return torch.cat([self.branch_proj(x), self.branch_main(x)], 1)
        return torch.cat([x[:, 0::2], self.branch_main(x[:, 1::2])], 1)


class Residual(nn.Module):
    """The trunk of basic blocks, named as torchvision's."""

    def __init__(self, plan, norm):
        super().__init__()
        self.conv1, self.bn1 = convolution(3, plan['stem'], 3, 2), norm(plan['stem'])
        self.count = len(plan['stages'])
        for n, blocks in enumerate(plan['stages']):
            self.add_module(f'layer{n + 1}', nn.Sequential(*(Basic(block, norm) for block in blocks)))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        maps = []
        for n in range(self.count):
            y = getattr(self, f'layer{n + 1}')(y)
            maps.append(y)
        return maps


class Staged(nn.Module):
    """The other trunks."""

    def __init__(self, plan, norm):
        super().__init__()
        kind, act = (MBConv, nn.SiLU) if plan['net'] == 'mbconv' else (ShuffleUnit, nn.ReLU)
        self.stem = nn.Sequential(convolution(3, plan['stem'], 3, 2), norm(plan['stem']), act(inplace=True))
        self.stages = nn.ModuleList(
            nn.Sequential(*(kind(block, norm) for block in blocks)) for blocks in plan['stages']
        )

    def forward(self, x):
        y = self.stem(x)
        maps = []
        for stage in self.stages:
            y = stage(y)
            maps.append(y)
        return maps


class ConvBlock(nn.Module):
    def __init__(self, i, o, kernel, stride, padding):
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Prediction(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.conv = convolution(i, o, 3, bias=True)

    def forward(self, x):
        return self.conv(x)


class Head(nn.Module):
    def __init__(self, channels, anchors, classes):
        super().__init__()
        layers = lambda width: nn.ModuleList(Prediction(c, a * width) for c, a in zip(channels, anchors))
        self.classification, self.regression = layers(classes + 1), layers(4)
        self.classes = classes

    def forward(self, maps):
        def flat(layers, width):
            outs = [layer(m).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, width)) for layer, m in zip(layers, maps)]
            return torch.cat(outs, 1)

        return flat(self.classification, self.classes + 1), flat(self.regression, 4)


class Ssd(nn.Module):
    def __init__(self, plan):
        super().__init__()
        mbconv = plan['net'] == 'mbconv'
        norm = lambda c: nn.BatchNorm2d(c, eps=1e-3, momentum=0.01) if mbconv else nn.BatchNorm2d(c)
        self.backbone = Residual(plan, norm) if plan['net'] == 'resnet' else Staged(plan, norm)
        widths = [blocks[0]['outChannels'] for blocks in plan['stages']]
        i, channels = widths[-1], [widths[tap] for tap in plan['taps']]
        extras = []
        for extra in plan['extras']:
            squeeze, o = extra['squeeze'], extra['channels']
            extras.append(
                nn.Sequential(ConvBlock(i, squeeze, 1, 1, 0), ConvBlock(squeeze, o, 3, extra['stride'], extra['padding']))
            )
            channels.append(o)
            i = o
        self.extras = nn.ModuleList(extras)
        self.head = Head(channels, plan['anchorsPerCell'], plan['classes'])
        self.taps = plan['taps']

    def forward(self, x):
        stages = self.backbone(x)
        maps = [stages[tap] for tap in self.taps]
        y = stages[-1]
        for extra in self.extras:
            y = extra(y)
            maps.append(y)
        return self.head(maps)

    def load(self, tensors):
        """Weights from this project's layout: filters [KH, KW, in, out], depthwise ones [KH, KW, C, 1]."""
        modules = dict(self.named_modules())
        state = {}
        for key, value in tensors.items():
            if not key.startswith('model.'):
                continue
            name = key[len('model.') :]
            if value.dim() == 4:
                conv = modules[name.rpartition('.')[0]]
                value = value.permute(2, 3, 0, 1) if conv.groups > 1 else value.permute(3, 2, 0, 1)
            state[name] = value
        missing, unexpected = self.load_state_dict(state, strict=False)
        missing = [name for name in missing if not name.endswith('num_batches_tracked')]
        if missing or unexpected:
            raise ValueError(f'not the same network: missing {missing[:3]}, unexpected {unexpected[:3]}')


def multibox_loss(logits, deltas, classes, boxes, ratio=3):
    """SSD's loss: cross-entropy on positives and on three times as many hard negatives an image, smooth L1 on positives."""
    positive = classes > 0
    count = positive.sum().clamp(min=1)
    per_anchor = F.cross_entropy(logits.flatten(0, 1), classes.clamp(min=0).flatten(), reduction='none').view_as(classes)
    with torch.no_grad():
        candidates = per_anchor.masked_fill(classes != 0, -1)
        order = candidates.argsort(1, descending=True)
        rank = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
        negative = (rank < ratio * positive.sum(1, keepdim=True)) & (classes == 0)
    box = F.smooth_l1_loss(deltas[positive], boxes[positive], reduction='sum')
    return (per_anchor[positive | negative].sum() + box) / count


def peak_memory(device):
    """On a GPU, of its memory."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_reserved(device)
    try:
        with open('/proc/self/status') as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith('VmHWM:'))
    except (OSError, StopIteration):
        import resource  # Windows has none

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def main():
    folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    device = torch.device(sys.argv[3] if len(sys.argv) > 3 else 'cpu')
    torch.set_num_threads(threads)
    case = json.loads((folder / 'case.json').read_text())
    tensors = {name: value.to(device) for name, value in read_tensors(folder / 'tensors.bin').items()}
    model = Ssd(case['plan'])
    model.load(tensors)
    model = model.to(device, memory_format=torch.channels_last)
    images = tensors['images'].permute(0, 3, 1, 2)  # NHWC in memory already: this is channels_last
    classes, boxes = tensors['classTargets'].long(), tensors['boxTargets']
    optimizer = torch.optim.SGD(model.parameters(), lr=case['rate'], momentum=case['momentum'])

    def train():
        optimizer.zero_grad()
        loss = multibox_loss(*model(images), classes, boxes)
        loss.backward()
        optimizer.step()
        return loss.item()

    def predict():
        with torch.inference_mode():
            logits, deltas = model(images)
            return (logits.sum() + deltas.sum()).item()

    training = case['work'] == 'training'
    model.train(training)
    run = train if training else predict
    about = f'PyTorch {torch.__version__}'
    if device.type == 'cuda':
        about += f' on {torch.cuda.get_device_name(device)}'
    memory = peak_memory(device)
    print(json.dumps({'ready': True, 'memory': memory, 'about': about}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        milliseconds, values = [], []
        for _ in range(request['times']):
            started = time.perf_counter()
            values.append(run())
            milliseconds.append((time.perf_counter() - started) * 1000)
        print(json.dumps({'milliseconds': milliseconds, 'values': values, 'peak': peak_memory(device)}), flush=True)


main()
