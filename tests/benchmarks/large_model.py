"""Writes a random model of GPT-2's size to a folder: something that takes a while to load."""

import sys

from model_core.checkpoint.formats import native
from model_core.families.first_weights import initialise
from model_core.families.gpt2 import GPT2Config
from model_core.families.registry import FAMILIES

family = FAMILIES["gpt2"]
config = GPT2Config(vocab_size=50257, width=768, layers=12, heads=12, hidden=3072, context=1024)
model = family.build(config)
initialise(model, 0)
native.save(
    sys.argv[1], model, family, tokenizer="tales-2048", name="large", about="random weights of GPT-2's size"
)
