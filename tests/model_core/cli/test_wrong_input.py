"""What the command line cannot do it says in one line."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from model_core.api.opening import RECIPE
from model_core.api.plain_text import shortened
from model_core.parts.decoder import Decoder
from model_core.sources import presets
from model_core.sources.presets import NAMES
from model_core.system import devices
from tests.support.command_line import LONG, PROMPT, refused
from tests.support.hostile.broken import BROKEN

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: COMMAND; see layerscope --help"),
        ("dance", "invalid choice: 'dance'"),
        ("trace", "the following arguments are required: --model, --out; see layerscope trace --help"),
        ("trace --model M --out F", "one of the arguments --prompt --tokens --prompt-file is required"),
        (
            "trace --model M --out F --prompt a --tokens 1",
            "argument --tokens: not allowed with argument --prompt",
        ),
        (
            "trace --model M --out F --tokens 1,x,3",
            "argument --tokens: '1,x,3' are no token ids such as 1,2,3",
        ),
        ("trace --model M --out F --tokens 1,,3", "'1,,3' are no token ids"),
        ("trace --model M --out F --tokens=-1", "'-1' are no token ids"),
        ("trace --model M --out F --tokens 1.5", "'1.5' are no token ids"),
        ("trace --model M --out F --prompt a --color", "unrecognized arguments: --color"),
        ("generate --model M", "the following arguments are required: --prompt"),
        ("generate --model M --prompt a --max-new-tokens 0", "'0' is not a whole number from 1 up"),
        ("generate --model M --prompt a --max-new-tokens -3", "'-3' is not a whole number from 1 up"),
        ("generate --model M --prompt a --top-k x", "argument --top-k: invalid int value: 'x'"),
        ("generate --model M --prompt a --seed 1e3", "'1e3' is not a whole number from 0 up"),
        ("generate --model M --prompt a --temperature nan", "temperature nan is not a number from 0 up"),
        ("generate --model M --prompt a --temperature=-1", "temperature -1.0 is not a number from 0 up"),
        ("generate --model M --prompt a --top-k 0", "top-k 0 keeps no token"),
        ("generate --model M --prompt a --top-p 2", "top-p 2.0 is not a share above 0 and up to 1"),
        ("generate --model M --prompt a --edit dance", "no edit reads 'dance': try ablate L3H5; mask off, "),
        ("train --preset tales-llama --out D", "tales-llama learns from text: name it with --data FILE"),
        ("train --preset p --out D --data F", "there is no preset 'p': name one of tales-llama"),
        ("train --preset p --out D --data F --dtype float8", "argument --dtype: invalid choice: 'float8'"),
        ("train --preset p --out D --data F --held-out one", "'one' are no document numbers such as 1,2,3"),
        ("engine now", "unrecognized arguments: now"),
    ],
)
def test_wrong_arguments_are_one_line(capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    assert message in refused(capsys, line.split())


@pytest.mark.parametrize(
    "model", ["no/such/path", "tales", "a\nb", "~nobody-of-this-name/model", "x" * 5000, "", "."]
)
def test_model_that_is_neither_a_preset_nor_a_path_is_one_line(
    capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, ["generate", "--model", model, "--prompt", "a"])
    if model in ("", "."):
        assert message == (
            ". has no config.json, params.json or layerscope.json: give the folder of a checkpoint"
        )
    else:
        assert message.startswith(
            f"there is no model '{shortened(' '.join(model.split()), 200)}': name a preset ({', '.join(NAMES)})"
        )


WITH_MODEL: dict[str, tuple[str, str]] = {
    "empty prompt": ("trace --prompt= --out {out}", "the prompt is empty: type some text"),
    "empty prompt to go on after": ("generate --prompt=", "the prompt is empty: type some text"),
    "no tokens": ("trace --tokens= --out {out}", "the prompt is empty: type some text"),
    "token outside": ("trace --tokens 1,2048 --out {out}", "Token id 2048 is not in this vocabulary"),
    "long prompt": (
        "trace --prompt {long} --out {out}",
        "more than the context of 24: shorten it, or let --cut do so",
    ),
    "long prompt to go on after": (
        "generate --prompt {long}",
        "more than the context of 24: shorten it, or let",
    ),
    "long tokens": (
        f"trace --tokens {','.join(['1'] * 31)} --out {{out}}",
        "the prompt has 31 tokens, 7 more than the context of 24: shorten it, or let --cut do so",
    ),
    "unknown site": (
        "trace --prompt a --sites *.patern --out {out}",
        "no site matches '*.patern'; nearest: blocks.",
    ),
    "site of no layer": ("trace --prompt a --sites blocks.7.* --out {out}", "no site matches 'blocks.7.*'"),
    "unknown layer": (
        "generate --prompt a --edit ablate@L3H0",
        "ablate L3H0: there is no layer 3; this model has layers 0 to 2",
    ),
    "unknown head": (
        "trace --prompt a --edit mask@off@L0H4 --out {out}",
        "mask off L0H4: there is no head 4; this model has heads 0 to 3",
    ),
    "unknown device": (
        "generate --prompt a --device abacus",
        "there is no device 'abacus' here; this machine has cpu",
    ),
    "unknown dtype": (
        "generate --prompt a --dtype float7",
        "there is no dtype 'float7'; choose one of float32",
    ),
    "prompt that is no UTF-8": ("generate --prompt \udcff", "the prompt is not valid UTF-8 text"),
    "prompt file that is no UTF-8": (
        "trace --prompt-file {latin1} --out {out}",
        "latin1.txt is not UTF-8 text: byte 2 cannot be read",
    ),
    "prompt file that is not there": (
        "trace --prompt-file {nowhere} --out {out}",
        "nowhere cannot be read: No such file or directory",
    ),
    "prompt file that is a folder": (
        "trace --prompt-file {folder} --out {out}",
        "cannot be read: Is a directory",
    ),
    "out is a folder": ("trace --prompt a --out {folder}", "cannot be written: it is there and is no file"),
    "out is a device": (
        f"trace --prompt a --out {os.devnull}",
        "cannot be written: it is there and is no file",
    ),
    "out is nowhere": ("trace --prompt a --out {nowhere}/x", "cannot be written: No such file or directory"),
    "out is below a file": ("trace --prompt a --out {latin1}/x", "cannot be written: Not a directory"),
    "out is too long": ("trace --prompt a --out " + "x" * 300, "cannot be written: File name too long"),
}


@pytest.mark.parametrize("case", WITH_MODEL)
def test_wrong_input_is_one_line(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], tmp_path: Path, case: str
) -> None:
    line, message = WITH_MODEL[case]
    (tmp_path / "latin1.txt").write_bytes("naïve".encode("latin-1"))
    names = {
        "out": tmp_path / "run.safetensors",
        "nowhere": tmp_path / "nowhere",
        "folder": tmp_path,
        "latin1": tmp_path / "latin1.txt",
        "long": LONG.replace(" ", "@"),
    }
    command, *rest = [word.format(**names).replace("@", " ") for word in line.split()]
    before = sorted(tmp_path.iterdir())
    assert message in refused(capsys, [command, "--model", models["gpt2"], *rest])
    assert sorted(tmp_path.iterdir()) == before


def test_out_that_cannot_be_written_is_told_before_anything_is_computed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "open_model", lambda *_: pytest.fail("the model was opened"))
    arguments = ["trace", "--model", "m", "--prompt", "a", "--out", str(tmp_path / "nowhere" / "x")]
    assert "cannot be written" in refused(capsys, arguments)


def test_dtype_that_the_device_cannot_compute_in_is_one_line(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("\"softmax_lastdim_kernel_impl\" not implemented for 'Half'")

    monkeypatch.setattr(devices.torch.Tensor, "softmax", missing)
    arguments = ["generate", "--model", models["gpt2"], "--prompt", "a", "--dtype", "float16"]
    message = refused(capsys, arguments)
    assert message == "cpu cannot compute in float16: choose another dtype or device"


@pytest.mark.parametrize("command", ["trace", "generate", "evaluate", "train"])
def test_memory_that_ran_out_is_one_line(
    capsys: pytest.CaptureFixture[str],
    models: dict[str, str],
    out: Path,
    preset: str,
    data: list[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")

    forward = Decoder.forward
    monkeypatch.setattr(
        Decoder,
        "forward",
        lambda self, tokens, *rest: forward(self, tokens, *rest) if tokens.is_meta else exhausted(),
    )
    arguments = {
        "trace": ["--model", models["llama"], "--prompt", PROMPT, "--out", str(out)],
        "generate": ["--model", models["llama"], "--prompt", PROMPT],
        "evaluate": [models["llama"]],
        "train": ["--preset", preset, *data, "--out", str(out)],
    }[command]
    assert " needs more memory than is free: use " in refused(capsys, [command, *arguments])


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("command", ["generate", "trace", "evaluate"])
def test_broken_checkpoint_is_one_line(
    capsys: pytest.CaptureFixture[str],
    models: dict[str, str],
    tmp_path: Path,
    out: Path,
    command: str,
    case: str,
) -> None:
    damage, words = BROKEN[case]
    folder = tmp_path / "broken"
    shutil.copytree(models["llama"], folder)
    damage(folder)
    arguments = {
        "generate": ["--model", str(folder), "--prompt", PROMPT],
        "trace": ["--model", str(folder), "--prompt", PROMPT, "--out", str(out)],
        "evaluate": [str(folder)],
    }[command]
    message = refused(capsys, [command, *arguments])
    assert all(word in message for word in words), message
    assert not out.exists()


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_text_to_learn_from_that_cannot_be_used_is_one_line(
    capsys: pytest.CaptureFixture[str], models: dict[str, str], preset: str, tmp_path: Path, command: str
) -> None:
    text = tmp_path / "text.txt"
    what = {
        "train": ["--preset", preset, "--out", str(tmp_path / "made")],
        "evaluate": [models["llama"]],
    }[command]
    begin = [command, *what, "--held-out", "2", "--data", str(text)]
    assert "text.txt cannot be read: No such file or directory" in refused(capsys, begin)
    text.write_bytes(b"abc\xff")
    assert "text.txt is not UTF-8 text: byte 3 cannot be read" in refused(capsys, begin)
    text.write_text("one short document", encoding="utf-8")
    assert refused(capsys, begin) == "document 2 cannot be held out: the text has 1 document"


def test_training_that_cannot_begin_is_one_line(
    capsys: pytest.CaptureFixture[str],
    preset: str,
    data: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = ["train", "--preset", preset, *data]
    made = tmp_path / "made"
    assert "there is no device 'abacus' here" in refused(
        capsys, [*begin, "--out", str(made), "--device", "abacus"]
    )
    (tmp_path / "file").touch()
    assert "file cannot be written: " in refused(capsys, [*begin, "--out", str(tmp_path / "file")])
    too_short = [*begin, "--held-out", "0,1", "--out", str(made)]
    recipe = presets.folder_of(preset) / RECIPE
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("length = 16", "length = 500"))
    assert "training needs more than 500" in refused(capsys, too_short)
