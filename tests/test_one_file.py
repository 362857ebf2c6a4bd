"""What is new is one file in its room: dropped there, it is found by the command line, the window and the engine."""

from pathlib import Path

import pytest

from tests.support.models import tiny
from tests.support.one_file import Program

pytestmark = pytest.mark.process

FAMILY = '''
"""GPT-2 with an MLP as wide as its stream."""

from dataclasses import dataclass

from model_core.families.gpt2 import GPT2Config, build
from model_core.families.registry import Family, register


@dataclass(frozen=True)
class PlantedConfig(GPT2Config):
    """The configuration."""


TINY = PlantedConfig(vocab_size=40, width=16, layers=1, heads=2, hidden=16, context=12)
register(
    Family("planted", "Planted", "Planted by a test.", PlantedConfig, build, published={"tiny": TINY})
)
'''

CHECKPOINT_FORMAT = '''
"""A folder whose planted.txt has a number, the width of a GPT-2 without training."""

from functools import partial

import torch

from model_core.api.files.regular_file import is_there
from model_core.checkpoint.building import empty_model
from model_core.checkpoint.files import Stored
from model_core.checkpoint.registry import Blueprint, Reader, register
from model_core.families.gpt2 import GPT2Config
from model_core.families.registry import FAMILIES
from model_core.text.tokenizer import IdTokenizer


def recognises(path):
    return is_there(path / "planted.txt")


def read(path, said):
    width, family = int((path / "planted.txt").read_text()), FAMILIES["gpt2"]
    config = GPT2Config(vocab_size=40, width=width, layers=1, heads=2, hidden=16, context=12)
    tensors = {
        name: Stored(name, tuple(parameter.shape), "F32", partial(torch.ones, parameter.shape))
        for name, parameter in empty_model(family, config).named_parameters()
    }
    return Blueprint(path.name, family, config, tensors, lambda: IdTokenizer(40))


register(Reader("planted.txt", recognises, read))
'''

TOKENIZER_FORMAT = '''
"""A file *.planted: the letters a to z, written large."""

from model_core.text.registry import Format, register, unused
from model_core.text.tokenizer import IdSet, Tokenizer


class PlantedTokenizer(Tokenizer):
    name, bos, eos, prefix, origin = "planted", None, None, (), None

    def __init__(self, vocab_size):
        self.vocab_size = vocab_size
        self.special = IdSet.without(range(26), vocab_size)

    def encode(self, text):
        return [ord(letter) - ord("a") for letter in text.lower()]

    def decode(self, ids):
        return "".join(map(self.token, ids))

    def token(self, id):
        return chr(ord("A") + id) if id < 26 else unused(id)


def find(folder, vocab_size):
    return min(folder.glob("*.planted"), default=None)


register(Format(5, find, lambda path, wanted: PlantedTokenizer(wanted.vocab_size)))
'''

COMMAND = '''
"""`layerscope planted`: say a word several times."""

from dataclasses import dataclass

from model_core.cli.arguments import count
from model_core.cli.registry import Command, register


@dataclass(frozen=True)
class PlantedOptions:
    word: str
    times: int


def add(command):
    command.add_argument("word", help="what is said")
    command.add_argument("--times", type=count, default=1, help="how often")


def run(options):
    print(*[options.word] * options.times)


register(Command("planted", "say a word several times", 90, PlantedOptions, add, run))
'''


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def opens(program: Program, model: str, prompt: str, begins: str) -> None:
    """The model is on the command line, and in the window with its engine."""
    said = program.run("generate", "--model", model, "--prompt", prompt, "--max-new-tokens", "2")
    assert said.startswith(begins)
    program.draws("--model", model, "--prompt", prompt)


def test_a_family(program: Program) -> None:
    program.drop("model_core/families/planted.py", FAMILY)
    assert "untrained:planted/tiny" in program.run("models")
    opens(program, "untrained:planted/tiny", "1 2 3", "1 2 3")


def test_a_format_of_checkpoints(program: Program) -> None:
    program.drop("model_core/checkpoint/formats/planted.py", CHECKPOINT_FORMAT)
    assert "planted.txt" in program.run("models")
    folder = program.root / "mine"
    folder.mkdir()
    assert "or planted.txt" in program.run("evaluate", str(folder), code=2)
    (folder / "planted.txt").write_text("8")
    opens(program, str(folder), "1 2 3", "1 2 3")


def test_a_format_of_tokenizers(program: Program) -> None:
    program.drop("model_core/text/formats/planted.py", TOKENIZER_FORMAT)
    model = tiny.save(program.root / "mine", "gpt2", tokenizer=None)
    manifest = Path(model) / "layerscope.json"
    manifest.write_text(manifest.read_text().replace('"tokenizer": null', '"tokenizer": {}'))
    (Path(model) / "letters.planted").touch()
    opens(program, model, "hello", "HELLO")


def test_a_command(program: Program) -> None:
    program.drop("model_core/cli/commands/planted.py", COMMAND)
    assert "say a word several times" in program.run("--help")
    assert "how often" in program.run("planted", "--help")
    assert program.run("planted", "yes", "--times", "2") == "yes yes\n"
    assert program.run("planted", "--times", "0", code=2).startswith("layerscope: ")
