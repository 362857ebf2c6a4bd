"""What goes wrong is said in the words of who reads it: no option of the command line stands in a window."""

import ast
import re
from pathlib import Path

import pytest

from model_core.api.errors import InputError, Unsaid
from model_core.cli.__main__ import main

pytestmark = pytest.mark.unit

CORE = Path(__file__).resolve().parents[3] / "model_core"
COMMAND_LINE = re.compile(r"(^|\s)--[a-z]|layerscope [a-z]+ ")
"""Options, and commands."""


def words(node: ast.AST) -> str:
    """All text that is written out in an expression."""
    return " ".join(
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def unsaid_for_the_window(tree: ast.AST) -> list[int]:
    """Lines of errors that name the command line and have no other words for the window."""
    return [
        call.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "InputError"
        and any(COMMAND_LINE.search(words(argument)) for argument in call.args)
        and not any(keyword.arg == "window" for keyword in call.keywords)
    ]


@pytest.mark.process
def test_an_error_that_names_the_command_line_has_other_words_for_the_window() -> None:
    found = [
        f"{path.relative_to(CORE)}:{line}"
        for path in sorted(CORE.rglob("*.py"))
        if CORE / "cli" not in path.parents
        and path != CORE / "api" / "command.py"  # commands are no window's
        for line in unsaid_for_the_window(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found


def test_the_rule_sees_an_error_that_names_an_option() -> None:
    code = (
        "InputError(f'say {x}, such as --config a=1')\nInputError('--data', window='b')\nInputError('a -- b')"
    )
    assert unsaid_for_the_window(ast.parse(code)) == [1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "name it with --data FILE"),
        (["--json"], "name it with --data FILE"),
        (["--controlled"], "choose some"),
        (["--json", "--controlled"], "choose some"),
    ],
)
def test_a_script_that_reads_json_is_told_of_options_and_who_controls_a_training_is_not(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--preset", "tales-llama", "--out", str(tmp_path / "run"), *options]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"layerscope: tales-llama learns from text: {words}\n")


def test_what_files_do_not_say_is_asked_for_in_the_words_of_either() -> None:
    ask = {"name": "heads", "default": 8, "about": "attention heads in each layer"}
    error = Unsaid("mine.pth", [ask], ["heads"])
    assert str(error).endswith("say it, such as --config heads=8")
    assert (
        error.window == "the files of mine.pth do not say heads (attention heads in each layer): fill it in"
    )
    assert InputError("one").window == "one"
