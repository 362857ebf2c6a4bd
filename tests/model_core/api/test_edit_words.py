"""The words of edits and their JSON: each says the same, and what is neither is refused in one line."""

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_core.api.edits import KINDS, Edit, from_json, parse, toggled
from model_core.api.errors import InputError
from tests.support.models.edits import any_edit

pytestmark = pytest.mark.unit


@given(any_edit)
def test_every_edit_is_read_from_its_own_words(edit: Edit) -> None:
    assert parse(str(edit)) == edit


@given(any_edit)
def test_words_and_json_say_the_same(edit: Edit) -> None:
    said = json.loads(json.dumps(edit.to_json(), allow_nan=False))
    assert from_json(said) == edit == parse(str(from_json(said)))


@given(any_edit, st.data())
def test_blanks_and_capitals_do_not_matter(edit: Edit, data: st.DataObject) -> None:
    blank = st.text(" \t\n", min_size=1, max_size=3)
    # The name of a file is what it is.
    text, file = str(edit).split(" from ") if " from " in str(edit) else (str(edit), "")
    words = [
        data.draw(blank) + data.draw(st.sampled_from([word, word.upper(), word.lower()]))
        for word in (text + " from" * bool(file)).split()
    ]
    if file:
        words.append(data.draw(blank) + file)
    assert parse("".join(words) + data.draw(blank)) == edit


@given(
    st.one_of(
        st.text(),
        st.builds("{}{}".format, any_edit.map(str), st.text("0123456789LH mask.-,[]=>", min_size=1)),
        st.from_regex(
            r"(mask on|mask off|ablate|mean|cut|skip|window|set a|patch a) ?[LH]?\d*[LH]?\d*(->|=| from )?"
        ),
    )
)
@example("")
@example("mask off L")
@example("mask off H1")
@example("mask off L1 H2")
@example("ablate")
@example("ablate L1")
@example("ablate L-1H0")
@example("mask off L\u0663")
@example("ma\u017fk off")
@example("ablate L1H2; mask off")
@example("mask off\x00")
@example("ablate\nL1H2\nL3")
@example("mask off L1234567")
@example("mask off " + "9" * 10_000)
@example("window 0")
@example("window 8 cross")
@example("cut L1H0 5->")
@example("skip cross decoder L1")
@example("set logits[0,1]=1e999")
@example("set logits[0,1]=nan")
@example("patch logits from ")
@example("patch logits from a\x00b")
def test_any_text_is_an_edit_or_is_refused_in_one_line(text: str) -> None:
    try:
        edit = parse(text)
    except InputError as error:
        message = str(error)
    else:
        assert parse(str(edit)) == edit
        return
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    if message.startswith("no edit reads"):
        assert all(kind.words in message for kind in KINDS)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (None, "an edit is None, not an object"),
        ([], r"an edit is \[\], not an object"),
        ({}, "there is no edit None: try .*ablate"),
        ({"edit": ["ablate"]}, "there is no edit .*: try"),
        ({"edit": "ablate"}, "the edit ablate has no 'layer'"),
        ({"edit": "ablate", "layer": 1, "head": "2"}, "the edit ablate: 'head' is '2', not a whole number"),
        ({"edit": "ablate", "layer": 1, "head": -2}, "the edit ablate: 'head' is -2, not a whole number"),
        ({"edit": "ablate", "layer": 1, "head": 2, "name": "x"}, "the edit ablate has 'name'; it may have"),
        ({"edit": "ablate", "layer": 1, "head": 2, "stack": "x"}, "'x' is no attention"),
        ({"edit": "mask off", "head": 2}, "head 2 of no layer"),
        ({"edit": "window", "size": 0}, "a window of 0 tokens"),
        ({"edit": "window", "size": 3, "stack": "cross"}, "'cross' is no attention that window can change"),
        ({"edit": "skip", "layer": 1, "part": "norm"}, "'part' is 'norm', not one of"),
        ({"edit": "skip", "layer": 1, "part": "cross", "stack": "decoder"}, "write skip cross L1"),
        ({"edit": "set", "key": "logits", "cell": [1.5], "number": 1}, "'cell' is 1.5"),
        ({"edit": "set", "key": "logits", "cell": [1], "number": math.inf}, "'number' is inf"),
        ({"edit": "set", "key": "log its", "cell": [1], "number": 1}, "is no key of a site"),
        ({"edit": "patch", "key": "logits", "file": " a"}, "' a' is no name of a file"),
        ({"edit": "patch", "key": "logits", "file": ""}, "'' is no name of a file"),
    ],
)
def test_what_is_no_json_of_an_edit_is_refused_in_one_line(said: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        from_json(said)
    assert len(str(error.value).splitlines()) == 1


def test_every_kind_is_a_file_of_its_own() -> None:
    modules = {kind.__module__ for kind in KINDS}
    assert len(modules) == len(KINDS) == len({kind.name for kind in KINDS})
    for kind in KINDS:
        for words in re.split(r", (?=[a-z])", kind.words):
            assert str(parse(words)) == words
            assert isinstance(parse(words), kind)


def test_nothing_outside_their_files_names_a_kind_that_the_window_does_not_switch() -> None:
    switched = {"MaskOff", "AblateHead"}
    root = Path(__file__).parents[3]
    for path in [*root.glob("model_core/**/*.py"), *root.glob("explorer_app/**/*.py")]:
        if path.parent.name != "edits":
            text = path.read_text(encoding="utf-8")
            for kind in KINDS:
                assert kind.__name__ in switched or not re.search(rf"\b{kind.__name__}\b", text), path


@given(st.lists(any_edit.map(str), unique=True), any_edit.map(str))
def test_edit_toggled_twice_leaves_the_list_as_it_was(edits: list[str], edit: str) -> None:
    once = toggled(edits, edit)
    assert (edit in once) != (edit in edits)
    assert sorted(toggled(once, edit)) == sorted(edits)
