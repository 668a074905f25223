"""Reference trajectories for the optimisers and the clipping of lib/train, by torch.optim in float64.

Writes tests/train/fixtures/optimizers.json.
"""

import json
import os

import numpy as np
import torch

RATES = [0.1] * 6 + [0.02] * 4


def f32(array):
    return np.asarray(array, np.float32).astype(float)


def problem(rng):
    """Least squares: x W^T + b against y."""
    return {
        'x': f32(rng.normal(0, 1, (8, 3))).tolist(),
        'y': f32(rng.normal(0, 2, (8, 2))).tolist(),
        'weight': f32(rng.normal(0, 1, (2, 3))).tolist(),
        'bias': f32(rng.normal(0, 1, 2)).tolist(),
    }


def trajectory(data, make, max_norm=None):
    """The parameters and, with clipping, the norms over the steps. The loss is the mean of the squared errors."""
    x, y = (torch.tensor(data[key], dtype=torch.float64) for key in ('x', 'y'))
    weight, bias = (torch.tensor(data[key], dtype=torch.float64, requires_grad=True) for key in ('weight', 'bias'))
    optimizer = make(weight, bias)
    weights, biases, norms = [], [], []
    for rate in RATES:
        for group in optimizer.param_groups:
            group['lr'] = rate * group.get('factor', 1)
        optimizer.zero_grad()
        ((x @ weight.T + bias - y) ** 2).mean().backward()
        if max_norm is not None:
            norms.append(torch.nn.utils.clip_grad_norm_([weight, bias], max_norm).item())
        optimizer.step()
        weights.append(weight.detach().flatten().tolist())
        biases.append(bias.detach().tolist())
    return {'weights': weights, 'biases': biases, 'norms': norms}


def groups(weight, bias, decay):
    return [{'params': [weight], 'weight_decay': decay}, {'params': [bias], 'weight_decay': 0.0}]


def factored(weight, bias, decay, factors):
    """Parameter groups with rates of their own."""
    both = groups(weight, bias, decay)
    return [{**group, 'factor': factors.get(name, 1)} for name, group in zip(('weight', 'bias'), both)]


def decoupled_sgd(weight, bias, decay):
    """PyTorch has no SGDW: its SGD, with the weight shrunk by 1 - rate * decay before the step, as its AdamW does."""
    optimizer = torch.optim.SGD([weight, bias], lr=1, momentum=0.9)

    def shrink(optimizer, args, kwargs):
        with torch.no_grad():
            weight.mul_(1 - optimizer.param_groups[0]['lr'] * decay)

    optimizer.register_step_pre_hook(shrink)
    return optimizer


def main():
    rng = np.random.default_rng(20171114)
    data = problem(rng)
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW

    def sgd_case(name, options, **torch_options):
        return {
            'name': name,
            'optimizer': 'Sgd',
            'options': options,
            **trajectory(data, lambda w, b: sgd(groups(w, b, options.get('weightDecay', 0)), lr=1, **torch_options)),
        }

    def adam_case(name, kind, options, **torch_options):
        return {
            'name': name,
            'optimizer': 'AdamW',
            'options': options,
            **trajectory(data, lambda w, b: kind(groups(w, b, options['weightDecay']), **torch_options)),
        }

    def factor_case(name, kind, options, factors, **torch_options):
        return {
            'name': name,
            'optimizer': 'Sgd' if kind is sgd else 'AdamW',
            'options': options,
            'rateFactors': factors,
            **trajectory(
                data, lambda w, b: kind(factored(w, b, options.get('weightDecay', 0), factors), lr=1, **torch_options)
            ),
        }

    cases = [
        sgd_case('plain SGD', {'momentum': 0}),
        sgd_case('SGD, momentum', {'momentum': 0.9}, momentum=0.9),
        sgd_case('SGD, Nesterov', {'momentum': 0.8, 'nesterov': True}, momentum=0.8, nesterov=True),
        sgd_case('SGD, L2', {'momentum': 0.9, 'weightDecay': 0.3}, momentum=0.9),
        sgd_case(
            'SGD, Nesterov and L2',
            {'momentum': 0.9, 'nesterov': True, 'weightDecay': 0.3},
            momentum=0.9,
            nesterov=True,
        ),
        {
            'name': 'SGD, decoupled decay',
            'optimizer': 'Sgd',
            'options': {'momentum': 0.9, 'weightDecay': 0.3, 'decayKind': 'decoupled'},
            **trajectory(data, lambda w, b: decoupled_sgd(w, b, 0.3)),
        },
        adam_case('Adam', adam, {'decayKind': 'l2', 'weightDecay': 0}),
        adam_case('Adam, L2', adam, {'decayKind': 'l2', 'weightDecay': 0.3}),
        adam_case('AdamW', adamw, {'weightDecay': 0.3}),
        adam_case(
            'AdamW, other betas, large epsilon',
            adamw,
            {'betas': [0.8, 0.95], 'epsilon': 0.1, 'weightDecay': 0.3},
            betas=(0.8, 0.95),
            eps=0.1,
        ),
        sgd_case('SGD, dampening', {'momentum': 0.9, 'dampening': 0.3}, momentum=0.9, dampening=0.3),
        sgd_case(
            'SGD, dampening and L2',
            {'momentum': 0.5, 'dampening': 0.5, 'weightDecay': 0.3},
            momentum=0.5,
            dampening=0.5,
        ),
        factor_case('SGD, biases at twice the rate', sgd, {'momentum': 0.9, 'weightDecay': 0.3}, {'bias': 2}, momentum=0.9),
        factor_case('SGD, a frozen weight', sgd, {'momentum': 0.9, 'weightDecay': 0.3}, {'weight': 0}, momentum=0.9),
        factor_case('Adam, biases at twice the rate', adam, {'decayKind': 'l2', 'weightDecay': 0.3}, {'bias': 2}),
        factor_case('AdamW, weights at half the rate', adamw, {'weightDecay': 0.3}, {'weight': 0.5}),
        factor_case('AdamW, a frozen bias', adamw, {'weightDecay': 0.3}, {'bias': 0}),
    ]
    clipped = {
        'maxNorm': 1.5,
        'momentum': 0.9,
        **trajectory(data, lambda w, b: sgd([w, b], lr=1, momentum=0.9), max_norm=1.5),
    }

    gradients = {'a': f32(rng.normal(0, 1, (3, 4))), 'b': f32(rng.normal(0, 5, 4)), 'c': f32(rng.normal(0, 1))}

    def clip(function, limit):
        parameters = []
        for gradient in gradients.values():
            parameter = torch.zeros(gradient.shape, dtype=torch.float64, requires_grad=True)
            parameter.grad = torch.tensor(gradient)
            parameters.append(parameter)
        norm = function(parameters, limit)
        return {
            'limit': limit,
            'norm': None if norm is None else norm.item(),
            'gradients': {name: p.grad.flatten().tolist() for name, p in zip(gradients, parameters)},
        }

    out = {
        'problem': data,
        'rates': RATES,
        'cases': cases,
        'clipped': clipped,
        'clipping': {
            'shapes': {name: list(gradient.shape) for name, gradient in gradients.items()},
            'gradients': {name: gradient.flatten().tolist() for name, gradient in gradients.items()},
            'byNorm': [clip(torch.nn.utils.clip_grad_norm_, limit) for limit in (0.01, 2.5, 100.0)],
            'byValue': [clip(torch.nn.utils.clip_grad_value_, limit) for limit in (0.1, 2.0)],
        },
    }
    path = os.path.join(os.path.dirname(__file__), '..', 'train', 'fixtures', 'optimizers.json')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
        json.dump(out, file)


if __name__ == '__main__':
    main()
