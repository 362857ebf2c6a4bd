"""A copy of the program that a file can be dropped into, and how it is used as the program itself is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


class Program:
    """Both packages beside the assets, as in a checkout. Its window and engine are processes of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for package in ("model_core", "explorer_app"):
            shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "assets").symlink_to(ROOT / "assets", target_is_directory=True)

    def drop(self, file: str, text: str) -> None:
        """Put a new file into a room, "model_core/families/planted.py"; no other file is touched."""
        path = self.root / file
        assert not path.exists()
        path.write_text(text, encoding="utf-8")

    def run(self, *words: str, code: int = 0) -> str:
        """What `layerscope WORDS` prints; on stderr where it is to end with another code than 0."""
        done = subprocess.run(
            [sys.executable, "-m", "explorer_app", *words],
            cwd=self.root,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert (done.stderr == "") == (code == 0)
        return done.stdout if code == 0 else done.stderr

    def draws(self, *words: str) -> None:
        """The window opens on `layerscope snapshot WORDS`, and its engine answers all that is on screen."""
        picture = self.root / "picture.png"
        self.run("snapshot", *words, "--out", str(picture))
        assert picture.read_bytes().startswith(PNG)
        picture.unlink()
