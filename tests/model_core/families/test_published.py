"""Published sizes have the number of parameters that was published, and models begin as their seed says."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from model_core.checkpoint.building import empty_model
from model_core.families.first_weights import initialise
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import ffn_hidden
from model_core.families.registry import FAMILIES, family_of
from model_core.parts.model import Model

pytestmark = pytest.mark.unit

# Of the model cards and the weights themselves; a tied head counts once.
COUNTS = {
    ("gpt2", "124M"): 124_439_808,
    ("gpt2", "355M"): 354_823_168,
    ("gpt2", "774M"): 774_030_080,
    ("gpt2", "1558M"): 1_557_611_200,
    ("llama", "stories260K"): 260_032,
    ("llama", "stories15M"): 15_191_712,
    ("llama", "stories42M"): 41_689_600,
    ("llama", "stories110M"): 109_529_856,
    ("llama", "2-7B"): 6_738_415_616,
    ("llama", "2-13B"): 13_015_864_320,
    ("llama", "2-70B"): 68_976_648_192,
    ("llama", "3-8B"): 8_030_261_248,
    ("llama", "3.2-1B"): 1_235_814_400,
    ("mistral", "7B"): 7_241_732_096,
    ("mistral", "7B-v0.3"): 7_248_023_552,
    ("qwen2", "0.5B"): 494_032_768,
    ("qwen2", "1.5B"): 1_543_714_304,
    ("qwen2", "7B"): 7_615_616_512,
    ("qwen2", "2.5-0.5B"): 494_032_768,
    ("qwen2", "2.5-1.5B"): 1_543_714_304,
    ("qwen2", "2.5-3B"): 3_085_938_688,
    ("qwen2", "2.5-7B"): 7_615_616_512,
    ("qwen3", "0.6B"): 596_049_920,
    ("qwen3", "1.7B"): 1_720_574_976,
    ("qwen3", "4B"): 4_022_468_096,
    ("qwen3", "8B"): 8_190_735_360,
}
SIZES = [(name, size) for name, family in FAMILIES.items() for size in family.published]
GPT2_124M: GPT2Config = FAMILIES["gpt2"].published["124M"]


def count(config: Any) -> int:
    return empty_model(family_of(config), config).parameter_count


@pytest.mark.parametrize(("name", "size"), COUNTS)
def test_published_size_has_the_published_number_of_parameters(name: str, size: str) -> None:
    assert count(FAMILIES[name].published[size]) == COUNTS[name, size]


def test_every_family_has_sizes_to_begin_from() -> None:
    for family in FAMILIES.values():
        assert family.published
        assert {type(config) for config in family.published.values()} == {family.config}


@pytest.mark.parametrize(("name", "size"), SIZES)
@pytest.mark.process
def test_published_size_passes_tokens_through(name: str, size: str) -> None:
    config = FAMILIES[name].published[size]
    model = empty_model(FAMILIES[name], config)
    texts = [torch.zeros(1, 3, dtype=torch.long, device="meta") for _ in model.inputs]
    with torch.no_grad():
        logits = model.reader(*texts[:-1])(texts[-1], None)
    assert logits.shape == (1, 3, config.vocab_size)


def test_gpt2_of_the_tutorials_has_the_number_of_parameters_that_they_print() -> None:
    """LLMs-from-scratch: an output head of its own, no biases on queries, keys and values."""
    scratch = replace(GPT2_124M, tied=False, qkv_bias=False)
    assert count(scratch) == 163_009_536
    assert count(replace(scratch, qkv_bias=True)) == 163_009_536 + 12 * 3 * 768
    assert count(replace(scratch, tied=True)) == 163_009_536 - 50257 * 768


@pytest.mark.parametrize(
    ("width", "multiple_of", "multiplier", "hidden"),
    [
        (4096, 256, None, 11008),  # LLaMA 2 7B
        (5120, 256, None, 13824),  # 13B
        (8192, 4096, 1.3, 28672),  # 70B
        (4096, 1024, 1.3, 14336),  # LLaMA 3 8B
        (2048, 256, 1.5, 8192),  # LLaMA 3.2 1B
        (64, 4, None, 172),  # stories260K
        (288, 32, None, 768),  # stories15M
        (512, 32, None, 1376),  # stories42M
        (768, 32, None, 2048),  # stories110M
    ],
)
def test_width_of_the_mlp_follows_from_metas_rule(
    width: int, multiple_of: int, multiplier: float | None, hidden: int
) -> None:
    assert ffn_hidden(width, multiple_of, multiplier) == hidden


EVERY_EFFORT = [6109, 3626, 6100, 345]  # "Every effort moves you"


def untrained(seed: int, **changes: Any) -> Model:
    config = replace(GPT2_124M, layers=1, **changes)
    model = family_of(config).build(config)
    initialise(model, seed)
    return model.eval()


@torch.inference_mode()
@pytest.mark.process
def test_untrained_gpt2_is_the_same_for_the_same_seed_whatever_was_drawn_before() -> None:
    first = untrained(123)(torch.tensor([EVERY_EFFORT]))
    torch.rand(7)
    again, other = (untrained(seed)(torch.tensor([EVERY_EFFORT])) for seed in (123, 124))
    assert first.shape == (1, 4, 50257)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
