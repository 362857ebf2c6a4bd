"""Edits are words that mean one change each, and change nothing else."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from model_core.api.edits import AblateHead, At, Edit, MaskOff, Told, check, parse
from model_core.api.errors import InputError
from model_core.api.names import AttentionKind, Site
from model_core.checkpoint.traced import read_site
from model_core.generation.generate import Sampling, generate
from model_core.parts.decoder import Decoder
from model_core.runs.edited import ReadSite, no_files
from model_core.runs.run import Run
from model_core.taps.tap import record
from tests.support.models.tiny import CONFIGS, HEADS, LAYERS, tiny, tokens

pytestmark = pytest.mark.unit

LENGTH = 9
ABOVE = torch.ones(LENGTH, LENGTH).triu(1).bool()

families = pytest.mark.parametrize("family", CONFIGS)


def values(family: str, word: str, *edits: str) -> Tensor:
    """The value of every layer's attention at `word`, [L H T ...], of a run with these edits."""
    run = Run(tiny(family), tokens(LENGTH), [parse(edit) for edit in edits])
    return torch.stack([run.value(f"blocks.{layer}.attn.{word}")[0] for layer in range(LAYERS)])


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


def run_of(*edits: str, length: int = LENGTH, read_site: ReadSite = no_files) -> Run:
    return Run(tiny("llama"), tokens(length), [parse(edit) for edit in edits], read_site=read_site)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cut L1H0 9->2", "there is no position 9; this text has positions 0 to 8"),
        ("cut L1H0 2->9 renormalise", "there is no position 9; this text has positions 0 to 8"),
        ("set blocks.1.attn.pattern[0,2,9]=1", "there is no position 9; this text has positions 0 to 8"),
        ("set blocks.1.attn.pattern[4,2,1]=1", "there is no query head 4; this site has query heads 0 to 3"),
        ("set blocks.1.attn.pattern[2,1]=1", "write 3 numbers in the brackets (H, T, S), not 2"),
        ("set blocks.1.attn.patern[0,2,1]=1", "no site matches 'blocks.1.attn.patern'; nearest: "),
        ("set blocks.7.attn.pattern[0,2,1]=1", "there is no layer 7; this model has layers 0 to 2"),
        (
            "set encoder.blocks.1.attn.z[0,2,1]=1",
            "there is no site 'encoder.blocks.1.attn.z' in this model",
        ),
        ("patch blocks.1.resid_post[9] from run", "there is no position 9; this text has positions 0 to 8"),
        ("patch nothing from run", "no site matches 'nothing'"),
        ("patch blocks.9.resid_post from run", "there is no layer 9; this model has layers 0 to 2"),
        ("window 3 L4", "there is no layer 4; this model has layers 0 to 2"),
        ("window 3 encoder", "this model has no encoder attention: write window 3"),
        ("skip L3", "there is no layer 3; this model has layers 0 to 2"),
        ("skip mlp decoder L1", "this model has no decoder attention: write skip mlp L1"),
        ("skip cross L1", "this model has no cross attention: write skip attn L1"),
        ("mean cross L1H1", "this model has no cross attention: write mean L1H1"),
    ],
)
def test_what_a_run_has_no_place_for_is_said_in_one_line(words: str, message: str) -> None:
    values = run_of().value
    with pytest.raises(InputError) as error:
        run_of(words, read_site=lambda file, key: values(key))
    assert str(error.value).startswith(f"{words}: {message}")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("length", [LENGTH - 1, LENGTH + 1])
@pytest.mark.parametrize("site", ["blocks.1.resid_post", "blocks.1.attn.k", "blocks.1.attn.pattern"])
@pytest.mark.parametrize("place", ["", "[3]"])
def test_patch_of_another_length_is_refused(length: int, site: str, place: str) -> None:
    other = run_of(length=length).value
    with pytest.raises(InputError, match=r"^patch .*: in run\.file it is 1 × .*, in this run 1 × "):
        run_of(f"patch {site}{place} from run.file", read_site=lambda file, key: other(key))


def test_a_run_that_reads_no_files_says_so() -> None:
    with pytest.raises(InputError, match=r"^patch logits from a b: a b cannot be read by this run$"):
        run_of("patch logits from a b")


def test_a_site_without_positions_takes_no_brackets() -> None:
    model = tiny("gpt2")
    values = Run(model, tokens(LENGTH)).value
    edit = parse("patch blocks.0.attn.z[2] from run")
    Run(model, tokens(LENGTH), [edit], read_site=lambda file, key: values(key))
    nowhere = replace(edit, key="nowhere")
    at = At(range(0), range(0), {}, Told({("run", "nowhere"): torch.zeros(3)}))
    with pytest.raises(InputError, match="has no positions: leave out the brackets"):
        nowhere.apply(torch.zeros(3), Site("nowhere", "C", (3,), "float32"), at)


@pytest.mark.parametrize(
    "words",
    [
        ["window 4"],
        ["window 2 L1H2", "cut L0H1 10->4"],
        ["cut L1H3 11->2 renormalise", "cut L1H2 3->1"],
        ["mean L1H2"],
        ["skip attn L0", "skip mlp L2"],
        ["set blocks.1.attn.pattern[2,10,4]=0.9", "set blocks.0.mlp.post[3,1]=2"],
        ["patch blocks.1.resid_mid from run"],
        ["patch blocks.1.attn.v[5] from run", "patch blocks.1.attn.pattern from run"],
        ["patch blocks.1.attn.v[5] from run", "mean L1H0"],
        ["mask off", "window 3"],
    ],
    ids=", ".join,
)
@families
@pytest.mark.process
def test_a_text_goes_on_as_if_each_step_were_a_run_of_its_own(family: str, words: list[str]) -> None:
    model, text = tiny(family, torch.float64), tokens(LENGTH)
    edits = [parse(word) for word in words]
    other = Run(model, [token ^ 1 for token in text])
    told = generate(model, text, 4, Sampling(0), edits, read_site=lambda file, key: other.value(key))
    for token in told:
        run = reference(model, text, edits, lambda file, key: other.value(key))
        assert run.argmax().item() == token
        text.append(token)


def reference(model: Decoder, text: list[int], edits: list[Edit], read_site: ReadSite) -> Tensor:
    """The last logits of a whole pass, in which positions that are still to come are no mistake."""
    tensors = {name: read_site(*name) for edit in edits for name in edit.refers}
    with torch.inference_mode(), record(model, (), edits, told=Told(tensors, growing=True)):
        logits: Tensor = model(torch.tensor([text]))[0, -1]
    return logits


def test_reading_changes_nothing_of_the_file_that_a_run_is_patched_from(tmp_path: Path) -> None:
    run = run_of()
    file = tmp_path / "a  run.safetensors"
    key = "blocks.1.resid_mid"
    save_file({key: run.value(key).clone()}, file)
    before = file.read_bytes()
    again = run_of(f"patch {key} from {file}", "skip L0", read_site=read_site)
    assert torch.equal(again.value(key), run.value(key))
    assert not torch.equal(again.value("blocks.0.resid_post"), run.value("blocks.0.resid_post"))
    # The value came from a replay, which rounds otherwise than the pass.
    torch.testing.assert_close(again.logits, run.logits, rtol=0, atol=1e-5)
    assert file.read_bytes() == before


def test_what_is_wrong_with_the_file_is_said_in_one_line(tmp_path: Path) -> None:
    good, damaged = tmp_path / "good.safetensors", tmp_path / "damaged.safetensors"
    save_file({"logits": torch.zeros(1, LENGTH, 2048), "whole": torch.zeros(2, dtype=torch.int64)}, good)
    damaged.write_bytes(good.read_bytes()[:-1])
    for file, message in {
        tmp_path / "missing": "has no missing",
        tmp_path: "cannot be read",
        damaged: "is no whole safetensors file",
        good: "has no site 'norm.out'",
    }.items():
        words = f"patch norm.out from {file}"
        with pytest.raises(InputError, match=message) as error:
            run_of(words, read_site=read_site)
        assert str(error.value).startswith(words)
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(InputError, match="whole is stored as I64"):
        read_site(str(good), "whole")
    assert (run_of(f"patch logits from {good}", read_site=read_site).logits == 0).all()
