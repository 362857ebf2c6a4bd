"""Where the bundled files are: trained presets, lessons, fonts. Imports neither torch nor Qt."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]


def asset(*parts: str) -> Path:
    """The path of a bundled file, e.g. `asset("fonts", "Inter-Regular.ttf")`; not checked to exist.

    An installed wheel carries the files inside this package, a source checkout has them beside it.
    """
    installed = _PACKAGE / "_assets"
    root = installed if installed.is_dir() else _PACKAGE.parent / "assets"
    return root.joinpath(*parts)
