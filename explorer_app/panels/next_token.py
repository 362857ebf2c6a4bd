"""Next token: what the model would say next, and how well it foresaw the prompt."""

import math

import numpy as np
from model_core.api.queries.answer import Answer
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.query import Query
from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QTabWidget, QToolButton, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.lists.bars import Bar, BarList
from explorer_app.widgets.plain import Label, RichLabel, caption, tip
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.foreseen import (
    changed_words,
    rank_before,
    sees_ahead,
    total_words,
)
from explorer_app.words.numbers import percent, short_number
from explorer_app.words.text import tr

NEXT = NextTokens(k=40)
EDGE = 4  # between the edges of the panel and what its tabs show


def nats_words(log_prob: float) -> str:
    """A log-probability to two decimals: −1.39; −1e39 where they would be dozens of digits, −∞ for what cannot be."""
    usual = log_prob > -1e5
    return f"{log_prob:.2f}".replace("-", "−") if usual else short_number(log_prob)


@panel("next_token", "Next token", area="right", order=10, height=33)
class NextToken(Panel):
    """The likeliest tokens, each of which can be put at the end of the prompt; and the prompt's own."""

    follows = ("query", "key", "stack")

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._texts: list[str | None] = []
        self._words: list[str] = []
        self._ends: list[bool] = []
        self._special: list[bool] = []
        self._chosen = 0
        self._tip = self._caption = ""

        self.changed = Label(parent=self)
        self.changed.setWordWrap(True)
        self.likely = BarList("output", self)
        self.likely.setAccessibleName(tr("Likeliest next tokens"))
        self.append = QToolButton(self)
        # The column is no wider for a long token: as much of it is written as there is room for.
        self.append.setMinimumWidth(1)
        self.total = RichLabel(parent=self)
        self.total.setWordWrap(True)
        self.prompt = BarList("query", self)
        self.prompt.setAccessibleName(tr("How well each token was predicted"))

        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        for title, parts in (
            (tr("Next"), (self.changed, self.likely)),
            (tr("Prompt"), (self.total, self.prompt)),
        ):
            page = QWidget()
            column = QVBoxLayout(page)
            column.setContentsMargins(EDGE, 2, EDGE, 0)
            column.setSpacing(2)
            for part in parts:
                column.addWidget(part, 1 if isinstance(part, BarList) else 0)
            self.tabs.addTab(page, title)
        corner = QWidget(self.tabs)
        beside = QHBoxLayout(corner)
        beside.setContentsMargins(0, 0, EDGE, 0)  # as far from the edge as what the tabs show
        beside.addWidget(self.append)
        self.tabs.setCornerWidget(corner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)

        self.likely.clicked.connect(self._choose)
        self.likely.activated.connect(self._append)
        self.append.clicked.connect(lambda: self._append(self._chosen))
        self.prompt.clicked.connect(lambda token: session.select_token(self._text(), token))
        self.prompt.hovered.connect(lambda token: session.hover_token(self._text(), token))
        self.prompt.left.connect(lambda: session.hover(None))

    def needs(self) -> list[Query]:
        return [NEXT]

    def _text(self) -> int:
        """The text that is gone on with: the last one."""
        return len(self.session.texts) - 1

    def draw(self, answers: Answers) -> None:
        run, answer = answers[RUN], answers[NEXT]
        self._say_text()
        compared = self.session.compared == "B−A"
        before = self.session.answer_of_baseline(NEXT) if compared else self.session.answer_before(NEXT)
        self._draw_likely(answer, before)
        self._draw_prompt(run, answer)

    def _say_text(self) -> None:
        """Of an encoder-decoder it is the target that is foreseen and gone on with."""
        target = self._text() > 0
        self.tabs.setTabText(1, tr("Target") if target else tr("Prompt"))
        self._tip = (
            tr("Put this token at the end of what the decoder reads; a double click on its bar does the same")
            if target
            else tr("Put this token at the end of the prompt; a double click on its bar does the same")
        )

    def _draw_likely(self, answer: Answer, before: Answer | None) -> None:
        if self._texts != answer["texts"]:
            self._chosen = 0
        numbers = bool(np.isfinite(answer["probabilities"]).all())
        # Of probabilities that are none, none is the largest: no token is likelier than another.
        self._texts = answer["texts"] if numbers else []
        self._words = [visible_blanks(string) for string in answer["strings"]] if numbers else []
        self._special = answer["special"]
        self._ends = [id == answer["end"] for id in answer["ids"]]
        if not numbers or (before is not None and not np.isfinite(before["probabilities"]).all()):
            before = None
        bars = []
        for rank, (id, word) in enumerate(zip(answer["ids"], self._words, strict=False)):
            probability = float(answer["probabilities"][rank])
            place = rank_before(id, before)
            bars.append(
                Bar(
                    word,
                    probability,
                    percent(probability),
                    before=None if before is None or place is None else float(before["probabilities"][place]),
                    climbed=None if place is None else place - rank,
                    tip=tr("“{word}”, id {id}: {percent}, number {rank}").format(
                        word=word, id=id, percent=percent(probability), rank=rank + 1
                    ),
                )
            )
        self.changed.setVisible(before is not None)
        if before is not None:
            self.changed.setText(changed_words(answer, before, baseline=self.session.compared == "B−A"))
        self.likely.show_bars(
            bars, tr("No token is likelier than another: the probabilities are not numbers (NaN).")
        )
        self._choose(self._chosen)

    def _draw_prompt(self, run: Answer, answer: Answer) -> None:
        words = [visible_blanks(string) for string in run["strings"]]
        log_probs, ranks = answer["log_probs"], answer["ranks"]
        most = float(-log_probs[np.isfinite(log_probs)].min(initial=0))
        bars = [Bar(words[0], 0.0, "–", tip=tr("“{word}” has nothing before it").format(word=words[0]))]
        for word, log_prob, rank in zip(words[1:], map(float, log_probs), map(int, ranks), strict=True):
            if math.isnan(log_prob):
                why = tr("“{word}”: its log-probability is not a number (NaN)").format(word=word)
                bars.append(Bar(word, 0.0, short_number(log_prob), tip=why))
                continue
            bars.append(
                Bar(
                    word,
                    -log_prob / most if most > 0 else 0.0,
                    f"{nats_words(log_prob)} · {rank + 1}",
                    tip=tr(
                        "“{word}”: log-probability {log_prob} nats ({percent}), predicted as number {rank} of {count}"
                    ).format(
                        word=word,
                        log_prob=short_number(log_prob, 5),
                        percent=percent(math.exp(log_prob)),
                        rank=rank + 1,
                        count=run["vocab_size"],
                    ),
                    colour=colour_of_surprise(-log_prob, most),
                )
            )
        colours = theme.current()
        text = total_words(log_probs)
        if log_probs.size:
            columns = tr("bar: surprise; log-probability in nats · rank of {count}").format(
                count=run["vocab_size"]
            )
            text += f'<br><span style="color:{colours.muted}">{columns}</span>'
        if sees_ahead(run["edits"]):
            warning = tr("An edit lets tokens see those that they are to predict: these are no predictions.")
            text += f'<br><span style="color:{colours.warning}">{warning}</span>'
        self.total.setText(text)
        self.prompt.show_bars(bars)
        self.prompt.set_chosen(self.session.token(self.session.selection.cursor, self._text()))

    def _choose(self, row: int) -> None:
        self._chosen = row
        self.likely.set_chosen(row)
        self.append.setVisible(bool(self._texts))
        if not self._texts:
            return
        able = self._texts[row] is not None and self.session.compared != "A"
        self.append.setEnabled(able)
        if able:
            words, about = tr("Append “{word}”"), self._tip
        elif self.session.compared == "A":
            words, about = tr("Append “{word}”"), tr("Look at B: this was predicted for A")
        elif self._ends[row]:
            words, about = tr("The end: “{word}”"), tr("Here the model ends: what it writes is complete")
        elif self._special[row]:
            words, about = tr("“{word}”: no text"), tr("A special token, which no text stands for")
        else:
            words, about = tr("Half a character"), tr("“{word}”: its bytes form no character yet")
        self._caption = words
        self._fit_append()
        self.append.setToolTip(tip("\n".join((words, about)).format(word=self._words[row])))

    def _fit_append(self) -> None:
        """Write the chosen token on its button, without its middle where the tabs leave no room for all of it."""
        self.append.setText(caption(self._caption.format(word="")))
        beside = self.tabs.tabBar().sizeHint().width() + EDGE + self.append.sizeHint().width()
        word = self.append.fontMetrics().elidedText(
            self._words[self._chosen], Qt.TextElideMode.ElideMiddle, self.tabs.width() - beside
        )
        self.append.setText(caption(self._caption.format(word=word)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._texts:
            self._fit_append()

    def _append(self, row: int) -> None:
        text = self._texts[row] if row < len(self._texts) else None
        if text is not None:
            self.session.append(text)


def colour_of_surprise(nats: float, most: float) -> str:
    """The sequential map from no surprise to the most in the prompt, "#rrggbb"."""
    share = nats / most if most > 0 and math.isfinite(nats / most) else 1.0
    marks = theme.current().marks
    return theme.hex_of(marks[round((len(marks) - 1) * min(1.0, max(0.0, share)))])
