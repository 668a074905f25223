"""What the scripts of this folder share: modules with exact weights, run by PyTorch in float64, as this project lays tensors out.

Inputs and weights are small multiples of 1/8, so that they are exact in JSON and in float32.
"""

import torch

generator = torch.Generator().manual_seed(34)


def eighths(*shape):
    return torch.randint(-12, 13, shape, generator=generator).double() / 8


def nhwc(t):
    return t.permute(0, 2, 3, 1)


def laid_out(name, t, modules):
    """A parameter as this project stores it."""
    if t.dim() != 4:
        return t
    conv = modules[name.rpartition('.')[0]]
    if conv.groups > 1:  # [C * m, 1, KH, KW] -> [KH, KW, C, m]
        t = t.reshape(conv.in_channels, -1, *t.shape[2:])
        return t.permute(2, 3, 0, 1)
    return t.permute(2, 3, 1, 0)


def numbers(t):
    """Shape and values, rounded to 6 significant digits."""
    t = t.detach().contiguous()
    return {'shape': list(t.shape), 'values': [float(f'{v:.6g}') for v in t.reshape(-1).tolist()]}


def case(name, options, model, *size):
    """One training-mode pass and its gradients, and one inference pass by running statistics."""
    model.double()
    modules = dict(model.named_modules())
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(eighths(*p.shape))
            if p.dim() == 1 and key.endswith('weight'):
                p.abs_().add_(0.5)
        for key, b in model.named_buffers():
            if key.endswith('running_mean'):
                b.copy_(eighths(*b.shape))
            elif key.endswith('running_var'):
                b.copy_(eighths(*b.shape).abs() + 0.5)
    state = {
        key: numbers(laid_out(key, v.clone(), modules))
        for key, v in model.state_dict().items()
        if not key.endswith('num_batches_tracked')
    }
    x = eighths(*size).requires_grad_()
    as_list = lambda y: list(y) if isinstance(y, (list, tuple)) else [y]
    model.eval()
    with torch.no_grad():
        inference = as_list(model(x))
    model.train()
    outputs = as_list(model(x))
    upstream = [eighths(*y.shape) for y in outputs]
    torch.autograd.backward(outputs, upstream)
    return {
        'name': name,
        'options': options,
        'x': numbers(nhwc(x)),
        'state': state,
        'inference': [numbers(nhwc(y)) for y in inference],
        'training': [numbers(nhwc(y)) for y in outputs],
        'upstream': [numbers(nhwc(y)) for y in upstream],
        'dx': numbers(nhwc(x.grad)),
        'gradients': {key: numbers(laid_out(key, p.grad, modules)) for key, p in model.named_parameters()},
    }
