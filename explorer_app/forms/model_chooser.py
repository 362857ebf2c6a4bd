"""Which model reads the prompt: presets, what was opened before, and the ways to another."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QWidget

from explorer_app.state.session import Session
from explorer_app.state.settings import Recent
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.plain import tip
from explorer_app.widgets.two_lines import DETAIL, TwoLines
from explorer_app.words.model_words import distinct_titles, model_tip, preset_line, preset_tip, why_missing
from explorer_app.words.text import tr


class ModelChooser(Chooser):
    """Says and writes the model of the scene.

    opening_file, opening_folder  somebody wants to choose a checkpoint
    creating                      somebody wants a model without training
    """

    opening_file = Signal()
    opening_folder = Signal()
    creating = Signal()

    def __init__(self, session: Session, recent: Sequence[Recent], parent: QWidget | None = None) -> None:
        super().__init__(tr("Model"), parent)
        self.session = session
        self.recent = list(recent)
        self.choices: list[Recent] = []
        self.setItemDelegate(TwoLines(self))
        self.activated.connect(self._choose)

    def presets(self) -> dict[str, Mapping[str, Any] | str]:
        """What the engine knows of each preset, or why it is damaged, in the order in which they are listed."""
        greeting = self.session.greeting
        known = {**greeting.get("presets", {}), **greeting.get("damaged", {})}
        return {name: known[name] for name in greeting.get("order", ())}

    def models(self) -> list[Recent]:
        """What the chooser of models offers: presets, what was opened before, and what the scene says."""
        scene, presets = self.session.scene, self.presets()
        models = [Recent(name) for name in presets]
        models += [recent for recent in self.recent if recent.model not in presets]
        asked = Recent(*scene.shape)
        return models if asked in models else [asked, *models]

    def show_models(self) -> None:
        """Offer anew what the engine has and what was opened before."""
        self.choices = self.models()
        presets = self.presets()
        with QSignalBlocker(self):
            self.clear()
            titles = distinct_titles([(choice.model, choice.config) for choice in self.choices])
            for row, (choice, title) in enumerate(zip(self.choices, titles, strict=True)):
                self.addItem(title, choice.model)
                about = model_tip(choice.model, choice.config)
                facts = presets.get(choice.model)
                if isinstance(facts, str):
                    # Its weights may be whole and open; if they do not, the engine says why.
                    about = facts
                    self.setItemData(row, tr("damaged"), DETAIL)
                elif facts is not None:
                    about = preset_tip(facts)
                    self.setItemData(row, preset_line(facts), DETAIL)
                known = facts is not None or choice.model == self.session.scene.shape[0]
                if missing := "" if known else why_missing(choice.model):
                    about = f"{about}\n{missing}"
                    cast(QStandardItemModel, self.model()).item(row).setEnabled(False)
                self.setItemData(row, tip(about), Qt.ItemDataRole.ToolTipRole)
            self.insertSeparator(self.count())
            for text in (tr("Open file…"), tr("Open folder…"), tr("New untrained model…")):
                self.addItem(text)
        # The list is as wide as what it says, whatever room the closed box has.
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0))

    def show_scene(self) -> None:
        """Follow the scene."""
        if self.choices != self.models():
            self.show_models()
        with QSignalBlocker(self):
            self.setCurrentIndex(self.choices.index(Recent(*self.session.scene.shape)))

    def remember(self, recent: Recent) -> None:
        """Offer a model from now on."""
        self.recent = [recent, *(other for other in self.recent if other.model != recent.model)]
        self.show_scene()

    def forget(self) -> None:
        """Offer no model of before any more."""
        self.recent = []
        self.show_scene()

    def _choose(self, row: int) -> None:
        if row < len(self.choices):
            choice = self.choices[row]
            self.session.open(choice.model, choice.config)
        else:
            self.show_scene()
            # A separator stands between.
            (self.opening_file, self.opening_folder, self.creating)[row - len(self.choices) - 1].emit()
