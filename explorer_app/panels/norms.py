"""Norms: what each token was divided by, the vector before and after, and the learned gain."""

from collections.abc import Iterator
from typing import Any

from model_core.api.queries.answer import Answer
from model_core.api.queries.norms import NormStatistics
from model_core.api.queries.query import Query
from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.plain import Label
from explorer_app.widgets.plots.lines import Series, SeriesPlot
from explorer_app.words.attention_text import text_words
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.norm_words import (
    formula_words,
    largest_words,
    norm_at,
    norm_followed,
    norms_of,
    statistics_words,
)
from explorer_app.words.text import tr


@panel("norms", "Norms", area="centre", order=40)
class Norms(Panel):
    """One norm at a time: chosen here, or followed from the selected step or layer."""

    subtracts = True

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.norm: str | None = None
        self._last = session.selection
        self._norms_of: list[dict[str, Any]] | None = None
        self._found: list[str] = []

        self.chooser = Chooser(tr("Norm"), self)
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.chooser.activated.connect(self._choose)
        self.formula = Label(parent=self)
        self.formula.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.formula.setWordWrap(True)
        self.measured = Label(parent=self)
        self.measured.setWordWrap(True)
        self.tokens, self.tokens_title = SeriesPlot(self), Label(parent=self)
        self.gain, self.gain_title = SeriesPlot(self), Label(parent=self)
        self.before, self.before_title = SeriesPlot(self), Label(parent=self)
        self.after, self.after_title = SeriesPlot(self), Label(parent=self)

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

        self.tokens.clicked.connect(lambda token: session.select_token(self._text(), token))
        self.tokens.hovered.connect(lambda token: session.hover_token(self._text(), token))
        self.tokens.left.connect(lambda: session.hover(None))
        self.listens.to(session.selection_changed, self._follow)

    def needs(self) -> list[Query]:
        norm = self._shown()
        return [SITES] if norm is None else [SITES, NormStatistics(module=norm)]

    def draw(self, answers: Answers) -> Iterator[None]:
        norm = self._shown()
        if norm is None:
            self.measured.setText(tr("This model has no norm."))
            return
        self._fill_chooser(norm)
        run, answer = answers[RUN], answers[NormStatistics(module=norm)]
        token, strings = self._chosen(run), self._strings(run)
        # Painted as one: no number of one prompt beside one of another.
        self.setUpdatesEnabled(False)
        try:
            self._draw_token_norms(run, answer, token)
            yield
            self._draw_gain(answer)
            yield from self._draw_token(answer, token, strings[token])
        finally:
            self.setUpdatesEnabled(True)

    def preview(self, query_token: int | None, key: int | None) -> None:
        norm, run = self._shown(), self.session.run
        answer = None if norm is None else self.session.answer(NormStatistics(module=norm))
        if run is not None and answer is not None:
            token = self.session.token(self.session.pointed, self._text())
            at = self._chosen(run) if token is None else token
            for _ in self._draw_token(answer, at, self._strings(run)[at]):
                pass

    def _text(self) -> int:
        """Which of the texts the tokens of the norm are of."""
        return self.session.text_of(f"{self._shown()}.out", "T")

    def _strings(self, run: Answer) -> list[str]:
        """The tokens as the tokenizer gives them."""
        strings: list[str] = run["texts"][self._text()]["strings"]
        return strings

    def _chosen(self, run: Answer) -> int:
        """The token whose vectors are shown: the last one where none is locked."""
        token = self.session.token(self.session.selection.cursor, self._text())
        return len(self._strings(run)) - 1 if token is None else token

    def _norms(self) -> list[str]:
        """The norms of the model on screen, looked for once."""
        if self._norms_of is not self.session.sites:
            self._norms_of = self.session.sites
            self._found = norms_of(self._norms_of)
        return self._found

    def _shown(self) -> str | None:
        return (
            self.norm if self.norm in self._norms() else norm_at(self.session.sites, self.session.selection)
        )

    def _follow(self, selection: Selection) -> None:
        self.norm = norm_followed(self.session.sites, self._shown(), self._last, selection)
        self._last = selection

    def _choose(self, index: int) -> None:
        self.session.go_to(f"{self.chooser.itemText(index)}.out")

    def _fill_chooser(self, norm: str) -> None:
        norms = self._norms()
        with QSignalBlocker(self.chooser):
            if [self.chooser.itemText(i) for i in range(self.chooser.count())] != norms:
                self.chooser.clear()
                self.chooser.addItems(norms)
            self.chooser.setCurrentIndex(norms.index(norm))

    def _draw_token_norms(self, run: Answer, answer: Answer, token: int) -> None:
        self.formula.setText(formula_words(answer))
        text = run["texts"][self._text()]["name"]
        several = tr(" of the {text}").format(text=text_words(text)) if len(run["texts"]) > 1 else ""
        self.tokens_title.setText(tr(answer["title"]) + several)
        *_, last = answer["measures"]  # what the divisor is made of
        self.tokens.show_series(
            [
                Series(tr(words), answer[name], "text" if name == last else "muted")
                for name, words in answer["measures"].items()
            ],
            [visible_blanks(string) for string in self._strings(run)],
        )
        self.tokens.set_cursor(token)

    def _draw_gain(self, answer: Answer) -> None:
        gain = answer["gain"]
        weights = [Series(tr("gain"), gain, "text")]
        if "bias" in answer.arrays:
            weights.append(Series(tr("bias"), answer["bias"], "muted"))
        self.gain_title.setText(tr("Gain, {largest}").format(largest=largest_words(gain)))
        self._draw_width(self.gain, len(gain), weights)

    def _draw_token(self, answer: Answer, token: int, string: str) -> Iterator[None]:
        """What is known of one token, a plot a piece."""
        named = tr("token {position} “{string}”").format(position=token, string=visible_blanks(string))
        differs = self.session.compared == "B−A"
        measured = tr("what B has more than A") if differs else statistics_words(answer, token)
        self.measured.setText(tr("{token}: {measured}").format(token=named, measured=measured))
        for plot, title, name, what in (
            (self.before, self.before_title, "before", tr("Before, {largest}")),
            (self.after, self.after_title, "after", tr("After, {largest}")),
        ):
            yield
            values = answer[name][token]
            title.setText(what.format(largest=largest_words(values)))
            self._draw_width(plot, len(values), [Series(named, values, "text")])

    def _draw_width(self, plot: SeriesPlot, width: int, series: list[Series]) -> None:
        plot.show_series(
            series,
            [str(i) for i in range(width)],
            x_title=tr("dimension"),
            x_role="text",
            describe=lambda i: tr("dimension {number}").format(number=i),
        )
