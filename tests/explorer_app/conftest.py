"""What holds for every test of the window: drawn offscreen in the bundled fonts, and nothing left behind."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QProcess, QThread
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from explorer_app import theme
from explorer_app.window.window import MainWindow
from tests.support.models.tiny import save
from tests.support.window.local_engine import tiny_checkpoint
from tests.support.window.windows import Windows


@pytest.fixture(scope="session", autouse=True)
def bundled_fonts(qapp: QApplication) -> None:
    """Text has the same size on every machine."""
    theme.load_fonts()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model of random weights, for tests that need any."""
    return tiny_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def two_stacks(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An encoder-decoder, whose model reads two texts."""
    return save(tmp_path_factory.mktemp("models") / "seq2seq", "seq2seq")


@pytest.fixture
def windows(qtbot: QtBot, model: str) -> Iterator[Windows]:
    """Opens whole windows, and closes them when the test is over."""
    with ExitStack() as stack:
        yield Windows(qtbot, model, stack)


@pytest.fixture
def window(windows: Windows) -> MainWindow:
    return windows.open()


@pytest.fixture(autouse=True)
def light_theme(qapp: QApplication) -> None:
    """Each test begins in the light theme, whatever the one before it left."""
    theme.apply(qapp, "light")


@pytest.fixture(autouse=True)
def nothing_left_on_screen(qapp: QApplication) -> Iterator[None]:
    """Fails a test that leaves a window behind."""
    before = QApplication.topLevelWidgets()  # kept, since an id alone is given anew
    yield
    left = [widget for widget in _top_level(qapp) if not any(widget is other for other in before)]
    names = [f"{type(widget).__name__} {widget.objectName()!r}" for widget in left]
    for widget in left:
        widget.close()
    if names:
        pytest.fail(f"windows left after the test: {', '.join(names)}", pytrace=False)


def _top_level(app: QApplication) -> list[QWidget]:
    gc.collect()  # a widget without a parent goes with its last reference
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    app.processEvents()
    return [widget for widget in QApplication.topLevelWidgets() if isValid(widget)]


@pytest.fixture(autouse=True)
def nothing_left_running(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that leaves a Qt thread or a process running; either would outlive or abort the run."""
    started: list[weakref.ref[QThread | QProcess]] = []
    for kind in (QThread, QProcess):

        def start(self: QThread | QProcess, *args: object, _start: object = kind.start) -> None:
            started.append(weakref.ref(self))
            _start(self, *args)  # type: ignore[operator]

        monkeypatch.setattr(kind, "start", start)
    yield
    left = []
    for reference in started:
        runner = reference()
        if isinstance(runner, QThread) and isValid(runner) and runner.isRunning():
            left.append(runner)
            runner.quit()
            runner.wait(1000)
        if (
            isinstance(runner, QProcess)
            and isValid(runner)
            and runner.state() != QProcess.ProcessState.NotRunning
        ):
            left.append(runner)
            runner.kill()
            runner.waitForFinished(1000)
    if left:
        names = ", ".join(type(runner).__name__ for runner in left)
        pytest.fail(f"still running after the test: {names}", pytrace=False)
