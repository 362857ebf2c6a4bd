"""Position: how the model knows where a token stands, as a rotation of q and k or as an added table."""

import math

import numpy as np
from model_core.api.queries.answer import Answer
from model_core.api.queries.positions import PositionTable, RopeConventions, RopeOfHead
from model_core.api.queries.query import Query
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.panels.position.conventions import Conventions
from explorer_app.panels.position.turning import TURN, angle_words, hand_words, pairs_of, score_by_distance
from explorer_app.state.focus import ROLES, Cursor
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.lists.table import ArrayTable
from explorer_app.widgets.maps.heatmap import Heatmap
from explorer_app.widgets.plain import Label, RichLabel
from explorer_app.widgets.plots.dials import Dials, Hand
from explorer_app.widgets.plots.lines import Series, SeriesPlot
from explorer_app.widgets.readout import Readout
from explorer_app.words.attention_text import text_words
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr

POSITIONS = PositionTable()


@panel("position", "Position", area="centre", order=30)
class Position(Panel):
    """One page for each way of knowing positions; which one is shown depends on the model."""

    no_difference = "Positions are those of one text: look at A or B."

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.rotary, self.table, self.none = Rotary(session), Table(session), Label()
        self.none.setWordWrap(True)
        self.none.setText(
            tr(
                "This model is told nothing about positions: it knows order only from what the causal mask hides."
            )
        )
        self.pages = QStackedWidget(self)
        for page in (self.rotary, self.table, self.none):
            self.pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.addWidget(self.pages)
        self.rotary.tabs.currentChanged.connect(self._turn_page)

    def _turn_page(self, _: int) -> None:
        self.refresh()
        self.asks.emit()

    def needs(self) -> list[Query]:
        positions = self.session.answer(POSITIONS)
        if positions is None or positions["kind"] != "rotary":
            return [POSITIONS]
        at = self.session.selection
        asked = [POSITIONS, RopeOfHead(layer=at.layer, head=at.head)]
        return [*asked, self.conventions()] if self.rotary.compares else asked

    def conventions(self) -> Query:
        """Both conventions of the selected head, at the chosen tokens."""
        at, (t, s) = self.session.selection, chosen_tokens(self.session, 0)
        return RopeConventions(layer=at.layer, head=at.head, query=t, key=s)

    def draw(self, answers: Answers) -> None:
        run, positions = answers[RUN], answers[POSITIONS]
        if positions["kind"] == "rotary":
            at = self.session.selection
            self.rotary.draw(run, answers[RopeOfHead(layer=at.layer, head=at.head)])
            if self.rotary.compares:
                strings = [visible_blanks(string) for string in run["strings"]]
                tokens = [(token, strings[token]) for token in chosen_tokens(self.session, 0)]
                self.rotary.conventions.draw(answers[self.conventions()], at.layer, at.head, *tokens)
            self.pages.setCurrentWidget(self.rotary)
        elif positions["kind"] == "table":
            self.table.draw(run, positions)
            self.pages.setCurrentWidget(self.table)
        else:
            self.pages.setCurrentWidget(self.none)

    def preview(self, query_token: int | None, key: int | None) -> None:
        self.rotary.angles.preview(query_token, None)
        self.table.preview()


def chosen_tokens(session: Session, text: int) -> tuple[int, int]:
    """The query token of a text, else its last one; and the key token, where none is chosen the same."""
    at = session.selection.cursor
    query, key = session.token(at, text), session.token(at, text, "key")
    query = len(session.texts[text]["tokens"]) - 1 if query is None else query
    return query, query if key is None else key


class Rotary(QWidget):
    """Each pair of q and k turned, the score by distance, all angles, and the numbers."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.convention = Label(parent=self)
        self.convention.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.convention.setWordWrap(True)
        self.about = RichLabel(parent=self)
        self.about.setWordWrap(True)
        self.dials = Dials(self)
        self.readout = Readout(tr("Pair under the pointer"), self)
        self.scores = SeriesPlot(self)
        self.scores_title = Label(parent=self)
        self.scores_title.setWordWrap(True)
        self.angles = Heatmap(self)
        self.numbers = ArrayTable(self)
        self.conventions = Conventions()

        turned = QWidget()
        column = QVBoxLayout(turned)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self.about)
        column.addWidget(self.dials, 3)
        column.addWidget(self.readout)
        column.addWidget(self.scores_title)
        column.addWidget(self.scores, 3)
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(turned, tr("q and k turned"))
        self.tabs.addTab(self.angles, tr("Angles"))
        self.tabs.addTab(self.numbers, tr("Numbers"))
        self.tabs.addTab(self.conventions, tr("Two conventions"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.convention)
        layout.addWidget(self.tabs, 1)

        self._describe_dial = lambda pair: ""
        self.dials.hovered.connect(lambda pair: self.readout.say(self._describe_dial(pair)))
        self.dials.left.connect(self._hint)
        self.angles.clicked.connect(lambda token, pair: session.select(query=token))
        self.angles.hovered.connect(lambda token, pair: session.hover(token))
        self.angles.left.connect(lambda: session.hover(None))

    @property
    def compares(self) -> bool:
        """Are the two conventions looked at?"""
        return self.tabs.currentWidget() is self.conventions

    def _hint(self) -> None:
        self.readout.say(tr("Point at a pair for its numbers."), hint=True)

    def draw(self, run: Answer, rope: Answer) -> None:
        strings = [visible_blanks(string) for string in run["strings"]]
        t, s = chosen_tokens(self.session, 0)
        attention = self.session.attention
        assert attention is not None
        formula = tr(
            "Each adjacent pair (x₀ + i·x₁) of q and k is turned: × e^(i·θ), θ = position · {theta}^(−2·pair/{width})"
        ).format(theta=f"{rope['theta']:g}", width=attention.head_dim)
        slowed = tr("; slow pairs turn even slower in this model, which makes room for a longer context")
        loaded = tr("Checkpoints that pair the two halves of a head are reordered when they are opened.")
        self.convention.setText(f"{formula}{slowed if rope.facts.get('rescaled') else ''}. {loaded}")
        self._draw_turned(strings, rope, t, s)
        self._draw_scores(strings, rope, t, s)
        self._draw_angles(strings, rope, t)
        self._draw_numbers(rope, t, s)

    def _draw_turned(self, strings: list[str], rope: Answer, t: int, s: int) -> None:
        at, colours = self.session.selection, theme.current()
        hands = [
            Hand("q", "query", pairs_of(rope["q"][t]), pairs_of(rope["q_rot"][t])),
            Hand("k", "key", pairs_of(rope["k"][s]), pairs_of(rope["k_rot"][s])),
        ]
        q, k = (
            f'<b style="color:{colour}">{name}</b>'
            for name, colour in (("q", colours.query), ("k", colours.key))
        )
        self.about.setText(
            tr(
                "Layer {layer}: {q} of head {head} at token {t}, {k} of key/value head {group} at token {s}. "
                "Thin before, bold after. At the rim: {q} {q_reach}, {k} {k_reach}."
            ).format(
                layer=at.layer,
                head=at.head,
                group=rope["group"],
                q=q,
                k=k,
                t=t,
                s=s,
                q_reach=short_number(hands[0].reach),
                k_reach=short_number(hands[1].reach),
            )
        )
        frequencies = rope["frequencies"]

        def describe(pair: int) -> str:
            turns = angle_words(pair, t, float(rope["angles"][t, pair]), float(frequencies[pair]))
            return ";  ".join(
                [turns, *(hand_words(h.name, complex(h.before[pair]), complex(h.after[pair])) for h in hands)]
            )

        self._describe_dial = describe
        self.dials.show_hands(hands, [str(pair) for pair in range(len(frequencies))], describe)
        self._hint()

    def _draw_scores(self, strings: list[str], rope: Answer, t: int, s: int) -> None:
        distances = np.arange(min(0, t - s), len(strings))
        scores = score_by_distance(
            rope["q"][t], rope["k"][s], rope["frequencies"], rope["scale"], distances.astype(np.float64)
        )
        self.scores_title.setText(
            tr(
                "What this q and this k would score if the key stood so many tokens before the query; "
                "in the prompt it is {distance}."
            ).format(distance=t - s)
        )
        self.scores.show_series(
            [Series(tr("score"), scores, "text")],
            [str(distance) for distance in distances],
            x_title=tr("tokens back"),
            x_role="text",
            describe=lambda place: tr("{distance} tokens back").format(distance=distances[place]),
        )
        self.scores.set_cursor(t - s - int(distances[0]))

    def _draw_angles(self, strings: list[str], rope: Answer, t: int) -> None:
        angles, frequencies = rope["angles"], rope["frequencies"]
        self.angles.show_matrix(
            angles % TURN,
            strings,
            [f"{pair}: {short_number(TURN / float(f))}" for pair, f in enumerate(frequencies)],
            colours="cyclic",
            limits=(0.0, TURN),
            row_title=tr("position"),
            col_title=tr("pair: tokens a turn"),
            describe=lambda position, pair: angle_words(
                pair, position, float(angles[position, pair]), float(frequencies[pair])
            ),
            stretch=True,
            roles=("query", "text"),
        )
        self.angles.set_cursor(t, None)

    def _draw_numbers(self, rope: Answer, t: int, s: int) -> None:
        columns = {"q": rope["q"][t], "q_rot": rope["q_rot"][t], "k": rope["k"][s], "k_rot": rope["k_rot"][s]}
        both = [x for values in columns.values() for x in (values[0::2], values[1::2])]
        self.numbers.show_array(
            np.stack([rope["angles"][t], rope["angles"][s], *both], axis=1),
            [tr("pair {pair}").format(pair=pair) for pair in range(rope["angles"].shape[1])],
            [f"q[{t}] θ", f"k[{s}] θ"]
            + [f"{name}[{t if name[0] == 'q' else s}] x{i}" for name in columns for i in "₀₁"],
        )


def table_words(run: Answer, text: int, learned: bool, shape: tuple[int, int]) -> str:
    """What is added for a position, and which rows these are."""
    words = (
        tr("A learned vector for each position is added to the token's embedding.")
        if learned
        else tr(
            "A vector that is computed from the position, and not learned, is added to the token's embedding: "
            "dimensions 2i and 2i+1 are the sine and the cosine of position / 10000^(2i/{width})."
        )
    )
    shown = tr("Here the first {count} of {context} rows, {width} dimensions.")
    if len(run["texts"]) > 1:
        shown = tr(
            "Here the first {count} of {context} rows, {width} dimensions: those of the {text}; "
            "both texts take theirs from one table."
        )
    count, width = shape
    name = text_words(run["texts"][text]["name"])
    return f"{words} {shown}".format(count=count, context=run["context"], width=width, text=name)


class Table(QWidget):
    """The rows of the table at the positions of a text, the chosen one, and how alike any two are."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.text = 0
        self.about = Label(parent=self)
        self.about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.about.setWordWrap(True)
        self.rows = Heatmap(self)
        self.row, self.row_title = SeriesPlot(self), Label(parent=self)
        self.cosines, self.cosines_title = Heatmap(self), Label(parent=self)

        below = QHBoxLayout()
        for title, plot in ((self.row_title, self.row), (self.cosines_title, self.cosines)):
            column = QVBoxLayout()
            title.setWordWrap(True)
            column.addWidget(title)
            column.addWidget(plot, 1)
            below.addLayout(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.about)
        layout.addWidget(self.rows, 1)
        layout.addLayout(below, 1)

        self.rows.clicked.connect(lambda position, dimension: session.select_token(self.text, position))
        self.cosines.clicked.connect(self._lock)
        for map in (self.rows, self.cosines):
            map.hovered.connect(lambda position, _: session.hover_token(self.text, position))
            map.left.connect(lambda: session.hover(None))

    def _lock(self, one: int, other: int) -> None:
        self.session.select_token(self.text, one)
        self.session.select_token(self.text, other, "key")

    def _pair(self, cursor: Cursor) -> tuple[int | None, int | None]:
        """Who looks and who is looked at, of this text; the second only where both are of it."""
        of = self.session.kind(cursor.stack)
        both = of is not None and of.queries == of.keys
        one, other = (self.session.token(cursor, self.text, role) for role in ROLES)
        return one, other if both else None

    def preview(self) -> None:
        """Light the tokens under the pointer, where they are of the text whose rows these are."""
        one, other = self._pair(self.session.pointed)
        self.rows.preview(one, None)
        self.cosines.preview(one, other)

    def draw(self, run: Answer, answer: Answer) -> None:
        table, cosines, self.text = answer["table"], answer["cosines"], answer["text"]
        strings = [visible_blanks(string) for string in run["texts"][self.text]["strings"]]
        t, _ = chosen_tokens(self.session, self.text)
        dimensions = [str(i) for i in range(table.shape[1])]
        self.about.setText(table_words(run, self.text, answer["learned"], (len(strings), table.shape[1])))
        places = [str(position) for position in range(len(strings))]
        self.rows.show_matrix(
            table,
            places,
            dimensions,
            colours="symmetric",
            row_title=tr("position"),
            col_title=tr("dimension"),
            describe=lambda position, dimension: tr(
                "position {position}, dimension {dimension}: {value}"
            ).format(
                position=position,
                dimension=dimension,
                value=short_number(float(table[position, dimension]), 5),
            ),
            stretch=True,
            roles=("query", "text"),
        )
        self.rows.set_cursor(t, None)
        length = math.sqrt(float((table[t].astype(np.float64) ** 2).sum()))
        self.row_title.setText(
            tr("Row {position}, of length {length}").format(position=t, length=short_number(length))
        )
        self.row.show_series(
            [Series(tr("position {position}").format(position=t), table[t])],
            dimensions,
            x_title=tr("dimension"),
            x_role="text",
            describe=lambda dimension: tr("dimension {dimension}").format(dimension=dimension),
        )
        self.cosines_title.setText(tr("Cosine between the rows of two positions"))
        self.cosines.show_matrix(
            cosines,
            places,
            places,
            colours="symmetric",
            limits=(-1.0, 1.0),
            describe=lambda one, other: tr("positions {one} and {other}: cosine {value}").format(
                one=one, other=other, value=short_number(float(cosines[one, other]), 5)
            ),
        )
        self.cosines.set_cursor(t, self._pair(self.session.selection.cursor)[1])
