"""Colours and fonts, light and dark. One colour per role, the same in text, graph and matrix.

The colours are chosen to stay apart under the common colour vision deficiencies, and to be readable as text
(contrast 4.5 : 1 or more) on both the window and the panels. The sequential map starts at the panel's own
colour, so that zero reads as empty in both themes; its lightness changes in one direction only.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from model_core.api.files.assets import asset
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHeaderView,
    QMainWindow,
    QScrollBar,
    QToolTip,
    QWidget,
)

from explorer_app.state.settings import Scheme

Lut = NDArray[np.uint8]
Luminance = NDArray[np.float64]

UI_FAMILY = "Inter"
MONO_FAMILY = "DejaVu Sans Mono"


@dataclass(frozen=True)
class Theme:
    """Named colours, each "#rrggbb" (what QColor, HTML and style sheets all read)."""

    name: Scheme
    query: str
    key: str
    value: str
    output: str
    masked: str
    """Ground of a masked cell; the hatching over it is `masked_line`."""
    masked_line: str
    accent: str
    """The locked cursor, the focused head, the keyboard focus."""
    on_accent: str
    text: str
    muted: str
    window: str
    panel: str
    """Ground of every drawing, and the low end of the sequential map."""
    raised: str
    """Ground of buttons, chips and headers."""
    hover: str
    border: str
    """Ornament: lines between things that are told apart without them."""
    edge: str
    """Outline of what can be typed in, pressed or dragged, and of shapes that are drawn."""
    warning: str
    error: str

    @property
    def dark(self) -> bool:
        return self.name == "dark"

    @property
    def sequential(self) -> Lut:
        """[256, 3]: zero (the panel's colour) to the most, in equal perceived steps."""
        return _sequential(self.name)

    @property
    def diverging(self) -> Lut:
        """[256, 3]: most negative (orange), zero (the panel's colour) in the middle, most positive (blue)."""
        return _diverging(self.name)

    @property
    def marks(self) -> Lut:
        """[n, 3]: the part of the sequential map that is seen as a bar or a point on every ground."""
        return _marks(self.name)

    @property
    def cyclic(self) -> Lut:
        """[256, 3]: once around the hues at one lightness, ending where it began; for angles."""
        return _cyclic(self.name)


LIGHT = Theme(
    name="light",
    query="#1a57f1",
    key="#a2000b",
    value="#11764b",
    output="#a827c7",
    masked="#dcdfe4",
    masked_line="#787f8a",
    accent="#a25206",
    on_accent="#ffffff",
    text="#1a1f26",
    muted="#586271",
    window="#f2f4f7",
    panel="#ffffff",
    raised="#ffffff",
    hover="#e4e9f0",
    border="#cdd3dc",
    edge="#7b838f",
    warning="#7d5b00",
    error="#c3002f",
)

DARK = Theme(
    name="dark",
    query="#82bff9",
    key="#ff9392",
    value="#29ba4d",
    output="#cb7efe",
    masked="#3a3f48",
    masked_line="#878e9a",
    accent="#fa7d00",
    on_accent="#20160a",
    text="#e7eaf0",
    muted="#a3acba",
    window="#14161b",
    panel="#1b1e25",
    raised="#272b34",
    hover="#303643",
    border="#3b424f",
    edge="#868e9c",
    warning="#f0d060",
    error="#ff7568",
)

# What must be told apart, and how far (WCAG 2.2 AA, 1.4.3 and 1.4.11): the first on the second. Borders, grid lines and
# grounds beside each other are ornament; maps are read by their bar, and what is written on them is black or white.
TEXT, GRAPHIC = 4.5, 3.0
GROUNDS = ("panel", "window", "raised", "hover")
ROLES = ("query", "key", "value", "output", "accent")
PAIRS: tuple[tuple[tuple[str, ...], tuple[str, ...], float], ...] = (
    (("text", "muted", "warning", "error", *ROLES), GROUNDS, TEXT),
    (("on_accent",), ("accent",), TEXT),
    (("panel",), ("error",), TEXT),
    (("edge",), GROUNDS, GRAPHIC),
    (("masked_line",), ("masked", "panel"), GRAPHIC),
)
TINT = 0.07
"""How much of a role's colour lies under its name: on a chip or a box it can still be read."""

# The ramps pass through these colours; the first is the panel's.
_RAMPS: dict[Scheme, list[str]] = {
    "light": ["#ffffff", "#bfe0ea", "#63b0d6", "#2b6fb8", "#243a8a", "#1d1147"],
    "dark": ["#1b1e25", "#2c3d74", "#2a6fa0", "#2fa39a", "#8fd16a", "#fdf3a8"],
}
_ARMS: dict[Scheme, tuple[list[str], list[str]]] = {
    "light": (["#ffffff", "#f0a860", "#a14a00", "#5a2600"], ["#ffffff", "#7fb6e8", "#1f63ad", "#0a2f66"]),
    "dark": (["#1b1e25", "#8a4a12", "#e08a35", "#ffe0b0"], ["#1b1e25", "#215a94", "#5fa6ea", "#d3ebff"]),
}


class Notifier(QObject):
    """`changed(Theme)`: emitted after the application's colours were switched."""

    changed = Signal(object)


notifier = Notifier()
_current = LIGHT
_following = False


def current() -> Theme:
    """The theme in use. Read it when painting; `notifier.changed` says when to paint again."""
    return _current


def apply(app: QApplication, scheme: Scheme | None = None) -> Theme:
    """Colour the whole application; `None` follows the system, now and whenever the system switches."""
    global _following
    hints = app.styleHints()
    _prepare(app)
    _following = False  # setting the scheme below may announce a change, which is ours and not the system's
    if scheme is None:
        hints.unsetColorScheme()
    else:
        hints.setColorScheme(Qt.ColorScheme.Dark if scheme == "dark" else Qt.ColorScheme.Light)
    _following = scheme is None
    wanted = scheme or ("dark" if hints.colorScheme() == Qt.ColorScheme.Dark else "light")
    _wear(app, DARK if wanted == "dark" else LIGHT)
    return _current


@cache
def _prepare(app: QApplication) -> None:
    # Under a style sheet widgets would keep the palette that they were born with.
    app.setAttribute(Qt.ApplicationAttribute.AA_UseStyleSheetPropagationInWidgetStyles)
    app.setStyle("Fusion")
    app.setStyleSheet(_STYLE_SHEET)
    app.styleHints().colorSchemeChanged.connect(_system_switched)


def _system_switched(scheme: Qt.ColorScheme) -> None:
    app = QApplication.instance()
    if _following and isinstance(app, QApplication):
        _wear(app, DARK if scheme == Qt.ColorScheme.Dark else LIGHT)


def _wear(app: QApplication, theme: Theme) -> None:
    global _current
    _current = theme
    app.setPalette(_palette(theme))
    for kind in OUTLINED:
        app.setPalette(_outlined(theme), kind)  # type: ignore[arg-type]  # PySide takes text, its stubs bytes
    app.sendPostedEvents(None, QEvent.Type.ApplicationPaletteChange)
    # What the sheet colours is kept with each widget until it is polished again. A new sheet or style would do that
    # with all widgets, several times as long.
    style = app.style()
    for widget in app.allWidgets():
        if isinstance(widget, _SHEETED):
            style.polish(widget)
    QToolTip.setPalette(app.palette())
    notifier.changed.emit(theme)


def colour_text(label: QWidget, colour: str) -> None:
    """Write a label in one of the theme's colours, or in the usual one for "".

    The sheet that it has is not set again: that would restyle it.
    """
    sheet = f"color: {colour}" if colour else ""
    if label.styleSheet() != sheet:
        label.setStyleSheet(sheet)


@cache
def load_fonts() -> tuple[str, ...]:
    """Register the bundled fonts and make them the application's; needs a QApplication.

    Text then looks the same on every machine, and is drawn even where no font is installed at all.
    Returns the families that were registered.
    """
    families: list[str] = []
    for path in sorted(asset("fonts").glob("*.ttf")):
        families += QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(path)))
    font = QGuiApplication.font()
    font.setFamilies([UI_FAMILY, MONO_FAMILY])
    QApplication.setFont(font)
    return tuple(dict.fromkeys(families))


def mono_font() -> QFont:
    """The font for tokens, numbers in columns and source, a little smaller to sit level with the text."""
    font = QGuiApplication.font()
    font.setFamilies([MONO_FAMILY])
    font.setPointSizeF(font.pointSizeF() * 0.95)
    return font


# --- colour arithmetic --------------------------------------------------------------------------------------


def contrast(one: str, other: str) -> float:
    """Contrast ratio 1..21 of two colours (WCAG 2.2, relative luminance)."""
    return float(_contrasts(_luminance(_rgb(one)), _luminance(_rgb(other))))


def _contrasts(one: Luminance, other: Luminance) -> Luminance:
    return (np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05)


def white_is_read_on(colours: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """[..., 3] to [...]: whether white is read better than black; the better one has a contrast of 4.58 or more."""
    return _luminance(colours / 255) < 0.179


def ink_on(colours: NDArray[np.uint8]) -> str:
    """Black or white, whichever is read on one colour [3]."""
    return "#ffffff" if white_is_read_on(colours) else "#000000"


def hex_of(colour: NDArray[np.uint8]) -> str:
    """[3] as "#rrggbb"."""
    red, green, blue = colour.tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def _luminance(rgb: NDArray[np.float64]) -> Luminance:
    """[..., 3] sRGB in 0..1 to [...]."""
    return np.asarray(_linear(rgb) @ _LUMINANCE)


def _rgb(colour: str) -> NDArray[np.float64]:
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


def _from_oklab(lab: NDArray[np.float64]) -> Lut:
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = linear.clip(0, 1)
    rgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(rgb * 255).astype(np.uint8)


def _even_ramp(stops: list[str], count: int) -> Lut:
    """[count, 3] through the stops, its steps equally large in OKLab."""
    lab = oklab(np.stack([_rgb(stop) for stop in stops]))
    fine = np.linspace(0, len(stops) - 1, 2048)
    path = np.stack([np.interp(fine, np.arange(len(stops)), lab[:, i]) for i in range(3)], axis=1)
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    even = np.linspace(0, length[-1], count)
    return _from_oklab(np.stack([np.interp(even, length, path[:, i]) for i in range(3)], axis=1))


@cache
def _sequential(name: Scheme) -> Lut:
    lut = _even_ramp(_RAMPS[name], 256)
    lut.flags.writeable = False
    return lut


@cache
def _marks(name: Scheme) -> Lut:
    theme = DARK if name == "dark" else LIGHT
    lut = _sequential(name)
    grounds = np.stack([_rgb(getattr(theme, ground)) for ground in GROUNDS])
    least = _contrasts(_luminance(lut / 255)[:, None], _luminance(grounds)).min(axis=1)
    return lut[np.flatnonzero(least >= GRAPHIC)[0] :]


@cache
def _diverging(name: Scheme) -> Lut:
    negative, positive = (_even_ramp(arm, 128) for arm in _ARMS[name])
    lut = np.concatenate([negative[::-1], positive])
    lut.flags.writeable = False
    return lut


@cache
def _cyclic(name: Scheme) -> Lut:
    turn = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    lightness = np.full(256, 0.62 if name == "light" else 0.68)
    lut = _from_oklab(np.stack([lightness, 0.11 * np.cos(turn), 0.11 * np.sin(turn)], axis=1))
    lut.flags.writeable = False
    return lut


# --- Qt -----------------------------------------------------------------------------------------------------


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for which, colour in {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.panel,
        role.AlternateBase: theme.window,
        role.Text: theme.text,
        role.PlaceholderText: theme.muted,
        role.Button: theme.raised,
        role.ButtonText: theme.text,
        role.BrightText: theme.error,
        role.ToolTipBase: theme.raised,
        role.ToolTipText: theme.text,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.on_accent,
        role.Accent: theme.accent,
        role.Link: theme.query,
        role.LinkVisited: theme.output,
        role.Light: theme.hover,
        role.Midlight: theme.hover,
        role.Mid: theme.border,
        role.Dark: theme.edge,
        role.Shadow: theme.window,
    }.items():
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(theme.muted))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(theme.border))
    palette.setColor(QPalette.ColorGroup.Disabled, role.HighlightedText, QColor(theme.text))
    return palette


OUTLINED = ("QLineEdit", "QComboBox", "QAbstractSpinBox", "QAbstractButton", "QSlider", "QProgressBar")


def _outlined(theme: Theme) -> QPalette:
    """For what Fusion draws an outline around: it makes that from the window's colour, up to 40 % darker."""
    palette = _palette(theme)
    palette.setColor(QPalette.ColorRole.Window, QColor(theme.edge).lighter(130))
    return palette


# Its colours are those of the palette, so that it stays the same when the theme does not.
_STYLE_SHEET = """
    QToolTip { color: palette(tooltip-text); background: palette(tooltip-base); border: 1px solid palette(mid);
                padding: 0.2em; }
    QMainWindow::separator { background: palette(window); width: 0.4em; height: 0.4em; }
    QMainWindow::separator:hover { background: palette(dark); }
    QHeaderView::section { color: palette(placeholder-text); background: palette(window); border: none;
                            border-right: 1px solid palette(mid);
                            border-bottom: 1px solid palette(mid); padding: 0.2em 0.4em; }
    QTableCornerButton::section { background: palette(window); border: none; }
    QScrollBar { background: transparent; }
    QScrollBar:horizontal { height: 0.75em; }
    QScrollBar:vertical { width: 0.75em; }
    QScrollBar::handle { background: palette(dark); border-radius: 0.25em; margin: 0.1em; }
    QScrollBar::handle:hover { background: palette(text); }
    QScrollBar::handle:horizontal { min-width: 2em; }
    QScrollBar::handle:vertical { min-height: 2em; }
    QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
    QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
    QToolButton:checked { color: palette(highlighted-text); background: palette(accent);
                           border: 1px solid palette(accent);
                           border-radius: 0.2em; padding: 0.15em 0.25em; }
"""

_SHEETED = (QAbstractButton, QHeaderView, QMainWindow, QScrollBar)
"""The kinds of widgets that the sheet speaks of; the corner of a table is a button. Tooltips are made anew."""
