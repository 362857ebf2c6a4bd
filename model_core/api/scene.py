"""What is run: a model, its texts, and what is changed in it. No torch, no Qt."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_core.api.model_ref import split
from model_core.api.queries.query import Query

Opened = tuple[str, tuple[str, ...], str, str, str]
"""`Scene.opened`"""


@dataclass(frozen=True)
class Scene:
    """What is run: a model (preset name or path) on a device, a prompt, and edits in words.

    target   what the decoder of an encoder-decoder reads; "" for what is put before every text, or where nothing is
             for the prompt that its encoder reads
    config   what is said of the model beside its files, "heads=8" each
    special  whether the tokens that the model's own configuration puts before a prompt (BOS) are put there
    version  the stamp (stamp.py) of the model's files when they were opened, "" for whatever is there
    ids      the tokens of the prompt where they were given as such: its text need not encode to them

    Equal scenes give equal answers, whoever asks and whenever.
    """

    model: str
    prompt: str
    target: str = ""
    device: str = "cpu"
    dtype: str = "float32"
    edits: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    special: bool = True
    version: str = ""
    ids: tuple[int, ...] = ()

    @property
    def opened(self) -> Opened:
        """What decides which model is loaded, and how: scenes that share it share the loaded model."""
        return self.model, self.config, self.device, self.dtype, self.version

    @property
    def shape(self) -> tuple[str, tuple[str, ...]]:
        """What decides how many layers and heads there are: a model has them alike at every step of its training."""
        return split(self.model)[0], self.config

    def asked_by(self, asked: Query) -> "Scene":
        """What the answer to a query depends on: without texts and edits where these have no part in it."""
        if not asked.of_the_model:
            return self
        return replace(self, prompt="", target="", edits=(), special=True, ids=())

    def to_json(self) -> dict[str, Any]:
        """The scene as a frame carries it."""
        lists = {name: list(getattr(self, name)) for name in ("edits", "config", "ids")}
        return {**self.__dict__, **lists}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Scene":
        """The scene of a frame. Raises TypeError or KeyError where it is none."""
        words = {name: fields[name] for name in ("model", "prompt", "target", "device", "dtype")}
        # What was stored before there were versions, or ids, says none.
        words["version"] = fields.get("version", "")
        edits, config, special = tuple(fields["edits"]), tuple(fields["config"]), fields["special"]
        if not all(isinstance(value, str) for value in (*words.values(), *edits, *config)):
            raise TypeError("a scene is made of strings")
        if not isinstance(special, bool):
            raise TypeError("'special' is true or false")
        ids = tuple(fields.get("ids", ()))
        if not all(type(id) is int for id in ids):
            raise TypeError("tokens are whole numbers")
        return cls(**words, edits=edits, config=config, special=special, ids=ids)


Asks = Sequence[tuple[Scene, Sequence[Query]]]


def asks_to_json(asks: Asks, pinned: Iterable[Scene] = ()) -> dict[str, Any]:
    """The fields of a request: what is asked about each scene. Those that are `pinned` stay ready for the next."""
    return {
        "asks": [
            {"scene": scene.to_json(), "queries": [one.to_json() for one in queries]}
            for scene, queries in asks
        ],
        "pinned": [scene.to_json() for scene in pinned],
    }


def read_asks(
    fields: Mapping[str, Any],
) -> tuple[list[tuple[Scene, list[dict[str, Any]]]], frozenset[Scene]]:
    """The scenes of a request with their queries as they are said, and those that are pinned.

    TypeError, KeyError or ValueError where there are none: only its queries may be wrong one by one.
    """
    asks = [
        (Scene.from_json(ask["scene"]), [asked_in(query) for query in ask["queries"]])
        for ask in fields["asks"]
    ]
    return asks, frozenset(Scene.from_json(scene) for scene in fields.get("pinned", []))


def asked_in(query: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": str(query["kind"]), "arguments": dict(query["arguments"])}
