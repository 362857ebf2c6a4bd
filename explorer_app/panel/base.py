"""Panels: one file each, found by looking, registered by `@panel`.

A panel asks and draws, and knows nothing of the engine:

    @panel("norms", "Norms", area="centre", order=40)
    class Norms(Panel):
        def needs(self) -> list[Query]: ...          what it wants to know of the present selection
        def draw(self, answers: Answers) -> None: ...   paint; called when every need is answered, safe to repeat

`draw` runs when the answers, the selection or the theme changed; a hidden panel asks for nothing, and draws what
changed meanwhile when it is shown. One that draws much is a generator, and what is between two `yield` is drawn in a
turn of the event loop. It is only ever given answers of a model that it applies to. While something is
missing the last picture stays, and looks it: once the wait is long, or a message says what is wrong, it is dimmed and
says why.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.scene import Scene
from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from explorer_app import theme
from explorer_app.panel.turns import turns
from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.listening import Listening, detach
from explorer_app.widgets.veil import Veil
from explorer_app.words.engine_words import late_words, waiting_words
from explorer_app.words.text import tr

Answers = dict[Query, Answer]
DONE = object()  # there is no piece left to be drawn


@dataclass(frozen=True)
class WindowKey:
    """A plain key that a panel takes wherever in the window the focus is, what it does in words, and what it does."""

    key: Qt.Key
    words: str
    act: Callable[[Any], object]


class Panel(QWidget):
    """A view of the session. Subclasses build their widgets in __init__ and override `needs` and `draw`."""

    asks = Signal()
    follows: ClassVar[tuple[str, ...]] = tuple(Selection.__dataclass_fields__)
    """The fields of the selection that the picture depends on; a change of the others draws nothing."""

    own_keys: ClassVar[frozenset[Qt.Key]] = frozenset()
    """The plain keys that move a cursor in it, wherever in it the focus is, and walk no forward pass there."""

    takes_texts: ClassVar[bool] = False
    """Whether it comes to the front when texts to learn from are dropped on the window."""

    explains: ClassVar[bool] = False
    """Whether it has something to say of a model that it does not apply to."""

    ages: ClassVar[bool] = True
    """Whether its picture is of one scene, and out of date when another is asked for."""

    subtracts: ClassVar[bool] = False
    """Whether its answers are differences while B − A is looked at; the others show B then."""

    no_difference: ClassVar[str] = ""
    """Why it has no picture of a difference, in a sentence; "" where B's is as good, or it subtracts."""

    later_ms: ClassVar[int] = 0
    """How long it waits before it draws: what is painted first where several panels draw the same change."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._behind = False
        self._drawn: list[Any] | None = None
        self._pieces: Iterator[None] | None = None
        self._drawn_of: Scene | None = None
        self._drawing_of: Scene | None = None
        self._missing = False
        self._whole = False  # no fault ended the last drawing
        self.veil = Veil(self)
        self._soon = QTimer(self, interval=self.later_ms, singleShot=True)
        self._soon.timeout.connect(self._due)
        self.listens = Listening(self)
        self.listens.to(session.shown_changed, self.refresh)
        self.listens.to(session.compared_changed, self.refresh)
        self.listens.to(session.selection_changed, self._changed)
        self.listens.to(session.answered, self._changed)
        self.listens.to(session.hovered_changed, self.hovered)
        for signal in (session.scene_changed, session.message_changed, session.progress_changed):
            self.listens.to(signal, self._show_age)
        theme.notifier.changed.connect(self._wear)

    @classmethod
    def applies(cls, run: Answer | None) -> bool:
        """Whether there is anything to show of the model that was run; None: not known yet."""
        return True

    @classmethod
    def window_keys(cls) -> list[WindowKey]:
        """The plain keys that it takes wherever in the window the focus is; `act` is given the panel."""
        return []

    def needs(self) -> list[Query]:
        """The queries whose answers `draw` gets; RUN is always among them. Asked once the run is known."""
        return []

    def draw(self, answers: Answers) -> Iterator[None] | None:
        """Paint the answers for the present selection, or tell the pieces in which it is done where it takes long.

        Newer answers wait until the last of them: who types fast sees pictures, and not the first pieces of many.
        """
        return None

    def preview(self, query: int | None, key: int | None) -> None:
        """Show the token positions under the pointer (None: nothing hovered); cheap, nothing is asked for."""

    @property
    def seen(self) -> bool:
        """True where a person can see the panel: Qt calls a dock behind another tab visible too."""
        return self.isVisible() and not self._behind

    @property
    def drawing(self) -> bool:
        """True while something is still to be drawn."""
        waits = self._soon.isActive() or turns.waits(self._update) or turns.waits(self._go_on)
        return self.seen and waits

    def set_seen(self, seen: bool) -> None:
        """Told by the dock whether its tab is in front."""
        self._behind = not seen
        if self.seen:
            self.appeared()

    def appeared(self) -> None:
        """It has come in sight: draw what changed meanwhile, and ask for what is missing."""
        self._changed()
        self.asks.emit()

    def hovered(self, _: Any = None) -> None:
        # The tokens that are pointed at are those of the run on screen: a picture of another one may not have them.
        whole = self._pieces is None and self._drawn_of == self.session.shown
        if self.seen and self._concerned and whole:
            self.preview(*self.session.hovered)

    @property
    def _concerned(self) -> bool:
        """Whether it has anything to show of the model on screen."""
        return self.explains or self.applies(self.session.run)

    def wanted(self) -> list[Query]:
        """What this panel must have answered now; nothing while it is hidden."""
        if not self.seen:
            return []
        return [RUN, *self.needs()] if self._known else [RUN]

    @property
    def _known(self) -> bool:
        """Whether it can be said what it wants. Of another model not even the number of layers is: first its run."""
        known = self.session.run is not None and self.session.scene.shape == self.session.shown.shape
        return known and self._concerned

    def wishes(self) -> list[Query]:
        """What it draws besides where that is known: asked for when every panel has what it must have."""
        return self.besides() if self.seen and self._known else []

    def besides(self) -> list[Query]:
        """The queries of `wishes`, asked once the run is known."""
        return []

    def ahead(self) -> list[Query]:
        """What a person may want next: asked for after all that is wanted, so that it is there when they do."""
        return []

    def refresh(self, _: Any = None) -> None:
        """Draw, once, when the event loop is free."""
        self._drawn = None
        self._changed()

    def _wear(self, _: Any = None) -> None:
        """Draw in other colours, at once: all that is in sight is painted anew anyway, and this way once."""
        self.refresh()
        self._update()

    def _changed(self, _: Any = None) -> None:
        """Draw if there is something new to draw."""
        if self.seen:
            self._soon.start()

    def _due(self) -> None:
        turns.ask(self._update)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.seen:
            self.appeared()

    def _update(self) -> None:
        if self._pieces is not None:
            return  # asked for again after the last of them
        if not self.seen or self.session.run is None or not self._concerned:
            return
        if self._no_picture():
            self._show_age()
            return
        needs = [RUN, *self.needs()]
        answers = {q: answer for q in needs if (answer := self.answer(q)) is not None}
        self._missing = len(answers) < len(set(needs))
        if not self._missing:
            # What a panel wants beyond its needs may come later, and is drawn when it comes.
            known = [self.answer(q) for q in dict.fromkeys([*needs, *self.wishes()])]
            inputs = [*known, *(getattr(self.session.selection, name) for name in self.follows)]
            if inputs != self._drawn:
                if self._drawing_of != self.session.shown:
                    self.veil.lift()  # it follows what is typed: what dims it is only that it stands still
                self._drawn, self._drawing_of, self._whole = inputs, self.session.shown, False
                self._pieces = self.draw(answers)
                self._draw_piece()
            elif self._whole:
                self._drawn_of = self.session.shown
        self._show_age()

    def _draw_piece(self) -> None:
        """Draw the next piece, and what is left of them in the turns after this one."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None and next(pieces, DONE) is not DONE:
            self._pieces = pieces
            turns.ask(self._go_on)
        else:
            self._drawn_of, self._whole = self._drawing_of, True

    def _go_on(self) -> None:
        try:
            self._draw_piece()
        finally:  # a fault in a piece, which is told elsewhere, must not hold up what is asked for after it
            if self._pieces is None:
                turns.ask(self._update)  # for what has changed meanwhile
        if self._pieces is None and self.session.hovered != (None, None):
            self.hovered()

    def answer(self, asked: Query) -> Answer | None:
        """What is known for the scene on screen, or of what differs there."""
        session = self.session
        return session.answer(asked) if self.subtracts else session.answer_of(session.viewed, asked)

    def _no_picture(self) -> str:
        """Why there is none of what is compared; "" where there is, or may still come."""
        session = self.session
        if session.compared == "B−A" and self.no_difference:
            return tr(self.no_difference)
        if not self._concerned or session.run is None or not (self.subtracts or session.compared == "A"):
            return ""
        return tr(session.why_none([RUN, *self.needs()]))

    def _show_age(self, *_: Any) -> None:
        """Dim a picture of another scene, or of another selection, than the one that is asked for, and say why.

        A panel that has no picture yet says what it waits for. Not while it may still come in a moment; what was
        dimmed stays so until it has come.
        """
        if why := self._no_picture():
            self.veil.cover(why)
            return
        late = self._missing or self._drawn_of != self.session.scene
        words = waiting_words if self._drawn_of is None else late_words
        if not late or not self.ages:
            self.veil.lift()
        elif why := words(self.session):
            self.veil.cover(why)

    def detach(self) -> None:
        """Stop listening and drawing: it is about to be deleted, or will be seen no more."""
        self._soon.stop()
        turns.drop(self._update)
        turns.drop(self._go_on)
        self._pieces = None
        detach(self)


def still_drawing(window: QWidget) -> bool:
    """True while one of its panels is to be drawn: one of them is in each turn of the event loop."""
    return any(panel.drawing for panel in window.findChildren(Panel))
