"""The forward pass as a film: one step a site, in the order in which the model computes them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from model_core.api.names import AXES
from model_core.api.queries.query import Query
from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QSlider, QToolButton, QWidget

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel, WindowKey
from explorer_app.panel.registry import panel
from explorer_app.state.focus import block_at, block_of
from explorer_app.state.session import Session
from explorer_app.state.store import SITES
from explorer_app.widgets.chooser import Chooser
from explorer_app.widgets.icons import shape_icon
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import tip
from explorer_app.words.text import tr

SPEEDS = (0.5, 1.0, 2.0, 4.0, 8.0)


def meaning(key: str) -> str:
    """What the value at a site is, in plain words."""
    module, _, word = key.rpartition(".")
    part = module.rpartition(".")[2]
    if part == "cross" and word in ("q", "k", "v"):
        return {
            "q": tr("queries: what each target token looks for in the source, one vector a head"),
            "k": tr("keys: what each source token, as the encoder left it, offers to be found by"),
            "v": tr("values: what each source token hands over when it is looked at"),
        }[word]
    words = {
        "tokens": tr("the prompt as the model reads it, one number a token"),
        "source": tr("what the encoder reads, one number a token"),
        "target": tr("what the decoder reads, one number a token"),
        "resid_pre": tr("the residual stream as it enters the block"),
        "resid_mid": tr("the residual stream after attention was added"),
        "resid_cross": tr(
            "the residual stream after cross-attention, what was found in the source, was added"
        ),
        "resid_post": tr("the residual stream as it leaves the block, after the MLP was added"),
        "q": tr("queries: what each token looks for, one vector a head"),
        "k": tr("keys: what each token offers to be found by"),
        "v": tr("values: what each token hands over when it is looked at"),
        "q_norm": tr("queries, each head's brought to a common size (norm)"),
        "k_norm": tr("keys, each head's brought to a common size (norm)"),
        "q_rot": tr("queries turned by their position (RoPE)"),
        "k_rot": tr("keys turned by their position (RoPE)"),
        "mask": tr("what is added to the scores: 0 where a query may look, −∞ where it may not"),
        "scores": tr("how well each query fits each key, before the mask"),
        "masked": tr("the scores with the mask added"),
        "pattern": tr("how much each query attends to each key, after softmax: every row sums to 1"),
        "z": tr("values, weighted by the pattern and summed: what each head found"),
        "gate": tr("how far each hidden unit is opened, before the activation"),
        "up": tr("what each hidden unit would pass on if it were open"),
        "pre": tr("the hidden units before the activation"),
        "post": tr("the hidden units after the activation"),
        "angles": tr("by what angle RoPE turns each pair of numbers at each position"),
        "logits": tr("the score of every token of the vocabulary as the next one"),
    }
    outs = {
        "embed": tr("the vector that each token starts as"),
        "pos": tr("the vector that stands for each position, added to the token's"),
        "attn": tr("what attention writes to the residual stream"),
        "cross": tr(
            "what cross-attention writes to the residual stream: what each target token found in the source"
        ),
        "mlp": tr("what the MLP writes to the residual stream"),
    }
    if word == "out":
        return outs.get(part, tr("the residual stream, each token's vector brought to a common size (norm)"))
    return words.get(word, key)


def layer_step(keys: Sequence[str], step: int, direction: int, shown: str = "") -> int:
    """The step of the same value one layer on (1) or back (-1); beyond the blocks, the first step or the last.

    `shown` is the block on screen, from which it goes wherever the step lies. The blocks of a second stack follow those
    of the first. A block without that value is entered at its first step; from outside of all it is the block on screen
    that is entered, or the nearest where that does not lie on the way.
    """
    blocks = list(dict.fromkeys(filter(None, map(block_of, keys))))
    block = block_of(keys[step])
    if block:
        at = blocks.index(shown if shown in blocks else block) + direction
        there = blocks[at] if 0 <= at < len(blocks) else None
    else:
        rest = keys[step + 1 :] if direction > 0 else keys[:step][::-1]
        ahead = list(filter(None, map(block_of, rest)))
        there = shown if shown in ahead else next(iter(ahead), None)
    if there is None:
        return len(keys) - 1 if direction > 0 else 0
    same = there + keys[step].removeprefix(block)
    return keys.index(same) if block and same in keys else [block_of(key) for key in keys].index(there)


def caption(step: int, site: Mapping[str, Any], count: int) -> str:
    """A step in one line: "step 37 of 124 · blocks.3.attn.pattern · B H T S 1×6×9×9"."""
    shape = "×".join(map(str, site["shape"]))
    return tr("step {step} of {count} · {key} · {dims} {shape}").format(
        step=step + 1, count=count, key=site["key"], dims=site["dims"], shape=shape
    )


@panel("transport", "Forward pass", area="bottom", order=10)
class Transport(Panel):
    """Buttons and a slider over all steps; playing goes on to the end at the chosen speed."""

    follows = ("step",)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.timer = QTimer(self)
        self.timer.timeout.connect(self._tick)
        self.first = self._button(tr("First step (Home)"), self.go_first)
        self.back_layer = self._button(
            tr("The same value one layer back (Page Up)"), lambda: self.go_layer(-1)
        )
        self.back = self._button(tr("Previous step (Left)"), lambda: self.go(-1))
        self.play = self._button(tr("Play (Space)"), self.toggle)
        self.on = self._button(tr("Next step (Right)"), lambda: self.go(1))
        self.on_layer = self._button(tr("The same value one layer on (Page Down)"), lambda: self.go_layer(1))
        self.last = self._button(tr("Last step (End)"), self.go_last)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(tr("Step of the forward pass"))
        self.slider.valueChanged.connect(self.session.go_to_step)
        self.text = OneLine()
        self.speed = Chooser(tr("Speed"))
        self.speed.setToolTip(tip(tr("How fast playing goes on")))
        for speed in SPEEDS:
            self.speed.addItem(tr("{speed:g} steps/s").format(speed=speed), speed)
        self.speed.setCurrentIndex(SPEEDS.index(2.0))
        self.speed.currentIndexChanged.connect(self._set_speed)
        self._set_speed()
        unit = round(QFontMetricsF(self.font()).height() / 2)
        row = QHBoxLayout(self)
        row.setContentsMargins(unit, round(unit * 0.4), unit, round(unit * 0.4))
        row.setSpacing(round(unit * 0.4))
        for button in self.buttons():
            row.addWidget(button)
        row.addSpacing(unit)
        row.addWidget(self.text, 1)
        row.addSpacing(unit)
        row.addWidget(self.slider, 1)
        row.addSpacing(unit)
        row.addWidget(self.speed)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self._draw_icons)
        self._draw_icons()

    def _button(self, about: str, action: Callable[[], object]) -> QToolButton:
        button = QToolButton()
        button.setToolTip(tip(about))
        button.setAccessibleName(about)
        button.setAutoRaise(True)
        button.clicked.connect(action)
        return button

    def buttons(self) -> list[QToolButton]:
        return [self.first, self.back_layer, self.back, self.play, self.on, self.on_layer, self.last]

    @classmethod
    def window_keys(cls) -> list[WindowKey]:
        return [
            WindowKey(Qt.Key.Key_Space, tr("Play or pause the forward pass"), cls.toggle),
            WindowKey(Qt.Key.Key_Left, tr("Previous step"), lambda film: film.go(-1)),
            WindowKey(Qt.Key.Key_Right, tr("Next step"), lambda film: film.go(1)),
            WindowKey(Qt.Key.Key_PageUp, tr("Previous layer"), lambda film: film.go_layer(-1)),
            WindowKey(Qt.Key.Key_PageDown, tr("Next layer"), lambda film: film.go_layer(1)),
            WindowKey(Qt.Key.Key_Home, tr("First step"), cls.go_first),
            WindowKey(Qt.Key.Key_End, tr("Last step"), cls.go_last),
        ]

    def detach(self) -> None:
        self.timer.stop()
        super().detach()

    def needs(self) -> list[Query]:
        return [SITES]

    def draw(self, answers: Answers) -> None:
        sites, step = self.session.sites, self.session.selection.step
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, len(sites) - 1)
            self.slider.setPageStep(max(1, len(sites) // 10))
            self.slider.setValue(step)
        site = sites[step]
        self.text.setText(caption(step, site, len(sites)))
        axes = ", ".join(f"{letter} {AXES[letter]}" for letter in site["dims"].split())
        self.text.setToolTip(tip(f"{self.text.text()}\n{meaning(site['key'])}\n{axes}"))

    # Going

    def go_first(self) -> None:
        self.session.go_to_step(0)

    def go_last(self) -> None:
        self.session.go_to_step(len(self.session.sites) - 1)

    def go(self, steps: int) -> None:
        self.session.go_to_step(self.session.selection.step + steps)

    def go_layer(self, direction: int) -> None:
        keys, at = [site["key"] for site in self.session.sites], self.session.selection
        if keys:
            self.session.go_to_step(layer_step(keys, at.step, direction, block_at(at.stack, at.layer)))

    def toggle(self) -> None:
        """Play or pause; from the end it starts over."""
        if self.timer.isActive():
            self.pause()
        elif self.session.sites:
            if self.session.selection.step >= len(self.session.sites) - 1:
                self.go_first()
            self.timer.start()
            self._draw_icons()

    def pause(self) -> None:
        self.timer.stop()
        self._draw_icons()

    def _tick(self) -> None:
        self.go(1)
        if self.session.selection.step >= len(self.session.sites) - 1:
            self.pause()

    def _set_speed(self) -> None:
        self.timer.setInterval(round(1000 / self.speed.currentData()))

    # Icons are drawn, so that they have the theme's colours at every size.

    def _draw_icons(self) -> None:
        playing = self.timer.isActive()
        shapes = {
            self.first: "|<",
            self.back_layer: "<<",
            self.back: "<",
            self.play: "||" if playing else ">",
            self.on: ">",
            self.on_layer: ">>",
            self.last: ">|",
        }
        self.play.setToolTip(tip(tr("Pause (Space)") if playing else tr("Play (Space)")))
        side = round(QFontMetricsF(self.font()).height())
        for button, shape in shapes.items():
            button.setIconSize(QSize(side, side))
            filled = button is self.play
            button.setIcon(shape_icon(shape, side, self.devicePixelRatioF(), filled=filled))
