"""Parameters and multiply-adds of published networks, counted by PyTorch's shapes, for tests/models/classifier.test.ts.

    pip install torch==2.13.0 torchvision timm
    python tests/reference/costs.py

writes tests/models/fixtures/costs.json. Multiply-adds are those of convolutions and fully connected layers for one image.
"""

import json
import pathlib

import timm
import torch
import torchvision
from torch import nn


def cost(net, size):
    count = [0]

    def add(layer, _, output):
        window = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else layer.in_features
        count[0] += output.numel() * window

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(add)
    net.eval()(torch.zeros(1, 3, size, size))
    return {'size': size, 'parameters': sum(p.numel() for p in net.parameters()), 'multiplyAdds': count[0]}


costs = {}
with torch.device('meta'):  # shapes without values
    for name in ('vgg16', 'vgg16_bn', 'resnet18', 'resnet34', 'resnet50', 'resnet101'):
        costs[name.replace('_', '-')] = cost(getattr(torchvision.models, name)(), 224)
    for number, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600)):
        costs[f'efficientnet-b{number}'] = cost(timm.create_model(f'tf_efficientnet_b{number}'), size)
    for width in ('0_5', '1_0', '1_5', '2_0'):
        net = getattr(torchvision.models, f'shufflenet_v2_x{width}')()
        costs[f'shufflenet-v2-x{width.replace("_", ".")}'] = cost(net, 224)
    costs['mobilenet-v2'] = cost(torchvision.models.mobilenet_v2(), 224)

file = pathlib.Path(__file__).parent.parent / 'models' / 'fixtures' / 'costs.json'
versions = {'torchvision': torchvision.__version__, 'timm': timm.__version__}
file.write_text(json.dumps({**versions, 'costs': costs}, indent=1) + '\n')
