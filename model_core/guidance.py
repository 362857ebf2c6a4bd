"""A further loss that asks two heads to look where an induction circuit looks, for models that see too few tokens."""

from torch import Tensor, nn

from model_core.loss import IGNORED

GUIDANCE = 0.3  # weight of the further loss at the first step


def guided_sites(layers: int) -> tuple[str, str]:
    """The patterns whose first heads `guidance` is about: one in an early block, one in a later."""
    return f"blocks.{layers // 4}.attn.pattern", f"blocks.{layers // 2}.attn.pattern"


def guidance(previous: Tensor, induction: Tensor, tokens: Tensor) -> Tensor:
    """A loss on two patterns [B H T T] of `tokens` [B T], in nats, about the first head of each.

    The first is to look at the token before; the second, where the present token stood before, at the token that
    followed it then. Together they are the circuit of Elhage et al. (2021) and Olsson et al. (2022).
    """
    before = previous[:, 0].diagonal(-1, 1, 2)
    followed = nn.functional.pad(tokens[:, :-1], (1, 0), value=IGNORED)
    follows = (tokens[:, :, None] == followed[:, None, :]).tril()
    there = (induction[:, 0] * follows).sum(-1)[follows.any(-1)]
    loss = -before.clamp_min(1e-6).log().mean()
    return loss - there.clamp_min(1e-6).log().mean() if len(there) else loss
