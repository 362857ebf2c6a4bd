"""How colours look: contrast, and distances that the eye finds equal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Lut = NDArray[np.uint8]
Luminance = NDArray[np.float64]


def contrast(one: str, other: str) -> float:
    """Contrast ratio 1..21 of two colours (WCAG 2.2, relative luminance)."""
    return float(contrasts(luminance(rgb_of(one)), luminance(rgb_of(other))))


def contrasts(one: Luminance, other: Luminance) -> Luminance:
    """Contrast ratios of luminances, broadcast."""
    return (np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05)


def white_is_read_on(colours: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[..., 3] to [...]: whether white is read better than black; the better one has a contrast of 4.58 or more."""
    return luminance(colours / 255) < 0.179


def ink_on(colours: NDArray[np.uint8]) -> str:
    """Black or white, whichever is read on one colour [3]."""
    return "#ffffff" if white_is_read_on(colours) else "#000000"


def hex_of(colour: NDArray[np.uint8]) -> str:
    """[3] as "#rrggbb"."""
    red, green, blue = colour.tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


def luminance(rgb: NDArray[np.float64]) -> Luminance:
    """[..., 3] sRGB in 0..1 to [...]."""
    return np.asarray(_linear(rgb) @ _WEIGHTS)


def rgb_of(colour: str) -> NDArray[np.float64]:
    """ "#rrggbb" as [3] sRGB in 0..1."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def _linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


# Björn Ottosson, "A perceptual color space for image processing" (2020): linear sRGB -> cone -> Lab.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(rgb: NDArray[Any]) -> NDArray[np.float64]:
    """[..., 3] sRGB in 0..1 to OKLab, where equal distances look equally different."""
    return np.cbrt(_linear(np.asarray(rgb, np.float64)) @ _TO_CONES.T) @ _TO_LAB.T


def from_oklab(lab: NDArray[np.float64]) -> Lut:
    """[..., 3] OKLab to sRGB in 0..255; what no screen can show is clipped."""
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = linear.clip(0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(rgb * 255).astype(np.uint8)


def even_ramp(stops: list[str], count: int) -> Lut:
    """[count, 3] through the stops, its steps equally large in OKLab."""
    lab = oklab(np.stack([rgb_of(stop) for stop in stops]))
    fine = np.linspace(0, len(stops) - 1, 2048)
    path = np.stack([np.interp(fine, np.arange(len(stops)), lab[:, i]) for i in range(3)], axis=1)
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    even = np.linspace(0, length[-1], count)
    return from_oklab(np.stack([np.interp(even, length, path[:, i]) for i in range(3)], axis=1))
