"""RetinaNet by torchvision, in float64, for tests/models/retinanet.test.ts.

    pip install torch==2.13.0 torchvision        # the CPU builds are enough
    python tests/reference/retinanet.py

writes tests/models/fixtures/retinanet.json. Weights and images follow a formula that both sides compute, so that the file holds
outputs only: the j-th value of the k-th tensor, names sorted, is amplitude * (2 frac(4375.85453 sin(78.233 k + 12.9898 j)) - 1).
"""

import json
import pathlib
from functools import partial

import torch
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

torch.set_default_dtype(torch.float64)


def wave(k, count, amplitude):
    noise = 4375.85453 * torch.sin(78.233 * k + 12.9898 * torch.arange(count, dtype=torch.float64))
    return amplitude * (2 * (noise - noise.floor()) - 1)


def fill(model):
    for k, (name, value) in enumerate(sorted(model.state_dict().items())):
        if name.endswith('num_batches_tracked'):
            continue
        if name.endswith('running_var'):
            value.fill_(1)
        elif value.dim() == 1:
            value.copy_(wave(k, value.numel(), 0.1) + (1 if 'bn' in name and name.endswith('weight') else 0))
        else:
            fan_in = value[0].numel()
            value.copy_((wave(k, value.numel(), (6 / fan_in) ** 0.5)).reshape(value.shape))


def build(p6_from, group_norm):
    body = ResNet(BasicBlock, [1, 1, 1, 1])
    extra = LastLevelP6P7(512 if p6_from == 'trunk' else 64, 64)
    backbone = BackboneWithFPN(body, {f'layer{i}': str(i - 2) for i in (2, 3, 4)}, [128, 256, 512], 64, extra)
    sizes = tuple((s, int(s * 2 ** (1 / 3)), int(s * 2 ** (2 / 3))) for s in (16, 32, 64, 128, 256))
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)
    norm = partial(nn.GroupNorm, 32) if group_norm else None
    head = RetinaNetHead(64, 9, 3, norm_layer=norm)
    # 0 as a class there is a class like any other: no background
    return RetinaNet(backbone, 3, anchor_generator=anchors, head=head)


def run(p6_from, group_norm):
    model = build(p6_from, group_norm)
    fill(model)
    # a normalisation that starts from waves around 0 would hide most of what goes through it
    images = wave(0.5, 2 * 48 * 64 * 3, 1).reshape(2, 48, 64, 3).permute(0, 3, 1, 2).contiguous()
    targets = [
        {'boxes': torch.tensor([[4.0, 6.0, 30.0, 40.0], [33.0, 2.0, 60.0, 20.0]]), 'labels': torch.tensor([2, 0])},
        {'boxes': torch.zeros(0, 4), 'labels': torch.zeros(0, dtype=torch.int64)},
    ]
    model.train()
    features = list(model.backbone(images).values())
    outputs = model.head(features)
    from torchvision.models.detection.image_list import ImageList

    anchors = model.anchor_generator(ImageList(images, [(48, 64)] * 2), features)
    losses = model.compute_loss(targets, outputs, anchors)
    total = losses['classification'] + losses['bbox_regression']
    total.backward()
    gradients = {
        name: {'norm': p.grad.norm().item(), 'first': p.grad.flatten()[:6].tolist()}
        for name, p in model.named_parameters()
        if name
        in (
            'backbone.body.conv1.weight',
            'backbone.fpn.inner_blocks.0.0.weight',
            'backbone.fpn.inner_blocks.2.0.bias',
            'backbone.fpn.layer_blocks.1.0.weight',
            'backbone.fpn.extra_blocks.p6.weight',
            'backbone.fpn.extra_blocks.p7.weight',
            'head.classification_head.conv.0.0.weight',
            'head.classification_head.conv.3.1.weight',
            'head.regression_head.conv.3.0.weight',
            'head.classification_head.cls_logits.bias',
            'head.regression_head.bbox_reg.weight',
        )
    }
    return {
        'p6From': p6_from,
        'groupNorm': group_norm,
        'parameters': sum(p.numel() for p in model.parameters()),
        'names': [name for name, _ in model.named_parameters()],
        'maps': [list(f.shape[2:]) for f in features],
        'anchorTail': anchors[0][-9:].tolist(),
        # every 7th anchor: enough to see every level
        'logits': outputs['cls_logits'][:, ::7].flatten().tolist(),
        'deltas': outputs['bbox_regression'][:, ::7].flatten().tolist(),
        'classLoss': losses['classification'].item(),
        'boxLoss': losses['bbox_regression'].item(),
        'gradients': gradients,
    }


def rounded(value):
    if isinstance(value, float):
        return float(f'{value:.9g}')
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


here = pathlib.Path(__file__).parent.parent / 'models' / 'fixtures'
cases = [run('pyramid', False), run('trunk', True)]
(here / 'retinanet.json').write_text(json.dumps(rounded({'torch': torch.__version__, 'cases': cases})) + '\n')
