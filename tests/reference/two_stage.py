"""Reference values for lib/models/two-stage from torchvision's FasterRCNN, and for the cascade from its parts.

Run with PyTorch and torchvision installed:  python tests/reference/two_stage.py
Writes tests/models/fixtures/two-stage.json. Weights and images are made by a formula, which the tests repeat.
"""

import json
import math
import os
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, batched_nms, clip_boxes_to_image
from torchvision.ops.boxes import box_iou, remove_small_boxes
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

HEIGHT, WIDTH, CLASSES, CHANNELS, FEATURES, WINDOW = 64, 96, 3, 8, 16, 3


class Trunk(torch.nn.Module):
    """Three convolutions of stride 2; the last two are tapped."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.Conv2d(i, o, 3, 2, 1) for i, o in ((3, 6), (6, 8), (8, 12))
        )

    def forward(self, x):
        maps = []
        for layer in self.layers:
            x = F.relu(layer(x))
            maps.append(x)
        return maps[1:]


class Backbone(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Trunk()
        self.fpn = FeaturePyramidNetwork([8, 12], CHANNELS, LastLevelMaxPool())
        self.out_channels = CHANNELS

    def forward(self, x):
        return self.fpn(OrderedDict((str(i), m) for i, m in enumerate(self.body(x))))


def pooler():
    return MultiScaleRoIAlign(['0', '1'], WINDOW, 2, canonical_scale=32)


def detector():
    return FasterRCNN(
        Backbone(),
        rpn_anchor_generator=AnchorGenerator(((8,), (16,), (32,)), ((0.5, 1.0, 2.0),) * 3),
        box_roi_pool=pooler(),
        box_head=TwoMLPHead(CHANNELS * WINDOW * WINDOW, FEATURES),
        box_predictor=FastRCNNPredictor(FEATURES, CLASSES + 1),
        min_size=HEIGHT,
        max_size=WIDTH,
        image_mean=[0, 0, 0],
        image_std=[1, 1, 1],
        rpn_pre_nms_top_n_train=60,
        rpn_post_nms_top_n_train=40,
        rpn_pre_nms_top_n_test=50,
        rpn_post_nms_top_n_test=30,
        rpn_batch_size_per_image=100000,
        box_batch_size_per_image=10000,
        box_score_thresh=0.05,
        box_detections_per_img=25,
    )


def fill(module):
    """Every parameter by a formula of its place among the sorted names and of its index."""
    with torch.no_grad():
        for j, (name, p) in enumerate(sorted(module.named_parameters())):
            gain = 6 if 'bbox_pred' in name or 'cls_score' in name else 3
            spread = 0.2 if p.dim() == 1 else gain * math.sqrt(3 / (p.numel() / p.shape[0]))
            k = torch.arange(p.numel(), dtype=torch.int64)
            values = ((k * 7919 + 104729 * j) % 1009).double() / 1009 - 0.5
            p.copy_((values * spread).float().reshape(p.shape))


def images():
    b, y, x, c = torch.meshgrid(*(torch.arange(n) for n in (2, HEIGHT, WIDTH, 3)), indexing='ij')
    values = ((x // 12 * 31 + y // 8 * 57 + x * y * 2 + c * 37 + b * 101) % 255).double() / 255 - 0.5
    return values.float().permute(0, 3, 1, 2)


TARGETS = [
    {
        'boxes': [[10.0, 8.0, 41.5, 39.0], [44.0, 20.0, 90.0, 60.5], [70.0, 5.0, 79.0, 22.0]],
        'labels': [2, 0, 1],
    },
    {'boxes': [], 'labels': []},
]


def targets():
    return [
        {
            'boxes': torch.tensor(t['boxes'], dtype=torch.float32).reshape(-1, 4),
            'labels': torch.tensor(t['labels'], dtype=torch.int64) + 1,
        }
        for t in TARGETS
    ]


def detections(found):
    return [
        {
            'boxes': one['boxes'].tolist(),
            'labels': (one['labels'] - 1).tolist(),
            'scores': one['scores'].tolist(),
        }
        for one in found
    ]


def gradients(module, loss):
    """Each parameter's gradient by its sum and its norm."""
    named = sorted(module.named_parameters())
    grads = torch.autograd.grad(loss, [p for _, p in named])
    return {name: [g.double().sum().item(), g.double().norm().item()] for (name, _), g in zip(named, grads)}


def faster():
    model = detector()
    fill(model)
    x = list(images())
    model.eval()
    with torch.no_grad():
        batch, _ = model.transform(x)
        maps = model.backbone(batch.tensors)
        proposals, _ = model.rpn(batch, maps)
        found = model(x)
    model.train()
    losses = model(x, targets())
    return {
        'proposals': [p.tolist() for p in proposals],
        'detections': detections(found),
        'losses': {name: value.item() for name, value in losses.items()},
        'gradients': gradients(model, sum(losses.values())),
    }


class Heads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.box_head = torch.nn.ModuleList(TwoMLPHead(CHANNELS * WINDOW * WINDOW, FEATURES) for _ in range(3))
        self.box_predictor = torch.nn.ModuleList()
        for _ in range(3):
            predictor = FastRCNNPredictor(FEATURES, CLASSES + 1)
            predictor.bbox_pred = torch.nn.Linear(FEATURES, 4)
            self.box_predictor.append(predictor)


class Cascade(torch.nn.Module):
    """Cascade R-CNN with mmdetection's training, every candidate taken into the sample."""

    IOUS = (0.5, 0.6, 0.7)
    CODERS = [BoxCoder((10.0 * k, 10.0 * k, 5.0 * k, 5.0 * k)) for k in (1, 2, 3)]

    def __init__(self):
        super().__init__()
        first = detector()
        self.backbone, self.rpn, self.transform = first.backbone, first.rpn, first.transform
        self.roi_heads = Heads()
        self.pool = pooler()

    def head(self, stage, maps, boxes, sizes):
        return self.run_head(stage, self.pool(maps, boxes, sizes))

    def run_head(self, stage, pooled):
        return self.roi_heads.box_predictor[stage](self.roi_heads.box_head[stage](pooled))

    def refine(self, stage, boxes, deltas):
        moved = self.CODERS[stage].decode(deltas.detach(), boxes)[:, 0]
        counts = [len(b) for b in boxes]
        return [clip_boxes_to_image(b, (HEIGHT, WIDTH)) for b in moved.split(counts)]

    def losses(self, x, wanted):
        batch, wanted = self.transform(x, wanted)
        maps = self.backbone(batch.tensors)
        boxes, losses = self.rpn(batch, maps, wanted)
        boxes = [b.detach() for b in boxes]
        for stage, iou in enumerate(self.IOUS):
            candidates, labels, objects, own = [], [], [], []
            for b, t in zip(boxes, wanted):
                all_boxes = torch.cat([b, t['boxes']])
                owned = torch.zeros_like(all_boxes)
                label = torch.zeros(len(all_boxes), dtype=torch.int64)
                if len(t['boxes']):
                    best, which = box_iou(t['boxes'], all_boxes).max(0)
                    label = torch.where(best >= iou, t['labels'][which], 0)
                    owned = t['boxes'][which]
                candidates.append(all_boxes)
                labels.append(label)
                objects.append(owned)
                own.append(torch.arange(len(all_boxes)) >= len(b))
            logits, deltas = self.head(stage, maps, candidates, batch.image_sizes)
            label = torch.cat(labels)
            positive = label > 0
            encoded = self.CODERS[stage].encode_single(
                torch.cat(objects)[positive], torch.cat(candidates)[positive]
            )
            losses[f'class{stage + 1}'] = F.cross_entropy(logits, label)
            losses[f'box{stage + 1}'] = (
                F.smooth_l1_loss(deltas[positive], encoded, reduction='sum') / label.numel()
            )
            refined = self.refine(stage, candidates, deltas)
            boxes = [r[~o] for r, o in zip(refined, own)]
        return losses

    def detect(self, x, scored):
        batch, _ = self.transform(x)
        maps = self.backbone(batch.tensors)
        boxes, _ = self.rpn(batch, maps)
        scores = []
        for stage in range(3):
            logits, deltas = self.head(stage, maps, boxes, batch.image_sizes)
            scores.append(logits.softmax(1))
            if stage < 2:
                boxes = self.refine(stage, boxes, deltas)
        if scored == 'last':
            pooled = self.pool(maps, boxes, batch.image_sizes)
            scores = [self.run_head(stage, pooled)[0].softmax(1) for stage in range(3)]
        mean = sum(scores) / 3
        final = self.refine(2, boxes, deltas)
        found = []
        for b, s in zip(final, mean.split([len(b) for b in boxes])):
            every = b[:, None].expand(-1, CLASSES, -1).reshape(-1, 4)
            score, label = s[:, 1:].reshape(-1), torch.arange(1, CLASSES + 1).repeat(len(b))
            keep = torch.where(score > 0.05)[0]
            every, score, label = every[keep], score[keep], label[keep]
            keep = remove_small_boxes(every, 1e-2)
            every, score, label = every[keep], score[keep], label[keep]
            keep = batched_nms(every, score, label, 0.5)[:25]
            found.append({'boxes': every[keep], 'scores': score[keep], 'labels': label[keep]})
        return found


def cascade():
    model = Cascade()
    fill(model)
    x = list(images())
    model.eval()
    with torch.no_grad():
        own, last = model.detect(x, 'own'), model.detect(x, 'last')
    model.train()
    losses = model.losses(x, targets())
    weights = {'1': 1, '2': 0.5, '3': 0.25}
    total = sum(value * weights.get(name[-1], 1) for name, value in losses.items())
    return {
        'own': detections(own),
        'last': detections(last),
        'losses': {name: value.item() for name, value in losses.items()},
        'gradients': gradients(model, total),
    }


def published():
    """The parameters of the published network, no layer frozen, and the shapes of those that are not its trunk's."""
    model = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    return {
        'parameters': sum(p.numel() for p in model.parameters()),
        'shapes': {
            name: list(p.shape) for name, p in model.named_parameters() if not name.startswith('backbone.body.')
        },
    }


def rounded(value):
    if isinstance(value, float):
        return float(f'{value:.8g}')
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return {k: rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


if __name__ == '__main__':
    torch.manual_seed(0)
    result = {'targets': TARGETS, 'faster': faster(), 'cascade': cascade(), 'published': published()}
    target = os.path.join(os.path.dirname(__file__), '..', 'models', 'fixtures', 'two-stage.json')
    with open(target, 'w') as file:
        json.dump(rounded(result), file)
        file.write('\n')
