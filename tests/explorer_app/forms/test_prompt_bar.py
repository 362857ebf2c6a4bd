"""The prompt bar: what is typed and chosen becomes the scene, and what the engine says is seen beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from explorer_app.forms.prompt_bar import PromptBar
from explorer_app.state.session import Session
from explorer_app.state.settings import Recent
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.listening import detach
from explorer_app.widgets.two_lines import DETAIL
from explorer_app.words.model_words import (
    count_text,
    memory_text,
    model_title,
    preset_line,
    preset_tip,
    why_missing,
)
from explorer_app.words.text import sentence
from model_core.api.names import AttentionKind
from model_core.api.queries.answer import Answer
from model_core.api.scene import Scene
from tests.support.window.local_engine import LocalEngine, tiny_checkpoint
from tests.support.window.walk import guessed

pytestmark = pytest.mark.unit

PROMPT = "The cat saw the dog"
GREETING = {
    "devices": [
        {"name": "cpu", "title": "CPU", "memory_bytes": 16_000_000_000},
        {"name": "cuda:0", "title": "NVIDIA H200", "memory_bytes": None},
    ],
    "dtypes": ["float32", "bfloat16"],
    "presets": {
        "tales-llama": {
            "about": "writes fairy tales",
            "title": "LLaMA",
            "parameters": 2_755_008,
            "bytes": 5_515_072,
            "data": "children_tales.txt",
            "licence": "public domain",
            "quality": "1.78 bits per byte, induction 0.98",
            "task": "text",
            "example": {"prompt": "Once upon a time", "target": ""},
        },
    },
    "order": ["tales-llama"],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def bar(qtbot: QtBot, model: str) -> Iterator[PromptBar]:
    """A bar on screen whose scene is answered."""
    session = Session(Scene(model, PROMPT))
    bar = PromptBar(session, [])
    qtbot.addWidget(bar)
    engine = LocalEngine(session, lambda: [RUN, SITES])
    bar.resize(1200, 120)
    bar.show()
    engine.start()
    qtbot.waitUntil(lambda: session.run is not None and not engine.busy, timeout=60_000)
    yield bar
    engine.close()
    detach(bar)


@pytest.fixture
def alone(qtbot: QtBot) -> Iterator[PromptBar]:
    """A bar on screen without an engine."""
    bar = PromptBar(Session(Scene("tales-llama", PROMPT)), [Recent("/models/older", ("heads=4",))])
    qtbot.addWidget(bar)
    bar.resize(1200, 120)
    bar.show()
    yield bar
    detach(bar)


def test_typing_asks_by_itself(bar: PromptBar, qtbot: QtBot) -> None:
    qtbot.keyClicks(bar.prompt, " run")
    qtbot.waitUntil(lambda: bar.session.shown.prompt == PROMPT + " run")
    assert bar.strip.accessibleDescription().endswith("·run")


def test_the_strip_shows_the_tokens_that_the_model_read(bar: PromptBar) -> None:
    assert bar.session.run is not None
    assert bar.strip.accessibleDescription().split() == [
        s.replace(" ", "·") for s in bar.session.run["strings"]
    ]
    assert bar.strip.accessibleDescription().replace(" ", "").replace("·", " ") == PROMPT


def click(qtbot: QtBot, bar: PromptBar, token: int, modifier: Qt.KeyboardModifier | None = None) -> None:
    place: QPoint = bar.strip.item_rect(token).center().toPoint()
    modifier = modifier or Qt.KeyboardModifier.NoModifier
    qtbot.mouseClick(bar.strip.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def locked(bar: PromptBar) -> tuple[int | None, int | None]:
    return bar.session.selection.query, bar.session.selection.key


def test_a_click_locks_the_query_and_shift_click_the_key(bar: PromptBar, qtbot: QtBot) -> None:
    click(qtbot, bar, 3)
    assert locked(bar) == (3, None)
    click(qtbot, bar, 1, Qt.KeyboardModifier.ShiftModifier)
    assert locked(bar) == (3, 1)
    click(qtbot, bar, 1, Qt.KeyboardModifier.ShiftModifier)
    assert locked(bar) == (3, None)


def test_a_second_click_locks_the_key_as_well_and_a_third_lets_go(bar: PromptBar, qtbot: QtBot) -> None:
    for expected in ((2, None), (2, 2), (None, None)):
        click(qtbot, bar, 2)
        assert locked(bar) == expected


def test_hovering_a_token_is_told_to_everyone(bar: PromptBar, qtbot: QtBot) -> None:
    qtbot.mouseMove(bar.strip.viewport(), bar.strip.item_rect(2).center().toPoint())
    qtbot.waitUntil(lambda: bar.session.hovered == (2, None))


def test_a_prompt_that_is_too_long_is_said_beside_it_and_can_be_cut(bar: PromptBar, qtbot: QtBot) -> None:
    bar.session.change(prompt="the cat " * 400)
    qtbot.waitUntil(lambda: bar.session.message != "")
    assert "more than the context of 300" in bar.line.text()
    assert bar.fix.isVisible()
    qtbot.mouseClick(bar.fix, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bar.session.shown == bar.session.scene)
    assert bar.session.run is not None
    assert len(bar.session.run["tokens"]) == 300
    assert bar.prompt.text() == bar.session.scene.prompt
    assert not bar.fix.isVisible()


def test_a_wrong_prompt_leaves_the_last_tokens_on_screen(bar: PromptBar, qtbot: QtBot) -> None:
    before = bar.strip.accessibleDescription()
    bar.prompt.selectAll()
    qtbot.keyClick(bar.prompt, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: bar.session.message != "")
    assert "empty" in bar.line.text()
    assert bar.strip.accessibleDescription() == before


def test_before_the_engine_has_greeted_the_scene_is_what_can_be_chosen(alone: PromptBar) -> None:
    assert [alone.model.itemText(row) for row in range(alone.model.count())] == [
        "tales-llama", "older", "", "Open file…", "Open folder…", "New untrained model…",
    ]  # fmt: skip
    assert alone.device.currentText() == "cpu"


def test_the_greeting_fills_the_choosers(alone: PromptBar) -> None:
    alone.session.greet(GREETING)
    assert [alone.device.itemText(row) for row in range(2)] == ["cpu · 16.0 GB", "cuda:0"]
    assert alone.device.itemData(1, Qt.ItemDataRole.ToolTipRole) == "NVIDIA H200"
    assert [alone.dtype.itemText(row) for row in range(2)] == ["float32", "bfloat16"]
    assert alone.model.itemData(0, Qt.ItemDataRole.ToolTipRole).splitlines() == [
        "writes fairy tales",
        "5.5 MB on disk",
        "trained on children_tales.txt (public domain)",
        "measured: 1.78 bits per byte, induction 0.98",
    ]


def test_a_preset_says_in_the_list_what_it_is_and_how_good(alone: PromptBar, qtbot: QtBot) -> None:
    alone.session.greet(GREETING)
    line = "LLaMA · 2.755 M parameters · children_tales.txt · 1.78 bits per byte, induction 0.98"
    assert alone.model.itemData(0, DETAIL) == line
    assert alone.model.itemData(1, DETAIL) is None
    view = alone.model.view()
    assert view.sizeHintForRow(0) > view.sizeHintForRow(1)
    assert view.minimumWidth() > view.fontMetrics().horizontalAdvance(line)


def test_a_damaged_preset_is_listed_in_its_place_with_its_reason_and_may_be_tried(alone: PromptBar) -> None:
    alone.model.recent = [Recent("dates"), *alone.model.recent]
    damaged = {"dates": "the preset dates is damaged: cut off"}
    alone.session.greet(GREETING | {"damaged": damaged, "order": ["dates", "tales-llama"]})
    assert [choice.model for choice in alone.model.choices] == ["dates", "tales-llama", "/models/older"]
    assert alone.model.itemData(0, DETAIL) == "damaged"
    assert alone.model.itemData(0, Qt.ItemDataRole.ToolTipRole) == "the preset dates is damaged: cut off"
    alone.model.activated.emit(0)
    assert alone.session.scene.model == "dates"


def test_a_preset_without_weights_says_so() -> None:
    facts = {
        "about": "dates",
        "title": "Encoder-decoder",
        "parameters": 531_840,
        "bytes": 0,
        "data": "",
        "quality": "",
    }
    assert preset_line(facts) == "Encoder-decoder · 531.8 k parameters · not trained yet"
    assert preset_tip(facts) == "dates\nnot trained yet"


def test_the_prompt_does_not_move_when_the_engine_greets(alone: PromptBar) -> None:
    QApplication.processEvents()
    before = alone.prompt.geometry()
    alone.session.greet(GREETING)
    QApplication.processEvents()
    assert alone.prompt.geometry() == before


def test_what_is_chosen_becomes_the_scene(alone: PromptBar) -> None:
    alone.session.greet(GREETING)
    alone.device.activated.emit(1)
    alone.dtype.activated.emit(1)
    alone.model.activated.emit(1)
    assert alone.session.scene == Scene(
        "/models/older", PROMPT, device="cuda:0", dtype="bfloat16", config=("heads=4",)
    )
    alone.model.activated.emit(0)
    assert alone.session.scene.config == ()


@pytest.mark.parametrize(("row", "signal"), [(3, "opening_file"), (4, "opening_folder"), (5, "creating")])
def test_the_last_entries_ask_for_a_model_and_keep_the_present_one(
    alone: PromptBar, qtbot: QtBot, row: int, signal: str
) -> None:
    with qtbot.waitSignal(getattr(alone.model, signal)):
        alone.model.setCurrentIndex(row)
        alone.model.activated.emit(row)
    assert alone.model.currentText() == "tales-llama"


def test_an_asked_for_model_is_shown_and_can_be_chosen_again_once_it_was_opened(alone: PromptBar) -> None:
    alone.session.change(model="/models/new")
    assert alone.model.currentText() == "new"
    assert alone.model.itemData(alone.model.currentIndex(), Qt.ItemDataRole.ToolTipRole) == "/models/new"
    alone.session.change(model="tales-llama")
    assert alone.model.findData("/models/new") == -1
    alone.model.remember(Recent("/models/new"))
    assert alone.model.findData("/models/new") >= 0
    assert alone.model.currentText() == "tales-llama"


def test_a_model_that_is_gone_is_grey_and_says_so(alone: PromptBar, tmp_path: Path) -> None:
    alone.model.remember(Recent(str(tmp_path)))
    rows = {alone.model.itemData(row): row for row in range(alone.model.count())}
    assert alone.model.model().item(rows[str(tmp_path)]).isEnabled()
    gone = rows["/models/older"]
    assert not alone.model.model().item(gone).isEnabled()
    assert alone.model.itemData(gone, Qt.ItemDataRole.ToolTipRole) == "/models/older\nheads=4\nnot found"


def test_the_same_model_with_other_words_takes_its_place(alone: PromptBar) -> None:
    alone.model.remember(Recent("/models/older", ("heads=8",)))
    assert alone.model.recent == [Recent("/models/older", ("heads=8",))]
    alone.model.forget()
    assert alone.model.findData("/models/older") == -1


def test_what_a_model_needs_is_said_while_it_loads(alone: PromptBar) -> None:
    alone.session.set_engine("running")
    alone.session.set_progress("loading", 0.1, "needs 2.6 GB, 9.1 GB free")
    assert alone.line.text() == "Loading tales-llama… needs 2.6 GB, 9.1 GB free"
    alone.session.set_progress("running", 0.1)
    assert alone.line.text() == "Running tales-llama…"


def test_a_prompt_that_would_work_is_offered_by_name(alone: PromptBar, qtbot: QtBot) -> None:
    alone.session.tell("this model reads ids", {"prompt": "5 17 3"})
    assert alone.fix.text() == "Use “5 17 3”"
    qtbot.mouseClick(alone.fix, Qt.MouseButton.LeftButton)
    assert alone.prompt.text() == "5 17 3"
    alone.session.tell("too long", {"prompt": "5 17"})
    assert alone.fix.text() == "Cut to fit"


def test_progress_and_cancel_appear_only_while_something_takes_long(alone: PromptBar, qtbot: QtBot) -> None:
    assert not alone.bar.isVisible()
    assert not alone.stop.isVisible()
    alone.session.set_engine("running")
    alone.session.set_progress("loading", 0.25)
    assert alone.bar.isVisible()
    assert alone.bar.value() == 250
    assert alone.line.text() == "Loading tales-llama…"
    with qtbot.waitSignal(alone.cancelled):
        qtbot.mouseClick(alone.stop, Qt.MouseButton.LeftButton)
    alone.session.set_progress("", 1.0)
    assert not alone.bar.isVisible()


def test_a_message_moves_nothing(alone: PromptBar) -> None:
    QApplication.processEvents()
    before = alone.strip.geometry()
    alone.session.set_progress("running", 0.5)
    alone.session.tell("a very long message " * 30, {"prompt": "a"})
    QApplication.processEvents()
    assert alone.strip.geometry() == before
    assert alone.minimumSizeHint().width() < 1200


@pytest.mark.parametrize("state", ["starting", "ready", "running", "stopped"])
def test_the_light_says_what_the_engine_does(state: str, alone: PromptBar) -> None:
    alone.session.set_engine(state)
    assert alone.light.accessibleName() == f"engine {state}"
    assert alone.light.toolTip()


def test_another_prompt_of_the_same_scene_keeps_the_cursor_of_the_person_who_types(alone: PromptBar) -> None:
    alone.prompt.setText("The bat")
    alone.prompt.setCursorPosition(4)
    alone.prompt.textEdited.emit("The bat")
    assert alone.prompt.cursorPosition() == 4


def test_long_prompts_get_a_scroll_bar_and_the_row_is_as_high_without_it(alone: PromptBar) -> None:
    session = alone.session
    heights = set()
    for count, scrolls in ((5, False), (200, True), (5, False)):
        scene = Scene("tales-llama", "x" * count)
        session.change(prompt=scene.prompt)
        text = {"name": "tokens", "tokens": [7] * count, "strings": [" token"] * count, "special": []}
        kind = AttentionKind("", layers=1, heads=1, kv_heads=1, head_dim=2)
        facts = {**text, "texts": [text], "attentions": [kind.__dict__]}
        session.take(scene, RUN, Answer(facts))
        QApplication.processEvents()
        bar = alone.strip.horizontalScrollBar()
        assert (bar.maximum() > 0) == scrolls
        heights.add((alone.strip.height(), alone.sizeHint().height()))
    assert len(heights) == 1


def test_bos_can_be_left_away_where_the_model_has_one(alone: PromptBar) -> None:
    session = alone.session
    kind = AttentionKind("", layers=1, heads=1, kv_heads=1, head_dim=2)
    for prefixes in ([], ["<s>"]):
        session.change(prompt=f"{len(prefixes)}")
        text = {"name": "tokens", "tokens": [1, 7], "strings": ["<s>", " a"], "special": [0]}
        facts = {**text, "texts": [text], "attentions": [kind.__dict__], "prefixes": prefixes}
        session.take(session.scene, RUN, Answer(facts))
        assert alone.special.isHidden() is not bool(prefixes)
    assert "<s>" in guessed(alone.special.toolTip())
    assert alone.special.isChecked()
    alone.special.click()
    assert session.scene.special is False
    session.change(special=True)
    assert alone.special.isChecked()


def test_names_and_sizes_are_short() -> None:
    assert model_title("/models/llama-7b") == "llama-7b"
    assert model_title("tales-llama") == "tales-llama"
    assert memory_text(139_800_000_000) == "139.8 GB"
    assert model_title("untrained:gpt2/124M") == "gpt2 124M untrained"
    assert memory_text(11_020_032) == "11.0 MB"
    assert memory_text(None) == ""
    assert [count_text(n) for n in (124_439_808, 1_557_611_200, 960)] == ["124.4 M", "1.558 B", "960"]


def test_a_model_without_files_is_never_missing(tmp_path: Path) -> None:
    assert why_missing("untrained:gpt2/124M") == ""
    assert why_missing(str(tmp_path)) == ""
    assert why_missing(str(tmp_path / "nothing")) == "not found"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("the prompt is empty: type some text", "The prompt is empty: type some text"),
        ("blocks.9.attn.q is no site", "blocks.9.attn.q is no site"),
        ("L9H9: there is no layer 9", "L9H9: there is no layer 9"),
        ("Cancelled.", "Cancelled."),
        ("", ""),
    ],
)
def test_messages_are_sentences_and_names_stay_names(message: str, shown: str) -> None:
    assert sentence(message) == shown


def test_the_button_that_helps_stands_beside_the_message(alone: PromptBar) -> None:
    alone.session.tell("the prompt is too long", {"prompt": "a"})
    QApplication.processEvents()
    assert 0 < alone.fix.x() - alone.line.geometry().right() < alone.fix.width()


def test_the_bar_is_narrow_enough_for_a_small_window(alone: PromptBar) -> None:
    assert alone.minimumSizeHint().width() <= 800


def test_a_folder_with_a_trailing_slash_has_a_name(tmp_path: Path) -> None:
    assert model_title(f"{tmp_path}/small/") == "small"


def test_a_trained_preset_and_the_preset_are_two_entries_of_the_selector(alone: PromptBar) -> None:
    alone.session.greet(GREETING)
    alone.model.remember(Recent("/somewhere/trainings/tales-llama"))
    shown = [alone.model.itemText(row) for row in range(alone.model.count())]
    assert "tales-llama" in shown
    assert "tales-llama (/somewhere/trainings)" in shown
