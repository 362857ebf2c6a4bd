"""A replay computes no more than what is asked, and that is what the whole has."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from model_core.api.edits import parse
from model_core.api.errors import Cancelled, InputError
from model_core.parts.attention import Attention
from model_core.runs.past import Past
from model_core.runs.run import Run
from tests.support.models.tiny import CONFIGS, CONTEXT, ENCODER_DECODERS, HEADS, built, tokens

pytestmark = pytest.mark.unit

EVERY = CONFIGS | ENCODER_DECODERS
EVERY["seq2seq normed"] = replace(ENCODER_DECODERS["seq2seq"], order="normed")
SOURCE, TARGET = tokens(11), tokens(20)[8:]

families = pytest.mark.parametrize("family", EVERY)


@cache
def model_of(family: str) -> Any:
    """In float64, its softmax as well: what is compared is not what float32 rounds."""
    model = built(EVERY[family], torch.float64)
    for module in model.modules():
        if isinstance(module, Attention):
            module.softmax_dtype = None
    return model


def run_of(model: Any, words: Sequence[str] = (), past: Past | None = None) -> Run:
    first, *second = [SOURCE, TARGET][-len(model.inputs) :]
    return Run(model, first, [parse(word) for word in words], target=second[0] if second else (), past=past)


def attentions(model: Any) -> dict[str, str]:
    """The words of each kind of attention, and its module in layer 1."""
    return {f" {kind.name}" if kind.name else "": kind.site(1, "")[:-1] for kind in model.attentions}


@families
def test_attention_is_replayed_without_what_comes_after_it(family: str) -> None:
    model = built(EVERY[family])
    counted: list[str] = []
    for name, module in model.named_modules():
        if name.endswith((".mlp", ".cross")):
            module.register_forward_pre_hook(lambda *_, name=name: counted.append(name))
    whole = run_of(model)
    for path in attentions(model).values():
        run = run_of(model)
        counted.clear()
        pattern = run.value(f"{path}.pattern")
        block = path.rpartition(".")[0]
        assert counted == [f"{block}.cross"] * path.endswith(".cross")
        whole.replay(block)
        assert torch.equal(pattern, whole.value(f"{path}.pattern"))
        # What was computed is there; what was not is computed when it is asked for.
        first = run.replays[block]
        assert run.value(f"{path}.out") is first[f"{path}.out"]
        counted.clear()
        assert torch.equal(run.value(f"{block}.resid_post"), whole.value(f"{block}.resid_post"))
        assert f"{block}.mlp" in counted
        assert run.value(f"{path}.pattern") is pattern
        assert list(run.replays[block]) == list(whole.replays[block])
        for key in run.replays[block]:
            assert torch.equal(run.value(key), whole.value(key))


@families
@pytest.mark.parametrize("past", [False, True], ids=["whole", "with a past"])
@pytest.mark.process
def test_one_head_alone_is_that_head_of_the_attention(family: str, past: bool) -> None:
    model = model_of(family)
    for stack, path in attentions(model).items():
        edits: list[list[str]] = [
            [],
            [f"ablate{stack} L1H2", f"cut{stack} L1H1 5->3", f"cut{stack} L1H3 6->0 renormalise"],
            [f"set {path}.v[1,4,2]=3", f"set {path}.pattern[2,5,1]=0.7", f"set {path}.out[3,1]=2"],
        ]
        if stack != " cross":
            edits.append([f"window 3{stack} L1H2", f"window 2{stack}"])
        if not past:
            edits.append([f"mask off{stack} L1H1", f"mean{stack} L1H2"])
        for words in edits:
            run = run_of(model, words, Past.nothing(model, CONTEXT) if past else None)
            alone = [run.head(path, head) for head in range(HEADS)]
            for head, trace in enumerate(alone):
                assert {f"{path}.z", f"{path}.pattern", f"{path}.mask", f"{path}.k"} <= set(trace.values)
                assert set(trace) <= set(run.sites)
                for key in trace:
                    if key == f"{path}.out":
                        continue
                    expected, dims = run.value(key), run.sites[key].dims
                    of_group = head // (model.get_submodule(path).heads // model.get_submodule(path).kv_heads)
                    expected = expected[:, [of_group if " G " in dims else head]]
                    hidden = expected.isneginf()
                    assert torch.equal(trace[key].isneginf(), hidden)
                    assert (trace[key] - expected).masked_fill(hidden, 0).abs().max().item() <= 1e-12
            for word in ("scores", "masked", "pattern"):
                looked = torch.stack(list(run.maps(path, word)))
                torch.testing.assert_close(looked, run.value(f"{path}.{word}")[0], rtol=0, atol=1e-12)
            if f"{path}.out" not in " ".join(words):
                bias = model.get_submodule(path).o.bias
                written = sum(trace[f"{path}.out"] for trace in alone) + (0 if bias is None else bias)
                assert (written - run.value(f"{path}.out")).abs().max().item() <= 1e-10


def test_one_head_takes_the_memory_of_one_and_the_weights_of_all() -> None:
    model = model_of("gpt2")
    attention = model.blocks[1].attn
    one = attention.one_head(2)
    assert one.q.weight.data_ptr() == attention.q.weight[12:].data_ptr()
    assert one.o.weight.data_ptr() == attention.o.weight[:, 12:].data_ptr()
    trace = run_of(model).head("blocks.1.attn", 2)
    assert trace["blocks.1.attn.pattern"].shape == (1, 1, 12, 12)


@families
def test_heads_alone_leave_a_past_as_it_is(family: str) -> None:
    model = model_of(family)
    run = run_of(model, past=Past.nothing(model, CONTEXT))
    before = run.cache.keys.clone(), run.cache.values.clone()
    for path in attentions(model).values():
        run.head(path, 1)
    assert torch.equal(run.cache.keys, before[0])
    assert torch.equal(run.cache.values, before[1])


def test_what_is_no_head_is_said() -> None:
    run = run_of(model_of("llama"))
    for path in ("blocks.1", "blocks.9.attn", "blocks.1.mlp", "", "embed"):
        with pytest.raises(InputError, match=f"^there is no attention '{path}' in this model$"):
            run.head(path, 0)
    with pytest.raises(InputError, match=r"^there is no head 4; this model has heads 0 to 3$"):
        run.head("blocks.1.attn", 4)
    with pytest.raises(Cancelled):
        run.head("blocks.1.attn", 0, cancelled=lambda: True)
