"""Why this split: how the tokenizer cut the word around a token, merge by merge, or by which scores."""

from collections.abc import Sequence
from typing import Any

from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.words import TextSplit
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QVBoxLayout, QWidget

from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.state.focus import Cursor
from explorer_app.state.session import Session
from explorer_app.widgets.lists.ladder import Ladder, Rung
from explorer_app.widgets.plain import Label
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr

NEAR = 24
"""Tokens on either side whose words are asked for ahead, so that pointing at one shows it at once."""


def split_query(text: int, position: int) -> Query:
    return TextSplit(text=text, position=position)


def counted(count: int, one: str, many: str) -> str:
    return (one if count == 1 else many).format(count=count)


def words_of(split: Answer) -> str:
    """What happened to the word, in a sentence or two; plain text."""
    pieces = split["pieces"]
    word = visible_blanks("".join(pieces))
    tokens = counted(len(pieces), tr("one token"), tr("{count} tokens"))
    if split["kind"] == "merges":
        steps = len(split["steps"]) - 1
        if not steps:
            return tr(
                "“{word}” is {tokens}: no pair of its parts is in the vocabulary, so nothing is merged."
            ).format(word=word, tokens=tokens)
        order = {
            "rank": tr("the pair of the lowest rank first, which is the one learned first"),
            "score": tr("the pair of the highest score first"),
        }[split["measure"]]
        return tr("“{word}” becomes {tokens} by {merges}: {order}.").format(
            word=word,
            tokens=tokens,
            merges=counted(steps, tr("one merge"), tr("{count} merges")),
            order=order,
        )
    return {
        "scores": tr(
            "“{word}” is cut into {tokens}: of all ways to cut it, the one whose scores (log-probabilities, nats) "
            "have the largest sum."
        ),
        "byte": tr(
            "“{word}” is a byte: no piece of the vocabulary holds its character, so its bytes stand for it."
        ),
        "special": tr("“{word}” is a special token: it stands for no text, and nothing was merged."),
        "ids": tr(
            "There is no vocabulary: this model brought no tokenizer, so the prompt is the token ids themselves."
        ),
        "unknown": tr("“{word}” is looked up as it stands: this vocabulary has neither merges nor scores."),
    }[split["kind"]].format(word=word, tokens=tokens)


def titles_of(split: Answer) -> tuple[str, str]:
    """Over the labels, and over the values."""
    if split["kind"] == "scores":
        return tr("way"), tr("sum")
    if split["kind"] == "merges" and len(split["steps"]) > 1:
        return tr("step"), {"rank": tr("rank"), "score": tr("score")}[split["measure"]]
    return "", ""


def rungs_of(split: Answer, position: int) -> list[Rung]:
    """The rows of the drawing; the brick of token `position` is chosen in the row of the tokens."""
    chosen = position - split["first"]
    ids = tuple(map(str, split["ids"]))
    if split["kind"] == "merges":
        return merge_rungs(split["steps"], ids, chosen, split["measure"])
    if split["kind"] == "scores":
        return [way_rung(way, number, chosen) for number, way in enumerate(split["ways"], start=1)]
    if split["kind"] == "ids":
        return []
    return [Rung(tuple(split["pieces"]), (1,) * len(ids), chosen=chosen, notes=ids, noted=tr("id"))]


def merge_rungs(
    steps: Sequence[dict[str, Any]], ids: tuple[str, ...], chosen: int, measure: str
) -> list[Rung]:
    """From the first symbols, one row a merge, to the tokens."""
    rungs = []
    for number, step in enumerate(steps):
        pieces, made, pair = tuple(step["pieces"]), step["made"], step["pair"]
        value = "" if step["value"] is None else short_number(float(step["value"]), 6)
        last = number == len(steps) - 1
        tip = tr("What merging begins with")
        if pair is not None:
            left, right = map(visible_blanks, pair)
            words = {
                "rank": tr("“{left}” and “{right}” become “{piece}”: rank {value}"),
                "score": tr("“{left}” and “{right}” become “{piece}”: score {value}"),
            }[measure]
            tip = words.format(left=left, right=right, piece=visible_blanks(pieces[made]), value=value)
        rungs.append(
            Rung(
                pieces,
                tuple(step["widths"]),
                str(number) if number else tr("start"),
                value,
                made,
                chosen if last else None,
                ids if last else (),
                tr("id") if last else "",
                tip,
            )
        )
    return rungs


def way_rung(way: dict[str, Any], number: int, chosen: int) -> Rung:
    """One way to cut a word, with the score of each piece below it."""
    pieces, scores = tuple(way["pieces"]), [short_number(score, 4) for score in way["scores"]]
    total = short_number(float(way["total"]), 5)
    words = tr("taken: no other way has a larger sum") if number == 1 else tr("not taken: its sum is smaller")
    return Rung(
        pieces,
        tuple(max(1, len(piece)) for piece in pieces),
        str(number),
        total,
        chosen=chosen if number == 1 else None,
        notes=tuple(scores),
        noted=tr("score"),
        tip=f"{' + '.join(scores)} = {total}; {words}",
    )


@panel("split", "Why this split", area="centre", order=60)
class WhyThisSplit(Panel):
    """The word around the chosen token, the last where none is chosen; pointing at another shows its word."""

    no_difference = "Two texts are cut each for itself: look at A or B."

    follows = ("query", "key", "stack")

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.words = Label(parent=self)
        self.words.setWordWrap(True)
        self.hint = Label(parent=self)
        self.hint.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.hint.setWordWrap(True)
        self.hint.setText(tr("Click a token in the strip above to see its word, or point at one."))
        self.ladder = Ladder(self)
        self.ladder.setAccessibleName(tr("How the word was cut"))
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        column.addWidget(self.words)
        column.addWidget(self.hint)
        column.addWidget(self.ladder, 1)

    def place_of(self, cursor: Cursor) -> tuple[int, int] | None:
        """Text and position of the token that a cursor means."""
        kind = self.session.kind(cursor.stack)
        if kind is None:
            return None
        places = ((kind.queries, cursor.query), (kind.keys, cursor.key))
        return next(((text, at) for text, at in places if at is not None), None)

    def place(self) -> tuple[int, int]:
        """That of the locked token, or of the last of all."""
        texts = self.session.texts
        last = (len(texts) - 1, len(texts[-1]["tokens"]) - 1) if texts else (0, 0)
        return self.place_of(self.session.selection.cursor) or last

    def needs(self) -> list[Query]:
        return [split_query(*self.place())]

    def ahead(self) -> list[Query]:
        """The words that a person may point at next."""
        if not self.seen or not self.session.texts:
            return []
        text, position = self.place()
        count = len(self.session.texts[text]["tokens"])
        return [split_query(text, at) for at in range(max(0, position - NEAR), min(count, position + NEAR))]

    def draw(self, answers: Answers) -> None:
        text, position = self.place()
        self.show_split(answers[split_query(text, position)], position)

    def preview(self, query: int | None, key: int | None) -> None:
        place = self.place_of(self.session.pointed) or self.place()
        answer = self.session.answer(split_query(*place))
        if answer is not None:
            self.show_split(answer, place[1])

    def show_split(self, answer: Answer, position: int) -> None:
        self.words.setText(words_of(answer))
        self.ladder.show_rungs(rungs_of(answer, position), titles_of(answer))
