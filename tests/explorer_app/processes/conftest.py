"""Engines in processes of their own, and the models that they load."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from explorer_app.state.session import Session
from explorer_app.state.store import RUN, SITES
from model_core.api.scene import Scene
from tests.support.engine.watched import PROMPT, SLOW, Watched, settle
from tests.support.window.local_engine import tiny_checkpoint


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_checkpoint(tmp_path_factory.mktemp("slow"), SLOW)


@pytest.fixture
def client(qtbot: QtBot, small: str) -> Iterator[Watched]:
    """A client whose engine has answered a first scene."""
    client = Watched(Session(Scene(small, PROMPT)), lambda: [RUN, SITES])
    client.start()
    settle(qtbot, client)
    assert client.session.run is not None
    yield client
    client.close()
