"""On a screen with two device pixels to a unit, pictures are sharp and clicks still mean what is under them."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

SCRIPT = """
import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from explorer_app import theme
from explorer_app.widgets.lists.bars import Bar, BarList
from explorer_app.widgets.lists.chips import TokenStrip
from explorer_app.widgets.maps.heatmap import Heatmap
from explorer_app.widgets.plots.plotting import Canvas
from explorer_app.widgets.maps.thumbnails import ThumbnailGrid

app = QApplication([])
theme.load_fonts()
theme.apply(app, "light")
got = []

def press(widget, place):
    app.processEvents()
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=place.toPoint())

heatmap = Heatmap()
heatmap.resize(500, 400)
heatmap.clicked.connect(lambda *cell: got.append(cell))
heatmap.show_matrix(np.eye(6, 9, dtype=np.float32), list("abcdef"), list("abcdefghi"))
heatmap.show()
app.processEvents()
canvas = heatmap.findChild(Canvas)
for cell in [(0, 0), (5, 8), (3, 2)]:
    press(canvas.viewport(), heatmap.cell_centre(*cell) - QPointF(canvas.pos()))
image = heatmap.grab().toImage()
assert image.devicePixelRatio() == 2 and image.width() == 1000
one, zero = ((heatmap.cell_centre(3, col) + QPointF(0, 15)) * 2 for col in (3, 4))
assert image.pixelColor(zero.toPoint()).name() == theme.LIGHT.panel
assert image.pixelColor(one.toPoint()).name() != theme.LIGHT.panel

grid = ThumbnailGrid()
grid.resize(400, 300)
grid.clicked.connect(lambda *cell: got.append(cell))
maps = np.zeros((3, 4, 50, 50), np.float32)
maps[..., ::2, ::2] = 1
grid.show_maps(maps, ["L0", "L1", "L2"], ["H0", "H1", "H2", "H3"])
grid.show()
app.processEvents()
press(grid, grid.map_rect(2, 3).center())
grid.grab()
picture = grid.image()
assert picture.devicePixelRatio() == 2 and picture.width() > grid.map_rect(2, 3).right()
assert grid.caption() == ""  # at two device pixels a unit, every one of the 50 cells has its own
colours = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(picture.height())}
assert len(colours) == 3, colours

strip = TokenStrip()
strip.resize(400, strip.sizeHint().height())
strip.clicked.connect(lambda index: got.append(index))
strip.show_tokens(["a", " b", "c"], [1, 2, 3])
strip.show()
press(strip.viewport(), strip.item_rect(1).center())

bars = BarList()
bars.resize(400, 200)
bars.clicked.connect(lambda index: got.append(index))
bars.show_bars([Bar("a", 0.5, "50 %"), Bar("b", 0.2, "20 %")])
bars.show()
press(bars.viewport(), bars.item_rect(1).center())

assert got == [(0, 0), (5, 8), (3, 2), (2, 3), 1, 1], got
print("all right")
"""


@pytest.mark.process
def test_at_twice_the_scale_clicks_hit_and_pictures_have_every_device_pixel() -> None:
    environment = {**os.environ, "QT_SCALE_FACTOR": "2", "QT_QPA_PLATFORM": "offscreen"}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.stdout.strip() == "all right", result.stderr
