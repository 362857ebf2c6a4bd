"""Norms: what each token was divided by, the vector before and after, and the learned gain."""

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.norm_words import formula, largest_words, norm_at, norm_followed, norms_of, statistics_words
from explorer_app.panels import Answers, Panel, panel
from explorer_app.session import RUN, SITES, Selection, Session
from explorer_app.text import tr
from explorer_app.widgets.blanks import visible_blanks
from explorer_app.widgets.lines import Series, SeriesPlot
from model_core.queries import Answer, Query, query


@panel("norms", "Norms", area="centre", order=40)
class Norms(Panel):
    """One norm at a time: chosen here, or followed from the selected step or layer."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.norm: str | None = None
        self._last = session.selection

        self.chooser = QComboBox(self)
        self.chooser.setAccessibleName(tr("Norm"))
        self.chooser.activated.connect(self._choose)
        self.formula = QLabel(self)
        self.formula.setWordWrap(True)
        self.measured = QLabel(self)
        self.measured.setWordWrap(True)
        self.tokens, self.tokens_title = SeriesPlot(self), QLabel(tr("Each token"), self)
        self.gain, self.gain_title = SeriesPlot(self), QLabel(self)
        self.before, self.before_title = SeriesPlot(self), QLabel(self)
        self.after, self.after_title = SeriesPlot(self), QLabel(self)

        head = QHBoxLayout()
        head.addWidget(self.chooser)
        head.addWidget(self.formula, 1)
        grid = QGridLayout()
        for place, (title, plot) in enumerate(
            (
                (self.tokens_title, self.tokens),
                (self.gain_title, self.gain),
                (self.before_title, self.before),
                (self.after_title, self.after),
            )
        ):
            row, column = 2 * (place // 2), place % 2
            title.setWordWrap(True)
            grid.addWidget(title, row, column)
            grid.addWidget(plot, row + 1, column)
            grid.setRowStretch(row + 1, 1)
            grid.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(head)
        layout.addWidget(self.measured)
        layout.addLayout(grid, 1)

        self.tokens.clicked.connect(lambda token: session.select(query=token))
        self.tokens.hovered.connect(lambda token: session.hover(token))
        self.tokens.left.connect(lambda: session.hover(None))
        session.selection_changed.connect(self._follow)

    def detach(self) -> None:
        self.session.selection_changed.disconnect(self._follow)
        super().detach()

    def needs(self) -> list[Query]:
        norm = self._shown()
        return [SITES] if norm is None else [SITES, query("norm", module=norm)]

    def draw(self, answers: Answers) -> None:
        norm = self._shown()
        if norm is None:
            self.measured.setText(tr("This model has no norm."))
            return
        self._fill_chooser(norm)
        run, answer = answers[RUN], answers[query("norm", module=norm)]
        self._draw_norm(run, answer)

    def _shown(self) -> str | None:
        sites = self.session.sites
        return self.norm if self.norm in norms_of(sites) else norm_at(sites, self.session.selection)

    def _follow(self, selection: Selection) -> None:
        self.norm = norm_followed(self.session.sites, self._shown(), self._last, selection)
        self._last = selection

    def _choose(self, index: int) -> None:
        self.session.go_to(f"{self.chooser.itemData(index)}.out")

    def _fill_chooser(self, norm: str) -> None:
        norms = norms_of(self.session.sites)
        with QSignalBlocker(self.chooser):
            if [self.chooser.itemData(i) for i in range(self.chooser.count())] != norms:
                self.chooser.clear()
                for name in norms:
                    self.chooser.addItem(name, name)
            self.chooser.setCurrentIndex(norms.index(norm))

    def _draw_norm(self, run: Answer, answer: Answer) -> None:
        kind, eps, gain = answer["kind"], answer["eps"], answer["gain"]
        strings = [visible_blanks(string) for string in run["strings"]]
        chosen = self.session.selection.query
        token = len(strings) - 1 if chosen is None else chosen
        named = tr("token {position} “{string}”").format(position=token, string=strings[token])
        colours = theme.current()
        self.formula.setStyleSheet(f"color: {colours.muted}")
        self.formula.setText(f"{kind}:  {formula(kind, eps, len(gain))}")

        layer_norm = kind == "LayerNorm"
        names = ("mean", "variance") if layer_norm else ("rms",)
        at = {name: float(answer[name][token]) for name in names}
        self.measured.setText(
            tr("{token}: {measured}").format(token=named, measured=statistics_words(kind, eps, at))
        )
        roles = {"mean": "key", "variance": "query", "rms": "query"}
        words = {"mean": tr("mean"), "variance": tr("variance"), "rms": tr("rms, the divisor")}
        self.tokens_title.setText(tr("Mean and variance of each token") if layer_norm else tr("Rms of each token"))
        self.tokens.show_series([Series(words[name], answer[name], roles[name]) for name in names], strings)
        self.tokens.set_cursor(token)

        dimensions = [str(i) for i in range(len(gain))]
        weights = [Series(tr("gain"), gain, "value")]
        if layer_norm:
            weights.append(Series(tr("bias"), answer["bias"], "output"))
        self.gain_title.setText(tr("Gain, {largest}").format(largest=largest_words(gain)))
        self.gain.show_series(weights, dimensions)
        for plot, title, name, what, role in (
            (self.before, self.before_title, "before", tr("Before: {largest}"), "query"),
            (self.after, self.after_title, "after", tr("After: {largest}"), "output"),
        ):
            values = answer[name][token]
            title.setText(what.format(largest=largest_words(values)))
            plot.show_series([Series(named, values, role)], dimensions)
