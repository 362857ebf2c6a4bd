"""From arrays of pixels to what Qt paints."""

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage


def to_image(pixels: NDArray[np.uint8], ratio: float = 1.0) -> QImage:
    """[height, width, 3] to an image that owns its pixels, `ratio` of them to a unit of the window."""
    height, width, _ = pixels.shape
    # Without the bytes a line, Qt takes lines to be padded to four bytes; and it keeps no hold of the array.
    image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    image.setDevicePixelRatio(ratio)
    return image


def rgb(colour: str) -> tuple[int, int, int]:
    """The three bytes of a named or "#rrggbb" colour."""
    named = QColor(colour)
    return named.red(), named.green(), named.blue()
