"""Where the files are that tests read."""

from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"
STORIES = DATA / "stories260K"
TALES = DATA / "tales.txt"
