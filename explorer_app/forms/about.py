"""What the program is: its version and licence, and the libraries that it runs on."""

import platform
from importlib.metadata import PackageNotFoundError, version

from PySide6.QtCore import qVersion

from explorer_app.words.text import tr

LICENCE = "MIT"


def about_text() -> str:
    """In plain lines, to be read and to be sent along with a report."""
    return "\n".join(
        [
            tr("Layerscope {version} · {licence} licence").format(
                version=version_of("layerscope"), licence=LICENCE
            ),
            "",
            tr(
                "A desktop explorer of transformer architectures: type a prompt and see what the model really "
                "computed. Every number on screen is the model's."
            ),
            "",
            tr(
                "Python {python} · PyTorch {torch} · Qt {qt} · PySide6 {pyside} · pyqtgraph {pyqtgraph}"
            ).format(
                python=platform.python_version(),
                torch=version_of("torch"),
                qt=qVersion(),
                pyside=version_of("PySide6-Essentials"),
                pyqtgraph=version_of("pyqtgraph"),
            ),
        ]
    )


def version_of(package: str) -> str:
    """The version that is installed; the window loads no torch to ask it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return tr("(not installed)")
