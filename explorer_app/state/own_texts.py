"""What a person typed, kept for each kind of text, whatever was cut off for one model. No Qt."""

from collections.abc import Mapping
from typing import Any

from model_core.api.model_ref import split
from model_core.api.scene import Scene

from explorer_app.state.training import Spec

Texts = dict[str, Any]
Presets = Mapping[str, Mapping[str, Any]]
FIELDS = ("prompt", "target")


class OwnTexts:
    """Prompt and target as the person has them, and what a model that cannot read the whole of them was given instead.

    now   those of the task at hand
    task  what is done with such texts: "text", "dates"
    """

    def __init__(self, texts: Mapping[str, Any], task: str = "text") -> None:
        self.now: Texts = dict(texts)
        self.task = task
        self._others: dict[str, Texts] = {}
        self._cut: dict[Any, tuple[Texts, Texts]] = {}

    def typed(self, fields: Mapping[str, Any]) -> None:
        """The person changed fields of the scene."""
        self.now |= {field: fields[field] for field in FIELDS if field in fields}

    def cut(self, shape: Any, texts: Mapping[str, Any]) -> None:
        """The models of one shape are given these; the person's own stay for all others."""
        self._cut[shape] = dict(self.now), dict(texts)

    def for_model(self, shape: Any) -> Texts:
        """What a model that does the task at hand is given: the person's own texts, or what they were cut to."""
        whole, cut = self._cut.get(shape, ({}, {}))
        return dict(cut if whole == self.now else self.now)

    def turn_to(self, task: str, name: str, presets: Presets) -> None:
        """A model of a task is opened: what was typed for such comes back, or else there is an example of the task."""
        examples = {preset: dict(facts["example"]) for preset, facts in presets.items()}
        of_task = [example for preset, example in examples.items() if presets[preset]["task"] == task]
        self.turn_out(task, of_task[0] if of_task else self.now)
        # Where nobody has typed anything yet, each preset shows its own.
        if name in examples and self.now in examples.values():
            self.now = examples[name]

    def turn_out(self, task: str, texts: Mapping[str, Any]) -> None:
        """This is the task of the model: if it is another than before, with what was typed for such, or these texts."""
        if task != self.task:
            kept = self._others.pop(task, dict(texts))
            self._others[self.task] = self.now
            self.now, self.task = kept, task


def texts_of(scene: Scene) -> Texts:
    """The texts of a scene by field."""
    return {field: getattr(scene, field) for field in FIELDS}


def task_of(model: str, presets: Presets, specs: Mapping[str, Spec]) -> str:
    """What a model does with a text: a preset's task, which a training of it and one from its weights share.

    "" where nobody knows. specs  what was trained into which folder
    """
    seen = set[str]()
    while model in specs and model not in seen:
        seen.add(model)
        model, _ = split(specs[model].preset or specs[model].source)
    return str(presets[model]["task"]) if model in presets else ""
