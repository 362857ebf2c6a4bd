"""The window's end of the engine: a child process that is asked, watched, restarted and ended.

    client.ask()      ask for what the visible panels miss; called after any change, sends at most one request a turn
    client.cancel()   stop the request under way; an engine that does not obey in time is restarted
    client.close()    end the process, before the window is gone

An engine that dies is started again and gets the last request once more; if it dies of the same request again, that
request is given up with a message, and the window goes on as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from model_core.api.plain_text import visible
from model_core.api.protocol import PROTOCOL, BadFrame, Frame, FrameReader, encode_bytes, hello
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import Query, read
from model_core.api.scene import Scene, asks_to_json
from PySide6.QtCore import QByteArray, QObject, QProcess, QTimer, Signal

from explorer_app.processes.child import core_command, core_process, end, release
from explorer_app.state.session import Session
from explorer_app.words.model_words import model_title
from explorer_app.words.text import tr

SLOW_MS = 200
OBEY_MS = 3000
END_MS = 500
LOG_CHARACTERS = 1 << 20
MOST_DEATHS = 3

Wanted = Callable[[], list[Query]]
Connect = Callable[[Session, Wanted], "EngineClient"]


@dataclass
class Pending:
    """The request under way: its number, its scenes, that of the prompt first, and what is still awaited of each."""

    id: int
    scenes: list[Scene]
    awaited: set[tuple[Scene, Query]]

    @property
    def scene(self) -> Scene:
        return self.scenes[0]


class EngineClient(QObject):
    """Keeps an engine running for a session and moves what it says into it.

    wanted  the queries that the visible panels want answered for the present selection, most urgent first
    log     what the engine said on its stderr, and what else went wrong
    idle    told when nothing is left to ask
    sized   what the newest configuration that was asked about takes: the fields of the engine's answer
    """

    log_grew = Signal(str)
    idle = Signal()
    sized = Signal(object)

    def __init__(self, session: Session, wanted: Wanted, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.wanted = wanted
        self.log = ""
        self._id = 0
        self._sizing = 0
        self._pending: Pending | None = None
        self._failed: set[tuple[Scene, Query]] = set()
        self._given_up: set[Scene] = set()
        self._cancelled = 0
        self._deaths = 0
        self._died_of: Scene | None = None
        self._started = False
        self._greeted = False
        self._notice = ""
        self._why_stopped = ""
        self._closing = False
        self._process: QProcess | None = None
        self._reader = FrameReader()
        self._soon = QTimer(self, interval=0, singleShot=True)
        self._soon.timeout.connect(self._ask)
        self._slow = QTimer(self, interval=SLOW_MS, singleShot=True)
        self._slow.timeout.connect(self._show_progress)
        self._obey = QTimer(self, interval=OBEY_MS, singleShot=True)
        self._obey.timeout.connect(self._kill)
        self._said = ("running", 0.0, "")
        session.scene_changed.connect(self._start_over)
        session.baseline_changed.connect(self.ask)
        session.selection_changed.connect(self.ask)

    def start(self) -> None:
        """Start the engine and ask at once: the pipe keeps the request until torch is there."""
        self.session.set_engine("starting")
        self._started = True
        self._pending = None
        self._reader = FrameReader()
        self._greeted = False
        self._launch()
        self._send(hello(0))
        self.ask()

    def restart(self) -> None:
        """A fresh engine at once, whatever the old one is doing until it is gone."""
        self._deaths, self._died_of = 0, None
        self._end()
        self._rest()
        self.run_again()
        self.start()

    def ask(self, _: Any = None) -> None:
        """Ask, once, when the event loop is free."""
        if not self._closing:
            self._soon.start()

    def _start_over(self, _: Any = None) -> None:
        """Another scene: what an earlier one was refused says nothing about it."""
        self._given_up.clear()
        self._failed.clear()
        self.ask()

    @property
    def busy(self) -> bool:
        """True while an answer is awaited."""
        return self._pending is not None or self._soon.isActive()

    def size(self, model: str, config: Sequence[str], device: str) -> None:
        """Ask what a model without training would take; `sized` tells, and only of the newest that was asked."""
        self._id += 1
        self._sizing = self._id
        self._send(Frame("size", self._id, {"model": model, "config": list(config), "device": device}))

    def cancel(self) -> None:
        """Give up the request under way; the pictures on screen stay."""
        if self._pending is not None:
            self._cancelled = self._pending.id
            self._given_up.update(self._pending.scenes)
            self._send(Frame("cancel", self._cancelled))
            if self._greeted:
                self._obey.start()

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self._closing = True
        for timer in (self._soon, self._slow, self._obey):
            timer.stop()
        self.session.scene_changed.disconnect(self._start_over)
        self.session.baseline_changed.disconnect(self.ask)
        self.session.selection_changed.disconnect(self.ask)
        self._end()
        for process in self.findChildren(QProcess):
            end(process, END_MS)

    def note(self, text: str) -> None:
        """Add to the log."""
        text = visible(text)
        if text:
            self.log = (self.log + text)[-LOG_CHARACTERS:]
            self.log_grew.emit(text)

    def _launch(self) -> None:
        process = core_process(self)
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._read_log)
        process.finished.connect(self._died)
        process.errorOccurred.connect(self._did_not_start)
        process.start(*core_command("engine"))
        self._process = process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            release(process, END_MS)

    def _send(self, frame: Frame) -> None:
        if self._process is not None:
            self._process.write(QByteArray(encode_bytes(frame)))

    def _ask(self) -> None:
        if not self._started:
            return
        session = self.session
        asks = [
            (scene, asked)
            for scene, queries in session.requests(self.wanted())
            if scene not in self._given_up
            and (asked := [query for query in queries if (scene, query) not in self._failed])
        ]
        if asks and session.engine == "stopped":
            session.tell(self._why_stopped)
        if not asks or session.engine == "stopped":
            if self._pending is None:
                self.idle.emit()
            return
        wanted = {(scene, query) for scene, queries in asks for query in queries}
        pending = self._pending
        if pending is not None and pending.scene == asks[0][0] and pending.awaited >= wanted:
            return
        self._id += 1
        self._pending = Pending(self._id, [scene for scene, _ in asks], wanted)
        if not self._slow.isActive():
            self._slow.start()
        pinned = [session.baseline] if session.baseline else []
        self._send(Frame("ask", self._id, asks_to_json(asks, pinned)))

    def _read(self) -> None:
        if self._process is not None:
            for frame in self._reader.feed(bytes(self._process.readAllStandardOutput().data())):
                self._receive(frame)

    def _receive(self, frame: Frame | BadFrame) -> None:
        if isinstance(frame, BadFrame):
            self.note(f"unreadable frame from the engine: {frame.reason}\n")
            return
        if frame.kind == "hello" and frame.fields.get("protocol") != PROTOCOL:
            self._stop(
                tr(
                    "The engine speaks another protocol: install the same Layerscope for it as for the window."
                )
            )
            return
        if frame.kind == "hello":
            self._greeted = True
            self.session.set_engine("ready" if self._pending is None or self._slow.isActive() else "running")
            self.session.greet(frame.fields)
            if self._pending is None:
                self._back()
            return
        if frame.kind in ("done", "error") and frame.id == self._cancelled:
            self._obey.stop()
        if frame.kind == "size" and frame.id == self._sizing:
            self.sized.emit(frame.fields)
        if frame.kind == "error" and not self._greeted and frame.id == 0:
            self._stop(frame.fields["message"])  # it speaks another protocol
        # What an outdated request still brings is dropped by its number.
        pending = self._pending
        if pending is None or frame.id != pending.id:
            return
        if frame.kind == "answer":
            scene, asked = pending.scenes[frame.fields["scene"]], read(**frame.fields["query"])
            pending.awaited.discard((scene, asked))
            self.session.take(scene, asked, Answer(frame.fields["facts"], frame.arrays))
        elif frame.kind == "progress":
            what, needs = frame.fields["what"], frame.fields.get("needs", "")
            # What it needs is said once, before it begins.
            needs = needs or (self._said[2] if what == self._said[0] else "")
            self._said = (what, frame.fields["share"], needs)
            if not self._slow.isActive():
                self._show_progress()
        elif frame.kind == "error":
            number = frame.fields["scene"]
            self._refused(frame, pending.scene if number is None else pending.scenes[number])
        # What is wrong with a request as a whole is the last that is said of it.
        if frame.kind == "done" or (frame.kind == "error" and frame.fields["scene"] is None):
            self._finished(cancelled=frame.fields.get("cancelled", False))

    def _refused(self, frame: Frame, scene: Scene) -> None:
        asked = None if frame.fields["query"] is None else read(**frame.fields["query"])
        message, asks = frame.fields["message"], frame.fields.get("asks")
        if scene != self.session.scene and scene == self.session.baseline:
            self._give_up(scene, asked)
            self.session.refuse_to_baseline(asked, message)
            return
        if (edits := frame.fields.get("edits")) and self.session.refuse(scene, edits):
            return
        self._give_up(scene, asked)
        helped = asks or frame.fields["fix"]
        if frame.fields.get("opening") and not helped and scene.opened == self.session.scene.opened:
            self.session.go_back(message)
        else:
            self.session.tell(message, frame.fields["fix"], asks)

    def _give_up(self, scene: Scene, asked: Query | None) -> None:
        """Do not ask again what was refused."""
        if asked is None:
            self._given_up.add(scene)
        else:
            self._failed.add((scene, asked))

    def _finished(self, cancelled: bool) -> None:
        self._rest()
        self._deaths, self._died_of = 0, None
        self.session.set_engine("ready")
        self._back()
        if cancelled and self.session.scene in self._given_up:
            self._leave(tr("Cancelled. Change the prompt, or choose Run > Run again."), tr("Cancelled."))
        self.ask()

    def _leave(self, message: str, why: str) -> None:
        """Nothing comes of the request under way. A model that was never on screen gives way to the one that is.

        why  what is said instead of the message in that case
        """
        session = self.session
        if session.scene.opened != session.shown.opened and session.run is not None:
            model = model_title(session.scene.model)
            session.go_back(tr("{model} was not opened. {why}").format(model=model, why=why))
        else:
            session.tell(message)

    def _back(self) -> None:
        """The engine is there again: that it was not is no news any more."""
        if self.session.message == self._notice:
            self.session.tell("")

    def _rest(self) -> None:
        """Nothing is awaited any more."""
        self._pending = None
        self._slow.stop()
        self._obey.stop()
        self._said = ("running", 0.0, "")
        self.session.set_progress("", 1.0)

    def run_again(self) -> None:
        """Ask once more for a scene that was cancelled or refused."""
        self.session.tell("")
        self._start_over()

    def _show_progress(self) -> None:
        if self._pending is not None:
            if self.session.engine == "ready":
                self.session.set_engine("running")
            self.session.set_progress(*self._said)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _did_not_start(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._process = None
            self._rest()
            self._stop(tr("The engine could not be started; see Help > Log."))

    def _died(self) -> None:
        """The process is gone and nobody asked it to."""
        self._read()
        self._read_log()
        self.note("the engine process ended\n")
        scenes = self._pending.scenes if self._pending else []
        scene = scenes[0] if scenes else None
        again = scene is not None and scene == self._died_of
        self._deaths, self._died_of = self._deaths + 1, scene
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        self._rest()
        if self._deaths > MOST_DEATHS or (self._deaths > 1 and not self._greeted):
            self._stop(
                tr("The engine stopped again and again. See Help > Log, then choose Run > Restart engine.")
            )
            return
        if scene in self._given_up:
            message = tr("Cancelled. The engine did not answer and was restarted.")
            self._leave(message, message)
        elif again:
            self._given_up.update(scenes)
            self._leave(
                tr(
                    "The engine stopped twice on this request (out of memory?). Change it, or choose Run > Run again."
                ),
                tr("The engine stopped twice over it (out of memory?)."),
            )
        else:
            self._notice = tr("The engine stopped and is being restarted.")
            self.session.tell(self._notice)
        self.start()

    def _stop(self, why: str) -> None:
        """No engine from now on, until a person wants one."""
        self._why_stopped = why
        self.session.set_engine("stopped")
        self.session.tell(why)
        self.idle.emit()

    def _read_log(self) -> None:
        if self._process is not None:
            self.note(bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace"))
