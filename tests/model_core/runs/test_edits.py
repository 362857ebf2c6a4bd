"""Edits are words that mean one change each, and change nothing else."""

import math
import re

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from model_core.api.edits import AblateHead, AnyEdit, MaskOff, check, parse, toggled
from model_core.api.errors import InputError
from model_core.api.names import ATTENTION_PATHS, AttentionKind
from model_core.runs.replay import Run
from tests.support.models.tiny import CONFIGS, HEADS, LAYERS, tiny, tokens

pytestmark = pytest.mark.unit

LENGTH = 9
ABOVE = torch.ones(LENGTH, LENGTH).triu(1).bool()

families = pytest.mark.parametrize("family", CONFIGS)
numbers = st.integers(0, 999_999)
stacks = st.sampled_from(sorted(ATTENTION_PATHS))
any_edit = st.one_of(
    st.just(MaskOff()),
    st.builds(MaskOff, numbers),
    st.builds(MaskOff, numbers, numbers, stacks),
    st.builds(MaskOff, stack=stacks),
    st.builds(AblateHead, numbers, numbers, stacks),
)


def values(family: str, word: str, *edits: str) -> Tensor:
    """The value of every layer's attention at `word`, [L H T ...], of a run with these edits."""
    run = Run(tiny(family), tokens(LENGTH), [parse(edit) for edit in edits])
    return torch.stack([run.value(f"blocks.{layer}.attn.{word}")[0] for layer in range(LAYERS)])


@given(any_edit)
def test_every_edit_is_read_from_its_own_words(edit: AnyEdit) -> None:
    assert parse(str(edit)) == edit


@given(any_edit, st.data())
def test_blanks_and_capitals_do_not_matter(edit: AnyEdit, data: st.DataObject) -> None:
    blank = st.text(" \t\n", min_size=1, max_size=3)
    words = [
        data.draw(blank) + data.draw(st.sampled_from([word, word.upper(), word.lower()]))
        for word in str(edit).split()
    ]
    assert parse("".join(words) + data.draw(blank)) == edit


@given(
    st.one_of(
        st.text(),
        st.builds("{}{}".format, any_edit.map(str), st.text("0123456789LH mask.-,", min_size=1)),
        st.from_regex(r"(mask on|mask off|ablate) ?[LH]?\d*[LH]?\d*"),
    )
)
@example("")
@example("mask off L")
@example("mask off H1")
@example("mask off L1 H2")
@example("ablate")
@example("ablate L1")
@example("ablate L-1H0")
@example("mask off L٣")
@example("maſk off")
@example("ablate L1H2; mask off")
@example("mask off\x00")
@example("ablate\nL1H2\nL3")
@example("mask off L1234567")
@example("mask off " + "9" * 10_000)
def test_what_is_no_edit_is_refused_in_one_line_that_names_the_words(text: str) -> None:
    try:
        edit = parse(text)
    except InputError as error:
        message = str(error)
    else:  # the words of an edit after all: then nothing but blanks, capitals and leading zeros may differ
        plain = " ".join(text.lower().split())
        assert re.sub(r"(?<=[a-z])0+(?=[0-9])", "", plain) == str(edit).lower()
        return
    assert len(message.splitlines()) == 1
    assert len(message) < 200
    assert message.endswith("try mask off, mask off L3, mask off L3H5 or ablate L3H5")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("mask off L3", "mask off L3: there is no layer 3; this model has layers 0 to 2"),
        ("mask off L9H0", "mask off L9H0: there is no layer 9; this model has layers 0 to 2"),
        ("mask off L2H4", "mask off L2H4: there is no head 4; this model has heads 0 to 3"),
        ("ablate L0H7", "ablate L0H7: there is no head 7; this model has heads 0 to 3"),
        ("ablate L3H0", "ablate L3H0: there is no layer 3; this model has layers 0 to 2"),
    ],
)
def test_layer_or_head_that_the_model_does_not_have_is_named(words: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        check([parse("mask off"), parse(words)], tiny("llama").attentions)
    assert str(error.value) == message
    with pytest.raises(InputError, match=message):
        Run(tiny("llama"), tokens(LENGTH), [parse(words)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "ablate L1H1",
            "this model has 2 kinds of attention: write ablate encoder L1H1 or ablate cross L1H1",
        ),
        ("ablate L3H1", "this model has 2 kinds of attention: write ablate cross L3H1"),
        ("ablate decoder L9H1", "there is no layer 9; this model has layers 0 to 1"),
    ],
)
def test_what_is_told_instead_of_an_edit_is_one_that_the_model_has(words: str, message: str) -> None:
    kinds = [AttentionKind("encoder", 2, 2, 2, 4), AttentionKind("cross", 4, 2, 2, 4)]
    with pytest.raises(InputError) as error:
        check([parse(words)], kinds)
    assert str(error.value) == f"{words}: {message}"


def test_last_layer_and_head_are_known() -> None:
    check([parse("mask off L2H3"), parse("ablate L2H3")], tiny("llama").attentions)


@families
def test_nothing_attends_above_the_diagonal_until_the_mask_is_off(family: str) -> None:
    assert (values(family, "pattern")[:, :, ABOVE] == 0).all()
    assert (values(family, "pattern", "mask off")[:, :, ABOVE] > 0).all()


@families
def test_mask_switched_off_and_on_again_gives_the_same_logits(family: str) -> None:
    model = tiny(family)
    before = Run(model, tokens(LENGTH)).logits
    changed = Run(model, tokens(LENGTH), [MaskOff()]).logits
    assert not torch.allclose(changed, before)
    assert torch.equal(Run(model, tokens(LENGTH)).logits, before)


@families
def test_mask_off_in_one_layer_leaves_the_others_causal(family: str) -> None:
    pattern = values(family, "pattern", "mask off L1")
    assert (pattern[1][:, ABOVE] > 0).all()
    assert (pattern[[0, 2]][:, :, ABOVE] == 0).all()
    assert torch.equal(pattern[0], values(family, "pattern")[0])


@families
def test_mask_off_of_one_head_changes_that_head_s_mask_alone(family: str) -> None:
    plain, edited = values(family, "mask"), values(family, "mask", "mask off L1H2")
    assert (plain[:, :, ABOVE] == -math.inf).all()
    assert (edited[1, 2] == 0).all()
    edited[1, 2] = plain[1, 2]
    assert torch.equal(edited, plain)

    pattern = values(family, "pattern", "mask off L1H2")
    others = [head for head in range(HEADS) if head != 2]
    assert (pattern[1, 2][ABOVE] > 0).all()
    assert torch.equal(pattern[1, others], values(family, "pattern")[1, others])


@families
def test_ablated_head_writes_nothing_and_its_neighbours_what_they_did(family: str) -> None:
    plain, edited = values(family, "z"), values(family, "z", "ablate L1H2")
    others = [head for head in range(HEADS) if head != 2]
    assert (edited[1, 2] == 0).all()
    assert not (plain[1, 2] == 0).any()
    assert torch.equal(edited[1, others], plain[1, others])
    assert torch.equal(edited[0], plain[0])
    assert not torch.allclose(edited[2], plain[2])


@families
def test_output_of_a_layer_without_its_heads_is_the_output_bias(family: str) -> None:
    model = tiny(family)
    run = Run(model, tokens(LENGTH), [AblateHead(1, head) for head in range(HEADS)])
    bias = model.blocks[1].attn.o.bias
    expected = torch.zeros(24) if bias is None else bias
    assert torch.equal(run.value("blocks.1.attn.out")[0], expected.expand(LENGTH, 24))


@families
def test_edits_of_a_run_change_no_other_run_and_no_weight(family: str) -> None:
    model = tiny(family)
    weights = {name: weight.clone() for name, weight in model.named_parameters()}
    before = Run(model, tokens(LENGTH))
    scores = before.value("blocks.2.attn.masked").clone()
    Run(model, tokens(LENGTH), [MaskOff(), AblateHead(0, 0)]).value("blocks.2.attn.masked")
    assert torch.equal(before.value("blocks.2.attn.masked"), scores)
    assert all(torch.equal(weight, weights[name]) for name, weight in model.named_parameters())


@given(st.lists(any_edit.map(str), unique=True), any_edit.map(str))
def test_edit_toggled_twice_leaves_the_list_as_it_was(edits: list[str], edit: str) -> None:
    once = toggled(edits, edit)
    assert (edit in once) != (edit in edits)
    assert sorted(toggled(once, edit)) == sorted(edits)
