"""The three attentions of an encoder-decoder side by side, sharing one cursor: who looks at whom, in which text."""

from collections.abc import Mapping, Sequence

import numpy as np
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.head_panel import Floats, rich_line
from explorer_app.panel.registry import panel
from explorer_app.state.focus import Cursor, kinds_of
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.maps.heatmap import Heatmap, Margins
from explorer_app.widgets.plain import Label, RichLabel, rich
from explorer_app.words.attention_text import Sides, head_map, kind_words, map_query, sides, text_words
from explorer_app.words.numbers import percent
from explorer_app.words.text import tr

LISTED = 3
LEAST_SHARE = 0.38
"""Of the width and of the height for either text, however short it is beside the other."""


def shares(source: int, target: int) -> tuple[int, int]:
    """How the room is shared between two texts, so that their cells are of one size where that leaves room enough."""
    first = min(max(source / (source + target), LEAST_SHARE), 1 - LEAST_SHARE)
    return round(first * 1000), round((1 - first) * 1000)


def largest(values: Floats, names: Sequence[str]) -> str:
    """The largest shares with their tokens: “·cat” 41.0 %, “The” 20.3 %."""
    if np.isnan(values).any():
        return tr("weights that are not numbers (NaN)")
    order = np.argsort(-values, kind="stable")[:LISTED]
    return ", ".join(f"{names[at]} {percent(float(values[at]))}" for at in order if values[at] > 0)


def row_sentence(kind: str, values: Floats, tokens: Sides, row: int) -> str:
    """Where one token's attention goes."""
    words = {
        "encoder": tr("{token} looks in the source at {list}"),
        "decoder": tr("{token} looks back in the target at {list}"),
        "cross": tr("{token} looks across at {list} of the source"),
    }
    names = [tokens.col(at) for at in range(len(tokens.cols))]
    return words[kind].format(token=tokens.row(row), list=largest(values[row], names))


def column_sentence(values: Floats, tokens: Sides, col: int) -> str:
    """Which tokens of the target look most at one of the source."""
    names = [tokens.row(at) for at in range(len(tokens.rows))]
    return tr("{token} is looked at by {list}").format(
        token=tokens.col(col), list=largest(values[:, col], names)
    )


def cell_sentence(kind: str, value: float, tokens: Sides, row: int, col: int) -> str:
    """What the cell under the cursor says, with the texts of its tokens."""
    words = {
        "encoder": tr("In the source {looks} attends {share} to {at}"),
        "decoder": tr("In the target {looks} attends {share} to {at}"),
        "cross": tr("{looks} of the target attends {share} to {at} of the source"),
    }
    at = tr("itself") if tokens.itself(row, col) else tokens.col(col)
    text = words[kind].format(looks=tokens.row(row), at=at, share=percent(value))
    return text + (tr(", which comes later") if tokens.later(row, col) else "")


def story(
    stack: str,
    places: Mapping[str, tuple[int | None, int | None]],
    maps: Mapping[str, Floats],
    tokens: Mapping[str, Sides],
) -> list[tuple[str, str]]:
    """(kind, sentence) for each kind of attention that has a token of the cursor, the one that is pointed at first.

    stack   the kind that the cursor is in
    places  the row and column at which each kind shows it
    """
    told = []
    for kind in sorted(maps, key=lambda name: name != stack):
        row, col = places[kind]
        values, names = maps[kind], tokens[kind]
        if kind == stack and row is not None and col is not None:
            told.append((kind, cell_sentence(kind, float(values[row, col]), names, row, col)))
        elif row is not None:
            told.append((kind, row_sentence(kind, values, names, row)))
        elif col is not None and kind == "cross":
            told.append((kind, column_sentence(values, names, col)))
    return told


@panel("three_views", "Linked views", area="centre", order=15)
class ThreeViews(Panel):
    """Encoder above cross-attention, whose columns are the same source tokens; decoder beside it, with the same rows.

    Point at a cell to see its tokens in all three; click to lock it, Escape to unlock.
    """

    subtracts = True

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.maps = {name: Heatmap() for name in ("encoder", "cross", "decoder")}
        self.titles = {name: rich_line() for name in self.maps}
        self._drawn_maps: dict[str, tuple[Answer, int]] = {}
        self._sides: dict[str, Sides] = {}
        self.layer, self.head = QSpinBox(), QSpinBox()
        self.told = RichLabel()
        self.told.setWordWrap(True)
        self.told.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.told.setAccessibleName(tr("What the cursor shows"))

        self.grid = QGridLayout(self)
        self.grid.addLayout(self._cell("encoder"), 0, 0)
        self.grid.addLayout(self._words(), 0, 1)
        self.grid.addLayout(self._cell("cross"), 1, 0)
        self.grid.addLayout(self._cell("decoder"), 1, 1)
        for name, heatmap in self.maps.items():
            heatmap.set_readout(False)
            heatmap.hovered.connect(lambda row, col, stack=name: session.hover(row, col, stack))
            heatmap.left.connect(lambda: session.hover(None))
            heatmap.clicked.connect(lambda row, col, stack=name: self.lock(stack, row, col))
        self.layer.valueChanged.connect(lambda layer: session.select(layer=layer))
        self.head.valueChanged.connect(lambda head: session.select(head=head))

    def _cell(self, name: str) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.titles[name])
        column.addWidget(self.maps[name], 1)
        return column

    def _words(self) -> QVBoxLayout:
        row = QHBoxLayout()
        for name, spin in ((tr("Layer"), self.layer), (tr("Head"), self.head)):
            label = Label(name)
            label.setBuddy(spin)
            spin.setAccessibleName(name)
            row.addWidget(label)
            row.addWidget(spin)
        row.addStretch(1)
        column = QVBoxLayout()
        column.addLayout(row)
        column.addWidget(self.told, 1)
        return column

    @classmethod
    def applies(cls, run: Answer | None) -> bool:
        return run is not None and len(kinds_of(run)) > 1

    # Asking and drawing

    def _kinds(self) -> list[AttentionKind]:
        kinds = self.session.kinds
        return kinds if len(kinds) > 1 else []

    def needs(self) -> list[Query]:
        return [map_query(self.session, "pattern", kind=kind) for kind in self._kinds()]

    def ahead(self) -> list[Query]:
        """The layers above and below."""
        if not self.seen:
            return []
        layer = self.session.selection.layer
        return [
            map_query(self.session, "pattern", near, kind)
            for near in (layer - 1, layer + 1)
            for kind in self._kinds()
            if 0 <= near < kind.layers
        ]

    def draw(self, answers: Answers) -> None:
        run, selection = answers[RUN], self.session.selection
        for kind in self._kinds():
            layer, head = min(selection.layer, kind.layers - 1), min(selection.head, kind.heads - 1)
            drawn = answers[map_query(self.session, "pattern", kind=kind)], head
            before = self._drawn_maps.get(kind.name)
            if before is None or before[0] is not drawn[0] or before[1] != head:
                self._drawn_maps[kind.name] = drawn
                self._draw_map(run, kind, head_map(*drawn))
            focused = kind == self.session.attention
            title = tr("{kind} · L{layer} H{head}").format(kind=kind_words(kind), layer=layer, head=head)
            self.titles[kind.name].setText(rich("<b>{title}</b>" if focused else "{title}", title=title))
            self.maps[kind.name].set_cursor(*self.session.seen(selection.cursor, kind))
        self._follow()
        self._align()
        self._tell()

    def _draw_map(self, run: Answer, kind: AttentionKind, values: Floats) -> None:
        self._sides[kind.name] = tokens = sides(run, kind)
        names = (text_words(run["texts"][n]["name"]) for n in (kind.queries, kind.keys))
        row_title, col_title = (
            title.format(text=text)
            for title, text in zip((tr("{text} looks"), tr("at {text}")), names, strict=True)
        )
        self.maps[kind.name].show_matrix(
            values,
            tokens.rows,
            tokens.cols,
            colours="symmetric" if self.session.compared == "B−A" else "sequential",
            row_title=row_title,
            col_title=col_title,
            stretch=True,
        )

    def _follow(self) -> None:
        """The spin boxes stand where the selection is."""
        attention, selection = self.session.attention, self.session.selection
        if attention is not None:
            for spin, count, at in (
                (self.layer, attention.layers, selection.layer),
                (self.head, attention.heads, selection.head),
            ):
                with QSignalBlocker(spin):
                    spin.setRange(0, count - 1)
                    spin.setValue(at)

    def _align(self) -> None:
        """Columns of the source stand below each other, rows of the target beside each other."""
        if not self._sides:
            return
        source, target = len(self._sides["cross"].cols), len(self._sides["cross"].rows)
        for at, share in enumerate(shares(source, target)):
            self.grid.setColumnStretch(at, share)
            self.grid.setRowStretch(at, share)
        encoder, cross, decoder = (self.maps[name] for name in ("encoder", "cross", "decoder"))
        for heatmap in self.maps.values():
            heatmap.reserve(Margins(0, 0, 0))
        left = max(encoder.margins().left, cross.margins().left)
        right = max(encoder.margins().right, cross.margins().right)
        top = max(cross.margins().top, decoder.margins().top)
        encoder.reserve(Margins(left, 0, right))
        cross.reserve(Margins(left, top, right))
        decoder.reserve(Margins(0, top, 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._align()

    # The cursor

    def preview(self, query: int | None, key: int | None) -> None:
        for kind in self._kinds():
            self.maps[kind.name].preview(*self.session.seen(self.session.pointed, kind))
        self._tell()

    def _cursor(self) -> Cursor:
        """The tokens under the pointer, else the locked ones."""
        pointed = self.session.pointed
        anything = pointed.query is not None or pointed.key is not None
        return pointed if anything else self.session.selection.cursor

    def _tell(self) -> None:
        """Say what the cursor shows in each view; without a cursor, what the views are."""
        if not self._sides:
            return
        cursor, colours = self._cursor(), theme.current()
        if self.session.compared == "B−A":
            self.told.setText(rich("<p>{text}</p>", text=tr("Each cell is what it has more in B than in A.")))
            return
        if cursor.query is None and cursor.key is None:
            self.told.setText("<p>" + "</p><p>".join(about()) + "</p>")
            return
        places = {}
        for kind in self._kinds():
            tokens = self._sides[kind.name]
            row, col = self.session.seen(cursor, kind)
            places[kind.name] = (
                row if row is not None and row < len(tokens.rows) else None,
                col if col is not None and col < len(tokens.cols) else None,
            )
        maps = {name: head_map(*drawn) for name, drawn in self._drawn_maps.items()}
        names = {kind.name: kind_words(kind) for kind in self._kinds()}
        told = (
            rich(
                '<p><span style="color:{colour}">{name}</span><br>{text}.</p>',
                colour=colours.muted,
                name=names[kind],
                text=sentence.replace(" %", "\u00a0%"),
            )
            for kind, sentence in story(cursor.stack, places, maps, self._sides)
        )
        self.told.setText("".join(told))

    def lock(self, stack: str, row: int, col: int) -> None:
        """Lock a cell and focus its kind of attention, or unlock it where it is the locked one."""
        selection = self.session.selection
        locked = selection.cursor == Cursor(row, col, stack)
        self.session.select(stack=stack, query=None if locked else row, key=None if locked else col)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.session.select(query=None, key=None)
        else:
            super().keyPressEvent(event)


def about() -> list[str]:
    """What the three views are, one paragraph each."""
    return [
        tr(
            "<b>One cursor, three attentions.</b> Point at a cell: its tokens light up wherever they are read. "
            "A click locks them."
        ),
        tr(
            "The encoder reads the source, each token looking both ways. The decoder writes the target and sees "
            "nothing that comes later. Between them, cross-attention lets each target token look at the source."
        ),
        tr("Columns of the source stand below each other, rows of the target beside each other."),
    ]
