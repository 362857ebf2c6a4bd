"""The encoder-decoder learns."""

from dataclasses import replace

import pytest
import torch

from model_core.families.first_weights import initialise
from model_core.families.seq2seq import Seq2SeqConfig, build

pytestmark = pytest.mark.process

VOCAB = 50
CONFIG = Seq2SeqConfig(vocab_size=VOCAB, width=24, layers=3, heads=4, hidden=40, context=20)


@pytest.mark.parametrize("norm", ["std", "standard"])
@pytest.mark.parametrize("order", ["pre", "post"])
def test_training_loss_falls_on_copying_the_source(norm: str, order: str) -> None:
    model = build(replace(CONFIG, norm=norm, order=order, dropout=0.05))
    initialise(model, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    source = torch.randint(2, VOCAB, (16, 6), generator=torch.Generator().manual_seed(0))
    target_in = torch.cat([torch.ones_like(source[:, :1]), source[:, :-1]], 1)
    torch.manual_seed(0)
    losses = []
    for _ in range(120):
        _, loss = model(source, target_in, source)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
