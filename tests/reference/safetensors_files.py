"""Files of Python's safetensors and this project's, each opened by the other.

    pip install torch==2.13.0 safetensors==0.8.0 numpy
    python tests/reference/safetensors_files.py

writes tests/weights/fixtures/theirs.safetensors, one tensor of every format that has a counterpart in JavaScript, with its values
in theirs.json; opens tests/weights/fixtures/ours.safetensors, which tests/weights/safetensors.test.ts holds this project's
writer to, byte by byte; and loads network.safetensors, a network of this project by tests/weights/state-dict.test.ts, into the same
network of PyTorch, whose output goes to network.json.
"""

import json
import math
import pathlib

import safetensors
import torch
from safetensors.torch import load_file, save_file

folder = pathlib.Path(__file__).parent.parent / 'weights' / 'fixtures'

tensors = {
    'float32': torch.tensor([[0.0, -0.0, 1.5], [-2.25, 3e38, 1e-45]]),
    'float16': torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, 6.1e-5, math.inf, -math.inf, 1 / 3], dtype=torch.float16),
    'bfloat16': torch.tensor([0.0, 1.0, -2.5, 3e38, 1e-40, math.inf, 1 / 3], dtype=torch.bfloat16),
    'float64': torch.tensor([0.1, -1e300, 1e-300, 16777217.0], dtype=torch.float64),
    'int64': torch.tensor([[0, -1], [2147483647, -2147483648]]),
    'int32': torch.tensor([7, -8], dtype=torch.int32),
    'int16': torch.tensor([-32768, 32767], dtype=torch.int16),
    'int8': torch.tensor([-128, 127], dtype=torch.int8),
    'uint8': torch.tensor([0, 255], dtype=torch.uint8),
    'bool': torch.tensor([[[True, False, True]]]),
    'scalar': torch.tensor(2.5),
    'empty': torch.zeros(0, 3),
    'nämé "quoted"\n': torch.tensor([1.0]),
}
save_file(tensors, folder / 'theirs.safetensors', metadata={'format': 'pt', 'ключ': 'значение'})


def value(v):
    return v if math.isfinite(v) else str(v)


expected = {
    name: {'shape': list(t.shape), 'values': [value(v) for v in t.to(torch.float32 if t.is_floating_point() else torch.int64).reshape(-1).tolist()]}
    for name, t in tensors.items()
}
(folder / 'theirs.json').write_text(json.dumps({'safetensors': safetensors.__version__, 'tensors': expected}) + '\n')

ours = load_file(folder / 'ours.safetensors')
assert list(ours) == ['a.weight', 'b', 'c', 'd'], list(ours)
assert ours['a.weight'].dtype == torch.float32 and ours['a.weight'].tolist() == [[0.5, -1.5, 3.25]]
assert ours['b'].dtype == torch.int32 and ours['b'].tolist() == [1, -2, 3, 4]
assert ours['c'].shape == () and ours['c'].item() == 42.0
assert ours['d'].shape == (2, 0)
with safetensors.safe_open(folder / 'ours.safetensors', 'pt') as f:
    assert f.metadata() == {'source': 'détlab'}, f.metadata()


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.bn = torch.nn.BatchNorm2d(4)
        self.blocks = torch.nn.ModuleList([torch.nn.Conv2d(4, 8, 3, padding=1, groups=4), torch.nn.Conv2d(8, 6, 1, bias=False)])
        self.fc = torch.nn.Linear(6, 5)

    def forward(self, x):
        y = torch.relu(self.bn(self.conv(x)))
        for block in self.blocks:
            y = block(y)
        return self.fc(y.mean((2, 3)))


net = Network().eval()
print(net.load_state_dict(load_file(folder / 'network.safetensors'), strict=True))
x = torch.sin(torch.arange(2 * 8 * 6 * 3, dtype=torch.float64)).float().reshape(2, 8, 6, 3).permute(0, 3, 1, 2)
with torch.no_grad():
    (folder / 'network.json').write_text(json.dumps(net.double()(x.double()).tolist()) + '\n')
print('both ways: ok')
