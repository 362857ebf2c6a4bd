"""A list that drops down and says what is chosen in it, to a screen reader as well."""

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QComboBox, QWidget

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

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ParentChange:
            self._stand_beside()
        return super().event(event)

    def _stand_beside(self) -> None:
        if (parent := self.parentWidget()) is not None:
            self._label.setParent(parent)
