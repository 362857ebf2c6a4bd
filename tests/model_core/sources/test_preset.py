"""The models that write tales are what their cards say: they write words, and their heads look where they should."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model_core.analysis.scores import head_scores
from model_core.checkpoint.building import Loaded
from model_core.cli.__main__ import main
from model_core.generation.generate import Sampling, generate
from model_core.sources.presets import NAMES, folder_of, open_model, preset_named
from model_core.training.card import indented
from model_core.training.corpus import bits_per_byte
from tests.support.data_files import TALES as TALES_TEXT

TALES = [name for name in NAMES if name.startswith("tales-")]
TEXTS = ("Once upon a time", "", "naïve – 3 kings & a <|endoftext|>", "  two\n\nlines\t", "\U0001f409 roared")


@pytest.fixture(scope="module", params=TALES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tales(name: str) -> Loaded:
    return open_model(name)


@pytest.fixture(scope="module")
def card(name: str) -> str:
    return (folder_of(name) / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(corpora: Path) -> str:
    return (corpora / "children_tales.txt").read_text(encoding="utf-8")


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


@pytest.mark.process
def test_a_head_looks_at_the_token_before_and_another_at_what_followed_the_same_token(tales: Loaded) -> None:
    scores = head_scores(tales.model)
    assert scores["previous"].max() >= 0.9
    assert scores["induction"].max() >= 0.9
    assert scores["previous"].argmax() != scores["induction"].argmax()


@pytest.mark.corpora
def test_text_falls_into_loops_no_more_than_twice_in_24_samples(tales: Loaded) -> None:
    """A sample loops where more than a fifth of its runs of six tokens stood in it before."""
    prompts = [
        tales.tokenizer.encode(prompt)
        for prompt in (
            "Once upon a time", "The king said to his daughter", "There was once a poor",
            "In the forest the little girl",
        )
    ]  # fmt: skip
    looping = 0
    for seed in range(24):
        sampling = Sampling(temperature=0.8, top_k=40, seed=seed)
        text = list(generate(tales.model, prompts[seed % len(prompts)], 150, sampling))
        runs = [tuple(text[n : n + 6]) for n in range(len(text) - 5)]
        looping += len(runs) - len(set(runs)) > len(runs) / 5
    assert looping <= 2


@pytest.mark.process
def test_the_head_scores_are_those_of_the_card(tales: Loaded, card: str) -> None:
    for name, scores in head_scores(tales.model).items():
        layer, head = np.unravel_index(scores.argmax(), scores.shape)
        assert re.search(rf"best {name} +L{layer}H{head} +{scores.max():.3f}", card), name


@pytest.mark.corpora
def test_what_it_writes_is_made_of_words(tales: Loaded, text: str) -> None:
    known = {word for word, count in Counter(words(text)).items() if count >= 3}
    said: list[str] = []
    for seed, prompt in enumerate(
        ("Once upon a time", "The king said to his daughter", "The old woman went")
    ):
        start = tales.tokenizer.encode(prompt)
        written = generate(tales.model, start, 200, Sampling(temperature=0.8, top_k=40, seed=seed))
        # The last word may be cut off in the middle.
        said += words(tales.tokenizer.decode(list(written)))[:-1]
    assert len(said) > 300
    assert sum(word in known for word in said) / len(said) > 0.95
    assert len(set(said)) > 100


@pytest.mark.process
def test_a_book_that_was_never_trained_on_is_foreseen_about_as_the_card_says(
    tales: Loaded, card: str
) -> None:
    start = tales.tokenizer.encode(TALES_TEXT.read_text(encoding="utf-8"))[:10_000]
    bits = bits_per_byte(tales.model, np.array(start), len(tales.tokenizer.decode(start).encode()))
    said = re.search(r"([\d.]+) bits per byte", card)
    assert said is not None
    assert bits == pytest.approx(float(said[1]), rel=0.1)


@pytest.mark.corpora
def test_the_card_holds_to_the_letter_what_evaluate_prints(
    name: str, card: str, corpora: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"    layerscope evaluate {name} --data children_tales.txt" in card
    assert main(["evaluate", name, "--data", str(corpora / "children_tales.txt")]) == 0
    assert indented(capsys.readouterr().out) in card


@pytest.mark.process
def test_every_model_of_tales_cuts_a_text_into_the_same_tokens_and_learned_as_long(
    tales: Loaded, name: str
) -> None:
    first = open_model(TALES[0])
    for text in TEXTS:
        assert tales.tokenizer.encode(text) == first.tokenizer.encode(text)
    assert tales.tokenizer.prefix == first.tokenizer.prefix
    recipe, other = preset_named(name).recipe, preset_named(TALES[0]).recipe
    assert (recipe.steps, recipe.batch, recipe.length) == (other.steps, other.batch, other.length)
    assert recipe.held_out == other.held_out


@pytest.mark.process
def test_no_preset_is_large() -> None:
    weights = [file.stat().st_size for name in NAMES for file in folder_of(name).rglob("*.safetensors")]
    assert sum(weights) <= 40e6
