"""Makes the photographs of this folder from two wheels: 256 pixels on the short side, JPEG.

    pip install pillow==13.0.0
    pip download --no-deps scikit-image==0.26.0 scikit-learn==1.9.1
    python data/photographs/make.py scikit_image-0.26.0-*.whl scikit_learn-1.9.1-*.whl
"""

import io
import pathlib
import sys
import zipfile

from PIL import Image

FILES = {
    'skimage/data': ['camera.png', 'chelsea.png', 'coffee.png', 'rocket.jpg'],
    'sklearn/datasets/images': ['china.jpg'],
}

here = pathlib.Path(__file__).parent
for wheel, (folder, names) in zip(sys.argv[1:], FILES.items(), strict=True):
    archive = zipfile.ZipFile(wheel)
    for name in names:
        picture = Image.open(io.BytesIO(archive.read(f'{folder}/{name}'))).convert('RGB')
        scale = 256 / min(picture.size)
        size = [round(side * scale) for side in picture.size]
        file = here / f'{pathlib.Path(name).stem}.jpg'
        picture.resize(size, Image.Resampling.BICUBIC).save(file, quality=90, subsampling=0)
        print(f'{file.name}: {size[0]}x{size[1]}, {file.stat().st_size} bytes')
