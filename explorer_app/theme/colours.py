"""The named colours of both themes, and how far they must be told apart."""

from dataclasses import dataclass

from explorer_app.state.settings import Scheme
from explorer_app.theme import maps
from explorer_app.theme.perception import Lut


@dataclass(frozen=True)
class Theme:
    """Named colours, each "#rrggbb" (what QColor, HTML and style sheets all read)."""

    name: Scheme
    query: str
    key: str
    value: str
    output: str
    masked: str
    """Ground of a masked cell; the hatching over it is `masked_line`."""
    masked_line: str
    accent: str
    """The locked cursor, the focused head, the keyboard focus."""
    on_accent: str
    text: str
    muted: str
    window: str
    panel: str
    """Ground of every drawing, and the low end of the sequential map."""
    raised: str
    """Ground of buttons, chips and headers."""
    hover: str
    border: str
    """Ornament: lines between things that are told apart without them."""
    edge: str
    """Outline of what can be typed in, pressed or dragged, and of shapes that are drawn."""
    warning: str
    error: str

    @property
    def dark(self) -> bool:
        return self.name == "dark"

    @property
    def sequential(self) -> Lut:
        """[256, 3]: zero (the panel's colour) to the most, in equal perceived steps."""
        return maps.sequential(self.name)

    @property
    def diverging(self) -> Lut:
        """[256, 3]: most negative (orange), zero (the panel's colour) in the middle, most positive (blue)."""
        return maps.diverging(self.name)

    @property
    def marks(self) -> Lut:
        """[n, 3]: the part of the sequential map that is seen as a bar or a point on every ground."""
        return maps.marks(self.name, tuple(getattr(self, ground) for ground in GROUNDS), GRAPHIC)

    @property
    def cyclic(self) -> Lut:
        """[256, 3]: once around the hues at one lightness, ending where it began; for angles."""
        return maps.cyclic(self.name)


LIGHT = Theme(
    name="light",
    query="#1a57f1",
    key="#a2000b",
    value="#11764b",
    output="#a827c7",
    masked="#dcdfe4",
    masked_line="#787f8a",
    accent="#a25206",
    on_accent="#ffffff",
    text="#1a1f26",
    muted="#586271",
    window="#f2f4f7",
    panel="#ffffff",
    raised="#ffffff",
    hover="#e4e9f0",
    border="#cdd3dc",
    edge="#7b838f",
    warning="#7d5b00",
    error="#c3002f",
)

DARK = Theme(
    name="dark",
    query="#82bff9",
    key="#ff9392",
    value="#29ba4d",
    output="#cb7efe",
    masked="#3a3f48",
    masked_line="#878e9a",
    accent="#fa7d00",
    on_accent="#20160a",
    text="#e7eaf0",
    muted="#a3acba",
    window="#14161b",
    panel="#1b1e25",
    raised="#272b34",
    hover="#303643",
    border="#3b424f",
    edge="#868e9c",
    warning="#f0d060",
    error="#ff7568",
)

# What must be told apart, and how far (WCAG 2.2 AA, 1.4.3 and 1.4.11): the first on the second. Borders, grid lines and
# grounds beside each other are ornament; maps are read by their bar, and what is written on them is black or white.
TEXT, GRAPHIC = 4.5, 3.0
GROUNDS = ("panel", "window", "raised", "hover")
ROLES = ("query", "key", "value", "output", "accent")
PAIRS: tuple[tuple[tuple[str, ...], tuple[str, ...], float], ...] = (
    (("text", "muted", "warning", "error", *ROLES), GROUNDS, TEXT),
    (("on_accent",), ("accent",), TEXT),
    (("panel",), ("error",), TEXT),
    (("edge",), GROUNDS, GRAPHIC),
    (("masked_line",), ("masked", "panel"), GRAPHIC),
)
TINT = 0.07
"""How much of a role's colour lies under its name: on a chip or a box it can still be read."""
