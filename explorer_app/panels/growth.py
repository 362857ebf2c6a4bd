"""How the model grew: a slider through its training, and when its heads appeared."""

from typing import Any

import numpy as np
from model_core.api.model_ref import at, split
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query
from model_core.api.queries.run import GrowthRecord
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSlider,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.head_panel import line
from explorer_app.panel.registry import panel
from explorer_app.state.session import Session
from explorer_app.widgets.arrows import SIDEWAYS
from explorer_app.widgets.icons import shape_icon
from explorer_app.widgets.plain import Label, RichLabel, tip
from explorer_app.widgets.plots.lines import Series, SeriesPlot
from explorer_app.words.model_words import count_text, model_title
from explorer_app.words.text import tr

GROWTH = GrowthRecord()
PLAY_MS = 600

# The scores that have a curve, each with the role that names its colour.
CURVES = {"previous": "query", "induction": "output"}


def best(scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Of scores [N L H] the best of all heads at each of N steps, and which head that is."""
    flat = scores.reshape(len(scores), -1)
    heads = [divmod(int(n), scores.shape[2]) for n in flat.argmax(-1)]
    return flat.max(-1), heads


def curves(growth: Answer) -> list[str]:
    """The scores of a training that have a curve."""
    return [name for name in CURVES if name in growth["scores"]]


def curve_words(name: str) -> str:
    """What a curve is called."""
    return {"previous": tr("previous"), "induction": tr("induction")}[name]


def step_words(growth: Answer, index: int) -> str:
    """ "step 256 of 4,000 · 0.5 M tokens seen"."""
    return tr("step {step:,} of {last:,} · {tokens} tokens seen").format(
        step=growth["steps"][index], last=growth["steps"][-1], tokens=count_text(growth["tokens"][index])
    )


def heads_words(growth: Answer, index: int) -> str:
    """The best head of each score at a step, as links that name it: "0.95 by L0 H1"."""
    parts = []
    for name in curves(growth):
        scores, heads = best(growth[name])
        layer, head = heads[index]
        parts.append(
            tr("{name} {score:.2f} in <a href='{layer} {head}'>layer {layer} head {head}</a>").format(
                name=curve_words(name), score=scores[index], layer=layer, head=head
            )
        )
    return "<br>".join(parts)


@panel("growth", "Growth", area="left", order=20, height=58)
class Growth(Panel):
    """Drag, click the curve, use the arrow keys, or play: every panel shows the same prompt at that step."""

    no_difference = "Growth is that of one model: look at A or B."

    follows = ()
    explains = True
    own_keys = SIDEWAYS

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.timer = QTimer(self, interval=PLAY_MS)
        self.timer.timeout.connect(self._tick)
        self.plot = SeriesPlot()
        self.plot.setAccessibleName(tr("Best score of any head at each step of training"))
        self.plot.clicked.connect(self.go_to)
        self.play = QToolButton()
        self.play.setAutoRaise(True)
        self.play.clicked.connect(self.toggle)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Step of training"))
        self.slider.setPageStep(1)
        self.slider.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.slider.setTickInterval(1)
        self.slider.valueChanged.connect(self.go_to)
        self.step = line()
        self.heads = RichLabel()
        self.heads.setWordWrap(True)
        self.heads.setTextInteractionFlags(Qt.TextInteractionFlag.LinksAccessibleByMouse)
        self.heads.linkActivated.connect(self._focus_head)
        self.heads.setToolTip(
            tip(
                tr(
                    "On random tokens repeated twice, which only a rule can predict. Previous token: mean weight on "
                    "the token before. Induction: mean weight on the token that followed the same token the last time "
                    "(Elhage et al. 2021, Olsson et al. 2022)."
                )
            )
        )
        self.sentence = Label()
        self.sentence.setWordWrap(True)
        self.open = QPushButton(tr("Open the growing model"))
        self.open.clicked.connect(self._open)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._growing())
        self._stack.addWidget(self._offer())
        self.listens.to(session.scene_changed, self._follow)
        self.listens.to(session.greeted, self.refresh)
        theme.notifier.changed.connect(self._draw_icon)
        self._draw_icon()

    def _growing(self) -> QWidget:
        page, unit = QWidget(), round(QFontMetricsF(self.font()).height() / 2)
        row = QHBoxLayout()
        row.setSpacing(round(unit * 0.4))
        row.addWidget(self.play)
        row.addWidget(self.slider, 1)
        column = QVBoxLayout(page)
        column.setContentsMargins(unit, round(unit * 0.4), unit, round(unit * 0.4))
        column.setSpacing(round(unit * 0.4))
        column.addWidget(self.step)
        column.addLayout(row)
        column.addWidget(self.heads)
        column.addWidget(self.plot, 1)
        return page

    def _offer(self) -> QWidget:
        page, unit = QWidget(), round(QFontMetricsF(self.font()).height() / 2)
        column = QVBoxLayout(page)
        column.setContentsMargins(unit, unit, unit, unit)
        column.addWidget(self.sentence)
        column.addWidget(self.open, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        return page

    def detach(self) -> None:
        self.timer.stop()
        super().detach()

    @classmethod
    def applies(cls, run: Answer | None) -> bool:
        return run is not None and run["grows"]

    def needs(self) -> list[Query]:
        return [GROWTH] if self.applies(self.session.run) else []

    @property
    def growth(self) -> Answer | None:
        """What is known of the training of the model on screen; None where nothing was kept of it."""
        found = self.session.answer(GROWTH)
        return found if found is not None and found["steps"] else None

    def draw(self, answers: Answers) -> None:
        growth = self.growth
        self._stack.setCurrentIndex(int(growth is None))
        if growth is None:
            self.pause()
            self.sentence.setText(
                tr(
                    "Of {model} no steps of a training were kept. Of a growing model many are: "
                    "drag a slider through them and see, on this prompt, when its heads appear."
                ).format(model=model_title(self.session.shown.model))
            )
            self.open.setEnabled(bool(self.session.greeting.get("growing")))
            return
        steps, index = growth["steps"], growth["steps"].index(growth["step"])
        self.plot.show_series(
            [
                Series(curve_words(name), best(growth[name])[0].round(2), CURVES[name])
                for name in curves(growth)
            ],
            [f"{step:,}" for step in steps],
            describe=lambda n: f"{steps[n]:,}",
            limits=(0.0, 1.0),
        )
        self.step.setText(step_words(growth, index))
        self.heads.setText(heads_words(growth, index))
        self._follow()

    # Going

    def _follow(self, _: Any = None) -> None:
        """Put the slider where the scene is, answered or not."""
        growth = self.growth
        name, step = split(self.session.scene.model)
        if growth is None or name != growth["name"]:
            return
        steps = growth["steps"]
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, len(steps) - 1)
            self.slider.setValue(steps.index(step) if step in steps else len(steps) - 1)
        self.plot.set_cursor(self.slider.value())  # a key goes on from here

    def go_to(self, index: int) -> None:
        """Show the model at one of its steps."""
        growth = self.growth
        if growth is not None:
            steps = growth["steps"]
            self.session.change(model=at(growth["name"], min(max(index, 0), len(steps) - 1), steps))

    def toggle(self) -> None:
        """Play or pause; from the end it starts over."""
        if self.timer.isActive():
            self.pause()
        elif self.growth is not None:
            if self.slider.value() == self.slider.maximum():
                self.go_to(0)
            self.timer.start()
            self._draw_icon()

    def pause(self) -> None:
        self.timer.stop()
        self._draw_icon()

    def _tick(self) -> None:
        if self.session.shown != self.session.scene:
            return  # no step is passed over
        self.go_to(self.slider.value() + 1)
        if self.slider.value() == self.slider.maximum():
            self.pause()

    def _open(self) -> None:
        growing = self.session.greeting.get("growing", [])
        if growing:
            self.session.open(growing[0])

    def _focus_head(self, place: str) -> None:
        layer, head = map(int, place.split())
        self.session.select(layer=layer, head=head)

    # Drawing

    def _draw_icon(self) -> None:
        playing = self.timer.isActive()
        about = tr("Pause") if playing else tr("Play the training")
        self.play.setToolTip(tip(about))
        self.play.setAccessibleName(about)
        side = round(QFontMetricsF(self.font()).height())
        self.play.setIconSize(QSize(side, side))
        self.play.setIcon(shape_icon("||" if playing else ">", side, self.devicePixelRatioF(), filled=True))

    def sizeHint(self) -> QSize:
        unit = round(QFontMetricsF(self.font()).height())
        return QSize(unit * 16, unit * 18)
