"""Reference values and gradients for lib/losses, by PyTorch's automatic differentiation in float64.

Writes tests/losses/fixtures/losses.json.
"""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F


def f32(array):
    return np.asarray(array, np.float32).astype(float)


def multibox(logits, deltas, classes, boxes, ratio):
    """SSD's loss: hard negatives by double sort, an image at a time; both parts divided by the batch's positives."""
    positive = classes > 0
    count = positive.sum(1, keepdim=True)
    per_anchor = torch.logsumexp(logits, 2) - logits.gather(2, classes.unsqueeze(2)).squeeze(2)
    mining = per_anchor.detach().clone()
    mining[positive] = 0
    _, order = mining.sort(1, descending=True)
    _, rank = order.sort(1)
    wanted = torch.clamp(ratio * count, max=classes.shape[1] - 1)
    negative = (rank < wanted) & ~positive
    total = max(int(count.sum()), 1)
    class_loss = F.cross_entropy(logits[positive | negative], classes[positive | negative], reduction='sum') / total
    box_loss = F.smooth_l1_loss(deltas[positive], boxes[positive], reduction='sum') / total
    return class_loss, box_loss, negative, int(count.sum())


def multibox_case(rng, name, batch, anchors, classes, share, scale=1.0):
    logits = torch.tensor(f32(rng.normal(0, scale, (batch, anchors, classes + 1))), requires_grad=True)
    deltas = torch.tensor(f32(rng.normal(0, 1.5, (batch, anchors, 4))), requires_grad=True)
    labels = rng.integers(1, classes + 1, (batch, anchors)) * (rng.uniform(0, 1, (batch, anchors)) < np.reshape(share, (-1, 1)))
    boxes = f32(rng.normal(0, 1, (batch, anchors, 4))) * (labels > 0)[..., None]
    class_loss, box_loss, negative, positives = multibox(
        logits, deltas, torch.tensor(labels), torch.tensor(boxes), 3
    )
    (class_loss + box_loss).backward()
    return {
        'name': name,
        'shape': [batch, anchors, classes + 1],
        'logits': logits.detach().flatten().tolist(),
        'deltas': deltas.detach().flatten().tolist(),
        'classTargets': labels.flatten().tolist(),
        'boxTargets': boxes.flatten().tolist(),
        'classLoss': class_loss.item(),
        'boxLoss': box_loss.item(),
        'positives': positives,
        'negatives': negative.int().flatten().tolist(),
        'logitsGradient': logits.grad.flatten().tolist(),
        'deltasGradient': deltas.grad.flatten().tolist(),
    }


def with_gradient(function, x):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    value = function(x)
    value.sum().backward()
    return value.detach().flatten().tolist(), x.grad.flatten().tolist()


def focal(x, targets, alpha, gamma):
    """Equation 5; log-sigmoids instead of logs of sigmoids, so that float64 is exact enough at +-80."""
    log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    cross_entropy = -(targets * log_p + (1 - targets) * log_q)
    miss = p * (1 - targets) + q * targets
    weight = alpha * targets + (1 - alpha) * (1 - targets) if alpha >= 0 else 1.0
    return weight * miss**gamma * cross_entropy


def main():
    rng = np.random.default_rng(20181019)
    cases = [
        multibox_case(rng, 'three images', 3, 40, 4, [0.1, 0.15, 0.05]),
        multibox_case(rng, 'an image without objects', 3, 24, 3, [0.1, 0, 0.2]),
        multibox_case(rng, 'more positives than negatives to mine', 2, 20, 2, [0.6, 0.3]),
        multibox_case(rng, 'logits of +-80', 2, 20, 3, [0.2, 0.2], scale=40.0),
        multibox_case(rng, 'no objects at all', 2, 10, 2, [0, 0]),
    ]

    x = f32(np.concatenate([rng.normal(0, 2, 24), [0, 1, -1, 0.5, -0.5, 1e-4]]))
    targets = f32(np.concatenate([rng.normal(0, 1, 24), np.zeros(6)]))
    smooth = []
    for beta in (1.0, 1 / 9, 2.5):
        value, gradient = with_gradient(
            lambda t: F.smooth_l1_loss(t, torch.tensor(targets), reduction='none', beta=beta), x
        )
        smooth.append({'beta': beta, 'value': value, 'gradient': gradient})

    z = f32(np.concatenate([rng.normal(0, 3, 24), [0, 80, -80, 80, -80, 17, -17, 30]]))
    t = f32(np.concatenate([rng.integers(0, 2, 24), [1, 1, 1, 0, 0, 1, 0, 1]]))
    focals = []
    for alpha, gamma in ((0.25, 2.0), (0.25, 1.5), (-1.0, 2.0), (0.5, 0.0), (0.25, 0.5)):
        value, gradient = with_gradient(lambda v: focal(v, torch.tensor(t), alpha, gamma), z)
        focals.append({'alpha': alpha, 'gamma': gamma, 'value': value, 'gradient': gradient})

    logits = f32(rng.normal(0, 3, (6, 5)))
    logits[4] = [80, -80, 0, 79, 3]
    logits[5] = [-80, -80, -80, -80, 80]
    labels = [0, 4, 2, 1, 1, 0]
    entropies = []
    for smoothing in (0.0, 0.1):
        value, gradient = with_gradient(
            lambda v: F.cross_entropy(v, torch.tensor(labels), reduction='none', label_smoothing=smoothing), logits
        )
        entropies.append({'smoothing': smoothing, 'value': value, 'gradient': gradient})

    out = {
        'multibox': cases,
        'smoothL1': {'predictions': x.tolist(), 'targets': targets.tolist(), 'cases': smooth},
        'focal': {'logits': z.tolist(), 'targets': t.tolist(), 'cases': focals},
        'crossEntropy': {'logits': logits.flatten().tolist(), 'labels': labels, 'cases': entropies},
    }
    path = os.path.join(os.path.dirname(__file__), '..', 'losses', 'fixtures', 'losses.json')
    with open(path, 'w') as file:
        json.dump(out, file)


if __name__ == '__main__':
    main()
