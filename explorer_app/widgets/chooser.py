"""A list that drops down and says what is chosen in it, to a screen reader as well."""

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

from explorer_app.widgets.plain import Label


class Chooser(QComboBox):
    """On Linux Qt says the chosen entry for the name of such a box, whatever name it was given.

    What it is, is read from a label beside it: each has one, out of sight.
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = Label(name, self)
        self._label.setBuddy(self)
        self._label.hide()
        self.setAccessibleName(name)
        self._stand_beside()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Qt cuts a text that is too long anywhere in a letter, and says nothing of it."""
        option, painter = QStyleOptionComboBox(), QStylePainter(self)
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        text, metrics = self.currentText(), self.fontMetrics()
        option.currentText = metrics.elidedText(text, Qt.TextElideMode.ElideRight, field.width() - 2)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ParentChange:
            self._stand_beside()
        return super().event(event)

    def _stand_beside(self) -> None:
        if (parent := self.parentWidget()) is not None:
            self._label.setParent(parent)
