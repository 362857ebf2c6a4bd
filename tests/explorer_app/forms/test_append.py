"""Going on with a text token by token, to the token that ends it: by hand what `layerscope generate` writes."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.forms.prompt_bar import PromptBar
from explorer_app.panels.next_token import NEXT, NextToken
from explorer_app.state.session import Session
from explorer_app.state.store import RUN
from explorer_app.widgets.listening import detach
from model_core.api.scene import Scene
from model_core.cli import __main__ as cli
from tests.support.window.local_engine import LocalEngine
from tests.support.window.panel_on_screen import OnScreen, on_screen

pytestmark = pytest.mark.unit

DATE = "the 3rd of March 1987"
MOST = 20


@pytest.fixture
def dates(qtbot: QtBot) -> Iterator[OnScreen[NextToken]]:
    with on_screen(qtbot, NextToken, "dates", DATE, size=(300, 330)) as shown:
        yield shown


def written(shown: OnScreen[NextToken]) -> list[str]:
    """What the decoder reads after each press of Append, until it cannot be pressed any more."""
    found: list[str] = []
    while shown.panel.append.isEnabled() and len(found) < MOST:
        shown.panel.append.click()
        shown.settle()
        found.append(shown.session.shown.target)
    return found


@pytest.mark.process
def test_dates_writes_its_date_by_append_as_generate_does(
    dates: OnScreen[NextToken], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["generate", "--model", "dates", "--prompt", DATE, "--temperature", "0"]) == 0
    generated = capsys.readouterr().out.strip()
    assert generated == "1987-03-03"
    assert written(dates) == [generated[: n + 1] for n in range(len(generated))]
    assert dates.session.shown.prompt == DATE
    assert [text["strings"][0] for text in dates.session.texts] == ["<|begin|>", "<|begin|>"]


def test_where_the_model_ends_append_says_so_and_changes_nothing(dates: OnScreen[NextToken]) -> None:
    panel, session = dates.panel, dates.session
    dates.change(target="1987-03-03")
    assert session.answer(NEXT)["strings"][0] == "<|end|>"
    assert panel.append.text() == "The end: “<|end|>”"
    assert "complete" in panel.append.toolTip()
    assert not panel.append.isEnabled()
    panel.likely.activated.emit(0)
    dates.settle()
    assert session.scene.target == "1987-03-03"
    assert session.message == ""
    begin = session.answer(NEXT)["strings"].index("<|begin|>")
    panel.likely.clicked.emit(begin)
    assert panel.append.text() == "“<|begin|>”: no text"
    assert not panel.append.isEnabled()
    dates.change(target="1987")
    assert panel.append.text() == "Append “-”"


def test_a_special_token_whose_name_is_read_as_itself_is_appended_as_its_id(qtbot: QtBot, model: str) -> None:
    with on_screen(qtbot, NextToken, model, "The cat.", size=(300, 330)) as shown:
        answer = shown.session.answer(NEXT)
        names = [name for name, special in zip(answer["texts"], answer["special"], strict=True) if special]
        assert set(names) <= {"<|endoftext|>"}
        shown.session.append("<|endoftext|>")
        shown.settle()
        assert shown.session.run["tokens"][-1] == answer["end"] == 2047


@pytest.mark.parametrize(
    ("special", "read", "said"),
    [
        (True, ["<|begin|>"], "<|begin|> alone: the answer begins here"),
        (False, None, "the same as the encoder"),
    ],
)
def test_a_decoder_without_a_text_says_what_it_reads(
    qtbot: QtBot, special: bool, read: list[str] | None, said: str
) -> None:
    session = Session(Scene("dates", DATE, special=special))
    bar = PromptBar(session, [])
    qtbot.addWidget(bar)
    engine = LocalEngine(session, lambda: [RUN])
    engine.start()
    qtbot.waitUntil(lambda: session.run is not None and not engine.busy, timeout=60_000)
    source, target = (text["strings"] for text in session.texts)
    assert target == (read or source)
    assert bar.target.placeholderText() == said
    engine.close()
    detach(bar)
