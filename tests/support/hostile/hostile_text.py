"""Names and tokens as somebody would choose them who wants to be obeyed: markup, marks of keys, terminal orders."""

import json
import re
from dataclasses import replace
from pathlib import Path

from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers

from model_core.checkpoint.formats import native
from model_core.families.registry import family_of
from model_core.text.tokenizer import Origin
from tests.support.models.tiny import CONFIGS, ENCODER_DECODERS, built

MARKUP = "<b>loud</b><img src=x>&amp; &file [*] {braces}"
ORDERS = "\x1b[31mred\x1b]0;title\x07\r\x00\x9b2J\u202eback\u200b\u2066"
HOSTILE = f"{MARKUP}\n\t{ORDERS}"
LONG = "w" * 5000
TOKENS = [
    "<unk>",
    "a",
    "<b>loud</b>",
    "<img src=x>",
    "&amp;",
    "&file",
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\r",
    "\x00",
    "\x9b2J",
    "\u202eback",
    "\u200b",
    "new\nline\ttab",
    LONG,
]
# What a terminal, or a line of text on screen, would obey; new lines and tabs are no orders.
OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
FOLDER = "<b>loud<img src=x>&amp; &file [*]\n\t\x1b[31m\u202eback"


def hostile_checkpoint(folder: Path, *, name: str = HOSTILE, family: str = "llama") -> str:
    """A tiny model whose name and tokens are hostile; returns its path. It continues any prompt with all of them."""
    library = Library(models.WordLevel({token: id for id, token in enumerate(TOKENS)}, unk_token="<unk>"))
    library.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    library.decoder = decoders.Fuse()
    folder.mkdir(parents=True, exist_ok=True)
    described = json.loads(library.to_str())
    (folder / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    config = replace((CONFIGS | ENCODER_DECODERS)[family], vocab_size=len(TOKENS))
    native.save(
        folder,
        built(config),
        family_of(config),
        tokenizer=Origin({}),
        name=name,
        about=HOSTILE,
        dtype="float32",
    )
    return str(folder)
