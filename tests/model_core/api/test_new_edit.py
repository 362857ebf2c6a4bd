"""A new kind of edit is one file: the command line and the window know it by that alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models.tiny import save

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]

NEW = '''"""double L3H5: one head writes twice as much."""

import re
from dataclasses import dataclass
from typing import ClassVar

from model_core.api.edits.edit import HEAD, LAYER, STACK, HeadEdit
from model_core.api.edits.registry import register


@register
@dataclass(frozen=True)
class DoubleHead(HeadEdit):
    name: ClassVar[str] = "double"
    words: ClassVar[str] = "double L3H5"
    form: ClassVar[re.Pattern[str]] = re.compile(rf"double{STACK} {LAYER}{HEAD}", re.I | re.A)

    layer: int
    head: int
    stack: str = ""

    title = "double"

    @property
    def sites(self):
        return (self.site("z"),)

    def apply(self, value, site, at):
        value = value.clone()
        value[:, self.heads(at)] *= 2
        return value

    @classmethod
    def offers(cls, kind, stack, layer, head):
        yield cls(layer, head, stack)

    def __str__(self):
        return f"double{self.where}"
'''

SCRIPT = """
import contextlib, io, json, sys
from model_core.api.edits import parse, from_json
from model_core.cli.__main__ import main
from explorer_app.words.edit_words import examples, in_words, suggestions

model, folder = sys.argv[1:]
help_text = io.StringIO()
with contextlib.redirect_stdout(help_text), contextlib.suppress(SystemExit):
    main(["trace", "--help"])
run = ["trace", "--model", model, "--prompt", "The cat sat.", "--sites", "*.z", "--out"]
with contextlib.redirect_stdout(io.StringIO()):
    codes = [
        main([*run, f"{folder}/plain.safetensors"]),
        main([*run, f"{folder}/double.safetensors", "--edit", "Double l1H2"]),
    ]
edit = parse("double L1H2")
print(json.dumps({
    "help": "double L3H5" in help_text.getvalue(),
    "codes": codes,
    "json": from_json(edit.to_json()) == edit,
    "words": in_words("double L1H2"),
    "examples": "double L3H5" in examples(),
    "offered": "double L1H2" in suggestions(1, 2),
}))
"""


def test_an_edit_that_is_dropped_into_the_room_is_known_everywhere(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    house = tmp_path / "house"
    for package in ("model_core", "explorer_app"):
        shutil.copytree(
            ROOT / package, house / package, ignore=shutil.ignore_patterns("__pycache__", "_assets")
        )
    (house / "assets").symlink_to(ROOT / "assets", target_is_directory=True)
    (house / "model_core" / "api" / "edits" / "double.py").write_text(NEW, encoding="utf-8")
    model = save(tmp_path / "tiny", "llama")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model, str(tmp_path)],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "help": True,
        "codes": [0, 0],
        "json": True,
        "words": "double · layer 1 head 2",
        "examples": True,
        "offered": True,
    }
    plain, double = (load_file(tmp_path / f"{name}.safetensors") for name in ("plain", "double"))
    key = "blocks.1.attn.z"
    assert (double[key][:, 2] == 2 * plain[key][:, 2]).all()
    assert (double[key][:, 1] == plain[key][:, 1]).all()
