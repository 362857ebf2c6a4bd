"""Which theme the application wears now, and how it changes."""

from functools import cache

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QApplication, QToolTip, QWidget

from explorer_app.state.settings import Scheme
from explorer_app.theme.colours import DARK, LIGHT, Theme
from explorer_app.theme.dress import OUTLINED, SHEETED, STYLE_SHEET, outlined, palette_of


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
    app.setStyleSheet(STYLE_SHEET)
    app.styleHints().colorSchemeChanged.connect(_system_switched)


def _system_switched(scheme: Qt.ColorScheme) -> None:
    app = QApplication.instance()
    if _following and isinstance(app, QApplication):
        _wear(app, DARK if scheme == Qt.ColorScheme.Dark else LIGHT)


def _wear(app: QApplication, theme: Theme) -> None:
    global _current
    _current = theme
    app.setPalette(palette_of(theme))
    for kind in OUTLINED:
        app.setPalette(outlined(theme), kind)  # type: ignore[arg-type]  # PySide takes text, its stubs bytes
    app.sendPostedEvents(None, QEvent.Type.ApplicationPaletteChange)
    # What the sheet colours is kept with each widget until it is polished again. A new sheet or style would do that
    # with all widgets, several times as long.
    style = app.style()
    for widget in app.allWidgets():
        if isinstance(widget, SHEETED):
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
