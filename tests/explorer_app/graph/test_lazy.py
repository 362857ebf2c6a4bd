"""What is slow to import is imported when it is needed, beside the event loop."""

import sys
import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.graph.lazy import lazy, loaded

pytestmark = pytest.mark.unit


def test_a_lazy_module_is_loaded_by_a_thread_while_the_event_loop_goes_on(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import threading, time\ntime.sleep(0.2)\nTHREAD = threading.current_thread().name\n"
    (tmp_path / "slow_to_import.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = lazy("slow_to_import")
    try:
        assert lazy("slow_to_import") is module
        assert not loaded("slow_to_import")
        qtbot.waitUntil(lambda: loaded("slow_to_import"))
        assert threading.current_thread().name != module.THREAD
    finally:
        del sys.modules["slow_to_import"]


def test_a_module_that_is_not_installed_is_said_at_once() -> None:
    with pytest.raises(ModuleNotFoundError, match="not_installed_at_all"):
        lazy("not_installed_at_all")
