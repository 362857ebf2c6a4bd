"""Every key in one table."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialogButtonBox, QGridLayout, QMenu, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.widgets.on_screen import FittingDialog, Scrolled
from explorer_app.widgets.plain import Label
from explorer_app.words.text import tr

if TYPE_CHECKING:
    from explorer_app.window.window import MainWindow


class KeysDialog(FittingDialog):
    """Every key in one table."""

    def __init__(self, window: "MainWindow") -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Keys"))
        table = QWidget()
        grid = QGridLayout(table)
        grid.setContentsMargins(0, 0, 0, 0)
        line = self.fontMetrics().height()
        grid.setHorizontalSpacing(line * 2)
        grid.setVerticalSpacing(round(line * 0.3))
        for row, (keys, text) in enumerate(self.rows(window)):
            name = Label(keys)
            name.setFont(theme.mono_font())
            grid.addWidget(name, row, 0)
            grid.addWidget(Label(text), row, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(line, line, line, line)
        column.setSpacing(line)
        column.addWidget(Scrolled(table, tr("Keys")))
        column.addWidget(buttons)

    @staticmethod
    def rows(window: "MainWindow") -> list[tuple[str, str]]:
        native = QKeySequence.SequenceFormat.NativeText
        rows = [(QKeySequence(key).toString(native), text) for key, text, _ in window.plain_keys]
        rows += [
            (
                tr("Arrows"),
                tr(
                    "In the Attention panel, a map or a plot: move its cursor, e.g. to the next head or layer"
                ),
            ),
            (tr("Shift+Left, Shift+Right"), tr("On the tokens: choose the query before or after")),
            (tr("Shift+click"), tr("On a token: choose it as the key")),
            (tr("Esc"), tr("Stop the engine's work; leave the prompt; let go of the locked tokens")),
        ]
        for menu in window.menuBar().findChildren(QMenu):
            for action in menu.actions():
                keys = ", ".join(keys.toString(native) for keys in action.shortcuts())
                if keys:
                    rows.append((keys, action.text().replace("&", "").rstrip("…")))
        return rows
