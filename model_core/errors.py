"""The two ways a run ends early that are nobody's fault in the code."""


class InputError(ValueError):
    """What the user gave cannot be used. The message is one line: what is wrong, and what to do."""


class Cancelled(Exception):
    """The run was stopped on request, at a tap. Nothing was changed."""
