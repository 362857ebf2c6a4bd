"""Train: begin, pause, go on with and stop a training, see its losses fall, and look into its newest checkpoint."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from model_core.api.stamp import stamp
from PySide6.QtCore import QTimer
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.forms.train_form import TrainForm
from explorer_app.panel.base import Panel
from explorer_app.panel.registry import panel
from explorer_app.state.session import Session
from explorer_app.state.training import Point, Spec, Training
from explorer_app.widgets.plain import Label, tip
from explorer_app.widgets.plots.curves import Curve, CurvePlot
from explorer_app.widgets.readout import Readout
from explorer_app.words.model_words import model_title
from explorer_app.words.numbers import short_number
from explorer_app.words.text import sentence, tr


@panel("train", "Train", area="centre", order=100)
class Train(Panel):
    """The form while nothing runs, one line of it while something does; curves and the newest checkpoint below."""

    follows = ()
    ages = False

    takes_texts = True

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.training = session.training
        self._state = self.training.state
        self._blamed = False  # the failure is said at a field of the form
        self._turned = False  # since it was started, the person turned to another
        self._drawn_points: list[Point] | None = None
        self._steps: dict[str, int] = {}  # version of the files -> step
        self._saved: int | None = None
        self._offered = self.training.texts
        self._again = QTimer(self, interval=0, singleShot=True)
        self._again.timeout.connect(self.open_newest)
        self.form = TrainForm(session)
        self.summary = Readout(tr("What is trained"))
        self.start, self.pause, self.stop = QPushButton(), QPushButton(), QPushButton()
        self.words = Label()
        self.words.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Steps done"))
        self.numbers = Readout(tr("Numbers of the training"))
        self.plot = CurvePlot()
        self.hint = Label(
            tr(
                "The losses are drawn here while training runs, and the newest checkpoint can be opened in the window: "
                "every panel then shows how far the model has come."
            )
        )
        self.hint.setWordWrap(True)
        self.hint.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.open = QPushButton(tr("Open newest checkpoint"))
        self.follow = QCheckBox(tr("Follow"))
        self.follow.setToolTip(
            tip(tr("Open each checkpoint as soon as it is written, until another model is chosen."))
        )
        self.on_screen = Readout(tr("Which checkpoint is on screen"))
        self._lay_out()
        self._connect()
        self.show_training()

    def _lay_out(self) -> None:
        line = self.fontMetrics().height()
        buttons = QHBoxLayout()
        for button in (self.start, self.pause, self.stop):
            buttons.addWidget(button)
        buttons.addSpacing(round(line * 0.5))
        buttons.addWidget(self.words, 1)
        self.bar.setFixedHeight(round(line * 0.4))
        last = QHBoxLayout()
        for widget in (self.open, self.follow):
            last.addWidget(widget)
        last.addSpacing(round(line * 0.5))
        last.addWidget(self.on_screen, 1)
        column = QVBoxLayout(self)
        column.setSpacing(round(line * 0.4))
        column.addWidget(self.form)
        column.addWidget(self.summary)
        column.addLayout(buttons)
        column.addWidget(self.bar)
        column.addWidget(self.numbers)
        column.addWidget(self.plot, 100)
        column.addWidget(self.hint)
        column.addLayout(last)
        column.addStretch()

    def _connect(self) -> None:
        self.start.clicked.connect(self._start)
        self.pause.clicked.connect(self._pause)
        self.stop.clicked.connect(self.training.stop)
        self.open.clicked.connect(self.open_newest)
        self.follow.toggled.connect(self._follow)
        self.form.changed.connect(self.show_training)
        self.form.turned.connect(self._turn)
        self.listens.to(self.training.changed, self._changed_training)
        self.listens.to(self.session.shown_changed, self._follow)
        self.listens.to(self.session.scene_changed, self._leave)
        self.listens.to(self.session.message_changed, self._reopen)

    def detach(self) -> None:
        self._again.stop()
        super().detach()

    def appeared(self) -> None:
        super().appeared()
        self.refresh()

    def refresh(self, _: Any = None) -> None:
        super().refresh()
        if self.seen:
            self._drawn_points = None
            self.show_training()

    # Doing

    def _start(self) -> None:
        if spec := self.form.spec():
            self._turned = False
            self.training.start(spec)
        elif self.training.state == "failed":
            self._blamed = True  # what is wrong now is said at a field, and no longer what was wrong then
            self.show_training()

    def _pause(self) -> None:
        if self.training.state == "running":
            self.training.pause()
        else:
            self.training.resume()

    def _turn(self) -> None:
        """What was trained is on show only where the form is about it."""
        self._turned = True
        self.show_training()

    def open_newest(self) -> None:
        """Show the newest checkpoint in the window, whatever was there before."""
        spec = self.training.spec
        if spec is not None and self.training.saved is not None:
            self.session.open(spec.out)

    def _follow(self, _: Any = None) -> None:
        """Open what was written since the last one was opened, once that one is on screen."""
        session = self.session
        arrived = session.scene.opened == session.shown.opened or bool(session.message)
        newest = self._steps.get(session.scene.version) == self.training.saved
        if self.follow.isChecked() and arrived and not newest:
            self.open_newest()
        self._show_opened()

    def _reopen(self, _: Any = None) -> None:
        """A checkpoint was replaced before it was read: open the one that took its place."""
        session, spec = self.session, self.training.spec
        arriving = session.scene.version != session.shown.version
        if "version" in session.fix and arriving and spec is not None and session.scene.model == spec.out:
            self._again.start()

    def _leave(self, _: Any = None) -> None:
        """Another model was chosen: what is trained is not to take its place."""
        spec = self.training.spec
        if spec is None or self.session.scene.model != spec.out:
            self._again.stop()
            self.follow.setChecked(False)

    # Showing

    def _changed_training(self) -> None:
        training, before = self.training, self._state
        self._state = training.state
        if training.saved != self._saved:
            self._saved = training.saved
            if training.spec is not None and training.saved is not None:
                self._steps[stamp(training.spec.out)] = training.saved
        if training.texts != self._offered and not training.active:
            self._offered = training.texts
            self.form.offer(training.texts)
        if before != training.state and not training.active:
            self._ended(training)
        self._follow()
        if self.seen:
            self.show_training()

    def _ended(self, training: Training) -> None:
        spec = training.spec
        if spec is None:
            return
        if training.state == "finished":
            self.form.propose()
        else:
            self.form.out.setText(spec.out)
            self.form.look()
        # Said once: what is at a field goes when the field is changed.
        self._blamed = training.state == "failed" and self.form.blame(training.message, spec)

    def show_training(self) -> None:
        """Everything, as it is now."""
        training, spec, active = self.training, self.training.spec, self.training.active
        told = active or not self._turned or (spec is not None and self.form.folder() == Path(spec.out))
        self.form.setVisible(not active)
        self.summary.setVisible(active)
        self.summary.say(summary(spec, training.steps) if spec else "")
        self.start.setVisible(not active)
        self.start.setText(tr("Resume") if self.form.found else tr("Start"))
        self.start.setEnabled(bool(self.session.greeting))
        for button in (self.pause, self.stop):
            button.setVisible(active)
        held = training.state in ("pausing", "paused")
        self.pause.setText(tr("Resume") if held else tr("Pause"))
        self.pause.setEnabled(held or training.state == "running")
        stopping = training.state == "stopping"
        self.stop.setText(tr("Stop now") if stopping else tr("Stop"))
        self.stop.setToolTip(
            tip(
                tr("Do not wait: the last checkpoint that was written stays.")
                if stopping
                else tr("Stop after this step, keeping a checkpoint, so that training can be resumed.")
            )
        )
        self._show_words(training if told else Training())
        self.bar.setVisible(active)
        self.bar.setRange(0, max(1, training.steps))
        self.bar.setValue(training.step)
        drawn = told and bool(training.points)
        self.numbers.setVisible(drawn)
        self.numbers.say(numbers(training))
        self.plot.setVisible(drawn)
        self.hint.setVisible(not drawn)
        if training.points is not self._drawn_points and training.points:
            self._drawn_points = training.points
            self._draw_points(training.points)
        for widget in (self.open, self.follow, self.on_screen):
            widget.setVisible(drawn or (told and training.saved is not None))
        self.open.setEnabled(training.saved is not None)
        self.follow.setEnabled(training.active or self.follow.isChecked())
        self._show_opened()

    def _show_words(self, training: Training) -> None:
        text, colour = state_words(training), theme.current().muted
        if training.state == "failed":
            colour = theme.current().error
            text = "" if self._blamed else text
        self.words.setText(text)
        theme.colour_text(self.words, colour)

    def _draw_points(self, points: list[Point]) -> None:
        held_out = [point for point in points if point.held_out_loss is not None]
        curves = [Curve(tr("training"), [p.step for p in points], [p.loss for p in points], "query")]
        if held_out:
            curves.append(
                Curve(
                    tr("held out"),
                    [p.step for p in held_out],
                    [p.held_out_loss or 0.0 for p in held_out],
                    "key",
                )
            )
        at = {float(point.step): point for point in points}
        self.plot.show_curves(
            curves,
            x_title=tr("steps"),
            y_title=tr("loss, nats a token"),
            describe=lambda x: point_words(at[x]) if x in at else "",
        )

    def _show_opened(self) -> None:
        spec, session = self.training.spec, self.session
        step = self._steps.get(session.shown.version) if spec and session.shown.model == spec.out else None
        words = [] if step is None else [tr("step {step} is on screen").format(step=f"{step:,}")]
        if self.training.saved is not None:
            words.append(tr("newest: step {step}").format(step=f"{self.training.saved:,}"))
        self.on_screen.say(" · ".join(words), hint=True)


def summary(spec: Spec, steps: int) -> str:
    """What is trained, in a line. `steps`: of all its phases, as many as are known of."""
    what = spec.preset or tr("continue training {model}").format(model=model_title(spec.source))
    words = [what, *([", ".join(Path(path).name for path in spec.data)] if spec.data else [])]
    how = tr("{steps} steps, batch {rows}, on {device} in {dtype}")
    # The line of numbers below counts the steps of all phases.
    counted = f"{spec.steps:,} + {steps - spec.steps:,}" if steps > spec.steps else f"{spec.steps:,}"
    words.append(how.format(steps=counted, rows=spec.batch, device=spec.device, dtype=spec.dtype))
    return " · ".join([*words, spec.out])


def state_words(training: Training) -> str:
    """What the training does, where its numbers do not say so."""
    step = f"{training.step:,}"
    words = {
        "starting": tr("Starting: the text is read, and the model made."),
        "pausing": tr("Pausing after this step…"),
        "paused": tr("Paused after step {step}."),
        "stopping": tr("Stopping: a checkpoint is written…"),
        "stopped": tr("Stopped after step {step}."),
        "finished": tr("Done: {step} steps. The model and its card are in {folder}."),
    }
    if training.state == "failed":
        return sentence(training.message) if training.message else death_words(training)
    if training.measuring:
        return tr("All steps are done; what came out is measured.")
    if training.state == "running":
        return " ".join(filter(None, [first_words(training), sentence(training.note)]))
    folder = Path(training.spec.out).name if training.spec else ""
    return words.get(training.state, "").format(step=step, folder=folder)


def first_words(training: Training) -> str:
    """What is waited for, until losses come."""
    if not training.silent or training.spec is None:
        return ""
    every = training.spec.report_every
    return (
        tr("Computing; losses are reported at every step.")
        if every == 1
        else tr("Computing; losses are reported every {count} steps.").format(count=every)
    )


def death_words(training: Training) -> str:
    """What is left of a training whose process is gone without a word."""
    if training.saved is None:
        return tr("The training process ended unexpectedly before its first checkpoint; see Help > Log.")
    return tr("The training process ended unexpectedly; step {step} is kept, Resume goes on.").format(
        step=f"{training.saved:,}"
    )


def numbers(training: Training) -> str:
    """Step, losses, speed and time left, in a line."""
    if not training.points:
        return ""
    last = training.points[-1]
    held_out = next((point for point in reversed(training.points) if point.held_out_loss is not None), None)
    words = [
        tr("step {step} of {steps}").format(step=f"{training.step:,}", steps=f"{training.steps:,}"),
        tr("loss {loss}").format(loss=f"{last.loss:.3f}"),
    ]
    if held_out is not None and held_out.held_out_loss is not None:
        words.append(
            tr("held out {loss} at step {step}").format(
                loss=f"{held_out.held_out_loss:.3f}", step=f"{held_out.step:,}"
            )
        )
    words.append(tr("{count} tokens/s").format(count=f"{last.tokens_per_second:,.0f}"))
    if training.active and training.seconds_left is not None and training.step < training.steps:
        words.append(tr("{time} left").format(time=timedelta(seconds=round(training.seconds_left))))
    return " · ".join(words)


def point_words(point: Point) -> str:
    """A place of the curves: its step, and what they do not show."""
    return tr("step {step}: rate {lr}, gradient norm {norm}, {count} tokens/s;").format(
        step=f"{point.step:,}",
        lr=short_number(point.lr),
        norm=short_number(point.grad_norm),
        count=f"{point.tokens_per_second:,.0f}",
    )
