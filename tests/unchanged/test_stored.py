"""The presets compute what they computed when their values were stored."""

import json

import numpy as np
import pytest

from model_core.system.devices import configure_threads
from tests.unchanged.stored import FILE, TOLERANCE, values

pytestmark = pytest.mark.process


def test_stored_values_of_every_preset_hold() -> None:
    configure_threads()
    stored, now = json.loads(FILE.read_text()), values()
    assert stored.keys() == now.keys()
    for label, before in stored.items():
        for name, numbers in before.items():
            if name in ("tokens", "ids"):
                assert now[label][name] == numbers, (label, name)
            else:
                np.testing.assert_allclose(
                    now[label][name], numbers, rtol=0, atol=TOLERANCE, err_msg=f"{label} {name}"
                )
