"""The fonts that come with the application."""

from functools import cache

from model_core.api.files.assets import asset
from PySide6.QtGui import QFont, QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QApplication

UI_FAMILY = "Inter"
MONO_FAMILY = "DejaVu Sans Mono"


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
