"""A model that was never trained, from a published configuration that can be changed field by field.

What is shown of parameters and memory is counted by the engine on the model itself, while one types.
"""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QSizePolicy,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.forms.config_form import ConfigForm, reason
from explorer_app.processes.engine_client import EngineClient
from explorer_app.state.session import Session
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.listening import Listening
from explorer_app.widgets.on_screen import FittingDialog
from explorer_app.widgets.plain import Label, RichLabel, rich
from explorer_app.words.config_words import about_html, meaning
from explorer_app.words.model_words import UNTRAINED, count_text, memory_text
from explorer_app.words.text import tr

FIRST = "gpt2"
SEED = {"name": "seed", "kind": "int", "choices": []}


class UntrainedDialog(FittingDialog):
    """Families at the left, the chosen one's text and fields at the right, what it takes below.

    created  the model and the words that were changed, as a scene has them
    """

    created = Signal(str, list)

    def __init__(self, session: Session, client: EngineClient, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("New untrained model"))
        self.session, self.client = session, client
        self.form: ConfigForm | None = None
        self.families = QListWidget()
        self.families.setAccessibleName(tr("Architecture"))
        self.about = QTextBrowser()
        self.about.setFrameShape(QFrame.Shape.NoFrame)
        self.about.setAccessibleName(tr("What makes this architecture different"))
        self.sizes = Chooser(tr("Published size"))
        self.area = QScrollArea()
        self.area.setAccessibleName(tr("Configuration"))
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.takes = RichLabel()
        self.takes.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.takes.setWordWrap(True)
        self.takes.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.create_button = self.buttons.addButton(tr("Create"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.create_button.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out()
        self.families.currentItemChanged.connect(self.show_family)
        self.sizes.activated.connect(self.fill)
        client.sized.connect(self.show_size)
        Listening(self).to(session.greeted, self.show_families)
        theme.notifier.changed.connect(self.show_about)
        self.show_families()

    def _lay_out(self) -> None:
        line = self.fontMetrics().height()
        self.families.setFixedWidth(line * 11)
        self.about.setMinimumHeight(line * 3)
        self.about.setMaximumHeight(round(line * 12.5))
        self.about.document().setDocumentMargin(line * 0.6)
        size = Label(tr("Begin with the published size"))
        size.setBuddy(self.sizes)
        row = QHBoxLayout()
        row.addWidget(size)
        row.addWidget(self.sizes)
        row.addStretch(1)
        right = QVBoxLayout()
        right.setSpacing(round(line * 0.6))
        right.addWidget(self.about, 1)
        right.addLayout(row)
        right.addWidget(self.area, 2)
        grid = QGridLayout(self)
        grid.setContentsMargins(line, line, line, line)
        grid.setSpacing(line)
        grid.addWidget(self.families, 0, 0)
        grid.addLayout(right, 0, 1)
        bottom = QHBoxLayout()
        bottom.setSpacing(line)
        bottom.addWidget(self.takes, 1)
        bottom.addWidget(self.buttons)
        grid.addLayout(bottom, 1, 0, 1, 2)
        self.resize(line * 56, line * 42)

    # Families

    def known(self) -> Mapping[str, Any]:
        """The families that were published in some size; empty until the engine has greeted."""
        families = self.session.greeting.get("families", {})
        return {name: family for name, family in families.items() if family["published"]}

    def show_families(self, _: Any = None) -> None:
        """Fill the list; what was chosen and filled in stays."""
        if self.families.count() == 0:
            for name, family in self.known().items():
                item = QListWidgetItem(family["title"])
                item.setData(Qt.ItemDataRole.UserRole, name)
                item.setSizeHint(QSize(0, round(self.fontMetrics().height() * 1.9)))
                self.families.addItem(item)
                if name == FIRST:
                    self.families.setCurrentItem(item)
        if self.families.count() and self.families.currentItem() is None:
            self.families.setCurrentRow(0)
        self.ask()

    @property
    def family(self) -> str:
        """The chosen family's name, "" where there is none yet."""
        item = self.families.currentItem()
        return "" if item is None else str(item.data(Qt.ItemDataRole.UserRole))

    def show_family(self, _: Any = None) -> None:
        """The chosen family's text, sizes and fields."""
        family = self.known()[self.family]
        self.sizes.clear()
        self.sizes.addItems(list(family["published"]))
        self.show_about()
        values = {**self.published(), "seed": "0"}
        fields = [
            {**field, "about": meaning(field["name"]), "default": values[field["name"]]}
            for field in (*family["fields"], SEED)
        ]
        self.form = ConfigForm(fields)
        self.form.setBackgroundRole(QPalette.ColorRole.Window)
        self.form.changed.connect(self.ask)
        self.area.setWidget(self.form)
        self.ask()

    def show_about(self, _: Any = None) -> None:
        if self.family:
            colours = theme.current()
            self.about.setHtml(about_html(self.known()[self.family]["about"], colours.text, colours.muted))

    def fill(self, _: Any = None) -> None:
        """Fill in the published size."""
        if self.form is not None:
            self.form.fill(self.published())
            self.ask()

    def published(self) -> dict[str, str]:
        """The words of the published size that is chosen."""
        return dict(self.known()[self.family]["published"][self.sizes.currentText()])

    # What it takes

    def model(self) -> str:
        """The model that the fields were begun from, as a scene names it."""
        return f"{UNTRAINED}{self.family}/{self.sizes.currentText()}"

    def words(self) -> list[str]:
        """What differs from it."""
        assert self.form is not None
        before = {**self.published(), "seed": "0"}
        return [f"{name}={value}" for name, value in self.form.values().items() if value != before[name]]

    def ask(self) -> None:
        """Have the engine count; until it has, nothing can be created."""
        self.create_button.setEnabled(False)
        if self.form is None:
            self.takes.setText(tr("The engine is starting; it knows the architectures."))
            return
        self.client.size(self.model(), self.words(), self.session.scene.device)

    def show_size(self, size: dict[str, Any]) -> None:
        """What the engine counted of the newest configuration."""
        if self.form is None:
            return
        scene = self.session.scene
        self.form.complain(reason(size["error"]) or size["error"])
        if size["error"]:
            self.takes.setText(tr("This configuration makes no model."))
            return
        need, free = size["bytes"][scene.dtype], size["free"]
        words = [
            rich(
                tr("<b>{count}</b> parameters ({exact})"),
                count=count_text(size["parameters"]),
                exact=f"{size['parameters']:,}",
            ),
            rich(tr("<b>{memory}</b> in {dtype}"), memory=memory_text(need), dtype=scene.dtype),
        ]
        if free is not None:
            words.append(rich(tr("{memory} free on {device}"), memory=memory_text(free), device=scene.device))
        text = " · ".join(words)
        fits = free is None or need <= free
        if not fits:
            why = tr("It does not fit: choose a smaller size, or a smaller number type in the window.")
            text += f'<br><span style="color: {theme.current().error}">{why}</span>'
        self.takes.setText(text)
        self.create_button.setEnabled(fits)

    def accept(self) -> None:
        if self.create_button.isEnabled():
            model, words = self.model(), self.words()
            super().accept()
            self.created.emit(model, words)
