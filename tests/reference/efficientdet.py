"""EfficientDet by effdet, in float64, for tests/models/efficientdet.test.ts, tests/models/necks/graph-neck.test.ts and
tests/papers/efficientdet/costs.test.ts.

    pip install torch==2.13.0 torchvision timm effdet
    python tests/reference/efficientdet.py

writes tests/models/fixtures/efficientdet.json: of all published networks the parameters and multiply-adds; of some networks, and of feature
networks and heads alone, the tensors' names and shapes and samples of their maps; of these parts also of their gradients in training.
Weights and inputs are not written (see hashed_weights.py).
"""

import importlib.metadata
import json
import pathlib

import timm
import torch
from effdet.config import get_efficientdet_config
from effdet.efficientdet import BiFpn, EfficientDet, HeadNet

from hashed_weights import fill, hashed, image, sampled


def config_of(name, height, width, **options):
    config = get_efficientdet_config(name)
    config.image_size = (height, width)
    for key, value in options.items():
        config[key] = value
    config.num_levels = config.max_level - config.min_level + 1
    return config


def network(name, height, width, **options):
    """Maps of the feature network, of the class head and of the box head, a level each."""
    net = EfficientDet(config_of(name, height, width, **options), pretrained_backbone=False).double().eval()
    entries = fill(net)
    with torch.no_grad():
        features = net.fpn(net.backbone(image(1000, 1, height, width)))
        maps = {'features': features, 'classes': net.class_net(features), 'boxes': net.box_net(features)}
    return {
        'height': height,
        'width': width,
        'parameters': sum(p.numel() for p in net.parameters()),
        'tensors': entries,
        **{key: [sampled(y) for y in value] for key, value in maps.items()},
    }


def part(net, inputs):
    """A part in training: its outputs, and the gradients of their products with given numbers."""
    net = net.double().train()
    entries = fill(net)
    inputs = [x.clone().requires_grad_() for x in inputs]
    outputs = net(list(inputs))
    total = 0
    for number, y in enumerate(outputs):
        upstream = hashed(y.numel(), 2000 + number).float().double()
        total = total + (y.permute(0, 2, 3, 1).reshape(-1) * upstream).sum()
    total.backward()
    gradient = lambda g: {'norm': g.norm().item(), 'first': [float(f'{v:.8g}') for v in g.flatten()[:4].tolist()]}
    return {
        'inputs': [[x.shape[0], x.shape[2], x.shape[3], x.shape[1]] for x in inputs],
        'tensors': entries,
        'outputs': [sampled(y.detach()) for y in outputs],
        'inputGradients': [sampled(x.grad) for x in inputs],
        'gradients': {name: gradient(p.grad) for name, p in net.named_parameters()},
    }


def neck(name, height, width, channels, **options):
    config = config_of(name, height, width, fpn_channels=4, **options)
    net = BiFpn(config, [{'num_chs': c, 'reduction': 2 ** (i + 3)} for i, c in enumerate(channels)])
    sizes = [(-(-height // 2 ** (i + 3)), -(-width // 2 ** (i + 3))) for i in range(len(channels))]
    return part(net, [image(1000 + i, 2, *size, c) for i, (size, c) in enumerate(zip(sizes, channels))])


def head():
    config = config_of('tf_efficientdet_d0', 64, 48, fpn_channels=4, box_class_repeats=2, max_level=5)
    return part(HeadNet(config, num_outputs=3), [image(1000 + i, 2, 8 >> i, 6 >> i, 4) for i in range(3)])


def cost(name):
    """Parameters and multiply-adds of the convolutions, by part, for one image; shapes without values."""
    config = get_efficientdet_config(name)
    with torch.device('meta'):
        net = EfficientDet(config, pretrained_backbone=False).eval()
        parts = {'backbone': [net.backbone], 'neck': [net.fpn], 'heads': [net.class_net, net.box_net]}
        count = dict.fromkeys(parts, 0)
        for part, modules in parts.items():
            def add(layer, _, output, part=part):
                count[part] += output.numel() * layer.weight[0].numel()

            for module in modules:
                for layer in module.modules():
                    if isinstance(layer, torch.nn.Conv2d):
                        layer.register_forward_hook(add)
        with torch.no_grad():
            boxes = net(torch.zeros(1, 3, *config.image_size))[1]
    parameters = {part: sum(p.numel() for m in modules for p in m.parameters()) for part, modules in parts.items()}
    return {
        **{part: {'parameters': parameters[part], 'multiplyAdds': count[part]} for part in parts},
        'anchors': sum(y.numel() for y in boxes) // 4,
    }


tf_d0 = 'tf_efficientdet_d0'
small = {'fpn_channels': 24, 'fpn_cell_repeats': 2, 'box_class_repeats': 1, 'num_classes': 3}
networks = {
    # sides of which some are halved to odd numbers, where `same` pads otherwise than equally
    'tf_efficientdet_d0': network(tf_d0, 96, 128),
    'efficientdet_d0': network('efficientdet_d0', 96, 128),
    'P3 to P8, sums': network(tf_d0, 80, 104, max_level=8, fpn_name='bifpn_sum', **small),
    'softmax': network(tf_d0, 64, 64, fpn_name='bifpn_attn', **small),
}
parts = {
    'fast': neck(tf_d0, 256, 192, (3, 5, 6), fpn_cell_repeats=2),
    'softmax': neck(tf_d0, 256, 192, (3, 5, 6), fpn_cell_repeats=1, fpn_name='bifpn_attn'),
    'sum, P3 to P8, symmetric, no bias': neck('efficientdet_d0', 512, 384, (3, 5, 6), fpn_cell_repeats=1, fpn_name='bifpn_sum', max_level=8),
    'PANet': neck(tf_d0, 256, 192, (3, 4, 6), fpn_cell_repeats=1, fpn_name='pan_fa'),
}
file = pathlib.Path(__file__).parent.parent / 'models' / 'fixtures' / 'efficientdet.json'
versions = {'torch': torch.__version__, 'timm': timm.__version__, 'effdet': importlib.metadata.version('effdet')}
costs = {name: cost(f'tf_efficientdet_{name}') for name in ('d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6', 'd7', 'd7x')}
content = {**versions, 'costs': costs, 'networks': networks, 'necks': parts, 'head': head()}
file.write_text(json.dumps(content, separators=(',', ':')) + '\n')
print(f'{file.name}: {file.stat().st_size} bytes', [(name, c['parameters']) for name, c in networks.items()])
