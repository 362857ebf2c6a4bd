"""What a person chose to look at."""

from dataclasses import dataclass

from explorer_app.state.focus import Cursor


@dataclass(frozen=True)
class Selection:
    """layer, head  the focused head
    query, key   the locked token positions, None where no token is chosen; in the texts of the attention in focus
    step         position in the forward pass: an index into the sites in order of computation
    site         the key of that step
    stack        the name of the kind of attention in focus; "" where the model has one only
    """

    layer: int = 0
    head: int = 0
    query: int | None = None
    key: int | None = None
    step: int = 0
    site: str = "tokens"
    stack: str = ""

    @property
    def cursor(self) -> Cursor:
        """The locked tokens."""
        return Cursor(self.query, self.key, self.stack)
