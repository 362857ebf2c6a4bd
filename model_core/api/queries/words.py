"""Why a text was cut so."""

from typing import Any

from model_core.api.queries.query import Query, declared
from model_core.api.schema import Count


@declared("split")
class TextSplit(Query):
    """Why the word around a token of a text (the last without `text`) was cut so: the fields of `merges.Split`.

    A position behind the last token is the last: a text may have become shorter since somebody chose it.
    """

    position: Count
    text: int | None = None

    class Gives:
        kind: str
        first: int
        ids: list[int]
        pieces: list[str]
        measure: str
        steps: list[dict[str, Any]]
        ways: list[dict[str, Any]]
