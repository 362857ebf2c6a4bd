"""How a person points at a model: file dialogs, something dropped on the window, the models of before."""

from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFontMetricsF,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QFileDialog, QLineEdit, QWidget

from explorer_app import theme
from explorer_app.words.model_words import short_name
from explorer_app.words.text import tr

TEXTS = (".txt", ".text", ".md")


def choose_file(parent: QWidget, start: str) -> str:
    """Ask for a checkpoint's file; "" where the person chose none."""
    kinds = tr("Checkpoints ({kinds})").format(kinds="*.pth *.pt *.bin *.safetensors *.json")
    path, _ = QFileDialog.getOpenFileName(
        parent, tr("Open checkpoint file"), start, f"{kinds};;{tr('All files')} (*)"
    )
    return path


def choose_folder(parent: QWidget, start: str) -> str:
    """Ask for a checkpoint's folder; "" where the person chose none."""
    return QFileDialog.getExistingDirectory(parent, tr("Open checkpoint folder"), start)


def dropped(data: QMimeData) -> tuple[str, str]:
    """The path that something dropped means, and what is wrong with it; both "" where it is no file at all."""
    urls = data.urls()
    if not urls:
        return "", ""
    if len(urls) > 1:
        return "", tr("Drop one file or folder, not {count}: one model is opened at a time.").format(
            count=len(urls)
        )
    if not urls[0].isLocalFile():
        return "", tr("{url} is not on this machine: download it, then drop its folder.").format(
            url=short_name(urls[0].toString())
        )
    return urls[0].toLocalFile(), ""


def dropped_texts(data: QMimeData) -> tuple[str, ...]:
    """The paths of what was dropped where all of it is text on this machine, else none."""
    paths = [url.toLocalFile() for url in data.urls()]
    return tuple(paths) if all(Path(path).suffix.lower() in TEXTS for path in paths) else ()


class DropVeil(QWidget):
    """Lies over the window while a file is dragged over it, and says what dropping it would do.

    opened   a path was dropped
    texts    texts were dropped, which nobody takes for models: they are to be learned from
    refused  what was dropped is no model, in a sentence
    """

    opened = Signal(str)
    texts = Signal(tuple)
    refused = Signal(str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.covered = window
        self.words = ""
        self.wrong = False
        self._entered = False
        self.setAcceptDrops(True)
        self.hide()
        window.setAcceptDrops(True)
        window.installEventFilter(self)
        # A field to type in would take the path as text.
        for field in window.findChildren(QLineEdit):
            field.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """What is dragged over the window, whatever lies under the pointer, is taken by the veil."""
        if isinstance(event, QDragLeaveEvent):
            # As soon as the veil lies there the pointer leaves the window for it; else it left for good.
            QTimer.singleShot(0, self, self._end_if_left)
        elif isinstance(event, QDropEvent) and event.mimeData().hasUrls():
            if watched is not self.covered:
                event.ignore()
                return True
            self._take(event)
            return True
        return False

    def _take(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            self._drop(event.mimeData())
        else:
            self._begin(event.mimeData())

    def _begin(self, data: QMimeData) -> None:
        path, wrong = dropped(data)
        texts = dropped_texts(data)
        self.wrong = bool(wrong) and not texts
        self.words = wrong or tr("Drop to open {name}").format(name=short_name(Path(path).name or path))
        if texts:
            names = short_name(", ".join(Path(path).name for path in texts))
            self.words = tr("Drop to train on {names}").format(names=names)
        self._entered = False
        self.setGeometry(self.covered.rect())
        self.show()
        self.raise_()
        self.update()

    def _end_if_left(self) -> None:
        if not self._entered:
            self.hide()

    def _drop(self, data: QMimeData) -> None:
        self.hide()
        path, wrong = dropped(data)
        if texts := dropped_texts(data):
            self.texts.emit(texts)
        elif path:
            self.opened.emit(path)
        elif wrong:
            self.refused.emit(wrong)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self._entered = True
        event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._entered = False
        self.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._take(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = QColor(colours.window)
        ground.setAlphaF(0.86)
        painter.fillRect(self.rect(), ground)
        line = QFontMetricsF(self.font()).height()
        colour = QColor(colours.warning if self.wrong else colours.accent)
        painter.setPen(QPen(colour, line * 0.15, Qt.PenStyle.DashLine))
        inset = round(line)
        painter.drawRoundedRect(self.rect().adjusted(inset, inset, -inset, -inset), line, line)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 1.6)
        painter.setFont(font)
        painter.setPen(colour if self.wrong else QColor(colours.text))
        inset *= 3
        painter.drawText(
            self.rect().adjusted(inset, inset, -inset, -inset),
            Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap,
            self.words,
        )
