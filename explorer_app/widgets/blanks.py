"""Blanks made visible: a token that is a space, a tab or a newline must not look like nothing."""

from explorer_app.text import tr

SPACE, NEWLINE, TAB, RETURN = "·", "⏎", "⇥", "⇤"
_SIGNS = str.maketrans({" ": SPACE, "\n": NEWLINE, "\t": TAB, "\r": RETURN, "\u00a0": "⍽"})


def visible_blanks(text: str) -> str:
    """The text with its blanks drawn (space ·, newline ⏎, tab ⇥, return ⇤), control signs as code points."""
    if not text:
        return tr("(empty)")
    signs = text.translate(_SIGNS)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in signs)
