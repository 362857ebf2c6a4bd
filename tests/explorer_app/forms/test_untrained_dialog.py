"""A model without training: the dialog fills in what was published, and counts while one types."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.forms.config_form import ConfigForm, with_words
from explorer_app.forms.untrained_dialog import UntrainedDialog
from explorer_app.state.session import Session
from explorer_app.window.window import MainWindow
from model_core.api.scene import Scene
from model_core.families.registry import FAMILIES
from tests.support.window.local_engine import LocalEngine
from tests.support.window.window_on_screen import at_rest
from tests.support.window.windows import action

pytestmark = pytest.mark.process


@pytest.fixture
def dialog(qtbot: QtBot) -> Iterator[UntrainedDialog]:
    session = Session(Scene("tales-llama", "The cat"))
    client = LocalEngine(session, lambda: [])
    client.start()
    dialog = UntrainedDialog(session, client)
    dialog.show()
    yield dialog
    dialog.reject()
    client.close()


def choose(dialog: UntrainedDialog, family: str, size: str) -> None:
    names = list(dialog.known())
    dialog.families.setCurrentRow(names.index(family))
    dialog.sizes.setCurrentText(size)
    dialog.sizes.activated.emit(dialog.sizes.currentIndex())


def field(dialog: UntrainedDialog, name: str) -> object:
    assert dialog.form is not None
    return dialog.form.fields[name]


def test_every_family_with_its_published_sizes_is_offered(dialog: UntrainedDialog) -> None:
    published = {name: list(family.published) for name, family in FAMILIES.items() if family.published}
    assert list(dialog.known()) == list(published)
    for name, sizes in published.items():
        choose(dialog, name, sizes[0])
        assert [dialog.sizes.itemText(row) for row in range(dialog.sizes.count())] == sizes
        assert FAMILIES[name].about.split()[0].strip(":") in dialog.about.toPlainText()
        assert dialog.words() == []
        assert dialog.create_button.isEnabled() or "does not fit" in dialog.takes.text()


def test_it_begins_with_the_smallest_gpt2(dialog: UntrainedDialog) -> None:
    assert dialog.model() == "untrained:gpt2/124M"
    assert "124,439,808" in dialog.takes.text()
    assert "497.8 MB" in dialog.takes.text()


def test_parameters_and_memory_follow_what_is_filled_in(dialog: UntrainedDialog) -> None:
    field(dialog, "layers").setValue(11)
    assert f"{124_439_808 - 7_087_872:,}" in dialog.takes.text()
    field(dialog, "tied").setChecked(False)
    assert f"{124_439_808 - 7_087_872 + 50257 * 768:,}" in dialog.takes.text()
    assert dialog.words() == ["layers=11", "tied=false"]
    choose(dialog, "gpt2", "124M")
    assert dialog.words() == []


def test_what_makes_no_model_is_said_below_its_field_and_cannot_be_created(dialog: UntrainedDialog) -> None:
    field(dialog, "heads").setValue(7)
    form = dialog.form
    assert form is not None
    assert form.complaint.isVisible()
    assert form.complaint.text() == "a width of 768 cannot be split into 7 heads"
    assert form.blamed == ["width", "heads"]
    assert form.complaint.y() > form.fields["heads"].y()
    assert form.complaint.y() < form.fields["hidden"].y()
    assert not dialog.create_button.isEnabled()
    field(dialog, "heads").setValue(8)
    assert not form.complaint.isVisible()
    assert form.blamed == []
    assert dialog.create_button.isEnabled()


def test_what_is_no_number_is_said_below_its_field(dialog: UntrainedDialog, qtbot: QtBot) -> None:
    eps = field(dialog, "eps")
    eps.selectAll()
    qtbot.keyClicks(eps, "small")
    assert dialog.form is not None
    assert dialog.form.complaint.text() == "eps='small': eps is a number"
    assert dialog.form.blamed == ["eps"]


def test_what_does_not_fit_cannot_be_created(dialog: UntrainedDialog) -> None:
    field(dialog, "layers").setValue(1200)
    field(dialog, "width").setValue(12 * 4096)
    assert "does not fit" in dialog.takes.text()
    assert not dialog.create_button.isEnabled()


def test_what_was_created_is_opened(qtbot: QtBot, model: str) -> None:
    window = MainWindow(Session(Scene(model, "5 17 3")), connect=LocalEngine)
    qtbot.addWidget(window)
    window.show()
    window.client.start()
    qtbot.waitUntil(lambda: at_rest(window) and window.session.run is not None, timeout=60_000)
    action(window, "New untrained model").trigger()
    dialog = window.findChild(UntrainedDialog)
    assert dialog is not None
    choose(dialog, "mini", "tiny")
    field(dialog, "layers").setValue(1)
    field(dialog, "seed").setValue(3)
    dialog.create_button.click()
    qtbot.waitUntil(lambda: window.session.shown.model == "untrained:mini/tiny", timeout=60_000)
    assert window.session.shown.config == ("layers=1", "seed=3")
    window.close()


def test_before_the_engine_is_there_nothing_can_be_created(qtbot: QtBot) -> None:
    session = Session(Scene("tales-llama", "The cat"))
    client = LocalEngine(session, lambda: [])
    dialog = UntrainedDialog(session, client)
    assert not dialog.create_button.isEnabled()
    assert "engine is starting" in dialog.takes.text()
    client.start()
    assert dialog.create_button.isEnabled()
    dialog.reject()
    client.close()


def test_later_words_take_the_place_of_earlier_ones() -> None:
    assert with_words(("heads=4", "seed=1"), ["heads=8"]) == ("heads=8", "seed=1")


def test_every_kind_of_field_says_what_is_filled_in(qtbot: QtBot) -> None:
    fields = [
        {"name": "heads", "kind": "int", "choices": [], "default": 8, "about": ""},
        {"name": "tied", "kind": "bool", "choices": [], "default": True, "about": ""},
        {
            "name": "norm",
            "kind": "choice",
            "choices": ["std", "standard"],
            "default": "standard",
            "about": "",
        },
        {"name": "eps", "kind": "float", "choices": [], "default": 1e-5, "about": ""},
        {"name": "windows", "kind": "text", "choices": [], "default": "4,none", "about": ""},
    ]
    form = ConfigForm(fields)
    qtbot.addWidget(form)
    assert form.words() == ["heads=8", "tied=true", "norm=standard", "eps=1e-05", "windows=4,none"]
