"""A GPU computes what the CPU and the reference compute. Run with `pytest -m cuda` where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model_core.checkpoint.opening import open_checkpoint
from model_core.families.first_weights import initialise
from model_core.families.seq2seq import Seq2SeqConfig, build
from model_core.generation.generate import Sampling, generate
from model_core.parts.model import Model
from model_core.runs.run import Run
from model_core.taps.tap import record
from tests.support.models import reference, tiny

pytestmark = pytest.mark.cuda

DEVICE = "cuda"
FLOAT32, BFLOAT16 = 1e-4, 2e-2  # largest difference allowed: of logits and patterns; of patterns
PROMPT = torch.tensor([tiny.tokens(tiny.CONTEXT)])
families = pytest.mark.parametrize("family", tiny.CONFIGS)


@pytest.fixture(autouse=True)
def without_tf32() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    with torch.inference_mode():
        yield
    torch.set_float32_matmul_precision(before)


def passed(model: Model, *texts: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits and every attention pattern, on the CPU in float32."""
    device = next(model.parameters()).device
    *others, last = (text.to(device) for text in texts)
    with record(model, ["*.pattern"]) as trace:
        logits = model.reader(*others)(last, None)
    return logits.float().cpu(), [trace[key].float().cpu() for key in trace]


def difference(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def largest(ours: list[Tensor], theirs: list[Tensor]) -> float:
    return max(difference(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", reference.CONFIGS)
def test_float32_equals_the_reference_on_the_cpu(name: str, tmp_path: Path) -> None:
    theirs = reference.reference(reference.CONFIGS[name])
    theirs.save_pretrained(tmp_path)
    tokens = torch.randint(
        reference.VOCAB, (3, reference.CONTEXT), generator=torch.Generator().manual_seed(1)
    )
    expected = theirs(tokens, output_attentions=True, use_cache=False)
    model = open_checkpoint(tmp_path, DEVICE, "float32").model
    logits, patterns = passed(model, tokens)
    assert difference(logits, expected.logits) <= FLOAT32
    assert largest(patterns, list(expected.attentions)) <= FLOAT32
    assert difference(model(tokens.to(DEVICE)).cpu(), expected.logits) <= FLOAT32


@families
def test_float32_equals_the_cpu(family: str) -> None:
    model = tiny.tiny(family)
    expected, patterns = passed(model, PROMPT)
    model.to(DEVICE)
    logits, found = passed(model, PROMPT)
    assert difference(logits, expected) <= FLOAT32
    assert largest(found, patterns) <= FLOAT32
    assert difference(model(PROMPT.to(DEVICE)).cpu(), expected) <= FLOAT32


@families
def test_bfloat16_patterns_are_near_those_of_the_cpu_in_float32(family: str) -> None:
    _, patterns = passed(tiny.tiny(family), PROMPT)
    _, found = passed(tiny.tiny(family, torch.bfloat16).to(DEVICE), PROMPT)
    assert largest(found, patterns) <= BFLOAT16


@families
def test_cached_logits_equal_uncached_logits(family: str) -> None:
    model, tokens = tiny.tiny(family).to(DEVICE), PROMPT.to(DEVICE)
    cache = model.empty_cache(1, tiny.CONTEXT)
    steps = [model(tokens[:, :7], cache)]
    steps += [model(tokens[:, n : n + 1], cache) for n in range(7, tiny.CONTEXT)]
    assert difference(torch.cat(steps, 1), model(tokens)) <= FLOAT32


@families
def test_replay_equals_full_capture(family: str) -> None:
    model = tiny.tiny(family).to(DEVICE)
    run = Run(model, PROMPT[0].tolist())
    with record(model) as whole:
        model(PROMPT.to(DEVICE))
    assert list(run.sites) == list(whole)
    for key in whole:
        assert run.value(key).device.type == DEVICE
        torch.testing.assert_close(run.value(key), whole[key], rtol=0, atol=FLOAT32)


@families
def test_greedy_text_is_that_of_the_cpu(family: str) -> None:
    model, prompt = tiny.tiny(family), PROMPT[0, :5].tolist()
    expected = list(generate(model, prompt, 12, Sampling(0)))
    assert list(generate(model.to(DEVICE), prompt, 12, Sampling(0))) == expected


@pytest.mark.parametrize("order", ["pre", "post"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_encoder_decoder_equals_the_cpu(order: str, dtype: torch.dtype) -> None:
    model = build(
        Seq2SeqConfig(vocab_size=50, width=24, layers=3, heads=4, hidden=40, context=24, order=order)
    )
    initialise(model, 0)
    for weight in model.parameters():
        if weight.ndim == 2:
            weight.mul_(8)
    model.eval()
    texts = PROMPT % 50, PROMPT[:, :9] % 50
    expected, patterns = passed(model, *texts)
    logits, found = passed(model.to(DEVICE, dtype), *texts)
    if dtype == torch.float32:
        assert difference(logits, expected) <= FLOAT32
    assert largest(found, patterns) <= (FLOAT32 if dtype == torch.float32 else BFLOAT16)
