"""What holds for every test: offline, quiet threads, no skip, no thread left behind."""

import gc
import importlib
import itertools
import os
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

# Read when torch, Qt and the tokenizers are first imported, so they are set before anything else is.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models under test are too small to gain from more
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

hypothesis.settings.register_profile("default", deadline=None, max_examples=30)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

LONGEST = {"fuzz", "monkey"}
MARKERS = {"unit", "process", "corpora", "cuda", "benchmark"}

# tqdm starts one daemon thread for the life of the process at its first progress bar, as in transformers.
PROCESS_WIDE_THREADS = ("TMonitor",)


@pytest.fixture(scope="module", autouse=True)
def what_is_there_is_no_garbage() -> None:
    """What libraries and earlier tests left for good is no garbage: each test that looks for some goes past it."""
    # The first tensor without values imports it, in the middle of a test otherwise.
    importlib.import_module("torch._dynamo")

    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a test needs is known of every test, so that a part of them can be run: exactly one marker says it.

    A test's own goes before that of its file.
    """
    found = [_kinds(item) for item in items]
    wrong = [item.nodeid for item, kinds in zip(items, found, strict=True) if len(kinds) != 1]
    if wrong:
        raise pytest.UsageError(
            f"{len(wrong)} tests do not have exactly one of the markers {', '.join(sorted(MARKERS))}: "
            + ", ".join(wrong[:10])
        )
    for node in {node for item in items for node in item.listchain()}:
        node.own_markers = [mark for mark in node.own_markers if mark.name not in MARKERS]
    for item, (kind,) in zip(items, found, strict=True):
        item.add_marker(kind)
    # What takes longest begins: where several run side by side, none works alone at the end.
    items.sort(key=lambda item: not LONGEST.intersection(item.path.parts))


def _kinds(item: pytest.Item) -> set[str]:
    """Which of the markers the test has, or else the nearest of what it lies in."""
    found = ({mark.name for mark in node.own_markers} & MARKERS for node in reversed(item.listchain()))
    return next(filter(None, found), set())


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fails a test that returns while a thread it started still runs."""
    before = set(threading.enumerate())
    yield
    started = [
        thread
        for thread in threading.enumerate()
        if thread not in before and type(thread).__name__ not in PROCESS_WIDE_THREADS
    ]
    for thread in started:
        thread.join(timeout=1.0)
    left = [thread.name for thread in started if thread.is_alive()]
    if left:
        pytest.fail(f"threads still running after the test: {', '.join(left)}", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def tokenizers_without_processes() -> Iterator[type]:
    """Tokenizers of libraries work in the process of the tests; gives what starts one for each in the program."""
    from model_core.text import tokenizer_process
    from tests.support.engine.local_host import LocalHost

    started = tokenizer_process.HostProcess
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer_process, "HostProcess", LocalHost)
        yield started


@pytest.fixture
def tokenizer_processes(tokenizers_without_processes: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tokenizer of a library has a process of its own, for tests where that is the point."""
    monkeypatch.setattr("model_core.text.tokenizer_process.HostProcess", tokenizers_without_processes)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for each test, which only a test that writes there makes: thousands of empty ones take long."""
    root = tmp_path_factory.mktemp("homes")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def no_setting_of_the_person_at_the_keyboard(homes: Iterator[Path]) -> Iterator[None]:
    """Gives each test, and the processes it starts, empty folders for settings and state.

    Also a test that undoes all that it has patched itself.
    """
    home = next(homes)
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(folder, str(home / folder.lower()))
        yield


def _fail_where_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"every test must run, but this one was skipped ({reason})"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_where_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_where_skipped(report)
    return report


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the whole corpora, which the project does not carry: LAYERSCOPE_DATA names the one it lies in."""
    named = os.environ.get("LAYERSCOPE_DATA", "")
    folder = Path(named, "corpora")
    if not named or not folder.is_dir():
        pytest.fail(
            f"there is no folder 'corpora' in {named!r}: set LAYERSCOPE_DATA to the one that holds it",
            pytrace=False,
        )
    return folder
