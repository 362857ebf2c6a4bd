"""Which colours stand for which values: the ends of a colour bar, and the table between them."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from explorer_app import theme

Colours = Literal["sequential", "diverging", "symmetric", "cyclic"]
Limits = tuple[float, float]
Floats = NDArray[np.float32]


def colour_limits(values: Floats, colours: Colours, limits: Limits | None) -> Limits:
    """The values of the two ends of the colour bar; from the finite values where `limits` is None.

    A sequential map of values that are not negative starts at zero, so that zero reads as empty.
    """
    if limits is None:
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        if colours == "sequential":
            limits = (0.0 if low >= 0 else low, high)
        elif colours == "symmetric":
            limits = (-max(-low, high), max(-low, high))
        else:
            limits = (min(low, 0.0), max(high, 0.0))
    low, high = limits
    return (low, high) if high > low else (low - (colours != "sequential"), low + 1.0)


def colour_map(colours: Colours, limits: Limits) -> theme.Lut:
    """[256, 3] from the lower limit to the upper one; a signed map keeps zero at its neutral colour."""
    if colours == "sequential":
        return theme.current().sequential
    if colours == "cyclic":
        return theme.current().cyclic
    full = theme.current().diverging
    low, high = limits
    reach = max(abs(low), abs(high))
    if low == -high:
        return full
    share = (np.linspace(low, high, 256) + reach) / (2 * reach)
    return full[np.rint(share.clip(0, 1) * 255).astype(int)]
