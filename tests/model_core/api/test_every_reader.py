"""Every file that the core reads may be a FIFO, a device, a folder, endless or forbidden: one line says so, at once."""

import ast
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from model_core.api.errors import InputError
from model_core.api.run_files import DESCRIPTION, LOG, STATE
from model_core.api.stamp import stamp
from model_core.checkpoint.formats import native
from model_core.checkpoint.opening import open_checkpoint
from model_core.cli.__main__ import main
from model_core.sources import growth
from model_core.text.tokenizer import IdTokenizer
from model_core.training import card
from model_core.training.corpus import corpus_in
from model_core.training.plan import of_file
from model_core.training.run_folder import RunFolder, held_out_in
from tests.model_core.training.test_training_state import RUN, STEPS, kept, model
from tests.support.models import tiny
from tests.support.strange_files import STRANGE, at_once, forbid, put

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Reading:
    """A folder that is whole, the file in it that will not be, and who reads it."""

    make: Callable[[Path], object]
    file: str
    read: Callable[[Path], Any]


def folder_of_hf(folder: Path) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")


def folder_of_meta(folder: Path) -> None:
    folder.mkdir()
    params = {"dim": 8, "n_layers": 1, "n_heads": 2}
    (folder / "params.json").write_text(json.dumps(params), encoding="utf-8")
    torch.save({"tok_embeddings.weight": torch.zeros(4, 8)}, folder / "consolidated.00.pth")


def our_folder(folder: Path) -> None:
    tiny.save(folder, "llama", tokenizer=None)


def trained(folder: Path) -> None:
    kept(folder)
    (folder / LOG).write_text('{"step": 1}\n', encoding="utf-8")


def with_index(folder: Path) -> None:
    folder_of_hf(folder)
    config = {
        "model_type": "llama",
        "hidden_size": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "intermediate_size": 8,
        "vocab_size": 8,
        "max_position_embeddings": 8,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    index = {"weight_map": {"a": "one.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "one.safetensors").touch()


READINGS: dict[str, Reading] = {
    "config.json": Reading(folder_of_hf, "config.json", open_checkpoint),
    "index": Reading(with_index, "model.safetensors.index.json", open_checkpoint),
    "shard": Reading(with_index, "one.safetensors", open_checkpoint),
    "params.json": Reading(folder_of_meta, "params.json", open_checkpoint),
    "piece": Reading(folder_of_meta, "consolidated.00.pth", open_checkpoint),
    "manifest": Reading(our_folder, native.MANIFEST, open_checkpoint),
    "weights": Reading(our_folder, native.WEIGHTS, open_checkpoint),
    "state dict": Reading(Path.mkdir, "model.pth", lambda folder: open_checkpoint(folder / "model.pth")),
    "llama2.c": Reading(Path.mkdir, "model.bin", lambda folder: open_checkpoint(folder / "model.bin")),
    "safetensors alone": Reading(
        Path.mkdir, "a.safetensors", lambda folder: open_checkpoint(folder / "a.safetensors")
    ),
    "growth": Reading(our_folder, growth.FILE, growth.moments),
    "description": Reading(trained, DESCRIPTION, lambda folder: RunFolder(folder, RUN)),
    "what was held out": Reading(trained, DESCRIPTION, held_out_in),
    "state": Reading(trained, STATE, lambda folder: RunFolder(folder, RUN).kept(model(), STEPS)),
    "log": Reading(trained, LOG, lambda folder: RunFolder(folder, RUN).kept(model(), STEPS)),
    "plan, JSON": Reading(Path.mkdir, "plan.json", lambda folder: of_file(folder / "plan.json")),
    "plan, TOML": Reading(Path.mkdir, "plan.toml", lambda folder: of_file(folder / "plan.toml")),
    "corpus": Reading(
        Path.mkdir, "text.txt", lambda folder: corpus_in([folder / "text.txt"], IdTokenizer(9), (), 0.0)
    ),
}
# What only looks at sizes need not refuse what is large.
READINGS_OF_SIZES = {
    "card": Reading(Path.mkdir, "text.txt", lambda folder: card.files([folder / "text.txt"]))
}


@pytest.mark.parametrize("kind", [*STRANGE, "a file that may not be read"])
@pytest.mark.parametrize("name", [*READINGS, *READINGS_OF_SIZES])
def test_what_is_no_file_to_be_read_ends_in_one_line_at_once(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in READINGS_OF_SIZES and kind == "six gigabytes of nothing":
        return
    reading = (READINGS | READINGS_OF_SIZES)[name]
    folder = tmp_path / "made"
    reading.make(folder)
    if kind in STRANGE:
        put(kind, folder / reading.file)
    else:
        forbid(folder / reading.file, monkeypatch)
    with at_once(), pytest.raises(InputError) as refused:
        reading.read(folder)
    message = str(refused.value)
    assert reading.file in message
    assert "\n" not in message
    assert "no such" not in message.lower()
    assert "does not exist" not in message


@pytest.mark.parametrize("kind", STRANGE)
def test_a_strange_prompt_file_is_refused_in_one_line(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(kind, tmp_path / "prompt.txt")
    words = ["trace", "--model", "tales-llama", "--out", str(tmp_path / "o"), "--prompt-file"]
    with at_once():
        assert main([*words, str(tmp_path / "prompt.txt")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"layerscope: {tmp_path / 'prompt.txt'} cannot be read: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("kind", [kind for kind in STRANGE if kind != "six gigabytes of nothing"])
def test_the_stamp_of_a_strange_file_is_taken_at_once(kind: str, tmp_path: Path) -> None:
    put(kind, tmp_path / "model.pth")
    with at_once():
        assert stamp(str(tmp_path / "model.pth")) == stamp(str(tmp_path / "model.pth"))
        stamp(str(tmp_path))


def test_a_header_that_claims_more_than_any_has_is_not_read(tmp_path: Path) -> None:
    tiny.save(tmp_path / "made", "llama", tokenizer=None)
    weights = tmp_path / "made" / native.WEIGHTS
    weights.write_bytes(struct.pack("<Q", 90 << 20) + b" " * 100)
    with pytest.raises(InputError, match="is no whole safetensors file: a header may have 4,194,304 bytes"):
        open_checkpoint(tmp_path / "made")


# Only these open by themselves: what is told how to, what makes files or is the system's, and what hands a checked file
# to a library. The others open no file, but a model or a dialog.
OPENERS = {
    "model_core/api/files/regular_file.py": {"os.open"},
    "model_core/api/files/writing.py": {"os.open"},
    "model_core/api/files/folder_lock.py": {"os.open"},
    "model_core/api/command.py": {"os.open"},
    "model_core/system/devices.py": {"MEMINFO.read_text", "(topology / name).read_text"},
    "model_core/training/card.py": {"Path('/proc/cpuinfo').read_text"},
    "model_core/text/tokenizer_host.py": {"STATM.read_text", "os.open", "self.open", "format.open"},
    "model_core/text/opening.py": {"format.open"},
    "explorer_app/window/picture.py": {"buffer.open"},
    "explorer_app/window/window.py": {"self.session.open", "self.open", "dialog.open", "self.asks.open"},
    "explorer_app/panels/growth.py": {"self.session.open"},
    "explorer_app/panels/train.py": {"self.session.open"},
    "explorer_app/forms/model_chooser.py": {"self.session.open"},
}


@pytest.mark.process
def test_nobody_else_opens_a_file_to_read_it() -> None:
    found: dict[str, set[str]] = {}
    for package in ("model_core", "explorer_app"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if openings := openings_in(path.read_text(encoding="utf-8")):
                found[path.relative_to(ROOT).as_posix()] = openings
    assert found == OPENERS


def openings_in(code: str) -> set[str]:
    """What is called in the code to open a file for reading, or may be."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    return {ast.unparse(call.func) for call in calls if reads(call)}


def reads(call: ast.Call) -> bool:
    """May it be a call that opens a file to read it?"""
    match call.func:
        case ast.Name(id="safe_open" | "load_file"):
            return True
        case ast.Attribute(attr="read_text" | "read_bytes" | "from_file" | "fromfile" | "memmap"):
            return True
        case ast.Attribute(value=ast.Name(id="torch"), attr="load"):
            return True
        case ast.Attribute(value=ast.Name(id="os"), attr="open"):
            return True
        case ast.Name(id="open"):
            return not writes(call, call.args[1:2])
        case ast.Attribute(attr="open"):
            return not writes(call, call.args[:2])
    return False


def writes(call: ast.Call, places: list[ast.expr]) -> bool:
    """Does its mode, in one of these places or by its name, let it write and not read?"""
    modes = [*places, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(isinstance(mode, ast.Constant) and mode.value in WRITING for mode in modes)


WRITING = {first + kind for first in "wax" for kind in ("", "b", "t")}


@pytest.mark.parametrize(
    "code",
    [
        "open(path)",
        "open(path, 'rb')",
        "open('w')",
        "path.open()",
        "path.open(encoding='utf-8')",
        "path.open(mode='rb')",
        "path.open('r+b')",
        "Path(name).open(mode)",
        "io.open(name, 'rb')",
        "gzip.open(name)",
        "os.open(path, os.O_RDONLY)",
        "path.read_text()",
        "path.read_bytes()",
        "torch.load(path)",
        "torch.from_file(str(path), size=3)",
        "torch.UntypedStorage.from_file(str(path), False, 3)",
        "np.fromfile(path)",
        "numpy.memmap(path, mode='r')",
        "safe_open(path, framework='pt')",
        "load_file(path)",
    ],
)
def test_every_spelling_that_opens_a_file_to_read_it_is_seen(code: str) -> None:
    assert len(openings_in(f"with {code} as file:\n    pass")) == 1


@pytest.mark.parametrize(
    "code", ["open(path, 'w')", "path.open('a', encoding='utf-8')", "path.open(mode='xb')", "opened(path)"]
)
def test_what_opens_a_file_to_write_it_is_let_be(code: str) -> None:
    assert openings_in(code) == set()
