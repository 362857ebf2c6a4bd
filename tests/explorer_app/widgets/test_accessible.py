"""Whatever takes the focus says what it is to who cannot see it."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QLabel, QWidget

from explorer_app.forms.config_form import AsksDialog
from explorer_app.forms.untrained_dialog import UntrainedDialog
from explorer_app.window.keys_dialog import KeysDialog
from tests.support.models.tiny import save
from tests.support.window.walk import name_of, widgets
from tests.support.window.window_on_screen import whole_window

pytestmark = pytest.mark.process

ASKS = [
    {"name": "heads", "default": 8, "about": "heads in each layer", "kind": "int", "choices": []},
    {"name": "tied", "default": True, "about": "one matrix for both ends", "kind": "bool", "choices": []},
    {"name": "norm", "default": "a", "about": "which", "kind": "choice", "choices": ["a", "b"]},
    {"name": "theta", "default": 1.0, "about": "base", "kind": "float", "choices": []},
]


def said_name(widget: QWidget) -> str:
    """What a screen reader calls a widget; a part of a field is called as the field."""
    field: QWidget | None = widget
    while field is not None and not isinstance(field, QComboBox | QAbstractSpinBox):
        field = field.parentWidget()
    interface = QAccessible.queryAccessibleInterface(field or widget)
    if isinstance(field, QComboBox):
        # Its name is what is chosen in it; what it is stands in a label.
        flag = QAccessible.RelationFlag.Label
        labels = [label.text(QAccessible.Text.Name) for label, kind in interface.relations() if kind == flag]
        return field.accessibleName() if field.accessibleName() in labels else ""
    return interface.text(QAccessible.Text.Name).strip()


def takes_focus(widget: QWidget) -> bool:
    """Whether the focus may come to it; what hands it on, and a label without a word, are never seen with it."""
    passed_on = widget.focusProxy() is not None or widget.isHidden()
    empty = isinstance(widget, QLabel) and not QLabel.text(widget)
    return widget.focusPolicy() != Qt.FocusPolicy.NoFocus and not passed_on and not empty


@pytest.mark.parametrize("family", ["llama", "seq2seq"])
def test_everything_that_takes_the_focus_has_a_name(family: str, tmp_path: Path) -> None:
    with whole_window(save(tmp_path / "model", family), "a b c") as window:
        window.session.change(edits=("ablate L1H1",) if family == "llama" else ())
        window.session.tell("wrong", {"prompt": "a"})
        dialogs = [
            KeysDialog(window),
            UntrainedDialog(window.session, window.client, window),
            AsksDialog("model", ASKS, "", window),
        ]
        for dialog in dialogs:
            dialog.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
            dialog.show()
        window.log.show()
        QApplication.processEvents()
        nameless = sorted(
            {name_of(widget) for widget in widgets(window) if takes_focus(widget) and not said_name(widget)}
        )
        window.log.close()
        for dialog in dialogs:
            dialog.close()
            dialog.deleteLater()
        assert not nameless, "\n".join(nameless)
