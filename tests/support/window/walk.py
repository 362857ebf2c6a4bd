"""Walks a window and its dialogs: every widget, and every text that somebody may come to see on it."""

from collections.abc import Iterator

import pyqtgraph as pg
from PySide6.QtCore import QAbstractItemModel, QAbstractListModel, QModelIndex
from PySide6.QtGui import QAction, Qt, QTextDocument
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QGroupBox,
    QLabel,
    QMenu,
    QTabBar,
    QTextEdit,
    QWidget,
)


def widgets(window: QWidget) -> list[QWidget]:
    """All of a window: panels, dialogs, menus and lists that drop down."""
    return [window, *window.findChildren(QWidget)]


def name_of(widget: QWidget) -> str:
    names = []
    at: QWidget | None = widget
    while at is not None:
        names.append(at.objectName() or type(at).__name__)
        at = at.parentWidget()
    return "/".join(reversed(names))


def read(html: str) -> str:
    """What is read of a rich text; a picture in it reads "<picture>"."""
    document = QTextDocument()
    document.setHtml(html)
    picture = "<picture>" if "<img" in document.toHtml() else ""
    return document.toPlainText() + picture


def guessed(text: str) -> str:
    """What is read of a text that Qt takes for HTML if it looks like it."""
    return read(text) if Qt.mightBeRichText(text) else text


def captioned(text: str) -> str:
    """What is read on a button: a single & is the mark of a key."""
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&")


def texts(widget: QWidget) -> Iterator[tuple[str, str]]:
    """(what it is, what is read there) for everything that a widget shows in words."""
    yield "tooltip", guessed(widget.toolTip())
    yield "title", widget.windowTitle().replace("[*][*]", "\0").replace("[*]", "").replace("\0", "[*]")
    yield "accessible name", widget.accessibleName()
    if isinstance(widget, QLabel):
        shown = QLabel.text(widget)
        kind = widget.textFormat()
        yield (
            "label",
            read(shown)
            if kind == Qt.TextFormat.RichText
            else (shown if kind == Qt.TextFormat.PlainText else guessed(shown)),
        )
    if isinstance(widget, QAbstractButton):
        yield "button", captioned(widget.text())
    if isinstance(widget, QGroupBox):
        yield "group", captioned(widget.title())
    if isinstance(widget, QTabBar):
        for tab in range(widget.count()):
            yield "tab", captioned(widget.tabText(tab))
            yield "tooltip of a tab", guessed(widget.tabToolTip(tab))
    if isinstance(widget, QMenu):
        for action in widget.actions():
            yield from of_action(action)
    if isinstance(widget, QTextEdit):
        yield "text", read(widget.toHtml())
    model = widget.model() if isinstance(widget, QAbstractItemView | QComboBox) else None
    if model is not None:
        yield from of_model(model)
    if isinstance(widget, pg.GraphicsView):
        for item in widget.scene().items():
            if isinstance(item, pg.AxisItem):
                yield "axis", item.label.toPlainText()


def of_action(action: QAction) -> Iterator[tuple[str, str]]:
    yield "entry", captioned(action.text().partition("\t")[0])
    yield "tooltip of an entry", guessed(action.toolTip())


def of_model(model: QAbstractItemModel) -> Iterator[tuple[str, str]]:
    role = Qt.ItemDataRole
    columns = 1 if isinstance(model, QAbstractListModel) else model.columnCount(QModelIndex())
    for row in range(min(model.rowCount(QModelIndex()), 40)):
        for col in range(min(columns, 8)):
            index = model.index(row, col)
            yield "item", str(model.data(index, role.DisplayRole) or "")
            yield "tooltip of an item", guessed(str(model.data(index, role.ToolTipRole) or ""))
