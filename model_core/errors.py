"""The ways a run ends early that are nobody's fault in the code."""


class InputError(ValueError):
    """What the user gave cannot be used. The message is one line: what is wrong, and what to do.

    fix: fields of a scene that would work, where one can be offered.
    """

    fix: dict[str, str] | None = None


class TooLong(InputError):
    """A prompt of `length` tokens does not fit a context of `limit`."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"the prompt has {length} tokens, {length - limit} more than the context of {limit}: shorten it"
        )
        self.length = length
        self.limit = limit


class Cancelled(Exception):
    """The run was stopped on request, at a tap. Nothing was changed."""
