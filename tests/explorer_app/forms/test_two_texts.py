"""An encoder-decoder in the window: two fields, two strips, and every panel about the right one of two texts."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QSize, Qt
from pytestqt.qtbot import QtBot

from explorer_app.forms.prompt_bar import PromptBar
from explorer_app.panels.attention import Attention, head_marks
from explorer_app.panels.edits import Edits
from explorer_app.panels.graph import ModelGraph
from explorer_app.panels.inspector import Inspector
from explorer_app.panels.mask import Mask, rule_words, switch_words
from explorer_app.panels.next_token import NextToken
from explorer_app.panels.norms import Norms
from explorer_app.panels.position import Position, table_words
from explorer_app.panels.transport import layer_step, meaning
from explorer_app.state.focus import Cursor
from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.listening import detach
from explorer_app.window import snapshot
from explorer_app.words.attention_text import kind_words, map_query, side_titles
from explorer_app.words.norm_words import formula_words, norm_at, norm_followed, statistics_words
from model_core.api.edits import AblateHead, MaskOff
from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.scene import Scene
from model_core.parts.norm import StdLayerNorm
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from tests.support.models.norms import told_of
from tests.support.models.tiny import HEADS, LAYERS, save
from tests.support.window.fake_run import ONE_KIND, THREE_KINDS, two_texts
from tests.support.window.local_engine import LocalEngine
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

SOURCE, TARGET = "The cat saw the dog and ran", "The dog saw"
ENCODER, DECODER, CROSS = THREE_KINDS


@pytest.fixture(scope="module")
def two_stacks(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("models") / "seq2seq", "seq2seq")


@pytest.fixture
def bar(qtbot: QtBot, two_stacks: str) -> Iterator[PromptBar]:
    """A bar on screen whose scene is answered."""
    session = Session(Scene(two_stacks, SOURCE, TARGET))
    bar = PromptBar(session, [])
    qtbot.addWidget(bar)
    engine = LocalEngine(session, lambda: [RUN, SITES])
    bar.resize(1200, 160)
    bar.show()
    engine.start()
    qtbot.waitUntil(lambda: session.run is not None and not engine.busy, timeout=60_000)
    yield bar
    engine.close()
    detach(bar)


# The prompt bar


def described(bar: PromptBar) -> list[str]:
    return [strip.accessibleDescription().replace(" ", "").replace("·", " ") for strip in bar.strips.strips]


def test_both_texts_can_be_typed_and_are_seen_as_tokens(bar: PromptBar, qtbot: QtBot) -> None:
    assert [bar.prompt.text(), bar.target.text()] == [SOURCE, TARGET]
    assert bar.target.isVisible()
    assert [name.text() for name in bar.reads if name.isVisible()] == ["Encoder reads", "Decoder reads"]
    assert described(bar) == [SOURCE, TARGET]
    qtbot.keyClicks(bar.target, " it")
    qtbot.waitUntil(lambda: bar.session.shown.target == TARGET + " it")
    assert described(bar) == [SOURCE, TARGET + " it"]


def test_a_decoder_that_is_given_nothing_reads_what_the_encoder_reads(bar: PromptBar, qtbot: QtBot) -> None:
    bar.target.clear()
    bar.target.textEdited.emit("")
    qtbot.waitUntil(lambda: bar.session.shown.target == "")
    assert described(bar) == [SOURCE, SOURCE]
    assert bar.target.placeholderText() == "the same as the encoder"


def test_a_decoder_only_model_has_one_field_and_one_strip_in_as_many_rows(
    bar: PromptBar, model: str, qtbot: QtBot
) -> None:
    two = bar.sizeHint().height()
    bar.session.change(model=model)
    qtbot.waitUntil(lambda: bar.session.shown.model == model)
    assert not bar.target.isVisible()
    assert not any(name.isVisible() for name in (*bar.reads, *bar.strips.names))
    assert [strip.isVisible() for strip in bar.strips.strips] == [True, False]
    assert bar.strips.sizeHint().height() == bar.strip.height()
    assert bar.sizeHint().height() == two


def click(
    qtbot: QtBot, bar: PromptBar, text: int, token: int, keys: Qt.KeyboardModifier | None = None
) -> None:
    strip = bar.strips.strips[text]
    place = strip.item_rect(token).center().toPoint()
    keys = keys or Qt.KeyboardModifier.NoModifier
    qtbot.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, keys, place)


def coloured(bar: PromptBar) -> list[tuple[int | None, int | None]]:
    return [(strip._query, strip._key) for strip in bar.strips.strips]


def test_in_cross_attention_a_click_on_either_text_locks_its_token(bar: PromptBar, qtbot: QtBot) -> None:
    bar.session.select(stack="cross")
    click(qtbot, bar, 1, 2)
    click(qtbot, bar, 0, 4)
    assert bar.session.selection.cursor == Cursor(2, 4, "cross")
    assert coloured(bar) == [(None, 4), (2, None)]
    click(qtbot, bar, 0, 4)
    assert bar.session.selection.cursor == Cursor(2, None, "cross")


def test_in_self_attention_the_tokens_of_the_other_text_move_the_focus(bar: PromptBar, qtbot: QtBot) -> None:
    bar.session.select(stack="encoder")
    click(qtbot, bar, 0, 3)
    click(qtbot, bar, 0, 1, Qt.KeyboardModifier.ShiftModifier)
    assert bar.session.selection.cursor == Cursor(3, 1, "encoder")
    assert coloured(bar) == [(3, 1), (None, None)]
    click(qtbot, bar, 1, 2)
    assert bar.session.selection.cursor == Cursor(2, None, "decoder")
    assert coloured(bar) == [(None, None), (2, None)]


def test_what_is_pointed_at_elsewhere_is_coloured_in_the_strip_of_its_text(bar: PromptBar) -> None:
    bar.session.hover(1, 5, "cross")
    assert coloured(bar) == [(None, 5), (1, None)]
    bar.session.hover(1, 5, "encoder")
    assert coloured(bar) == [(1, 5), (None, None)]
    bar.session.hover(None)
    assert coloured(bar) == [(None, None), (None, None)]


def test_a_target_that_is_too_long_can_be_cut(bar: PromptBar, qtbot: QtBot) -> None:
    bar.session.change(target="the cat " * 30)
    qtbot.waitUntil(lambda: bar.session.message != "")
    qtbot.mouseClick(bar.fix, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bar.session.shown == bar.session.scene)
    assert bar.session.scene.prompt == SOURCE
    assert len(bar.session.texts[1]["tokens"]) == 24


def test_what_a_decoder_was_to_read_is_nothing_to_a_model_without_one(
    bar: PromptBar, model: str, qtbot: QtBot
) -> None:
    bar.session.change(target="the cat " * 400)
    qtbot.waitUntil(lambda: "more than the context" in bar.session.message)
    bar.session.change(model=model)
    qtbot.waitUntil(lambda: bar.session.shown.model == model)
    assert bar.session.message == ""


# Attention


@pytest.fixture
def attention(qtbot: QtBot, two_stacks: str) -> Iterator[OnScreen[Attention]]:
    with on_screen(qtbot, Attention, two_stacks, SOURCE) as shown:
        shown.change(target=TARGET)
        yield shown


@pytest.mark.process
def test_the_attention_panel_shows_each_kind_that_is_chosen(
    attention: OnScreen[Attention], two_stacks: str
) -> None:
    panel, session = attention.panel, attention.session
    loaded = open_model(two_stacks)
    run = Run(loaded.model, loaded.tokenizer.encode(SOURCE), target=loaded.tokenizer.encode(TARGET))
    assert [button.text() for button in panel.kinds.buttons.values()] == [kind_words(k) for k in THREE_KINDS]
    attention.select(layer=1, head=2)
    for stack, button in panel.kinds.buttons.items():
        attention.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        attention.settle()
        assert session.selection.stack == stack
        site = session.attention.site(1, "pattern")  # type: ignore[union-attr]
        np.testing.assert_allclose(panel.heatmap.image_values(), run.value(site)[0, 2].numpy(), atol=1e-6)
        assert kind_words(session.attention) in panel._title.text()  # type: ignore[arg-type]
        assert panel.grid._size == tuple(run.value(site).shape[-2:])
    assert "of the target" not in panel.heatmap.readout()
    assert side_titles(session.run, CROSS) == ("who looks (query): target", "at whom (key): source")  # type: ignore[arg-type]


def test_the_stepper_takes_the_attention_panel_to_cross_attention(attention: OnScreen[Attention]) -> None:
    attention.session.go_to("decoder.blocks.2.cross.scores")
    attention.settle()
    assert attention.panel.word == "scores"
    assert attention.panel.kinds.buttons["cross"].isChecked()
    assert attention.session.selection.layer == 2


@pytest.mark.process
def test_the_buttons_edit_the_kind_in_focus(attention: OnScreen[Attention]) -> None:
    panel = attention.panel
    attention.select(stack="cross", layer=1, head=2)
    assert not panel._mask_off.isEnabled()
    panel._ablate.click()
    attention.settle()
    attention.select(stack="decoder")
    assert panel._mask_off.isEnabled()
    panel._mask_off.click()
    attention.settle()
    assert attention.session.shown.edits == ("ablate cross L1H2", "mask off decoder L1H2")
    assert panel.grid.describe(1, 2) == "layer 1, head 2: mask off"
    attention.select(stack="cross")
    assert panel.grid.describe(1, 2) == "layer 1, head 2: ablated"


def test_a_mask_off_everywhere_is_no_news_where_there_is_none() -> None:
    assert head_marks([MaskOff()], CROSS) == ({}, {})
    assert len(head_marks([MaskOff()], DECODER)[1]) == 8
    assert head_marks([AblateHead(1, 1, "encoder")], CROSS) == ({}, {})


def test_one_kind_of_attention_needs_no_chooser(qtbot: QtBot, model: str) -> None:
    with on_screen(qtbot, Attention, model, SOURCE) as shown:
        assert not shown.panel.kinds.isVisible()


def test_the_map_of_another_kind_of_attention_is_another_question() -> None:
    session = Session(Scene("model", "prompt"))
    session.take(session.scene, RUN, two_texts())
    session.select(stack="cross", layer=2)
    assert "decoder.blocks.2.cross.mask" in map_query(session, "mask").to_json()["arguments"]["site"]
    assert (
        "encoder.blocks.2.attn.mask"
        in map_query(session, "mask", kind=ENCODER).to_json()["arguments"]["site"]
    )


# The mask


@pytest.mark.process
def test_where_there_is_no_mask_the_panel_says_so_and_offers_no_switch(qtbot: QtBot, two_stacks: str) -> None:
    with on_screen(qtbot, Mask, two_stacks, SOURCE) as shown:
        for stack, reason in (("encoder", "reads the whole source at once"), ("cross", "known to its end")):
            shown.select(stack=stack)
            assert reason in shown.panel.rule.text()
            assert "all 49 cells allowed" in shown.panel._title.text()
            assert not any(part.isVisible() for part in (*shown.panel.switches, shown.panel.changed))
        shown.select(stack="decoder", layer=1)
        everywhere, layer, _ = shown.panel.switches
        assert layer.isVisible()
        layer.click()
        shown.settle()
        assert shown.session.shown.edits == ("mask off decoder L1",)
        assert f"Off in {HEADS} of {LAYERS * HEADS} heads" in shown.panel.in_force.text()
        everywhere.click()
        everywhere.click()
        shown.settle()
        assert shown.session.shown.edits == ("mask off",)


def test_a_switch_says_what_it_takes_away() -> None:
    window = replace(ONE_KIND, window=7)
    assert "Sliding window" in rule_words(window)
    assert "the last 7" in rule_words(window)
    assert "window of 7 tokens" in switch_words(window, MaskOff())
    assert "Sliding" not in rule_words(ONE_KIND)
    assert "window" not in switch_words(ONE_KIND, MaskOff())
    assert "nothing to switch" in rule_words(replace(ONE_KIND, causal=False))


# Norms


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


# Positions, next token, inspector


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


# Stepping, the graph, edits, pictures

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
