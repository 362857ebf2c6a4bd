"""RoPE's two conventions, explained and shown to be one on the model's own numbers: a page of the position panel."""

import math

from model_core.api.queries.answer import Answer
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.widgets.lists.pairing import Pairing
from explorer_app.widgets.plain import Label, RichLabel, rich
from explorer_app.widgets.readout import Readout
from explorer_app.words.numbers import short_number
from explorer_app.words.text import tr


class Conventions(QWidget):
    """What either convention pairs, on the chosen query; below it, one score and all scores computed both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.about = Label()
        self.about.setWordWrap(True)
        self.pairing = Pairing()
        self.readout = Readout(tr("Pair under the pointer"))
        self.proof = RichLabel()
        self.proof.setWordWrap(True)
        self.proof.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self.about)
        column.addWidget(self.pairing, 1)
        column.addWidget(self.readout)
        column.addWidget(self.proof)
        self.pairing.hovered.connect(lambda pair: self.readout.say(self.pairing.words(pair)))
        self.pairing.left.connect(self._hint)

    def _hint(self) -> None:
        self.readout.say(tr("Point at a number for its pair."), hint=True)

    def draw(
        self, answer: Answer, layer: int, head: int, query: tuple[int, str], key: tuple[int, str]
    ) -> None:
        """The engine's answer to "rope_conventions"; query and key: position and token."""
        q = answer["q_pairs"]
        half = len(q) // 2
        self.about.setText(
            tr(
                "Two orders of the same {width} numbers are in use. Meta, llama2.c and this program pair neighbours "
                "(0 with 1) and multiply each pair, as one complex number, by e^(i·θ). Hugging Face pairs the halves "
                "of a head (0 with {half}): q · cos θ + rotate_half(q) · sin θ. Put in the other order, the same "
                "pairs turn by the same angles; a score sums over all dimensions, and a sum asks for no order. So "
                "the rows of W_q and W_k of a Hugging Face checkpoint are put in Meta's order when it is opened."
            ).format(width=len(q), half=half)
        )
        self.pairing.show_orders(
            q,
            [*range(0, len(q), 2), *range(1, len(q), 2)],
            (
                tr("q in pairs (Meta, llama2.c, here)"),
                tr("the same q in halves (Hugging Face)"),
            ),
        )
        self._hint()
        differs = float(answer["max_difference"])
        muted = theme.current().muted
        rows = (
            (tr("complex product of neighbours, float64"), float(answer["pairs"])),
            (tr("rotate-half of the halves, float64"), float(answer["halves"])),
            (tr("what the run computed"), float(answer["run"])),
        )
        table = "".join(
            rich(
                '<tr><td style="color: {muted}">{name}</td><td><b>{value}</b></td></tr>',
                muted=muted,
                name=name,
                value=number(value),
            )
            for name, value in rows
        )
        where = rich(
            tr("Layer {layer}, head {head}: the score of “{query}” ({t}) at “{key}” ({s})"),
            layer=layer,
            head=head,
            query=query[1],
            t=query[0],
            key=key[1],
            s=key[0],
        )
        all_of_them = rich(
            tr(
                "Over all scores of this head the two differ by at most <b>{most}</b>, of scores up to {largest}: "
                "what rounding leaves."
            ),
            most=f"{differs:.2g}",
            largest=f"{float(answer['largest']):.3g}",
        )
        if not math.isfinite(differs):
            all_of_them = tr("Not all scores of this head are finite numbers: the two cannot be compared.")
        self.proof.setText(f'{where}<table cellpadding="2">{table}</table>{all_of_them}')


def number(value: float) -> str:
    """All the digits that a float64 has."""
    return f"{value:.16g}".replace("-", "−", 1) if math.isfinite(value) else short_number(value)
