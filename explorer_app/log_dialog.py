"""What the engine process said on its stderr: for reading and for sending along."""

from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPlainTextEdit, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.text import tr


class LogDialog(QDialog):
    """The log as text that grows while it is open."""

    def __init__(self, log: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Engine log"))
        self.text = QPlainTextEdit(log)
        self.text.setReadOnly(True)
        self.text.setFont(theme.mono_font())
        self.text.setPlaceholderText(tr("The engine has said nothing so far."))
        self.text.moveCursor(QTextCursor.MoveOperation.End)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton(tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.toPlainText()))
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addWidget(buttons)
        self.resize(720, 420)

    def add(self, text: str) -> None:
        """More of the log; what is being read stays in sight."""
        bar = self.text.verticalScrollBar()
        at_end, value = bar.value() == bar.maximum(), bar.value()
        cursor = self.text.textCursor()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(text)
        bar.setValue(bar.maximum() if at_end else value)
