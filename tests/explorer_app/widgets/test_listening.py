"""What a widget hears of the session ends with the widget, however it ends."""

import gc
from weakref import ref

import pytest
from psygnal import Signal
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from explorer_app.widgets.listening import Listening, detach

pytestmark = pytest.mark.unit


class Told:
    changed = Signal(int)


class Hearer(QWidget):
    def __init__(self, told: Told, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heard: list[int] = []
        Listening(self).to(told.changed, self.hear)

    def hear(self, number: int) -> None:
        self.heard.append(number)
        self.isVisible()  # fails where Qt has deleted it


def delete(widget: QWidget) -> None:
    widget.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_widget_hears_until_qt_deletes_it_though_python_still_holds_it(told: Told, qapp: object) -> None:
    hearer = Hearer(told)
    told.changed.emit(1)
    delete(hearer)
    told.changed.emit(2)
    assert not isValid(hearer)
    assert hearer.heard == [1]
    assert len(told.changed) == 0


def test_what_lies_in_a_widget_is_forgotten_with_it(told: Told, qapp: object) -> None:
    outer = QWidget()
    inner = Hearer(told, outer)
    delete(outer)
    told.changed.emit(1)
    assert inner.heard == []
    assert len(told.changed) == 0


def test_detaching_a_widget_stops_all_that_lies_in_it_and_nothing_else(told: Told, qtbot: QtBot) -> None:
    outer, other = QWidget(), Hearer(told)
    qtbot.addWidget(outer)
    qtbot.addWidget(other)
    inner = Hearer(told, outer)
    detach(outer)
    detach(outer)
    told.changed.emit(1)
    assert (inner.heard, other.heard) == ([], [1])


def test_listening_keeps_no_widget_alive(told: Told, qapp: object) -> None:
    hearer = Hearer(told)
    held = ref(hearer)
    del hearer
    gc.collect()
    assert held() is None
    told.changed.emit(1)
    assert len(told.changed) == 0
