"""What the other panels show of a model with an encoder and a decoder."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QSize, Qt
from pytestqt.qtbot import QtBot

from explorer_app.panels.edits import Edits
from explorer_app.panels.graph import ModelGraph
from explorer_app.panels.inspector import Inspector
from explorer_app.panels.next_token import NextToken
from explorer_app.panels.norms import Norms
from explorer_app.panels.position import Position, table_words
from explorer_app.panels.transport import layer_step, meaning
from explorer_app.state.focus import Cursor
from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.window import snapshot
from explorer_app.words.norm_words import formula_words, norm_at, norm_followed, statistics_words
from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.scene import Scene
from model_core.parts.norm import StdLayerNorm
from tests.support.models.norms import told_of
from tests.support.window.fake_run import two_texts
from tests.support.window.local_engine import LocalEngine
from tests.support.window.panel_on_screen import on_screen
from tests.support.window.two_stacks import SOURCE, TARGET

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("module", "text"), [("encoder.blocks.1.norm2", 0), ("decoder.blocks.1.norm3", 1)])
@pytest.mark.process
def test_the_tutorials_layer_norm_is_shown_as_it_is_written(
    module: str, text: int, qtbot: QtBot, two_stacks: str
) -> None:
    with on_screen(qtbot, Norms, two_stacks, SOURCE) as shown:
        shown.change(target=TARGET)
        shown.session.go_to(f"{module}.out")
        shown.settle()
        panel, run = shown.panel, shown.session.run
        answer = shown.session.answer(panel.needs()[1])
        assert answer is not None
        x = answer["before"].astype(np.float64)
        std = x.std(-1, ddof=1)
        np.testing.assert_allclose(panel.tokens.drawn_values("std, unbiased"), std, rtol=1e-5)
        weight, bias = answer["gain"], answer["bias"]
        written = (x - x.mean(-1, keepdims=True)) / (std[:, None] + 1e-6) * weight + bias
        np.testing.assert_allclose(answer["after"], written, rtol=1e-4, atol=1e-5)
        assert len(x) == len(run["texts"][text]["tokens"])
        assert panel.formula.text().startswith("StdLayerNorm:  y = (x − mean) / (std + 1e-06)")
        assert panel.tokens_title.text().endswith(("source", "target")[text])
        panel.tokens.clicked.emit(1)
        shown.settle()
        assert panel.measured.text().startswith("token 1 ")


def test_what_the_unbiased_norm_divides_by_is_said() -> None:
    assert "/ 47," in formula_words(told_of(StdLayerNorm(48), 48))
    words = statistics_words(told_of(StdLayerNorm(2, 0.5), [[-1.0, 3.0]]), 0)
    assert words == "mean 1 taken away, unbiased std 2.8284: divided by 3.3284"


def test_norms_of_the_same_layer_in_two_stacks_are_kept_apart() -> None:
    parts = [f"{stack}.blocks.{n}.norm{k}" for stack, last in (("encoder", 2), ("decoder", 3)) for n in (0, 1)
             for k in range(1, last + 1)]  # fmt: skip
    keys = [*(f"{part}.out" for part in parts), "decoder.norm.out"]
    sites = [{"key": key} for key in keys]

    def at(key: str, stack: str, layer: int) -> Selection:
        return Selection(layer=layer, step=keys.index(key), site=key, stack=stack)

    here = at("decoder.blocks.1.norm2.out", "cross", 1)
    assert norm_at(sites, here) == "decoder.blocks.1.norm2"
    assert norm_followed(sites, "decoder.blocks.1.norm2", here, replace(here, stack="decoder")) == (
        "decoder.blocks.1.norm2"
    )
    assert norm_followed(sites, "decoder.blocks.1.norm2", here, replace(here, stack="encoder")) == (
        "encoder.blocks.1.norm2"
    )
    assert (
        norm_followed(sites, "decoder.blocks.1.norm3", here, replace(here, layer=0))
        == "decoder.blocks.0.norm3"
    )


def test_computed_positions_are_told_from_learned_ones() -> None:
    run = Answer(two_texts().facts | {"context": 9})
    assert "not learned" in table_words(run, 0, False, (5, 48))
    assert "10000^(2i/48)" in table_words(run, 0, False, (5, 48))
    assert "those of the target" in table_words(run, 1, False, (5, 48))
    assert table_words(run, 0, True, (5, 48)).startswith("A learned vector")


@pytest.mark.process
def test_the_position_table_is_that_of_the_longer_text(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, Position, two_stacks, SOURCE) as shown:
        shown.change(target=TARGET)
        table = shown.panel.table
        assert table.rows.image_values().shape[0] == len(shown.session.texts[0]["tokens"])
        shown.select(stack="cross", query=1, key=4)
        assert table.rows.cursor_cell() == (4, None)
        table.rows.clicked.emit(2, 0)
        shown.settle()
        assert shown.session.selection.cursor == Cursor(1, 2, "cross")
        shown.session.hover(0, 3, "cross")
        assert table.rows._row_axis.lit() == 3


def test_the_next_token_goes_on_with_the_target(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, NextToken, two_stacks, SOURCE) as shown:
        shown.change(target=TARGET)
        panel = shown.panel
        assert panel.tabs.tabText(1) == "Target"
        assert [bar.label.replace("·", " ") for bar in panel.prompt.bars()] == shown.session.texts[1][
            "strings"
        ]
        row = next(n for n, text in enumerate(panel._texts) if text)
        panel.likely.activated.emit(row)
        shown.settle()
        assert shown.session.shown.prompt == SOURCE
        assert shown.session.shown.target.startswith(TARGET)
        assert len(shown.session.texts[1]["tokens"]) > len(TARGET.split())
        shown.change(target="")
        text = panel._texts[row := next(n for n, text in enumerate(panel._texts) if text)]
        panel.likely.activated.emit(row)
        shown.settle()
        assert shown.session.shown.target == SOURCE + str(text)


def test_the_inspector_names_rows_and_columns_by_their_texts(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, Inspector, two_stacks, SOURCE) as shown:
        shown.change(target=TARGET)
        panel, session = shown.panel, shown.session

        def header(orientation: Qt.Orientation) -> list[str]:
            model = panel.table.model()
            count = model.rowCount() if orientation == Qt.Orientation.Vertical else model.columnCount()
            texts = (str(model.headerData(n, orientation)).partition(" ")[2] for n in range(count))
            return [text.replace("·", " ") for text in texts]

        source, target = (text["strings"] for text in session.texts)
        rows, columns = Qt.Orientation.Vertical, Qt.Orientation.Horizontal
        for site, expected in (("source", source), ("target", target)):
            session.go_to(site)
            shown.settle()
            assert header(rows) == expected
        session.go_to("decoder.blocks.1.cross.pattern")
        shown.settle()
        assert (header(rows), header(columns)) == (target, source)
        panel.table.cell_clicked.emit(1, 4)
        assert session.selection.cursor == Cursor(1, 4, "cross")
        session.go_to("decoder.blocks.1.cross.v")
        shown.settle()
        assert header(rows) == source
        assert panel.table.currentIndex().row() == 4
        session.go_to("encoder.blocks.1.attn.q")
        shown.settle()
        assert header(rows) == source


KEYS = [
    "source",
    "encoder.embed.out",
    "encoder.blocks.0.attn.q",
    "encoder.blocks.1.attn.q",
    "encoder.norm.out",
    "target",
    "decoder.blocks.0.attn.q",
    "decoder.blocks.0.cross.q",
    "decoder.blocks.1.attn.q",
    "decoder.blocks.1.cross.q",
    "logits",
]


@pytest.mark.parametrize(
    ("at", "direction", "reached"),
    [
        ("encoder.blocks.1.attn.q", 1, "decoder.blocks.0.attn.q"),
        ("decoder.blocks.0.attn.q", -1, "encoder.blocks.1.attn.q"),
        ("decoder.blocks.0.cross.q", 1, "decoder.blocks.1.cross.q"),
        ("decoder.blocks.0.cross.q", -1, "encoder.blocks.1.attn.q"),
        ("encoder.norm.out", 1, "decoder.blocks.0.attn.q"),
        ("target", -1, "encoder.blocks.1.attn.q"),
        ("decoder.blocks.1.cross.q", 1, "logits"),
        ("encoder.blocks.0.attn.q", -1, "source"),
    ],
)
def test_layers_of_the_decoder_follow_those_of_the_encoder(at: str, direction: int, reached: str) -> None:
    assert KEYS[layer_step(KEYS, KEYS.index(at), direction)] == reached


def test_every_step_of_an_encoder_decoder_has_a_meaning(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, Edits, two_stacks, SOURCE) as shown:
        for site in shown.session.sites:
            assert meaning(site["key"]) != site["key"]
    assert "source token" in meaning("decoder.blocks.0.cross.k")


def test_edits_are_offered_for_the_kind_in_focus(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, Edits, two_stacks, SOURCE) as shown:
        shown.select(stack="cross", layer=1, head=2)
        assert shown.panel.entry.placeholderText() == "ablate cross L1H2"
        assert "mask" not in shown.panel.offers.text()
        shown.select(stack="decoder")
        assert "mask\u00a0off\u00a0decoder\u00a0L1H2" in shown.panel.offers.text()
        shown.panel.offers.linkActivated.emit("mask off decoder L1H2")
        shown.settle()
        assert shown.panel.chips[0].words.text() == "mask off · decoder · layer 1 head 2"


def test_one_block_of_the_graph_is_open_that_of_the_kind_in_focus(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, ModelGraph, two_stacks, SOURCE, size=(300, 800)) as shown:
        shown.qtbot.waitUntil(lambda: bool(shown.panel.view.boxes()))

        def opened() -> list[str]:
            blocks = (
                box for box in shown.panel.view.boxes() if ".blocks." in box.path and box.kind == "open"
            )
            return [box.path for box in blocks if box.path.rpartition(".")[2].isdigit()]

        def settled(path: str) -> bool:
            return opened() == [path]

        for stack, path in (("encoder", "encoder.blocks.1"), ("cross", "decoder.blocks.1")):
            shown.session.select(stack=stack, layer=1)
            shown.qtbot.waitUntil(lambda path=path: settled(path))
        shown.panel.view.clicked.emit("decoder.blocks.2")
        assert (shown.session.selection.stack, shown.session.selection.layer) == ("cross", 2)
        shown.panel.view.clicked.emit("encoder.blocks.0")
        assert (shown.session.selection.stack, shown.session.selection.layer) == ("encoder", 0)


def test_the_decoder_stands_below_the_encoder_with_its_text_between_them(
    qtbot: QtBot, two_stacks: str
) -> None:
    with on_screen(qtbot, ModelGraph, two_stacks, SOURCE, size=(300, 800)) as shown:
        shown.qtbot.waitUntil(lambda: bool(shown.panel.view.boxes()))
        boxes = {box.path: box for box in shown.panel.view.boxes()}
        order = [boxes[path] for path in ("source", "encoder", "target", "decoder", "logits")]
        for above, below in pairwise(order):
            assert above.bottom < below.y


@pytest.mark.process
def test_a_picture_says_what_the_decoder_reads_and_which_attention_is_looked_at(
    two_stacks: str, tmp_path: Path, qtbot: QtBot
) -> None:
    session = Session(Scene(two_stacks, SOURCE, TARGET))
    out = tmp_path / "out.png"
    snapshot.render(session, out, QSize(1000, 700), None, "cross", 2, 3, connect=LocalEngine)
    assert (session.selection.stack, session.selection.layer, session.selection.head) == ("cross", 2, 3)
    arguments = snapshot.command_line().parse_args(
        ["--model", "m", "--prompt", "p", "--target", "t", "--stack", "cross", "--out", "o"]
    )
    assert (arguments.target, arguments.stack) == ("t", "cross")


@pytest.mark.process
def test_an_attention_or_a_panel_that_a_model_does_not_have_is_said(
    two_stacks: str, model: str, tmp_path: Path, qtbot: QtBot
) -> None:
    def draw(of: str, **options: str) -> None:
        session = Session(Scene(of, SOURCE))
        snapshot.render(session, tmp_path / "out.png", QSize(900, 600), connect=LocalEngine, **options)  # type: ignore[arg-type]

    with pytest.raises(
        InputError, match="no attention of the kind 'other'; there are encoder, decoder, cross"
    ):
        draw(two_stacks, stack="other")
    with pytest.raises(InputError, match="'cross': it has one kind of attention only"):
        draw(model, stack="cross")
    with pytest.raises(InputError, match="panel 'three_views' has nothing to show of this model"):
        draw(model, panel="three_views")
