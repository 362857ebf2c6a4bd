"""What the heads do."""

from typing import Annotated, Literal

from model_core.api.queries.query import Array, Axes, Query, declared
from model_core.api.role_list import Role


@declared("roles")
class HeadRoles(Query):
    """What the heads of a kind of attention do: scores [L H] of each role, NaN where the text has no say in it.

    on     "prompt": the present run, edits included; "probe": distinct random tokens twice, the model as it is
    stack  the name of the kind of attention
    """

    on: Literal["prompt", "probe"] = "prompt"
    stack: str = ""

    class Gives:
        roles: list[Role]
        others: Annotated[Array, Axes("L H")]
