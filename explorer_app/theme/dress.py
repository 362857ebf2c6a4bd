"""What Qt's own widgets are coloured with: palettes, and a style sheet for what these do not reach."""

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QAbstractButton, QHeaderView, QMainWindow, QScrollBar

from explorer_app.theme.colours import Theme


def palette_of(theme: Theme) -> QPalette:
    """The colours of all widgets."""
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


def outlined(theme: Theme) -> QPalette:
    """For what Fusion draws an outline around: it makes that from the window's colour, up to 40 % darker."""
    palette = palette_of(theme)
    palette.setColor(QPalette.ColorRole.Window, QColor(theme.edge).lighter(130))
    return palette


# Its colours are those of the palette, so that it stays the same when the theme does not.
STYLE_SHEET = """
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

SHEETED = (QAbstractButton, QHeaderView, QMainWindow, QScrollBar)
"""The kinds of widgets that the sheet speaks of; the corner of a table is a button. Tooltips are made anew."""
