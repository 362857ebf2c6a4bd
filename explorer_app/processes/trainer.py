"""The window's end of a training: `layerscope train` in a process of its own, told by words on its stdin.

It shares the machine with the engine that somebody looks through: it runs at a lower priority, and leaves a core free.
"""

import os
from contextlib import suppress

from PySide6.QtCore import QObject, QProcess, Signal

from explorer_app.processes.child import core_command, core_process, end
from explorer_app.state.training import Training
from explorer_app.words.text import tr

NICENESS = 10
STOP_MS = 15_000  # to end a step and write a checkpoint in
SAID_CHARACTERS = 10_000


class Trainer(QObject):
    """Does what a `Training` asks for, and moves what the process says into it.

    log_grew  what the process wrote on its stderr
    """

    log_grew = Signal(str)

    def __init__(self, training: Training, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.training = training
        self._process: QProcess | None = None
        self._unread = b""
        self._said = ""
        training.asked.connect(self._do)

    @property
    def pid(self) -> int | None:
        """The number of the process, None where there is none."""
        return None if self._process is None else int(self._process.processId())

    def close(self) -> None:
        """Stop training, keeping a checkpoint where there is time for it, and wait until the process is gone."""
        self.training.asked.disconnect(self._do)
        process, self._process = self._process, None
        if process is not None:
            process.write(b"stop\n")
            end(process, STOP_MS if self.training.begun else 0)

    def _do(self, word: str) -> None:
        if word == "start":
            self._start()
        elif self._process is not None and word == "kill":
            self._process.kill()
        elif self._process is not None:
            self._process.write(f"{word}\n".encode())

    def _start(self) -> None:
        assert self.training.spec is not None
        self._unread, self._said = b"", ""
        process = core_process(self)
        process.started.connect(self._yield_to_others)
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._read_log)
        process.finished.connect(self._ended)
        process.errorOccurred.connect(self._did_not_start)
        self._process = process
        process.start(*core_command("train", *self.training.spec.words()))

    def _yield_to_others(self) -> None:
        # Before it has made its threads, which take after it. Windows has no such call.
        if self._process is not None and hasattr(os, "setpriority"):
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.processId(), NICENESS)

    def _read(self) -> None:
        if self._process is None:
            return
        *lines, self._unread = (self._unread + bytes(self._process.readAllStandardOutput().data())).split(
            b"\n"
        )
        for line in lines:
            text = line.decode("utf-8", "replace")
            if not self.training.take(text):
                self.log_grew.emit(text + "\n")

    def _read_log(self) -> None:
        if self._process is not None:
            text = bytes(self._process.readAllStandardError().data()).decode("utf-8", "replace")
            self._said = (self._said + text)[-SAID_CHARACTERS:]
            self.log_grew.emit(text)

    def _ended(self, code: int, status: QProcess.ExitStatus) -> None:
        self._read()
        self._read_log()
        process, self._process = self._process, None
        if process is not None:
            process.deleteLater()
        self.training.ended(code, status == QProcess.ExitStatus.CrashExit, self._said)

    def _did_not_start(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._process = None
            self.training.fail(tr("The training process could not be started; see Help > Log."))
