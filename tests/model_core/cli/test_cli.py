"""The command line lists what there is, and answers and ends quickly and quietly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_core.checkpoint.formats.native import WEIGHTS
from model_core.cli.__main__ import main
from model_core.parts.decoder import Decoder
from model_core.sources import presets
from model_core.sources.presets import NAMES, preset_named
from tests.support.command_line import PROMPT

pytestmark = pytest.mark.unit


ROOT = Path(__file__).resolve().parents[3]


def test_models_lists_every_preset_with_its_size_and_where_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for name in NAMES:
        assert f"{name}\n    {preset_named(name).about}" in said.out
    folder = presets.folder_of("tales-llama")
    size = (folder / WEIGHTS).stat().st_size
    assert f"LLaMA, 2,755,008 parameters, {size / 1e6:.1f} MB in {folder}" in said.out
    assert "or the folder that has config.json, params.json or layerscope.json" in said.out


def test_fault_of_ours_is_no_wrong_input(models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(Decoder, "forward", faulty)
    # Uncaught, it ends the process with a traceback and 1.
    with pytest.raises(RuntimeError, match="ours"):
        main(["generate", "--model", models["gpt2"], "--prompt", "a"])


@pytest.mark.process
def test_help_answers_without_loading_torch() -> None:
    code = (
        "import sys\n"
        "from model_core.cli.__main__ import main\n"
        "for command in ([], ['trace'], ['generate'], ['train'], ['evaluate'], ['models'], ['engine']):\n"
        "    try: main([*command, '--help'])\n"
        "    except SystemExit as done: assert not done.code\n"
        "assert main(['dance']) == 2\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "False False"
    assert "usage: layerscope train" in done.stdout


@pytest.mark.process
def test_reader_that_goes_away_ends_the_command_quietly(models: dict[str, str]) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "model_core.cli", "generate", "--model", models["gpt2"]),
            *("--prompt", "naïve " + PROMPT, "--max-new-tokens", "10"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    # A terminal that knows no ï is no reason to stop; one that is closed is.
    assert process.stdout.read(8) == b"na?ve Th"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 130
