"""Parameters and multiply-adds of published networks, counted by PyTorch's shapes, for tests/models/classifier.test.ts and
tests/nn/summary.test.ts.

    pip install torch==2.13.0 torchvision timm
    python tests/reference/costs.py

writes tests/models/fixtures/costs.json. Multiply-adds are those of convolutions and fully connected layers for one image;
`published` are torchvision's own figures (parameters, and billions of multiply-adds), as they stand beside its weights.
"""

import json
import pathlib

import timm
import torch
import torchvision
from torch import nn


def cost(net, size, run=None):
    count = [0]

    def add(layer, _, output):
        window = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.in_features
        count[0] += output.numel() * window

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(add)
    x = torch.zeros(1, 3, size, size)
    run(net.eval(), x) if run else net.eval()(x)
    return {'size': size, 'parameters': sum(p.numel() for p in net.parameters()), 'multiplyAdds': count[0]}


def published(build):
    """The figures beside a builder's first weights, and the size of images that they are for."""
    weights = list(torchvision.models.get_model_weights(build))[0]
    size = getattr(weights.transforms(), 'crop_size', None)
    return {'size': size and size[0], 'parameters': weights.meta['num_params'], 'gigaMultiplyAdds': weights.meta['_ops']}


def ssd(net, x):
    net.head(list(net.backbone(x).values()))


def retina(net, x):
    net.head(list(net.backbone(x).values()))


def faster(net, x):
    """All but the second stage, and the second stage for 1000 regions."""
    net.rpn.head(list(net.backbone(x).values()))
    net.roi_heads.box_predictor(net.roi_heads.box_head(torch.zeros(1000, 256, 7, 7)))


costs, detectors = {}, {}
with torch.device('meta'):  # shapes without values
    for name in ('vgg16', 'vgg16_bn', 'resnet18', 'resnet34', 'resnet50', 'resnet101'):
        costs[name.replace('_', '-')] = cost(getattr(torchvision.models, name)(), 224)
        costs[name.replace('_', '-')]['published'] = published(name)
    for number, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600)):
        costs[f'efficientnet-b{number}'] = cost(timm.create_model(f'tf_efficientnet_b{number}'), size)
        costs[f'efficientnet-b{number}']['published'] = published(f'efficientnet_b{number}')
    for width in ('0_5', '1_0', '1_5', '2_0'):
        net = getattr(torchvision.models, f'shufflenet_v2_x{width}')()
        costs[f'shufflenet-v2-x{width.replace("_", ".")}'] = cost(net, 224)
        costs[f'shufflenet-v2-x{width.replace("_", ".")}']['published'] = published(f'shufflenet_v2_x{width}')
    options = {'weights': None, 'weights_backbone': None}
    for name, size, run in (('ssd300_vgg16', 300, ssd), ('retinanet_resnet50_fpn', 256, retina), ('fasterrcnn_resnet50_fpn', 256, faster)):
        detectors[name] = cost(getattr(torchvision.models.detection, name)(**options), size, run)
        detectors[name]['published'] = published(name)
    costs['mobilenet-v2'] = cost(torchvision.models.mobilenet_v2(), 224)
    costs['mobilenet-v2']['published'] = published('mobilenet_v2')

file = pathlib.Path(__file__).parent.parent / 'models' / 'fixtures' / 'costs.json'
versions = {'torchvision': torchvision.__version__, 'timm': timm.__version__}
file.write_text(json.dumps({**versions, 'costs': costs, 'detectors': detectors}, indent=1) + '\n')
