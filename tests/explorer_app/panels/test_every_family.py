"""Every panel shows every family: it asks only what is known of the model, and draws it, at every kind of step."""

from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from explorer_app.panel.registry import PANELS
from explorer_app.panels import load_panels
from explorer_app.state.store import SITES
from model_core.families.registry import FAMILIES
from tests.support.models.tiny import CONFIGS, ENCODER_DECODERS, save
from tests.support.window.panel_on_screen import PROMPT, on_screen

pytestmark = pytest.mark.process

MODELS = [*CONFIGS, *ENCODER_DECODERS]
PANEL_NAMES = [registered.name for registered in load_panels()]
STEPS = 6


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def model(folders: Path, name: str) -> str:
    folder = folders / name.replace(" ", "-")
    return str(folder) if folder.exists() else save(folder, name)


def colours(image: QImage) -> int:
    """How many there are at some places of a picture."""
    places = [(x, y) for x in range(0, image.width(), 9) for y in range(0, image.height(), 9)]
    return len({image.pixelColor(x, y).rgb() for x, y in places})


def test_every_family_is_among_the_models() -> None:
    assert {name.split()[0] for name in MODELS} == set(FAMILIES)


@pytest.mark.parametrize("panel", PANEL_NAMES)
@pytest.mark.parametrize("name", MODELS)
def test_every_panel_shows_every_family(name: str, panel: str, folders: Path, qtbot: QtBot) -> None:
    kind = PANELS[panel].build
    with on_screen(qtbot, kind, model(folders, name), PROMPT) as shown:  # type: ignore[type-var, arg-type]
        session = shown.session
        assert session.answer(SITES) is not None
        session.change(target="The dog saw")
        shown.settle()
        assert len(session.texts) == 1 + (name in ENCODER_DECODERS)
        if not shown.panel.applies(session.run):
            assert shown.panel.needs() == []
            return
        assert colours(shown.panel.grab().toImage()) > 3
        for attention in session.kinds:
            shown.select(stack=attention.name, layer=1, head=3, query=2, key=1)
            session.go_to(attention.site(1, "masked"))
            shown.settle()
        for step in range(0, len(session.sites), max(1, len(session.sites) // STEPS)):
            session.go_to_step(step)
            session.hover(1, 0)
            shown.settle()
        session.hover(None)
        first = session.kinds[0].name
        shown.change(edits=("mask off", f"ablate {first} L1H2".replace("  ", " ")))
        assert session.shown == session.scene
        shown.panel.grab()
        assert session.message == ""
        assert shown.engine._failed == set()
