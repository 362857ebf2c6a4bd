"""What a hand does with a drawing: it moves the pointer there and turns the wheel."""

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from explorer_app.widgets.plots.plotting import Canvas


def canvas(widget: QWidget) -> Canvas:
    """The drawing inside of a widget."""
    found = widget.findChild(Canvas)
    assert isinstance(found, Canvas)
    return found


def on_canvas(widget: QWidget, place: QPointF) -> QPoint:
    """A place in a widget, in the coordinates of its drawing."""
    return (place - QPointF(canvas(widget).pos())).toPoint()


def point_at(widget: QWidget, place: QPointF) -> None:
    """Move the pointer to a place in a widget with a drawing."""
    QTest.mouseMove(canvas(widget).viewport(), on_canvas(widget, place))
    QApplication.processEvents()


def turn_wheel(view: QWidget, place: QPointF, turns: int) -> None:
    """Turn the wheel over a place, away from the hand (positive) or towards it."""
    event = QWheelEvent(
        place, QPointF(view.mapToGlobal(place)), QPoint(), QPoint(0, 120 * turns), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view, event)
