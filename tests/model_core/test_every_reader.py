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

from model_core import card, growth
from model_core.checkpoint import native, open_checkpoint
from model_core.cli import main
from model_core.corpus import corpus_in
from model_core.errors import InputError
from model_core.plan import of_file
from model_core.run_files import DESCRIPTION, LOG, STATE
from model_core.run_folder import RunFolder, held_out_in
from model_core.stamp import stamp
from model_core.tokenizer import IdTokenizer
from tests.model_core import tiny
from tests.model_core.test_training_state import RUN, kept, model
from tests.strange_files import STRANGE, at_once, forbid, put

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]


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
    "state": Reading(trained, STATE, lambda folder: RunFolder(folder, RUN).kept(model())),
    "log": Reading(trained, LOG, lambda folder: RunFolder(folder, RUN).kept(model())),
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
    with pytest.raises(InputError, match="is no whole safetensors file: a header may have 16,777,216 bytes"):
        open_checkpoint(tmp_path / "made")


# Only these open files by themselves: those of the system, what is told how to, and what hands them to a library.
OPENERS = {
    "regular_file.py", "writing.py", "devices.py", "card.py", "folder_lock.py", "files.py", "tokenizer_host.py",
}  # fmt: skip


@pytest.mark.parametrize("package", ["model_core", "explorer_app"])
@pytest.mark.process
def test_nobody_else_opens_a_file_to_read_it(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name not in OPENERS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and reads(node)
    ]
    assert not found


def reads(call: ast.Call) -> bool:
    """Is it a call that opens a file to read it?"""
    words = [word.value for word in call.args if isinstance(word, ast.Constant)]
    match call.func:
        case ast.Name(id="open" | "safe_open" | "load_file"):
            return True
        case ast.Attribute(attr="read_text" | "read_bytes"):
            return True
        case ast.Attribute(value=ast.Name(id="torch"), attr="load"):
            return True
        case ast.Attribute(attr="open"):
            return "r" in words or "rb" in words
    return False
