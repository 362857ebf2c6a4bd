"""Whatever numbers a checkpoint holds, every panel shows it: nothing fails, and what is no number is said in words."""

from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from safetensors.torch import load_file, save_file

from explorer_app.forms.prompt_bar import PromptBar
from explorer_app.panel.registry import PANELS
from explorer_app.panels import load_panels
from explorer_app.panels.attention import Attention
from explorer_app.panels.inspector import Inspector
from explorer_app.panels.next_token import NextToken
from explorer_app.panels.norms import Norms
from explorer_app.panels.position import Position
from explorer_app.panels.three_views import ThreeViews
from explorer_app.widgets.listening import detach
from tests.support.models.tiny import save
from tests.support.window.panel_on_screen import PROMPT, on_screen

pytestmark = pytest.mark.process

PANEL_NAMES = [registered.name for registered in load_panels()]


def changed(folder: Path, family: str, what: str) -> str:
    """A checkpoint of a tiny model whose weights are all zero, all equal, or in places as large as float32 allows."""
    path = save(folder, family)
    weights = load_file(folder / "model.safetensors")
    for name, values in weights.items():
        if what == "zero":
            values.zero_()
        elif what == "equal":
            values.fill_(0.1)
        elif what == "nan" and name.endswith("down.weight"):
            values[0, 0] = float("nan")
        elif what == "infinite" and name.endswith("down.weight"):
            values[0, 0] = float("inf")
        elif what.startswith("huge") and name.endswith(f"{what.removeprefix('huge ')}.weight"):
            values.copy_(values / values.abs().max() * 3e38)
        elif what.startswith("large") and name.endswith(f"{what.removeprefix('large ')}.weight"):
            values.copy_(values / values.abs().max() * 6e4)
    save_file(weights, folder / "model.safetensors")
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def model(folders: Path, family: str, what: str) -> str:
    folder = folders / f"{family}-{what}".replace(" ", "-")
    return str(folder) if folder.exists() else changed(folder, family, what)


# (family, what its weights are, number type, whether its numbers end somewhere)
MODELS = [
    ("llama", "huge q", "float32", True),
    ("gpt2", "large down", "float16", True),
    ("mini", "equal", "float64", False),
    ("llama", "zero", "bfloat16", False),
    ("seq2seq", "huge up", "float32", True),
]


@pytest.mark.parametrize("panel", PANEL_NAMES)
@pytest.mark.parametrize(("family", "what", "dtype", "ends"), MODELS)
def test_every_panel_shows_whatever_numbers_there_are(
    family: str, what: str, dtype: str, ends: bool, panel: str, folders: Path, qtbot: QtBot
) -> None:
    kind = PANELS[panel].build
    with on_screen(qtbot, kind, model(folders, family, what), PROMPT) as shown:  # type: ignore[type-var, arg-type]
        session = shown.session
        shown.change(dtype=dtype)
        run = session.run
        assert run is not None
        assert session.shown == session.scene
        assert bool(run["not_finite"]) == ends
        shown.panel.grab()
        session.hover(2, 1)
        shown.select(layer=2, head=1, query=3, key=2)
        for site in ("blocks.1.attn.scores", "blocks.1.mlp.out", "decoder.blocks.1.mlp.out", "logits"):
            session.go_to(site)
            shown.settle()
        shown.panel.grab()
        shown.change(edits=("mask off",))
        shown.panel.grab()
        assert session.message == ""
        assert shown.engine._failed == set()
        for label in shown.panel.findChildren(QLabel):
            assert "nan" not in label.text().replace("NaN", "").split()


@pytest.mark.parametrize("what", ["nan", "infinite"])
def test_a_checkpoint_that_holds_no_numbers_is_refused_in_one_line(
    what: str, folders: Path, qtbot: QtBot
) -> None:
    with on_screen(qtbot, NextToken, model(folders, "llama", what), PROMPT) as shown:
        assert "holds NaN or infinite weights: the checkpoint is damaged" in shown.session.message


def test_the_window_says_in_one_line_from_where_on_numbers_are_none(folders: Path, qtbot: QtBot) -> None:
    with on_screen(qtbot, NextToken, model(folders, "llama", "huge q"), PROMPT) as shown:
        bar = PromptBar(shown.session, [])
        qtbot.addWidget(bar)
        assert bar.line.text().startswith("From blocks.0.attn.q on, values are ")
        assert "float32 holds up to 3.4e+38" in bar.line.text()
        shown.session.tell("something else")
        assert bar.line.text() == "Something else"
        shown.session.tell("")
        shown.change(model=model(folders, "llama", "zero"))
        assert bar.line.text().startswith("Tokens, with their ids")
        detach(bar)


def test_panels_that_cannot_show_a_number_say_so(folders: Path, qtbot: QtBot) -> None:
    broken = model(folders, "llama", "huge q")
    with on_screen(qtbot, NextToken, broken, PROMPT) as shown:
        assert "not numbers (NaN)" in shown.panel.likely.empty()
        assert {bar.text for bar in shown.panel.prompt.bars()[1:]} == {"NaN"}
    with on_screen(qtbot, Attention, broken, PROMPT) as shown:
        assert "not numbers (NaN)" in shown.panel.row.empty()
        assert "not a number" in shown.panel.heatmap._describe(3, 1)  # type: ignore[misc]
    with on_screen(qtbot, Norms, broken, PROMPT) as shown:
        shown.session.go_to("blocks.2.norm1.out")
        shown.settle()
        shown.panel.tokens.set_cursor(None)
        assert "values are NaN or infinite" in shown.panel.tokens.readout()
        assert "NaN" in shown.panel.measured.text()
        assert shown.panel.after_title.text() == "After, all NaN"
    with on_screen(qtbot, Inspector, broken, PROMPT) as shown:
        shown.session.go_to("blocks.1.resid_pre")
        shown.settle()
        assert "From blocks.0.attn.q on, values are" in shown.panel.statistics.text()
        assert shown.panel.histogram.readout() == "No finite value to count"
        shown.session.go_to("embed.out")
        shown.settle()
        assert "From " not in shown.panel.statistics.text()
    with on_screen(qtbot, Position, broken, PROMPT) as shown:
        rotary = shown.panel.rotary
        rotary.tabs.setCurrentWidget(rotary.conventions)
        shown.settle()
        assert "Not all scores of this head are finite" in rotary.conventions.proof.text()
        assert "nan" not in rotary.conventions.proof.text()
    with on_screen(qtbot, ThreeViews, model(folders, "seq2seq", "huge up"), PROMPT) as shown:
        shown.select(stack="cross", query=2)
        assert "weights that are not numbers" in shown.panel.told.text()


LONG, SHORT = PROMPT, "The cat"


@pytest.mark.parametrize("panel", PANEL_NAMES)
@pytest.mark.parametrize("family", ["llama", "gpt2", "seq2seq"])
def test_no_panel_minds_a_position_beyond_a_shorter_prompt(
    family: str, panel: str, folders: Path, qtbot: QtBot
) -> None:
    kind = PANELS[panel].build
    with on_screen(qtbot, kind, model(folders, family, "plain"), LONG) as shown:  # type: ignore[type-var, arg-type]
        session = shown.session
        session.change(target="The dog saw it and ran")
        shown.settle()
        last = len(session.texts[-1]["tokens"]) - 1
        for site in ("blocks.1.norm1.out", "decoder.blocks.1.norm1.out"):
            session.go_to(site)
        shown.settle()
        session.hover(last, last)
        shown.panel.hovered()
        session.change(prompt=SHORT, target=SHORT)
        shown.engine._ask()  # answered at once, and not drawn yet
        session.hover(last, last)
        for position in (last, 10_000):
            shown.panel.preview(position, position)
            shown.panel.preview(position, None)
        shown.settle()
        for position in (last, 10_000):
            session.hover(position, position)
            shown.panel.preview(position, position)
        session.hover(1, 0)
        shown.panel.grab()
