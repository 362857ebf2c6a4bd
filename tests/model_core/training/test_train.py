"""Training learns, and the same recipe learns the same."""

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from model_core.api.errors import Cancelled, InputError
from model_core.api.recipe import Recipe, learning_rate
from model_core.families.first_weights import initialise
from model_core.families.registry import family_of
from model_core.parts.decoder import Decoder
from model_core.parts.loss import IGNORED
from model_core.text.tokenizer import END_OF_TEXT, TiktokenTokenizer
from model_core.training.corpus import (
    Corpus,
    NoSuchDocument,
    TextTask,
    batch_at,
    bits_per_byte,
    read_corpus,
    windows,
)
from model_core.training.train import Progress, State, optimizer_for, train
from tests.support.models.tiny import CONFIGS, LAYERS, tiny

pytestmark = pytest.mark.unit

families = pytest.mark.parametrize("family", CONFIGS)

BYTES = 256
RECIPE = Recipe(steps=30, batch=8, length=16, lr=5e-3, warmup=5, repeats=0.25, seed=3)
TOY = np.array(list(b"the cat sat on the mat and the dog sat on the log. " * 40), dtype=np.int32)


@pytest.fixture(scope="module")
def tokenizer() -> TiktokenTokenizer:
    return TiktokenTokenizer("bytes", {bytes([byte]): byte for byte in range(BYTES)})


def untrained(family: str, seed: int = 0) -> Decoder:
    config = replace(CONFIGS[family], vocab_size=BYTES)
    model = family_of(config).build(config)
    initialise(model, seed)
    return model


def task(tokens: np.ndarray, recipe: Recipe, held_out: np.ndarray = TOY[:0]) -> TextTask:
    return TextTask(Corpus(tokens, held_out, len(held_out)), BYTES, recipe)


def trained(family: str, recipe: Recipe) -> tuple[Decoder, list[Progress]]:
    model, said = untrained(family), []
    train(model, task(TOY, recipe), recipe, said.append, every=10)
    return model, said


@families
@pytest.mark.process
def test_training_lowers_the_loss_of_what_was_read(family: str) -> None:
    before = bits_per_byte(untrained(family), TOY, len(TOY))
    model, said = trained(family, RECIPE)
    assert before == pytest.approx(8, abs=0.2)
    assert bits_per_byte(model, TOY, len(TOY)) < 5
    losses = [progress.loss for progress in said]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] + 0.5


@families
@pytest.mark.process
def test_mixed_precision_learns_as_well_and_leaves_float32_weights(family: str) -> None:
    model, said = trained(family, replace(RECIPE, autocast="bfloat16"))
    assert said[-1].loss < said[0].loss - 0.5
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@families
def test_same_recipe_trains_the_same_weights(family: str) -> None:
    recipe = replace(RECIPE, steps=4)
    first, second = (trained(family, recipe)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    other, _ = trained(family, replace(recipe, seed=4))
    assert not torch.equal(first.embed.weight, other.embed.weight)


@pytest.mark.process
def test_progress_is_told_every_so_often_and_at_the_end() -> None:
    _, said = trained("gpt2", replace(RECIPE, steps=25))
    assert [progress.step for progress in said] == [10, 20, 25]
    assert {progress.steps for progress in said} == {25}
    assert all(progress.tokens_per_second > 0 for progress in said)
    assert said[0].seconds_left > said[-1].seconds_left == 0


def test_cancelled_training_stops_between_two_steps() -> None:
    said: list[Progress] = []
    with pytest.raises(Cancelled):
        train(
            untrained("gpt2"),
            task(TOY, RECIPE),
            RECIPE,
            said.append,
            every=1,
            cancelled=lambda: len(said) == 3,
        )
    assert [progress.step for progress in said] == [1, 2, 3]


def test_trained_model_is_left_ready_to_run() -> None:
    model, _ = trained("llama", replace(RECIPE, steps=1))
    assert not model.training


def test_text_that_is_no_longer_than_a_row_is_refused() -> None:
    with pytest.raises(InputError, match="the text has 16 tokens: training needs more than 16"):
        task(TOY[:16], RECIPE)


def test_text_one_token_longer_than_a_row_is_enough() -> None:
    inputs, targets = batch_at(0, TOY[:17], BYTES, replace(RECIPE, repeats=0))
    assert torch.equal(inputs, torch.tensor(TOY[:16]).expand(8, 16))
    assert torch.equal(targets, torch.tensor(TOY[1:17]).expand(8, 16))


def test_batch_of_a_step_is_always_the_same_and_each_step_has_its_own() -> None:
    first, again, other = (batch_at(step, TOY, BYTES, RECIPE) for step in (5, 5, 6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], batch_at(5, TOY, BYTES, replace(RECIPE, seed=4))[0])


def test_targets_are_the_tokens_that_come_next_in_the_text() -> None:
    inputs, targets = batch_at(0, TOY, BYTES, replace(RECIPE, repeats=0))
    assert inputs.shape == targets.shape == (8, 16)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    text = bytes(TOY.tolist())
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert bytes([*row, target[-1]]) in text


def test_repeated_rows_are_learned_only_from_their_second_period_on() -> None:
    recipe = replace(RECIPE, length=64, repeats=0.5)
    inputs, targets = batch_at(2, TOY, BYTES, recipe)
    assert (targets[4:] != IGNORED).all()
    for row, target in zip(inputs[:4].tolist(), targets[:4].tolist(), strict=True):
        period = target.count(IGNORED)
        assert 64 // 16 <= period < 64 // 2
        assert target[:period] == [IGNORED] * period
        assert row[period:] == row[:-period]
        assert target[period:] == [*row[period + 1 :], row[64 - period]]
    text = bytes(TOY.tolist())
    periods = [
        bytes(row[: target.count(IGNORED)])
        for row, target in zip(inputs.tolist(), targets.tolist(), strict=True)
    ]
    assert [period in text for period in periods[:4]] == [False, True, False, True]


@pytest.mark.parametrize(
    ("share", "random"), [(0.0, ""), (0.25, "0 4"), (0.5, "0 2 4 6"), (1.0, "0 1 2 3 4 5 6 7")]
)
def test_so_many_of_the_repeated_rows_are_of_random_tokens(share: float, random: str) -> None:
    recipe = replace(RECIPE, batch=16, length=64, repeats=0.5, random_repeats=share)
    inputs, targets = batch_at(2, TOY, BYTES, recipe)
    text = bytes(TOY.tolist())
    found = [
        str(n)
        for n, (row, target) in enumerate(zip(inputs.tolist(), targets.tolist(), strict=True))
        if bytes(row[: target.count(IGNORED)]) not in text
    ]
    assert " ".join(found) == random
    assert recipe.random_rows == len(found)


def test_a_phase_goes_on_as_a_training_of_its_own_with_a_new_optimiser() -> None:
    """All that is left of the phase before is the weights, and the count of steps, tokens and seconds."""
    first, second = replace(RECIPE, steps=4), replace(RECIPE, steps=3, lr=1e-3, batch=4, random_repeats=1.0)
    model, said, state = untrained("llama"), [], State()
    train(model, task(TOY, first), first, said.append, after=(second,), every=2, state=state)
    alone = deepcopy(model)
    train(model, task(TOY, second), second, said.append, before=4, every=2, state=state)
    heard: list[Progress] = []
    train(alone, task(TOY, second), second, heard.append, every=2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), alone.parameters(), strict=True))
    assert [progress.step for progress in said] == [2, 4, 6, 7]
    assert {progress.steps for progress in said} == {7}
    paces = [one.seconds_left / one.seconds * one.step for one in said[:2]]
    assert paces == pytest.approx([2 + 3 * 4 / 8, 3 * 4 / 8], rel=1e-6)  # a later step has half as many rows
    assert [(one.loss, one.lr) for one in said[2:]] == [(one.loss, one.lr) for one in heard]
    assert state.tokens == 16 * (4 * 8 + 3 * 4)


@families
def test_weights_begin_by_the_seed_and_as_wide_as_in_gpt2(family: str) -> None:
    first, again, other = (dict(untrained(family, seed).named_parameters()) for seed in (0, 0, 1))
    for name, weight in first.items():
        assert torch.equal(weight, again[name])
        if weight.ndim == 2:
            assert not torch.equal(weight, other[name])
            writes = name.endswith(("attn.o.weight", "mlp.down.weight"))
            expected = 0.02 / math.sqrt(2 * LAYERS) if writes else 0.02
            assert weight.std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * weight.numel()))
        else:
            assert (weight == (0 if name.endswith("bias") else 1)).all()


@families
def test_training_is_the_plain_loop_bit_for_bit(family: str) -> None:
    recipe = replace(RECIPE, steps=4)
    plain = untrained(family)
    optimizer = optimizer_for(plain, recipe)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        inputs, targets = batch_at(step, TOY, BYTES, recipe)
        loss = cross_entropy(plain(inputs).flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad()
    model, _ = trained(family, recipe)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))


def test_learning_rate_warms_up_and_falls_to_a_tenth() -> None:
    recipe = Recipe(steps=100, warmup=10, lr=1.0)
    rates = [learning_rate(step, recipe) for step in range(101)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_documents_are_separated_and_those_held_out_are_never_trained_on(
    tokenizer: TiktokenTokenizer,
) -> None:
    text = END_OF_TEXT.join(["\none\n", "zwei", "", "\n\n", "trois…\n"]) + END_OF_TEXT
    read = read_corpus(text, tokenizer, (1,))
    end = [tokenizer.eos]
    assert read.train.tolist() == [*b"one", *end, *"trois…".encode(), *end]
    assert read.held_out.tolist() == [*b"zwei", *end]
    assert read.held_out_bytes == 4
    assert read.train.dtype == np.int32


def test_corpus_may_hold_nothing_out(tokenizer: TiktokenTokenizer) -> None:
    read = read_corpus("one", tokenizer, ())
    assert len(read.train) == 4
    assert len(read.held_out) == read.held_out_bytes == 0


def test_document_that_is_not_there_cannot_be_held_out(tokenizer: TiktokenTokenizer) -> None:
    with pytest.raises(InputError, match=r"document 2 cannot be held out: the text has 2 documents$"):
        read_corpus(f"one{END_OF_TEXT}two", tokenizer, (0, 2))
    with pytest.raises(
        NoSuchDocument, match=r"document 14 cannot be held out: the text has 1 document$"
    ) as error:
        read_corpus("one", tokenizer, (14, 15))
    assert error.value.documents == 1


def test_windows_foresee_every_token_but_the_first_exactly_once() -> None:
    text = np.arange(20, dtype=np.int32)
    for length in (1, 6, 19, 20, 50):
        pairs = list(windows(text, length))
        assert torch.cat([inputs for inputs, _ in pairs], 1).tolist() == [list(range(19))]
        assert torch.cat([targets for _, targets in pairs], 1).tolist() == [list(range(1, 20))]
        assert all(inputs.shape[1] <= length for inputs, _ in pairs)


def test_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary() -> None:
    model = untrained("gpt2")
    with torch.no_grad():
        model.head.weight.zero_()
    assert bits_per_byte(model, TOY[:101], 101) == pytest.approx(8 * 100 / 101)


@families
def test_bits_per_byte_are_those_of_each_window_s_own_log_probabilities(family: str) -> None:
    model = tiny(family)
    text, bits = TOY[:60], 0.0
    for start in range(0, 59, 24):
        row = torch.tensor(text[start : start + 25])[None].long()
        log_probs = model(row[:, :-1])[0].double().log_softmax(-1)
        bits -= sum(log_probs[t, row[0, t + 1]].item() for t in range(row.shape[1] - 1)) / math.log(2)
    assert bits_per_byte(model, text, 77) == pytest.approx(bits / 77, rel=1e-6)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_step_computed_in_parts_is_the_step_of_the_whole_batch(accumulate: int) -> None:
    recipe = replace(RECIPE, steps=3, repeats=0.5)
    whole, _ = trained("llama", recipe)
    parts, said = trained("llama", replace(recipe, accumulate=accumulate))
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert said[-1].loss == pytest.approx(trained("llama", recipe)[1][-1].loss, rel=1e-5)


def test_parts_of_a_batch_are_its_rows_in_order() -> None:
    batch = task(TOY, RECIPE).batch(0)
    parts = batch.cut(4)
    assert torch.equal(torch.cat([part.targets for part in parts]), batch.targets)
    assert torch.equal(torch.cat([part.inputs[0] for part in parts]), batch.inputs[0])
    assert sum(part.counted for part in parts) == batch.counted
    assert sum(part.tokens for part in parts) == batch.tokens == 8 * 16


@families
@pytest.mark.parametrize("autocast", ["float32", "float16"])
@pytest.mark.process
def test_training_goes_on_from_a_state_bit_for_bit(family: str, autocast: str) -> None:
    recipe = replace(RECIPE, steps=6, autocast=autocast)
    config = replace(CONFIGS[family], vocab_size=BYTES)
    if hasattr(config, "dropout"):
        config = replace(config, dropout=0.2)

    def begun() -> Decoder:
        model = family_of(config).build(config)
        initialise(model, 0)
        return model

    whole, said = begun(), []
    train(whole, task(TOY, recipe), recipe, said.append, every=4)

    first, again, kept, asked = begun(), begun(), [], []
    with pytest.raises(Cancelled):
        train(
            first,
            task(TOY, recipe),
            recipe,
            lambda progress: None,
            every=4,
            keep=kept.append,
            cancelled=lambda: asked.append(0) or len(asked) == 4,
        )
    state = deepcopy(kept[-1])
    assert state.step == state.since == 3
    again.load_state_dict(first.state_dict())
    torch.rand(7)
    gone_on: list[Progress] = []
    train(again, task(TOY, recipe), recipe, gone_on.append, every=4, state=state)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    assert [(p.step, p.loss, p.grad_norm, p.tokens) for p in gone_on] == [
        (p.step, p.loss, p.grad_norm, p.tokens) for p in said
    ]


def test_rows_longer_than_the_context_are_refused() -> None:
    recipe = replace(RECIPE, length=48)
    with pytest.raises(InputError, match="rows of 48 tokens do not fit the model's context of 24"):
        train(untrained("gpt2"), task(TOY, recipe), recipe, lambda progress: None)


def test_share_of_the_text_is_held_out_from_its_end(tokenizer: TiktokenTokenizer) -> None:
    text = "one\n" * 10 + END_OF_TEXT + "two\n" * 30
    read = read_corpus(text, tokenizer, (), 0.25)
    assert tokenizer.decode(read.held_out.tolist()).startswith("two\n")
    assert 0.22 <= read.held_out_bytes / 160 <= 0.3
    whole = tokenizer.decode([*read.train, *read.held_out]).replace(END_OF_TEXT, "")
    assert whole.count("one") == 10
    assert whole.count("two") == 30
    assert read_corpus("word " * 100, tokenizer, (), 0.1).held_out_bytes < 60
    assert read_corpus("w" * 100, tokenizer, (), 0.1).held_out_bytes == 10
