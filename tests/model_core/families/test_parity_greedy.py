"""Our models go on with a text as the reference implementation does."""

from pathlib import Path

import pytest
import torch

from model_core.checkpoint.opening import open_checkpoint
from model_core.generation.generate import Sampling, generate
from tests.support.models.reference import CONFIGS, CONTEXT, VOCAB, reference

pytestmark = pytest.mark.process

PROMPTS = torch.randint(VOCAB, (3, CONTEXT), generator=torch.Generator().manual_seed(1)).view(-1, 10)


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_a_folder_generates_the_same_greedy_tokens(tmp_path: Path, name: str) -> None:
    theirs = reference(CONFIGS[name])
    theirs.save_pretrained(tmp_path)
    ours = open_checkpoint(tmp_path).model
    written: list[int] = []
    for prompt in PROMPTS:
        continued = theirs.generate(
            prompt[None], attention_mask=torch.ones(1, 10), max_new_tokens=25, do_sample=False, pad_token_id=0
        )
        new = list(generate(ours, prompt.tolist(), 25, Sampling(0), stop=0))
        assert new == continued[0, 10:].tolist()
        written += new
    assert len(set(written)) > 3
