"""Nothing moves or resizes by itself: no model, panel, step or message changes the size of the window or of a row."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from explorer_app.panels.graph import ModelGraph
from explorer_app.window.snapshot import settle
from explorer_app.window.window import MainWindow
from model_core.checkpoint.formats import native
from model_core.families.first_weights import initialise
from model_core.families.gpt2 import GPT2Config
from model_core.families.registry import FAMILIES
from tests.support.window.window_on_screen import window_on_screen

pytestmark = pytest.mark.process

PROMPT = "Once upon"
SIZES = [(1264, 760), (800, 560)]
Places = dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with many layers and heads, a long name, and a vocabulary with long tokens."""
    config = GPT2Config(vocab_size=50257, width=50, layers=48, heads=25, hidden=8, context=64)
    model, family = FAMILIES["gpt2"].build(config), FAMILIES["gpt2"]
    initialise(model, 0)
    folder = tmp_path_factory.mktemp("models") / ("a_model_whose_name_has_no_end_" * 8)
    native.save(folder, model, family, tokenizer="gpt2", name="endless" * 40, about="random weights " * 40)
    return str(folder)


@contextmanager
def small_window(model: str, prompt: str, size: tuple[int, int] = SIZES[0]) -> Iterator[MainWindow]:
    """A window with every panel built."""
    with window_on_screen(model, prompt) as window:
        window.resize(*size)
        for dock in window.docks.values():
            assert dock.panel is not None
        settle(window.client)
        yield window


def places(window: MainWindow) -> Places:
    """The size of the window, and where its rows and columns are."""
    QApplication.processEvents()
    bar = window.prompt_bar

    def row(widget: QWidget) -> tuple[int, int]:
        return widget.mapTo(window, QPoint()).y(), widget.height()

    found: Places = {
        "window": (window.width(), window.height()),
        "least": (window.minimumSizeHint().width(), window.minimumSizeHint().height()),
        "model": bar.model.geometry().getRect(),
        "prompt": row(bar.prompt),
        "message": row(bar.line),
        "tokens": row(bar.strips),
        "status": row(window.status),
    }
    for dock in window.docks.values():
        if dock.panel.seen:
            area = dock.registered.area
            name = area if area == "centre" else dock.objectName()
            # The growth of a model, where it has one, shares the left column with its graph.
            found[name] = (dock.x(), dock.width()) if area == "left" else dock.geometry().getRect()
    return found


def without(found: Places, *names: str) -> Places:
    return {name: place for name, place in found.items() if name not in names}


def look_at(window: MainWindow, *words: str) -> Iterator[Places]:
    """The places with each panel in front, and at the steps of the first block, or of the words in it, and the last."""
    for dock in window.arrangement.of_area("centre"):
        if not dock.isHidden():
            dock.raise_()
            settle(window.client)
            yield places(window)
    keys = [site["key"] for site in window.session.sites]
    block = next(key.removesuffix("resid_pre") for key in keys if key.endswith("resid_pre"))
    for key in [key for key in keys if key.startswith(block) and key.endswith(words or "")] + keys[-1:]:
        window.session.go_to(key)
        settle(window.client)
        yield places(window)


@pytest.mark.parametrize("size", SIZES)
def test_no_panel_and_no_step_moves_a_row_or_a_column(size: tuple[int, int]) -> None:
    with small_window("tales-llama", PROMPT, size) as window:
        first = places(window)
        assert first["window"] == size
        for found in look_at(window, *([] if size == SIZES[0] else ["attn.v", "q_rot"])):
            assert found == first


def test_no_model_moves_a_row_or_a_column_and_every_panel_has_the_room_that_it_needs() -> None:
    with small_window("tales-llama", PROMPT) as window:
        first = places(window)
        for model in ("dates", "growth", "tales-mini", "tales-qwen2", "tales-llama"):
            window.session.open(model)
            settle(window.client)
            for found in look_at(window, "attn.v", "attn.pattern"):
                assert without(found, "growth") == first, model
                for dock in window.docks.values():
                    if dock.panel.seen:
                        assert dock.panel.size() == dock.panel.parentWidget().size(), dock.objectName()


def test_long_names_long_tokens_and_many_heads_move_nothing(hostile: str) -> None:
    with small_window("tales-llama", PROMPT) as window:
        first = places(window)
        window.session.open(hostile)
        settle(window.client)
        window.session.change(prompt=("-" * 64 + " telecommunications") * 8)
        settle(window.client)
        window.session.select(layer=47, head=24)
        for found in look_at(window, "attn.v"):
            assert found == first


def test_a_prompt_that_scrolls_moves_nothing() -> None:
    with small_window("tales-llama", PROMPT) as window:
        first = places(window)
        window.session.change(prompt="Once upon a time there was a little girl " * 8)
        settle(window.client)
        assert window.prompt_bar.strip.horizontalScrollBar().maximum() > 0
        assert places(window) == first


def test_no_message_and_no_progress_moves_a_row() -> None:
    with small_window("tales-llama", PROMPT) as window:
        first, session = places(window), window.session
        session.tell("a line\n" * 30 + "word " * 300, {"prompt": "Once"})
        assert places(window) == first
        session.set_progress("loading", 0.4)
        assert places(window) == first
        session.tell("")
        session.set_progress("", 1.0)
        assert places(window) == first


def test_what_a_panel_shows_changes_nothing_of_its_dock() -> None:
    with small_window("tales-llama", PROMPT) as window:
        for dock in window.docks.values():
            before = dock.minimumSizeHint(), dock.sizeHint()
            long = QWidget(dock.panel)
            layout = dock.panel.layout()
            assert layout is not None
            height = dock.panel.sizeHint().height()
            long.setMinimumSize(3000, height if dock.objectName() == "transport" else 3000)
            layout.addWidget(long)
            QApplication.processEvents()
            assert (dock.minimumSizeHint(), dock.sizeHint()) == before, dock.objectName()
        assert (window.width(), window.height()) == SIZES[0]


# The graph


def test_a_click_on_a_node_in_sight_scrolls_nothing(qtbot: QtBot) -> None:
    with small_window("tales-llama", PROMPT) as window:
        panel = window.docks["graph"].panel
        assert isinstance(panel, ModelGraph)
        view = panel.view
        sites = ("blocks.0.resid_pre", "blocks.0.norm1.out", "blocks.0.attn.q", "embed.out", "tokens")
        area, places = view.viewport().rect(), {site: view.box_rect(site) for site in sites}
        seen = {site: box for site, box in places.items() if area.contains(box.toAlignedRect())}
        assert len(seen) >= 3
        for site, box in seen.items():
            qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=box.center().toPoint())
            settle(window.client)
            qtbot.wait(30)
            assert window.session.selection.site == site
            assert view.box_rect(site) == box
