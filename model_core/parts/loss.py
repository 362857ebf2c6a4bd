"""What training minimises."""

from torch import Tensor
from torch.nn.functional import cross_entropy

IGNORED = -1  # a target that is not learned from


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats of targets [B T] under logits [B T V], in float32; a target of -1 does not count."""
    return cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
