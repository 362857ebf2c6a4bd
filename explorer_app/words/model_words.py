"""How a model is called, where it is short of room and where it is not, and whether it can still be found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_core.api.errors import InputError
from model_core.api.files.paths import expanded
from model_core.api.files.regular_file import is_there
from model_core.api.model_ref import split
from model_core.api.plain_text import bytes_text, shortened, visible
from model_core.api.scene import Scene

from explorer_app.words.text import tr

UNTRAINED = "untrained:"
NAME = 60  # characters


def model_title(model: str) -> str:
    """How a scene's model is called where room is short: a preset's name, or the last part of a path."""
    if model.startswith(UNTRAINED):
        name = short_name(model.removeprefix(UNTRAINED).replace("/", " "))
        return tr("{name} untrained").format(name=name)
    name, step = split(model)
    title = short_name(Path(name).name or name)
    return title if step is None else tr("{name} at step {step}").format(name=title, step=f"{step:,}")


def scene_words(scene: Scene) -> str:
    """What a scene is, in a line: its model, its texts, its edits, and what it ran on where that is not usual."""
    usual = Scene(scene.model, scene.prompt)
    texts = [f"“{visible(text, keep='')}”" for text in (scene.prompt, scene.target) if text]
    on = [name for name, said in ((scene.device, usual.device), (scene.dtype, usual.dtype)) if name != said]
    return " · ".join([model_title(scene.model), *texts, *scene.edits, *on])


def distinct_titles(models: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """How models, each with what was said beside its files, are called in one list: of one title, by where they lie.

    A preset keeps its name alone. Of two that lie in one place, what was said tells them apart.
    """
    titles = [model_title(model) for model, _ in models]
    places = [
        ", ".join([*folder_words(model), *config]) if titles.count(title) > 1 else ""
        for title, (model, config) in zip(titles, models, strict=True)
    ]
    return [
        tr("{name} ({place})").format(name=title, place=short_name(place)) if place else title
        for title, place in zip(titles, places, strict=True)
    ]


def folder_words(model: str) -> list[str]:
    """The folder that a checkpoint lies in; nothing for what has no path."""
    folder = Path(model).parent
    return [] if model.startswith(UNTRAINED) or folder == Path() else [str(folder)]


def short_name(name: str) -> str:
    """A name of a model or a file that somebody else chose, in one line and no longer than can be read."""
    return shortened(visible(shortened(name, NAME), keep=""), NAME)


def model_tip(model: str, config: Sequence[str]) -> str:
    """The whole of what was opened: the path, and what was said beside it."""
    return "\n".join([model, *config])


def preset_line(facts: Mapping[str, Any]) -> str:
    """What a preset is, in a line: size, family, what it was trained on, how good it was measured to be."""
    size = tr("{count} parameters").format(count=count_text(facts["parameters"]))
    words = [facts["title"], size, facts["data"], facts["quality"]]
    if not facts["bytes"]:
        words.append(tr("not trained yet"))
    return " · ".join(word for word in words if word)


def preset_tip(facts: Mapping[str, Any]) -> str:
    """The whole of what is known of a preset, in lines."""
    lines = [facts["about"], tr("{size} on disk").format(size=memory_text(facts["bytes"] or None))]
    if facts["data"]:
        lines.append(tr("trained on {data} ({licence})").format(data=facts["data"], licence=facts["licence"]))
    if facts["quality"]:
        lines.append(tr("measured: {quality}").format(quality=facts["quality"]))
    return "\n".join(lines if facts["bytes"] else [facts["about"], tr("not trained yet")])


def why_missing(model: str) -> str:
    """Why a model of before cannot be opened now; "" where nothing speaks against it."""
    if model.startswith(UNTRAINED):
        return ""
    try:
        found = is_there(expanded(model))
    except InputError as error:
        return str(error)
    return "" if found else tr("not found")


def memory_text(size: int | None) -> str:
    """Bytes as a person reads them: "15.6 GB"; "" where nobody knows."""
    return "" if size is None else bytes_text(size)


def count_text(count: int) -> str:
    """A number of parameters as a person reads it: "124.4 M"."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.4g} {letter}"
    return str(count)
