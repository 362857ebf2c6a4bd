"""Child processes that run a command of the core beside the window, and never outlive it."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from model_core.api.files.paths import has_working_folder
from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer

PACKAGES = Path(__file__).resolve().parents[2]


def core_process(parent: QObject, environment: Mapping[str, str] | None = None) -> QProcess:
    """A process that is still to be started, with `core_command`; `environment` is put into what it inherits."""
    process = QProcess(parent)
    variables = QProcessEnvironment.systemEnvironment()
    # The packages are found wherever the window was started, and nothing that lies in that folder is imported.
    paths = [str(PACKAGES), variables.value("PYTHONPATH")]
    own = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    for name, value in (own | dict(environment or {})).items():
        variables.insert(name, value)
    process.setProcessEnvironment(variables)
    if not has_working_folder():
        # torch ends a process that has none. Where there is one, paths that begin there mean what they mean here.
        process.setWorkingDirectory(str(PACKAGES))
    return process


def core_command(*words: str) -> tuple[str, Sequence[str]]:
    """Program and arguments of `layerscope WORDS`."""
    return sys.executable, ["-P", "-m", "model_core.cli", *words]


def release(process: QProcess, patience_ms: int) -> None:
    """Have a process end, as `end` does, at its own time: nothing waits. It tells no more, and goes when it is gone.

    Who had it listened to its output, its log, its end and its faults.
    """
    for told in (
        process.readyReadStandardOutput,
        process.readyReadStandardError,
        process.finished,
        process.errorOccurred,
    ):
        told.disconnect()
    if process.state() == QProcess.ProcessState.NotRunning:
        process.deleteLater()
        return
    process.finished.connect(process.deleteLater)
    process.closeWriteChannel()
    QTimer.singleShot(patience_ms, process, process.kill)


def end(process: QProcess, patience_ms: int) -> None:
    """Have a process end, by the end of its stdin or else by force, and wait until it is gone. It tells no more."""
    process.blockSignals(True)
    process.closeWriteChannel()
    if process.state() != QProcess.ProcessState.NotRunning and not process.waitForFinished(patience_ms):
        process.kill()
        process.waitForFinished(5000)
    process.deleteLater()
