"""Networks of torchvision, timm and others with weights that a formula gives, for tests/weights/import.test.ts.

    pip install torch==2.13.0 torchvision timm effdet
    python tests/reference/pretrained.py

writes tests/weights/fixtures/pretrained.json: of each network its tensors' names and shapes, and samples of its output in float64.
The weights themselves are not written: both sides draw them from the same integer hash, exact to the bit.
"""

import json
import pathlib

import effdet
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models import vgg

from hashed_weights import fill, image, sampled


def case(net, height, width, run=None):
    net = net.double().eval()
    entries = fill(net)
    with torch.no_grad():
        outputs = (run or (lambda x: [net(x)]))(image(1000, 1, height, width))
    return {'height': height, 'width': width, 'tensors': entries, 'outputs': [sampled(y) for y in outputs]}


def small_vgg(norm):
    layers = vgg.make_layers([4, 4, 'M', 6, 6, 'M', 8, 8, 8, 'M', 10, 10, 10, 'M', 12, 12, 12, 'M'], batch_norm=norm)
    net = vgg.VGG(layers, num_classes=10, init_weights=False)
    net.classifier[0] = nn.Linear(12 * 7 * 7, 20)
    net.classifier[3] = nn.Linear(20, 20)
    net.classifier[6] = nn.Linear(20, 10)
    return net


class OriginalSsd(nn.Module):
    """The names and layers of ssd.pytorch's SSD300, an eighth as wide, three classes and the background."""

    def __init__(self):
        super().__init__()
        conv = lambda i, o, k=3, **options: nn.Conv2d(i, o, k, **({'padding': k // 2} | options))
        self.vgg = nn.ModuleList()
        before = 3
        for width in (8, 8, 'M', 16, 16, 'M', 32, 32, 32, 'C', 64, 64, 64, 'M', 64, 64, 64):
            if isinstance(width, str):
                self.vgg.append(nn.MaxPool2d(2, 2, ceil_mode=width == 'C'))
            else:
                self.vgg.extend([conv(before, width), nn.ReLU()])
                before = width
        self.vgg.append(nn.MaxPool2d(3, 1, 1))
        self.vgg.extend([conv(64, 128, padding=6, dilation=6), nn.ReLU(), conv(128, 128, 1), nn.ReLU()])
        self.L2Norm = nn.Module()
        self.L2Norm.weight = nn.Parameter(torch.ones(64))
        self.extras = nn.ModuleList()
        before = 128
        for squeeze, width, stride, padding in ((32, 64, 2, 1), (16, 32, 2, 1), (16, 32, 1, 0), (16, 32, 1, 0)):
            self.extras.extend([conv(before, squeeze, 1), conv(squeeze, width, stride=stride, padding=padding)])
            before = width
        anchors = list(zip((64, 128, 64, 32, 32, 32), (4, 6, 6, 6, 4, 4)))
        self.loc = nn.ModuleList([conv(width, 4 * count) for width, count in anchors])
        self.conf = nn.ModuleList([conv(width, 4 * count) for width, count in anchors])

    def forward(self, x):
        maps = []
        for number, layer in enumerate(self.vgg):
            x = layer(x)
            if number == 22:
                maps.append(x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) * self.L2Norm.weight[None, :, None, None])
        maps.append(x)
        for number, layer in enumerate(self.extras):
            x = F.relu(layer(x))
            if number % 2 == 1:
                maps.append(x)
        flat = lambda heads: torch.cat([h(m).permute(0, 2, 3, 1).reshape(1, -1, 4) for h, m in zip(heads, maps)], 1)
        return [flat(self.conf), flat(self.loc)]


class MegviiUnit(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        middle = o // 2
        depthwise = lambda c: [nn.Conv2d(c, c, 3, stride, 1, groups=c, bias=False), nn.BatchNorm2d(c)]
        pointwise = lambda a, b: [nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        inside = i if stride == 2 else i // 2
        self.branch_main = nn.Sequential(*pointwise(inside, middle), *depthwise(middle), *pointwise(middle, o - inside))
        if stride == 2:
            self.branch_proj = nn.Sequential(*depthwise(i), *pointwise(i, i))

    def forward(self, x):
        if hasattr(self, 'branch_proj'):
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, ::2], self.branch_main(x[:, 1::2])), 1)


class MegviiShuffleNet(nn.Module):
    """The names and layers of the authors' ShuffleNetV2, narrow."""

    def __init__(self, widths, blocks, last):
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        units, before = [], 6
        for width, count in zip(widths, blocks):
            for unit in range(count):
                units.append(MegviiUnit(before, width, 2 if unit == 0 else 1))
                before = width
        self.features = nn.Sequential(*units)
        self.conv_last = nn.Sequential(nn.Conv2d(before, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU())
        self.classifier = nn.Sequential(nn.Linear(last, 10, bias=False))

    def forward(self, x):
        y = self.features(F.max_pool2d(self.first_conv(x), 3, 2, 1))
        return self.classifier(self.conv_last(y).mean((2, 3)))


def torchvision_ssd():
    net = torchvision.models.detection.ssd300_vgg16(weights=None, weights_backbone=None, num_classes=4)

    def run(x):
        heads = net.head(list(net.backbone(x).values()))
        return [heads['cls_logits'], heads['bbox_regression']]

    return case(net, 300, 300, run)


def trunk_of(net, outputs, height, width):
    """A detector of which only the trunk is run; the names are all of the detector's."""
    return case(net, height, width, lambda x: outputs(net.backbone, x))


models = torchvision.models
detection = torchvision.models.detection
cases = {
    'torchvision/resnet18': case(models.resnet18(), 64, 48),
    'torchvision/resnet34': case(models.resnet34(), 64, 48),
    'torchvision/resnet50': case(models.resnet50(), 64, 48),
    'torchvision/resnet101': case(models.resnet101(), 64, 48),
    'vgg16, narrow': case(small_vgg(False), 224, 224),
    'vgg16_bn, narrow': case(small_vgg(True), 224, 224),
    'ssd300_vgg16': torchvision_ssd(),
    'ssd.pytorch, narrow': (lambda net: case(net, 300, 300, net))(OriginalSsd()),
    # Sides that `same` pads otherwise than equally, and sides that it pads alike.
    'timm/tf_efficientnet_b0': case(timm.create_model('tf_efficientnet_b0'), 64, 75),
    'timm/tf_efficientnet_b2': case(timm.create_model('tf_efficientnet_b2'), 50, 64),
    'timm/efficientnet_b0': case(timm.create_model('efficientnet_b0'), 64, 75),
    'timm/efficientnet_b1': case(timm.create_model('efficientnet_b1'), 50, 64),
    'torchvision/efficientnet_b0': case(models.efficientnet_b0(), 64, 75),
    'torchvision/efficientnet_b5': case(models.efficientnet_b5(), 64, 64),
    'torchvision/shufflenet_v2_x0_5': case(models.shufflenet_v2_x0_5(), 64, 64),
    'torchvision/shufflenet_v2_x1_5': case(models.shufflenet_v2_x1_5(), 64, 75),
    'megvii shufflenet_v2, narrow': case(MegviiShuffleNet((12, 16, 20), (2, 3, 2), 24), 64, 64),
    'effdet tf_efficientdet_d0': trunk_of(
        effdet.create_model('tf_efficientdet_d0', pretrained=False, pretrained_backbone=False), lambda b, x: b(x), 64, 75
    ),
    'fasterrcnn_resnet50_fpn': trunk_of(
        detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None), lambda b, x: list(b.body(x).values()), 64, 48
    ),
}
file = pathlib.Path(__file__).parent.parent / 'weights' / 'fixtures' / 'pretrained.json'
versions = {'torch': torch.__version__, 'torchvision': torchvision.__version__, 'timm': timm.__version__}
file.write_text(json.dumps({**versions, 'cases': cases}, separators=(',', ':')) + '\n')
for name, c in cases.items():
    print(name, len(c['tensors']), [(y['count'], y['largest'], y['mean']) for y in c['outputs']])
