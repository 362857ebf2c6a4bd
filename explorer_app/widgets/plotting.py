"""The one place that imports pyqtgraph and sets it up.

It stands apart from the package's `__init__` because the import takes a quarter of a second, which the
hand-painted widgets (tokens, bars, thumbnails) should not have to wait for.
"""

import os

os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")

import pyqtgraph as pg  # noqa: E402

# Arrays are [row, column] everywhere in the project; pyqtgraph's default is the transpose.
pg.setConfigOptions(imageAxisOrder="row-major", antialias=True)

__all__ = ["pg"]
