"""A picture of the screen made small: a palette of 256 colours.

Those that fill the page stay exactly, the others nearly.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

_COLOURS = 256
_EXACT = 128
# Of 255: what a palette costs, and a browser's edges of letters from one run to the next.
_UNSEEN = 10


def kept_small(screenshot: bytes, path: Path) -> int:
    """Write a PNG with a palette; returns its size in bytes.

    One that is there and looks the same is left as it is.
    """
    image = Image.open(BytesIO(screenshot)).convert("RGB")
    if path.exists() and _looks_the_same(image, path):
        return path.stat().st_size
    pixels = np.asarray(image).reshape(-1, 3)
    colours, place, often = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    most = colours[np.argsort(-often, kind="stable")[:_EXACT]]
    # Pillow chooses the rest so that no colour, however rare, is far from one of them; its own
    # mapping to a palette is coarse.
    near = image.quantize(_COLOURS - len(most), method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette()
    palette = np.concatenate([most, np.array(near, dtype=np.uint8).reshape(-1, 3)[: _COLOURS - len(most)]])
    distance = ((colours[:, None, :].astype(int) - palette[None, :, :].astype(int)) ** 2).sum(axis=2)
    small = Image.fromarray(distance.argmin(axis=1).astype(np.uint8)[place].reshape(image.height, image.width))
    small.putpalette(palette.tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    small.save(path, "PNG", optimize=True)
    return path.stat().st_size


def _looks_the_same(image: Image.Image, path: Path) -> bool:
    before = Image.open(path).convert("RGB")
    if before.size != image.size:
        return False
    difference = np.abs(np.asarray(before).astype(int) - np.asarray(image).astype(int))
    return int(difference.max()) <= _UNSEEN
