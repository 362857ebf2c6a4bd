"""The norms panel draws the model's own numbers, for both kinds of norm."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pytestqt.qtbot import QtBot

from explorer_app.panels.norms import Norms
from explorer_app.state.selection import Selection
from explorer_app.words.norm_words import formula_words, largest_words, norm_at, norm_followed, norms_of
from model_core.parts.norm import LayerNorm, RMSNorm
from model_core.sources.presets import open_model
from model_core.taps.tap import record
from tests.support.models.norms import told_of
from tests.support.window.local_engine import GPT2, LLAMA, tiny_checkpoint
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

PROMPT = "The cat sat on the mat because it was tired."
SITES = [
    {"key": key}
    for key in (
        "tokens",
        "embed.out",
        *(f"blocks.{n}.{word}" for n in (0, 1) for word in ("norm1.out", "attn.q", "norm2.out", "mlp.out")),
        "norm.out",
        "logits",
    )
]


@pytest.fixture
def shown(qtbot: QtBot, model: str) -> Iterator[OnScreen[Norms]]:
    with on_screen(qtbot, Norms, model, PROMPT) as shown:
        yield shown


def place(site: str) -> dict[str, object]:
    return {"step": [s["key"] for s in SITES].index(site), "site": site}


def residual(model: str, site: str) -> torch.Tensor:
    """[T C], of a plain recorded pass."""
    loaded = open_model(model)
    with torch.inference_mode(), record(loaded.model, [site]) as trace:
        loaded.model(torch.tensor([loaded.tokenizer.encode(PROMPT)]))
    return trace[site][0]


@pytest.mark.process
def test_the_rms_drawn_is_the_formula_written_out(shown: OnScreen[Norms], model: str) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    session.go_to("blocks.2.norm1.out")
    settle()
    x = residual(model, "blocks.2.resid_pre")
    rms = (x.pow(2).mean(-1) + LLAMA.eps).sqrt()
    np.testing.assert_allclose(panel.tokens.drawn_values("rms, the divisor"), rms, rtol=1e-6)
    token = len(x) - 1
    named = next(iter(panel.before._series))[0].name
    np.testing.assert_array_equal(panel.before.drawn_values(named), x[token].numpy())
    gain = open_model(model).model.blocks[2].norm1.weight.detach()
    np.testing.assert_allclose(panel.after.drawn_values(named), x[token] / rms[token] * gain, rtol=1e-5)
    assert "√(mean of x² + 1e-05)" in panel.formula.text()


@pytest.mark.process
def test_the_mean_and_variance_drawn_are_the_formula_written_out(qtbot: QtBot, tmp_path: Path) -> None:
    model = tiny_checkpoint(tmp_path, GPT2)
    with on_screen(qtbot, Norms, model, PROMPT) as shown:
        panel, session, settle = shown.panel, shown.session, shown.settle
        session.go_to("blocks.1.norm2.out")
        session.select(query=3)
        settle()
        x = residual(model, "blocks.1.resid_mid")
        mean, variance = x.mean(-1), x.var(-1, unbiased=False)
        np.testing.assert_allclose(panel.tokens.drawn_values("mean"), mean, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(panel.tokens.drawn_values("variance"), variance, rtol=1e-5)
        norm = open_model(model).model.blocks[1].norm2
        after = (x[3] - mean[3]) / (variance[3] + GPT2.eps).sqrt() * norm.weight + norm.bias
        named = panel.after._series[0][0].name
        np.testing.assert_allclose(panel.after.drawn_values(named), after.detach(), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(panel.gain.drawn_values("gain"), norm.weight.detach().numpy())
        np.testing.assert_array_equal(panel.gain.drawn_values("bias"), norm.bias.detach().numpy())
        assert named.startswith("token 3 ")


@pytest.mark.process
def test_the_chooser_moves_the_step_and_the_layer(shown: OnScreen[Norms]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    names = [panel.chooser.itemText(i) for i in range(panel.chooser.count())]
    assert names == [f"blocks.{n}.{norm}" for n in range(3) for norm in ("norm1", "norm2")] + ["norm"]
    panel.chooser.activated.emit(names.index("blocks.2.norm2"))
    settle()
    assert (session.selection.layer, session.selection.site) == (2, "blocks.2.norm2.out")
    assert panel.chooser.currentText() == "blocks.2.norm2"


@pytest.mark.process
def test_a_click_on_a_token_locks_it_and_pointing_previews_its_vectors(shown: OnScreen[Norms]) -> None:
    panel, session, settle = shown.panel, shown.session, shown.settle
    panel.tokens.clicked.emit(2)
    settle()
    assert session.selection.query == 2
    assert panel.measured.text().startswith("token 2 ")
    panel.tokens.hovered.emit(1)
    assert panel.measured.text().startswith("token 1 ")
    panel.tokens.left.emit()
    assert panel.measured.text().startswith("token 2 ")


def test_norms_are_found_by_their_sites() -> None:
    assert norms_of(SITES) == [f"blocks.{n}.{k}" for n in (0, 1) for k in ("norm1", "norm2")] + ["norm"]
    assert norms_of([]) == []


@pytest.mark.parametrize(
    ("site", "norm"),
    [
        ("tokens", "blocks.0.norm1"),
        ("blocks.0.attn.q", "blocks.0.norm1"),
        ("blocks.1.norm2.out", "blocks.1.norm2"),
        ("blocks.1.mlp.out", "blocks.1.norm2"),
        ("logits", "norm"),
    ],
)
def test_a_step_means_the_last_norm_before_it(site: str, norm: str) -> None:
    layer = int(site.split(".")[1]) if site.startswith("blocks") else 0
    assert norm_at(SITES, Selection(layer=layer, **place(site))) == norm  # type: ignore[arg-type]


def test_another_layer_keeps_the_kind_of_norm() -> None:
    before = Selection(layer=0, **place("blocks.0.mlp.out"))  # type: ignore[arg-type]
    now = Selection(layer=1, **place("blocks.0.mlp.out"))  # type: ignore[arg-type]
    assert norm_followed(SITES, "blocks.0.norm2", before, now) == "blocks.1.norm2"
    assert norm_followed(SITES, "norm", before, now) == "blocks.1.norm1"
    assert norm_followed(SITES, "norm", now, now) == "norm"


def test_words_name_the_eps_and_the_largest_dimensions() -> None:
    assert "1e-06" in formula_words(told_of(RMSNorm(48, 1e-6), 48))
    assert "48 dimensions" in formula_words(told_of(RMSNorm(48, 1e-6), 48))
    assert "variance + 1e-05" in formula_words(told_of(LayerNorm(48, 1e-5), 48))
    assert largest_words(np.array([0.1, -3.0, 2.0])) == "largest: dimension 1: −3, 2: 2, 0: 0.1"
    assert largest_words(np.ones(4)) == "all 1"
