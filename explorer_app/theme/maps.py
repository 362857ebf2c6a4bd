"""The colour maps: tables of 256 colours in steps that look equally large."""

from functools import cache

import numpy as np

from explorer_app.state.settings import Scheme
from explorer_app.theme.perception import Lut, contrasts, even_ramp, from_oklab, luminance, rgb_of

# The ramps pass through these colours; the first is the panel's.
_RAMPS: dict[Scheme, list[str]] = {
    "light": ["#ffffff", "#bfe0ea", "#63b0d6", "#2b6fb8", "#243a8a", "#1d1147"],
    "dark": ["#1b1e25", "#2c3d74", "#2a6fa0", "#2fa39a", "#8fd16a", "#fdf3a8"],
}
_ARMS: dict[Scheme, tuple[list[str], list[str]]] = {
    "light": (["#ffffff", "#f0a860", "#a14a00", "#5a2600"], ["#ffffff", "#7fb6e8", "#1f63ad", "#0a2f66"]),
    "dark": (["#1b1e25", "#8a4a12", "#e08a35", "#ffe0b0"], ["#1b1e25", "#215a94", "#5fa6ea", "#d3ebff"]),
}


@cache
def sequential(name: Scheme) -> Lut:
    """[256, 3]: zero (the panel's colour) to the most, in equal perceived steps."""
    lut = even_ramp(_RAMPS[name], 256)
    lut.flags.writeable = False
    return lut


@cache
def marks(name: Scheme, grounds: tuple[str, ...], least: float) -> Lut:
    """[n, 3]: the end of the sequential map that has at least that contrast on every ground."""
    lut = sequential(name)
    on = luminance(np.stack([rgb_of(ground) for ground in grounds]))
    return lut[np.flatnonzero(contrasts(luminance(lut / 255)[:, None], on).min(axis=1) >= least)[0] :]


@cache
def diverging(name: Scheme) -> Lut:
    """[256, 3]: most negative (orange), zero (the panel's colour) in the middle, most positive (blue)."""
    negative, positive = (even_ramp(arm, 128) for arm in _ARMS[name])
    lut = np.concatenate([negative[::-1], positive])
    lut.flags.writeable = False
    return lut


@cache
def cyclic(name: Scheme) -> Lut:
    """[256, 3]: once around the hues at one lightness, ending where it began; for angles."""
    turn = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    lightness = np.full(256, 0.62 if name == "light" else 0.68)
    lut = from_oklab(np.stack([lightness, 0.11 * np.cos(turn), 0.11 * np.sin(turn)], axis=1))
    lut.flags.writeable = False
    return lut
