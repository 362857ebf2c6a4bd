"""Many small maps as one picture, a cell or more to each pixel."""

import numpy as np
from PySide6.QtGui import QImage

from explorer_app import theme
from explorer_app.widgets.maps.colours import Floats
from explorer_app.widgets.maps.pixels import rgb, to_image


def fit(maps: Floats, height: int, width: int) -> Floats:
    """[..., t, s] to [..., height, width]: cells repeat where there is room, else a pixel shows the largest.

    Masked cells (-inf) lose against any other that shares their pixel.
    """
    for axis, size in ((-2, height), (-1, width)):
        have = maps.shape[axis]
        if size >= have:
            maps = np.take(maps, np.arange(size) * have // size, axis=axis)
        else:
            maps = np.maximum.reduceat(maps, np.arange(size) * have // size, axis=axis)
    return maps


def sheet(
    maps: Floats, limits: Floats, signed: bool, size: tuple[int, int], gap: int, ratio: float
) -> QImage:
    """All maps [layers, heads, t, s] and the gaps between them.

    limits  [layers, heads, 2], the values of the two ends of the colours
    size    (height, width) of each map in device pixels, of which there are `ratio` for each unit
    """
    (layers, heads), (height, width) = maps.shape[:2], size
    small = fit(maps, height, width)
    low, high = (limits[..., end, None, None] for end in (0, 1))
    colours = theme.current()
    lut = colours.diverging if signed else colours.sequential
    finite = np.where(np.isfinite(small), small, low).clip(low, high).astype(np.float64)
    level = np.rint((finite - low) * (255 / (high.astype(np.float64) - low))).astype(np.uint8)
    pixels = lut[level]
    broken = np.isnan(small) | np.isposinf(small)
    for where, colour in ((np.isneginf(small), colours.masked), (broken, colours.error)):
        pixels[where] = rgb(colour)
    drawn = np.empty((layers, height + gap, heads, width + gap, 3), np.uint8)
    drawn[:] = rgb(colours.border)
    drawn[:, :height, :, :width] = pixels.transpose(0, 2, 1, 3, 4)
    flat = drawn.reshape(layers * (height + gap), heads * (width + gap), 3)
    return to_image(flat[:-gap, :-gap], ratio)
