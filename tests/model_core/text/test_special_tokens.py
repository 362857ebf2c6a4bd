"""BOS is put before a prompt where the model's configuration says so, is told apart, and can be left away."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from model_core.api.protocol import Frame
from model_core.api.scene import Scene
from model_core.cli.__main__ import main
from model_core.engine.answering import Engine
from model_core.sources.presets import open_model
from tests.support.models.vocabularies import SIZE, sentencepiece_model, write

pytestmark = pytest.mark.unit

CONTEXT = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny LLaMA in a Hugging Face folder, with SentencePiece, whose prompts begin with <s>."""
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=SIZE,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    write(folder, {"tokenizer.model": sentencepiece_model("bpe")})
    return str(folder)


def ask(scene: Scene, kind: str, **arguments: Any) -> Frame:
    """The engine's first frame that is no progress."""
    told: list[Frame] = []
    query = {"kind": kind, "arguments": arguments}
    request = Frame("ask", 1, {"asks": [{"scene": scene.to_json(), "queries": [query]}]})
    Engine(told.append).handle(request, lambda: False)
    return next(frame for frame in told if frame.kind != "progress")


def test_run_begins_with_bos_which_is_special(model: str) -> None:
    facts = ask(Scene(model, "the cat"), "run").fields["facts"]
    typed = open_model(model).tokenizer.encode("the cat")
    assert facts["tokens"] == [1, *typed]
    assert facts["strings"][0] == "<s>"
    assert (facts["special"], facts["prefix"], facts["prefixes"]) == ([0], 1, ["<s>"])
    assert facts["texts"][0]["special"] == [0]


def test_without_special_tokens_the_run_is_the_prompt_alone(model: str) -> None:
    facts = ask(Scene(model, "the cat", special=False), "run").fields["facts"]
    assert facts["tokens"] == open_model(model).tokenizer.encode("the cat")
    assert (facts["special"], facts["prefix"], facts["prefixes"]) == ([], 0, ["<s>"])


def test_empty_prompt_is_bos_alone_and_nothing_without_it(model: str) -> None:
    assert ask(Scene(model, ""), "run").fields["facts"]["tokens"] == [1]
    refused = ask(Scene(model, "", special=False), "run")
    assert refused.kind == "error"
    assert "the prompt is empty" in refused.fields["message"]


@given(st.integers(CONTEXT, 40))
@pytest.mark.process
def test_cut_that_is_offered_leaves_room_for_bos(model: str, length: int) -> None:
    refused = ask(Scene(model, "the " * length), "run")
    assert f"more than the context of {CONTEXT}" in refused.fields["message"]
    cut = ask(Scene(model, refused.fields["fix"]["prompt"]), "run").fields["facts"]["tokens"]
    assert cut[0] == 1
    assert len(cut) == CONTEXT


def test_what_a_token_adds_to_the_prompt_has_no_trace_of_bos(model: str) -> None:
    facts = ask(Scene(model, ""), "next_token", k=SIZE).fields["facts"]
    added = dict(zip(facts["strings"], facts["texts"], strict=True))
    assert added[" the"] == "the"
    facts = ask(Scene(model, "cat"), "next_token", k=SIZE).fields["facts"]
    added = dict(zip(facts["strings"], facts["texts"], strict=True))
    assert added[" the"] == " the"


def test_split_counts_positions_with_bos(model: str) -> None:
    whole = ask(Scene(model, "the cat"), "split", position=2).fields["facts"]
    alone = ask(Scene(model, "the cat", special=False), "split", position=1).fields["facts"]
    assert whole == alone | {"first": alone["first"] + 1}
    assert ask(Scene(model, "the cat"), "split", position=0).fields["facts"]["kind"] == "special"


def test_split_of_a_position_behind_the_text_is_that_of_the_last_token(model: str) -> None:
    facts = ask(Scene(model, "the cat"), "split", position=2).fields["facts"]
    assert ask(Scene(model, "the cat"), "split", position=99).fields["facts"] == facts


@pytest.mark.parametrize(("words", "bos"), [([], [1]), (["--no-special"], [])])
def test_trace_has_bos_unless_it_is_left_away(
    model: str, tmp_path: Path, words: list[str], bos: list[int]
) -> None:
    out = tmp_path / "run.safetensors"
    assert main(["trace", "--model", model, "--prompt", "the cat", "--out", str(out), *words]) == 0
    with safe_open(out, framework="pt") as file:
        about = file.metadata()
    assert json.loads(about["tokens"]) == [*bos, *open_model(model).tokenizer.encode("the cat")]
    assert json.loads(about["scene"])["special"] is bool(bos)


def test_traced_ids_are_taken_as_they_are_and_their_scene_repeats_them(model: str, tmp_path: Path) -> None:
    out, typed = tmp_path / "run.safetensors", open_model(model).tokenizer.encode("the cat")
    for ids in ([1, *typed], typed):
        given = ",".join(map(str, ids))
        assert main(["trace", "--model", model, "--tokens", given, "--out", str(out)]) == 0
        with safe_open(out, framework="pt") as file:
            scene = Scene.from_json(json.loads(file.metadata()["scene"]))
        assert ask(scene, "run").fields["facts"]["tokens"] == ids


def test_generated_text_is_printed_without_bos(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--temperature", "0", "--max-new-tokens", "3"]
    assert main(["generate", "--model", model, "--prompt", "the cat", *words]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("the cat")
    assert "<s>" not in printed
    assert main(["generate", "--model", model, "--prompt", "", *words]) == 0
    assert main(["generate", "--model", model, "--prompt", "", "--no-special", *words]) == 2


def test_text_that_is_cut_to_go_on_keeps_its_bos(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--cut", "--max-new-tokens", "2", "--temperature", "0"]
    assert main(["generate", "--model", model, "--prompt", "the cat " * 20, *words]) == 0
    assert "<s>" not in capsys.readouterr().out
