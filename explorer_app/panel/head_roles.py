"""The roles of heads above their overview: which one colours it, measured on what, and whether it sorts the heads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from model_core.api import role_list
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.heads import HeadRoles
from model_core.api.queries.query import Query
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.plain import RichLabel, rich, tip
from explorer_app.words.text import tr

Heads = list[tuple[int, int]]

ROLES = tuple(role.name for role in role_list.ROLES)


def role_title(name: str) -> str:
    """What a role is called."""
    return {
        "previous": tr("previous token"),
        "induction": tr("induction"),
        "duplicate": tr("same token"),
        "first": tr("first token (sink)"),
        "local": tr("local"),
        "uniform": tr("uniform"),
    }.get(name, name)


def ranked(scores: NDArray[np.float32]) -> Heads:
    """The heads of scores [L H], the highest first; equal ones in their order, those without a score at the end."""
    order = np.argsort(-np.nan_to_num(scores, nan=-1).ravel(), kind="stable")
    return [divmod(int(n), scores.shape[1]) for n in order]


def arranged(maps: NDArray[Any], heads: Heads) -> NDArray[Any]:
    """Maps [L H ...] in the order of the heads, in as many rows and columns."""
    layers, across = zip(*heads, strict=True)
    moved: NDArray[Any] = maps[list(layers), list(across)].reshape(maps.shape)
    return moved


class RoleBar(QWidget):
    """Chooses a role. `changed` tells of another choice; what it asks for is `query`."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wanted = ""  # it returns with an attention that it can be asked of
        self.role = Chooser(tr("Role of the heads"))
        self.role.setToolTip(tip(tr("Colour the heads by what they do, each scored from 0 to 1")))
        self.on = Chooser(tr("Measured on"))
        self.on.addItem(tr("prompt"), "prompt")
        self.on.setItemData(
            0, tip(tr("Measured on this prompt, edits included")), Qt.ItemDataRole.ToolTipRole
        )
        self.on.addItem(tr("probe"), "probe")
        self.on.setItemData(
            1,
            tip(
                tr(
                    "Measured on random tokens, repeated once, that nothing but a rule can predict; without edits"
                )
            ),
            Qt.ItemDataRole.ToolTipRole,
        )
        self.sort = QToolButton()
        self.sort.setText(tr("Sort"))
        self.sort.setCheckable(True)
        self.sort.setToolTip(tip(tr("The highest score first, row by row")))
        self.about = RichLabel()
        self.about.setWordWrap(True)
        self.about.setOpenExternalLinks(True)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        for box in (self.role, self.on):
            box.activated.connect(self._choose)
        self.role.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.role.setMinimumContentsLength(5)
        self.role.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.sort.clicked.connect(self.changed)
        row = QHBoxLayout()
        row.setSpacing(4)
        for widget in (self.role, self.on, self.sort):
            row.addWidget(widget, int(widget is self.role))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.about)
        self.offer(None)

    @property
    def name(self) -> str:
        """The role that is chosen; "" for none."""
        return str(self.role.currentData() or "")

    def offer(self, kind: AttentionKind | None) -> None:
        """The roles that make sense for the attention in focus; across two texts fewer do, and there is no probe."""
        names = ["", *(ROLES if kind is None else (role.name for role in role_list.roles_of(kind)))]
        if names != [self.role.itemData(n) for n in range(self.role.count())]:
            with QSignalBlocker(self.role):
                self.role.clear()
                for name in names:
                    self.role.addItem(role_title(name) if name else tr("colour by role"), name)
                self.role.setCurrentIndex(max(0, self.role.findData(self._wanted)))
        self.on.setVisible(bool(self.name) and (kind is None or not kind.name))
        self.sort.setVisible(bool(self.name))
        self.about.setVisible(bool(self.name))

    def query(self, kind: AttentionKind) -> Query | None:
        """What is to be asked for; None where no role is chosen. The prompt stands in where there is no probe."""
        probed = not kind.name and self.on.currentData() == "probe"
        return HeadRoles("probe" if probed else "prompt", kind.name) if self.name else None

    def heads(self, scores: NDArray[np.float32] | None, kind: AttentionKind) -> Heads:
        """The heads in the order in which they are drawn."""
        if scores is not None and self.sort.isChecked():
            return ranked(scores)
        return list(np.ndindex(kind.layers, kind.heads))

    def show_source(self, answer: Answer) -> None:
        """Say what the chosen role measures, and who described it."""
        for role in answer["roles"]:
            if role["name"] == self.name:
                self.about.setText(rich('{about} <a href="{link}">{source}</a>', **role))
                self.about.setToolTip(tip(role["link"]))

    def _choose(self, _: int) -> None:
        self._wanted = self.name
        self.sort.setVisible(bool(self.name))
        self.changed.emit()


def score_words(score: float) -> str:
    """ ".93", "1", "–" where the text has no say."""
    if np.isnan(score):
        return "–"
    return f"{score:.2f}".replace("0.", ".", 1) if score < 0.995 else "1"


def head_name(head: Sequence[int]) -> str:
    return f"L{head[0]}H{head[1]}"
