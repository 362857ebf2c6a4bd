"""Blanks made visible: a token that is a space, a tab or a newline must not look like nothing."""

from model_core.api.plain_text import shortened

from explorer_app.words.text import tr

MOST = 40
"""Characters of a token: more is no word, and would push everything else aside."""
SPACE, NEWLINE, TAB, RETURN = "·", "⏎", "⇥", "⇤"
_SIGNS = str.maketrans({" ": SPACE, "\n": NEWLINE, "\t": TAB, "\r": RETURN, "\u00a0": "⍽"})


def visible_blanks(text: str, most: int = MOST) -> str:
    """The text with its blanks drawn (space ·, newline ⏎, tab ⇥, return ⇤), control signs as code points.

    Of a longer one `most` characters: its beginning and its end.
    """
    if not text:
        return tr("(empty)")
    signs = shortened(text, most).translate(_SIGNS)
    return shortened("".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in signs), most)
