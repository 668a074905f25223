"""Checkpoints that PyTorch writes, for tests/weights/pth.test.ts.

    pip install torch==2.13.0 numpy
    python tests/reference/checkpoints.py

writes tests/weights/fixtures/checkpoint-*.pth, in today's format and in that of before 1.6, and their tensors in checkpoints.json.
"""

import collections
import json
import math
import pathlib

import torch
from torch import nn

folder = pathlib.Path(__file__).parent.parent / 'weights' / 'fixtures'
torch.manual_seed(0)

net = nn.Sequential(collections.OrderedDict(conv=nn.Conv2d(2, 3, 3), bn=nn.BatchNorm2d(3), fc=nn.Linear(3, 2)))
base = torch.arange(24.0).reshape(2, 3, 4)
odd = collections.OrderedDict(
    transposed=base.permute(2, 0, 1),  # shares base's storage
    every_other=base[:, ::2, 1:3],
    channels_last=torch.arange(48.0).reshape(2, 4, 3, 2).to(memory_format=torch.channels_last),
    parameter=nn.Parameter(torch.tensor([1.5, -2.5])),
    scalar=torch.tensor(3),
    empty=torch.zeros(0, 5),
    half=torch.tensor([0.5, -math.inf]).half(),
    bfloat16=torch.tensor([1.0, -3.0]).bfloat16(),
    double=torch.tensor([0.1]).double(),
    int16=torch.tensor([-5], dtype=torch.int16),
    int8=torch.tensor([-5], dtype=torch.int8),
    uint8=torch.tensor([250], dtype=torch.uint8),
    int32=torch.tensor([7], dtype=torch.int32),
    bool=torch.tensor([True, False]),
)
training = {
    'epoch': 12,
    'best': 0.75,
    'model': net.state_dict(),
    'optimizer': {'state': {0: {'momentum_buffer': torch.ones(2)}}, 'param_groups': [{'lr': 0.1, 'params': [0, 1]}]},
    'ema': {'conv.weight': torch.zeros(1)},
}


def value(v):
    return v if math.isfinite(v) else str(v)


def described(tensors):
    wide = lambda t: t.to(torch.float32 if t.is_floating_point() else torch.int64).reshape(-1).tolist()
    return {name: {'shape': list(t.shape), 'values': [value(v) for v in wide(t.detach())]} for name, t in tensors.items()}


for name, content in {'net': net.state_dict(), 'odd': odd, 'training': training}.items():
    torch.save(content, folder / f'checkpoint-{name}.pth')
    if name != 'training':
        torch.save(content, folder / f'checkpoint-{name}-old.pth', _use_new_zipfile_serialization=False)
torch.save(net, folder / 'checkpoint-module.pth')
torch.save(net.state_dict(), folder / 'checkpoint-protocol4.pth', pickle_protocol=4)

expected = {'net': described(net.state_dict()), 'odd': described(odd)}
(folder / 'checkpoints.json').write_text(json.dumps({'torch': torch.__version__, **expected}, separators=(',', ':')) + '\n')
