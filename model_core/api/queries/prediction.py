"""What comes next."""

from typing import Annotated

from model_core.api.queries.query import Array, Axes, Query, declared
from model_core.api.schema import Count


@declared("next_token")
class NextTokens(Query):
    """The k likeliest next tokens, and log-probability (nats) and rank of every prompt token but the first.

    texts  what each of the k adds to the prompt; None where its bytes form no character, or it stands for no text
    end    the token after which the model writes nothing more, None where it has none
    """

    k: Count = 20

    class Gives:
        ids: list[int]
        strings: list[str]
        texts: list[str | None]
        special: list[bool]
        end: int | None
        probabilities: Annotated[Array, Axes("K")]
        log_probs: Annotated[Array, Axes("U")]
        ranks: Annotated[Array, Axes("U")]
