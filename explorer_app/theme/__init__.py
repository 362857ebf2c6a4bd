"""Colours and fonts, light and dark. One colour per role, the same in text, graph and matrix.

The colours are chosen to stay apart under the common colour vision deficiencies, and to be readable as text
(contrast 4.5 : 1 or more) on both the window and the panels. The sequential map starts at the panel's own
colour, so that zero reads as empty in both themes; its lightness changes in one direction only.
"""

from explorer_app.theme.colours import DARK, GRAPHIC, GROUNDS, LIGHT, PAIRS, ROLES, TEXT, TINT, Theme
from explorer_app.theme.fonts import MONO_FAMILY, UI_FAMILY, load_fonts, mono_font
from explorer_app.theme.perception import Lut, contrast, hex_of, ink_on, oklab, white_is_read_on
from explorer_app.theme.worn import apply, colour_text, current, notifier

__all__ = [
    "DARK", "GRAPHIC", "GROUNDS", "LIGHT", "MONO_FAMILY", "PAIRS", "ROLES", "TEXT", "TINT", "UI_FAMILY",
    "Lut", "Theme", "apply", "colour_text", "contrast", "current", "hex_of", "ink_on", "load_fonts", "mono_font",
    "notifier", "oklab", "white_is_read_on",
]  # fmt: skip
