"""The loss is the mean surprise, in nats, at the tokens that count."""

import math

import pytest
import torch

from model_core.parts.loss import IGNORED, next_token_loss

pytestmark = pytest.mark.unit

LOGITS = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([[1, IGNORED, 4], [IGNORED, 0, 2]])


def test_loss_is_the_mean_of_minus_log_probability_over_the_targets_that_count() -> None:
    surprises = []
    for b in range(2):
        for t in range(3):
            if (target := TARGETS[b, t].item()) != IGNORED:
                total = sum(math.exp(logit) for logit in LOGITS[b, t].tolist())
                surprises.append(math.log(total) - LOGITS[b, t, target].item())
    assert len(surprises) == 4
    assert next_token_loss(LOGITS, TARGETS).item() == pytest.approx(sum(surprises) / 4, rel=1e-6)


def test_loss_of_knowing_nothing_is_the_logarithm_of_the_vocabulary() -> None:
    assert next_token_loss(torch.zeros(2, 3, 5), TARGETS).item() == pytest.approx(math.log(5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_loss_of_small_dtypes_is_summed_in_float32(dtype: torch.dtype) -> None:
    loss = next_token_loss(LOGITS.to(dtype), TARGETS)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(next_token_loss(LOGITS.to(dtype).float(), TARGETS).item())


def test_gradient_reaches_only_where_a_target_counts() -> None:
    logits = LOGITS.clone().requires_grad_()
    next_token_loss(logits, TARGETS).backward()
    assert torch.equal(logits.grad.abs().sum(-1) > 0, TARGETS != IGNORED)
