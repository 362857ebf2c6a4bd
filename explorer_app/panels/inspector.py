"""Any value of the forward pass: what it is, its numbers as a table, and how they are distributed."""

import numpy as np
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.values import SiteTable
from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QHBoxLayout,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.state.focus import Role
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.lists.table import ArrayTable
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import Label, tip
from explorer_app.widgets.plots.histogram import Histogram
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.site_words import axis_words, cut_words, roles, shape_words, statistics_words
from explorer_app.words.text import sentence, tr

ROLES: dict[str, Role] = {"T": "query", "S": "key"}


@panel("inspector", "Inspector", area="right", order=30, height=42)
class Inspector(Panel):
    """The site of the present step, or any other that is chosen here; a head, where one is needed, is the focused one.

    The table has the last two axes; those before them are fixed by spin boxes.
    """

    no_difference = "Statistics and a histogram of a difference would be those of no value: look at A or B."

    follows = ("head", "query", "key", "step", "site", "stack")

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._at: dict[str, int] = {}
        self._keys: list[str] = []
        self._name = ""
        self._shown: tuple[Answer | str, ...] | None = None
        self._axes: tuple[str, str] = ("", "")

        self.chooser = Chooser(tr("Site"), self)
        self.chooser.setEditable(True)
        self.chooser.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.chooser.setToolTip(tip(tr("Any value of the forward pass; type part of its name")))
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        completer = self.chooser.completer()
        assert completer is not None
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        self.facts = Label(parent=self)
        self.facts.setWordWrap(True)
        self.facts.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.setFixedHeight(self.fontMetrics().lineSpacing() * 2)
        self.spins: dict[str, QSpinBox] = {}
        self._spin_labels: dict[str, Label] = {}
        self._spin_row = QHBoxLayout()
        self.cut = OneLine(self)
        self._spin_row.addWidget(self.cut, 1)
        # The row stays, with and without something to choose, so that the numbers below it do.
        self._spin_row.addStrut(QSpinBox().sizeHint().height())
        self.statistics = OneLine(self)
        self.table = ArrayTable(self)
        self.histogram = Histogram(self)
        for view in (self.table, self.histogram):
            view.setMinimumHeight(self.fontMetrics().height() * 4)

        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.table, tr("Numbers"))
        self.tabs.addTab(self.histogram, tr("Histogram"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(3)
        layout.addWidget(self.chooser)
        layout.addWidget(self.facts)
        layout.addLayout(self._spin_row)
        layout.addWidget(self.statistics)
        layout.addWidget(self.tabs, 1)

        self.chooser.activated.connect(lambda _: self._choose())
        editor = self.chooser.lineEdit()
        assert editor is not None
        editor.editingFinished.connect(self._choose)
        self.table.cell_clicked.connect(self._select)

    def needs(self) -> list[Query]:
        asked = self._asked()
        return [SITES] if asked is None else [SITES, asked]

    def _asked(self) -> Query | None:
        """The slice that is shown; None while the selection stands on a text or on a site that is not known."""
        dims = self._dims()
        if dims is None:
            return None
        at = {axis: self._position(axis) for axis in self._fixed(dims)}
        return SiteTable(site=self.session.selection.site, at=at)

    def _dims(self) -> str | None:
        site = self.session.selection.site
        names = [text["name"] for text in self.session.texts]
        sites = (known for known in self.session.sites if known["key"] not in names)
        return next((known["dims"] for known in sites if known["key"] == site), None)

    def _fixed(self, dims: str) -> list[str]:
        return dims.removeprefix("B ").split()[:-2]

    def _position(self, axis: str) -> int:
        """Where an axis is fixed: heads are those of the selection, other axes those of their spin boxes."""
        if axis == "H":
            return self.session.selection.head
        if axis == "G":
            return self.session.selection.head // self._queries_a_key()
        return self._at.get(axis, 0)

    def _queries_a_key(self) -> int:
        """How many query heads share one key/value head."""
        attention = self.session.attention
        return 1 if attention is None else attention.heads // attention.kv_heads

    def draw(self, answers: Answers) -> None:
        run, asked = answers[RUN], self._asked()
        self._fill_chooser()
        if asked is None:
            self._draw_tokens(run)
        else:
            self._draw_site(run, answers[asked])
        self._point_at_selection()

    def _draw_tokens(self, run: Answer) -> None:
        text = run["texts"][self.session.text_of(self.session.selection.site, "T")]
        self._say(
            shape_words("B T", [1, len(text["tokens"])]),
            tr("one id for each token: what the model reads"),
            "",
        )
        self.tabs.setTabVisible(1, False)
        self._show_spins({})
        self._axes = ("T", "")
        if self._shown != (run, text["name"]):
            self._shown = (run, text["name"])
            ids = np.array(text["tokens"])[:, None]
            self.table.show_array(ids, self._labels(run, "T", len(ids)), [tr("id")])

    def _draw_site(self, run: Answer, answer: Answer) -> None:
        site, dims, shape = self.session.selection.site, answer["site_dims"], answer["site_shape"]
        sizes = dict(zip(dims.split(), shape, strict=True))
        self._show_spins({axis: sizes[axis] for axis in self._fixed(dims)})
        rows, columns = (["", "", *answer["axes"]])[-2:]
        self._axes = (rows, columns)
        if self._shown == (run, answer):
            return
        self._shown = (run, answer)
        table = answer["table"]
        whole = tuple(([1, 1, *answer["shape"]])[-2:])
        self._say(
            f"{shape_words(dims, shape)} · {answer['dtype']}",
            ". ".join(filter(None, (statistics_words(answer["statistics"]), sentence(answer["not_finite"])))),
            cut_words(table.shape, (whole[0], whole[1])),
        )
        self.table.show_array(
            table, self._labels(run, rows, table.shape[0]), self._labels(run, columns, table.shape[1])
        )
        self.tabs.setTabVisible(1, True)
        role = roles(known["key"] for known in self.session.sites).get(site, "muted")
        self.histogram.show_counts(answer["counts"], answer["edges"], role=role)

    def _say(self, *texts: str) -> None:
        """Facts, statistics and what is cut off: whole in the tooltip where there is no room."""
        for label, text in zip((self.facts, self.statistics, self.cut), texts, strict=True):
            label.setText(text)
            label.setToolTip(tip(text))

    def _labels(self, run: Answer, axis: str, count: int) -> list[str]:
        """Token positions with their texts, other axes by number."""
        if axis not in ("T", "S"):
            return [str(i) for i in range(count)]
        strings = run["texts"][self.session.text_of(self.session.selection.site, axis)]["strings"]
        return [f"{i} {visible_blanks(string)}" for i, string in enumerate(strings[:count])]

    # Choosing

    def _fill_chooser(self) -> None:
        keys = [known["key"] for known in self.session.sites]
        site = self.session.selection.site
        with QSignalBlocker(self.chooser):
            if keys != self._keys:
                self._keys = keys
                self.chooser.clear()
                self.chooser.addItems(keys)
                self._name = ""
            if self._name != site:
                self._name = site
                self.chooser.setCurrentIndex(keys.index(site) if site in keys else -1)
                self.chooser.setEditText(site)

    def _choose(self) -> None:
        """Go to the site that was typed; a name that is none is told, and gives way to the present one."""
        name, site = self.chooser.currentText().strip(), self.session.selection.site
        if any(known["key"] == name for known in self.session.sites):
            self.session.go_to(name)
        elif name != site:
            message = tr("there is no site '{name}' in this model: choose one of the list")
            self.session.tell(message.format(name=name))
            self.chooser.setEditText(site)

    def _show_spins(self, sizes: dict[str, int]) -> None:
        for axis, size in sizes.items():
            if axis not in self.spins:
                self._add_spin(axis)
            with QSignalBlocker(self.spins[axis]):
                self.spins[axis].setRange(0, size - 1)
                self.spins[axis].setValue(self._position(axis))
                self.spins[axis].setSuffix(tr(" of 0–{last}").format(last=size - 1))
        for axis, spin in self.spins.items():
            spin.setVisible(axis in sizes)
            self._spin_labels[axis].setVisible(axis in sizes)

    def _add_spin(self, axis: str) -> None:
        label, spin = Label(axis_words(axis), self), QSpinBox(self)
        label.setBuddy(spin)
        spin.setAccessibleName(axis_words(axis))
        spin.valueChanged.connect(lambda position: self._fix(axis, position))
        for widget in (label, spin):
            self._spin_row.insertWidget(self._spin_row.indexOf(self.cut), widget)
        self.spins[axis], self._spin_labels[axis] = spin, label

    def _fix(self, axis: str, position: int) -> None:
        if axis == "H":
            self.session.select(head=position)
        elif axis == "G":
            self.session.select(head=position * self._queries_a_key())
        else:
            self._at[axis] = position
            self.refresh()
            self.asks.emit()

    # The tokens of the selection

    def _select(self, row: int, column: int) -> None:
        site = self.session.selection.site
        for axis, position in zip(self._axes, (row, column), strict=True):
            if axis in ROLES:
                self.session.select_token(self.session.text_of(site, axis), position, ROLES[axis])

    def _point_at_selection(self) -> None:
        """Bring the selected query and key token into sight, and mark their row, column or cell."""
        selection, model = self.session.selection, self.table.model()
        row, column = (
            self.session.token(selection.cursor, self.session.text_of(selection.site, axis), ROLES[axis])
            if axis in ROLES
            else None
            for axis in self._axes
        )
        with QSignalBlocker(self.table):
            self.table.mark(
                *(
                    None if at is None else min(at, count - 1)
                    for at, count in ((row, model.rowCount()), (column, model.columnCount()))
                )
            )
