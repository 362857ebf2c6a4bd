"""Where a run leaves the finite numbers is found and said; text does not go on from there."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_core.analysis.derive import histogram, next_token, statistics
from model_core.analysis.not_finite import first_not_finite, is_sound, is_sound_run
from model_core.api.edits import parse
from model_core.api.errors import InputError
from model_core.api.protocol import Frame, encode
from model_core.api.queries.answer import Answer
from model_core.api.queries.prediction import NextTokens
from model_core.api.queries.words import TextSplit
from model_core.api.scene import Scene
from model_core.cli import asked as asked_
from model_core.cli.__main__ import main
from model_core.engine.answering import Engine
from model_core.engine.context import Context
from model_core.engine.questions.registry import QUESTIONS
from model_core.generation.generate import Sampling, generate
from model_core.runs.run import Run
from model_core.sources.presets import open_model
from tests.support.models.tiny import CONFIGS, ENCODER_DECODERS, built, save, tiny, tokens

pytestmark = pytest.mark.unit

HUGE = 3e38


def blown_up(
    name: str, weight: str, largest: float = HUGE, dtype: torch.dtype = torch.float32
) -> torch.nn.Module:
    """A tiny model with one of its weights scaled so that its largest number is this one."""
    model = built((CONFIGS | ENCODER_DECODERS)[name], dtype)
    with torch.no_grad():
        values = model.get_parameter(weight)
        values.copy_(values / values.abs().max() * largest)
    return model


def checkpoint(folder: Path, weight: str, family: str = "llama") -> str:
    """A checkpoint of a tiny model whose weight is so large that its products are beyond float32."""
    from safetensors.torch import load_file, save_file

    path = save(folder, family)
    stored = load_file(folder / "model.safetensors")
    stored[weight] = stored[weight] / stored[weight].abs().max() * HUGE
    save_file(stored, folder / "model.safetensors")
    return path


def answered(model: str, *queries: tuple[str, dict[str, object]], dtype: str = "float32") -> list[Frame]:
    """What an engine sends to these queries, each as it goes over the pipe."""
    told: list[Frame] = []
    asked = [{"kind": kind, "arguments": arguments} for kind, arguments in queries]
    scene = Scene(model, "The cat saw the dog", dtype=dtype)
    request = Frame("ask", 1, {"asks": [{"scene": scene.to_json(), "queries": asked}]})
    Engine(told.append).handle(request, lambda: False)
    for frame in told:
        encode(frame)
    assert not [frame.fields for frame in told if frame.kind == "error"]
    return [frame for frame in told if frame.kind == "answer"]


@pytest.mark.process
@pytest.mark.parametrize("family", [*CONFIGS, *ENCODER_DECODERS])
@pytest.mark.parametrize("edits", [[], ["mask off"]])
def test_an_ordinary_run_is_finite_and_masked_scores_do_not_count(family: str, edits: list[str]) -> None:
    model = built((CONFIGS | ENCODER_DECODERS)[family])
    run = Run(model, tokens(9), [parse(edit) for edit in edits])
    assert is_sound_run(run)
    assert first_not_finite(run) is None


@pytest.mark.parametrize(
    ("weight", "site"),
    [
        ("blocks.1.attn.q.weight", "blocks.1.attn.q"),
        ("blocks.0.attn.o.weight", "blocks.0.attn.out"),
        ("blocks.1.mlp.down.weight", "blocks.1.mlp.out"),
        ("blocks.2.mlp.up.weight", "blocks.2.mlp.up"),
        ("norm.weight", "norm.out"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_first_value_that_is_not_finite_is_named_though_all_later_ones_are_as_bad(
    weight: str, site: str, dtype: torch.dtype
) -> None:
    model = blown_up("llama", weight, HUGE, dtype)
    run = Run(model, tokens(9))
    found = first_not_finite(run)
    order = list(run.sites)
    sound = [is_sound(key, run.value(key)) for key in order]
    assert found is not None
    assert found.site.key == site == order[sound.index(False)]
    assert str(found).startswith(f"from {site} on, values are ")
    largest = float(model.get_parameter(weight).abs().max())
    assert largest > 1e38
    assert f", its largest weight is {largest:.3g}; " in str(found)


@pytest.mark.parametrize("of_weight", [True, False])
def test_both_numbers_are_told_so_that_a_weight_or_what_it_meets_can_be_blamed(of_weight: bool) -> None:
    site, source = "blocks.2.attn.q", "blocks.2.norm1.out"
    model = blown_up("llama", f"{site}.weight" if of_weight else "blocks.2.norm1.weight", 1e38)
    if not of_weight:
        with torch.no_grad():
            model.get_parameter(f"{site}.weight").mul_(1000)
    run = Run(model, tokens(9))
    found = first_not_finite(run)
    assert found is not None
    assert found.site.key == site
    enters = float(run.value(source).abs().max())
    weighs = float(run.model.get_parameter(f"{site}.weight").abs().max())
    assert (found.inputs, found.weights) == (enters, weighs)
    assert str(found) == (
        f"from {site} on, values are {'NaN (not a number)' if found.nan else 'infinite'}: "
        f"its largest input is {enters:.3g}, its largest weight is {weighs:.3g}; float32 holds up to 3.4e+38"
    )
    assert (enters > 1e37, weighs > 1e37) == (not of_weight, of_weight)


def test_where_no_weight_comes_in_none_is_told_and_where_nothing_goes_in_the_weight_alone() -> None:
    scores = first_not_finite(Run(blown_up("llama", "blocks.1.attn.k.weight", 1e38), tokens(9)))
    assert scores is not None
    assert scores.weights is None
    assert "largest weight" not in str(scores)
    table = first_not_finite(Run(blown_up("llama", "embed.weight", float("nan")), tokens(9)))
    assert str(table) == (
        "from embed.out on, values are NaN (not a number): its largest weight is nan; float32 holds up to 3.4e+38"
    )


def test_nan_in_weights_of_a_model_in_memory_is_found_where_it_is_used() -> None:
    run = Run(blown_up("llama", "blocks.1.mlp.down.weight", float("nan")), tokens(9))
    found = first_not_finite(run)
    assert not is_sound_run(run)
    assert found is not None
    assert (found.site.key, found.nan) == ("blocks.1.mlp.out", True)


@pytest.mark.parametrize("family", ["llama", "seq2seq"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_no_token_is_drawn_where_the_logits_are_not_finite(
    family: str, temperature: float, broken: float
) -> None:
    model = blown_up(family, "head.weight", broken)
    with pytest.raises(InputError, match="no token can be chosen here: from logits on, values are NaN"):
        list(generate(model, tokens(5), 3, Sampling(temperature)))


def test_text_is_told_until_the_numbers_end() -> None:
    model = tiny("llama")
    told = list(generate(model, tokens(3), 6, Sampling(0)))
    with torch.no_grad():
        model.embed.weight[told[2]] = float("nan")
        if model.head.weight is model.embed.weight:
            pytest.fail("the head reads the same weights: every logit would be NaN")
    text = generate(model, tokens(3), 6, Sampling(0))
    assert [next(text) for _ in range(3)] == told[:3]
    with pytest.raises(InputError, match=r"from embed\.out on, values are NaN"):
        next(text)


def test_text_that_there_is_is_told_before_the_line_that_says_why_there_is_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = open_model(save(tmp_path / "model", "llama"))
    prompt = loaded.tokenizer.encode("The cat")
    told = list(generate(loaded.model, prompt, 6, Sampling(0)))
    with torch.no_grad():
        loaded.model.get_parameter("embed.weight")[told[2]] = float("nan")
    monkeypatch.setattr(asked_, "opened", lambda options: loaded)
    assert main(["generate", "--model", "it", "--prompt", "The cat", "--temperature", "0"]) == 2
    said = capsys.readouterr()
    assert said.out == loaded.tokenizer.decode([*prompt, *told[:3]]) + "\n"
    assert said.err.startswith("layerscope: no token can be chosen here: from embed.out on, values are NaN")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("temperature", ["0", "1"])
def test_generate_on_the_command_line_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], temperature: str
) -> None:
    model = checkpoint(tmp_path / "model", "blocks.1.mlp.down.weight")
    assert main(["generate", "--model", model, "--prompt", "The cat", "--temperature", temperature]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith(
        "layerscope: no token can be chosen here: from blocks.1.mlp.out on, values are "
    )


def test_a_run_says_where_its_numbers_end_and_so_does_a_value_beyond(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model", "blocks.1.mlp.down.weight")
    run, before, after = answered(
        model,
        ("run", {}),
        ("inspect", {"site": "blocks.1.mlp.post"}),
        ("inspect", {"site": "blocks.2.resid_pre"}),
    )
    words = run.fields["facts"]["not_finite"]
    assert words.startswith("from blocks.1.mlp.out on, values are ")
    assert before.fields["facts"]["not_finite"] == ""
    assert after.fields["facts"]["not_finite"] == words
    (sound,) = answered(save(tmp_path / "sound", "llama"), ("run", {}))
    assert sound.fields["facts"]["not_finite"] == ""


def test_both_conventions_of_numbers_that_are_none_are_answered(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model", "blocks.0.mlp.down.weight")
    (answer,) = answered(model, ("rope_conventions", {"layer": 1, "head": 0, "query": 3, "key": 1}))
    assert np.isnan(answer.arrays["pairs"])


def test_logits_beyond_float32_have_probabilities_in_float64() -> None:
    logits = torch.tensor([[0.0, 1e39, 0.0], [1e300, 1e300, -1e300]], dtype=torch.float64)
    found = next_token(logits, [0, 2], 3)
    assert found.probabilities.tolist() == [0.5, 0.5, 0.0]
    assert found.log_probs.tolist() == [-1e39]
    # 1e38 and 3e38 are apart by more than float32 would tell from nothing, and are within its reach.
    (float32,) = next_token(logits[:1, :1].float(), [0], 1).probabilities.tolist()
    assert float32 == 1.0


def test_statistics_and_histogram_of_gigantic_numbers_are_finite() -> None:
    values = np.array([1e308, -1e308, 1e308, np.inf])
    found = statistics(values)
    assert found["mean"] == pytest.approx(1e308 / 3)
    assert found["std"] == pytest.approx(1e308 * np.sqrt(8 / 9))
    counts, edges = histogram(values)
    assert counts.sum() == 3
    assert np.isfinite(edges).all()


def test_values_that_are_neighbours_in_float64_have_a_histogram() -> None:
    values = np.array([0.1, np.nextafter(0.1, 1)])
    counts, edges = histogram(values)
    assert counts.sum() == 2
    assert (np.diff(edges) > 0).all()


def test_a_fact_that_is_no_number_ends_that_view_in_one_line_and_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(context: Context, asked: TextSplit) -> Answer:
        return Answer({"ways": [{"total": float("inf")}]})

    monkeypatch.setitem(QUESTIONS, TextSplit, broken)
    told: list[Frame] = []

    def send(frame: Frame) -> None:
        encode(frame)
        told.append(frame)

    asked = [query.to_json() for query in (TextSplit(0), NextTokens())]
    scene = Scene(save(tmp_path / "model", "llama"), "The cat").to_json()
    Engine(send).handle(Frame("ask", 1, {"asks": [{"scene": scene, "queries": asked}]}), lambda: False)
    told = [frame for frame in told if frame.kind != "progress"]
    assert [frame.kind for frame in told] == ["error", "answer", "done"]
    assert told[0].fields["fault"] is False
    assert "a number that is NaN or infinite" in told[0].fields["message"]
    assert capsys.readouterr().err == ""
