"""Reference values and gradients for lib/losses from torchvision, and from the EfficientDet release's rules written down in PyTorch.

Run with NumPy, PyTorch and torchvision installed:  python tests/reference/detection_losses.py
Writes tests/losses/fixtures/detection-losses.json. Everything is computed in float64 from float32 inputs.
"""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models.detection import retinanet
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

rng = np.random.default_rng(20201123)


def tensor(values):
    return torch.tensor(np.asarray(values, np.float32).astype(float), requires_grad=True)


def flat(t):
    return [round(v, 12) for v in t.detach().flatten().tolist()]


def box_losses():
    corner = rng.uniform(0, 20, (9, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 20, (9, 2))], 1)
    targets = boxes + rng.normal(0, 3, boxes.shape)
    targets[:, 2:] = np.maximum(targets[:, 2:], targets[:, :2] + 1)
    targets[0] = boxes[0]  # equal
    targets[1] = boxes[1] + 50  # apart
    targets[2] = [boxes[2][2], boxes[2][1], boxes[2][2] + 5, boxes[2][3]]  # touching, two edges in common
    targets[3] = boxes[3] + [1, 1, -0.5, -0.5]  # inside
    weights = np.asarray(rng.normal(0, 1, 9), np.float32).astype(float)
    out = {'boxes': None, 'targets': None, 'weights': weights.tolist(), 'cases': []}
    for name, function in (
        ('giou', generalized_box_iou_loss),
        ('diou', distance_box_iou_loss),
        ('ciou', complete_box_iou_loss),
    ):
        for eps in (1e-7, 0.1):
            x, t = tensor(boxes), tensor(targets)
            loss = function(x, t, eps=eps)
            (loss * torch.tensor(weights)).sum().backward()
            out['boxes'], out['targets'] = flat(x), flat(t)
            out['cases'].append(
                {'name': name, 'eps': eps, 'value': flat(loss), 'gradient': flat(x.grad), 'targetGradient': flat(t.grad)}
            )
    return out


def efficientdet(logits, deltas, classes, offsets, smoothing):
    """det_model_fn's focal_loss and _box_loss; `classes` are 0 background, -1 ignored, else 1 + the class."""
    one_hot = F.one_hot(classes.clamp(min=0), logits.shape[2] + 1)[..., 1:].double()
    p = torch.sigmoid(logits)
    p_t = one_hot * p + (1 - one_hot) * (1 - p)
    alpha = one_hot * 0.25 + (1 - one_hot) * 0.75
    smooth = one_hot * (1 - smoothing) + 0.5 * smoothing
    ce = F.binary_cross_entropy_with_logits(logits, smooth, reduction='none')
    normalizer = (classes > 0).sum() + 1.0
    class_loss = alpha * (1 - p_t) ** 1.5 * ce / normalizer * (classes != -1)[..., None]
    mask = offsets != 0
    box_loss = (F.huber_loss(deltas, offsets, reduction='none', delta=0.1) * mask).sum() / (normalizer * 4)
    return class_loss.sum(), box_loss


def dense():
    batch, anchors, classes = 3, 14, 4
    logits = rng.normal(0, 2, (batch, anchors, classes))
    logits[0, 0], logits[0, 1] = 30, -30
    deltas = rng.normal(0, 0.5, (batch, anchors, 4))
    labels = rng.integers(1, classes + 1, (batch, anchors)) * (rng.uniform(0, 1, (batch, anchors)) < 0.4)
    labels[rng.uniform(0, 1, (batch, anchors)) < 0.15] = -1
    labels[2][labels[2] > 0] = 0  # an image without objects
    corner = rng.uniform(0, 50, (anchors, 2))
    priors = torch.tensor(np.concatenate([corner, corner + rng.uniform(5, 40, (anchors, 2))], 1))
    truths = priors + torch.tensor(rng.normal(0, 1.5, (batch, anchors, 4)))

    x, d = tensor(logits), tensor(deltas)
    classification = retinanet.RetinaNetClassificationHead(1, 1, classes)
    regression = retinanet.RetinaNetRegressionHead(1, 1)
    # One object an anchor, so that the matched index is the anchor's.
    targets = [
        {'labels': torch.tensor(np.maximum(labels[b] - 1, 0)), 'boxes': truths[b]} for b in range(batch)
    ]
    matched = [
        torch.where(torch.tensor(labels[b] > 0), torch.arange(anchors), torch.tensor(np.where(labels[b] == 0, -1, -2)))
        for b in range(batch)
    ]
    class_loss = classification.compute_loss(targets, {'cls_logits': x}, matched)
    box_loss = regression.compute_loss(targets, {'bbox_regression': d}, [priors] * batch, matched)
    (class_loss + box_loss).backward()
    positive = torch.tensor(labels > 0)[..., None]
    encoded = torch.stack([regression.box_coder.encode_single(truths[b], priors) for b in range(batch)]) * positive
    offsets = encoded.float().double()
    out = {
        'shape': [batch, anchors, classes],
        'logits': flat(x),
        'deltas': flat(d),
        'classTargets': labels.flatten().tolist(),
        'boxTargets': flat(offsets),
        'retinaNet': {
            'classLoss': class_loss.item(),
            'boxLoss': box_loss.item(),
            'logitsGradient': flat(x.grad),
            'deltasGradient': flat(d.grad),
        },
        'efficientDet': [],
    }
    for smoothing in (0, 0.1):
        x, d = tensor(logits), tensor(deltas)
        class_loss, box_loss = efficientdet(x, d, torch.tensor(labels), offsets, smoothing)
        (class_loss + 50 * box_loss).backward()
        out['efficientDet'].append(
            {
                'smoothing': smoothing,
                'classLoss': class_loss.item(),
                'boxLoss': box_loss.item(),
                'logitsGradient': flat(x.grad),
                'deltasGradient': flat(d.grad),
            }
        )
    return out


def element_wise():
    x = tensor(rng.normal(0, 2, 12))
    t = torch.tensor((rng.uniform(0, 1, 12) < 0.5).astype(float))
    out = {'logits': flat(x), 'targets': t.tolist(), 'crossEntropy': [], 'huber': []}
    for smoothing in (0, 0.2):
        x.grad = None
        loss = F.binary_cross_entropy_with_logits(x, t * (1 - smoothing) + smoothing / 2, reduction='none')
        loss.sum().backward()
        out['crossEntropy'].append({'smoothing': smoothing, 'value': flat(loss), 'gradient': flat(x.grad)})
    for delta in (1, 0.1, 2.5):
        x.grad = None
        loss = F.huber_loss(x, t, reduction='none', delta=delta)
        loss.sum().backward()
        out['huber'].append({'delta': delta, 'value': flat(loss), 'gradient': flat(x.grad)})
    return out


def main():
    out = {'boxes': box_losses(), 'dense': dense(), 'elementWise': element_wise()}
    path = os.path.join(os.path.dirname(__file__), '..', 'losses', 'fixtures', 'detection-losses.json')
    with open(path, 'w') as file:
        json.dump(out, file)


if __name__ == '__main__':
    main()
