"""What the engine process said on its stderr, and what else went wrong: for reading and for sending along."""

from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPlainTextEdit, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.processes.engine_client import LOG_CHARACTERS, EngineClient
from explorer_app.words.text import tr


class LogDialog(QDialog):
    """The log as text that grows while it is open, up to what the client keeps of it."""

    def __init__(self, client: EngineClient, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Log"))
        self.text = QPlainTextEdit(client.log)
        self.text.setUndoRedoEnabled(False)  # it would keep every line that ever came
        self.text.setReadOnly(True)
        self.text.setFont(theme.mono_font())
        self.text.setPlaceholderText(tr("Nothing went wrong so far."))
        self.text.setAccessibleName(tr("Log"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton(tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.toPlainText()))
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addWidget(buttons)
        line = self.fontMetrics().height()
        self.resize(line * 50, line * 28)
        client.log_grew.connect(self.add)

    def add(self, text: str) -> None:
        """More of the log; what is being read stays in sight."""
        bar = self.text.verticalScrollBar()
        at_end, value = bar.value() == bar.maximum(), bar.value()
        cursor = QTextCursor(self.text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(text)
        if (over := self.text.document().characterCount() - LOG_CHARACTERS) > 0:
            cursor.movePosition(QTextCursor.MoveOperation.Start)
            cursor.movePosition(QTextCursor.MoveOperation.Right, QTextCursor.MoveMode.KeepAnchor, over)
            cursor.removeSelectedText()
        bar.setValue(bar.maximum() if at_end else value)
