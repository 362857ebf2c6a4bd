"""Architecture: what the model on screen is, what makes it different from its neighbours, and what it is made of."""

from typing import Any

from model_core.api.queries.answer import Answer
from model_core.api.queries.model import ModelFacts
from model_core.api.queries.query import Query
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QTextBrowser, QVBoxLayout, QWidget

from explorer_app import theme
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.state.session import Session
from explorer_app.widgets.lists.bars import Bar, BarList
from explorer_app.widgets.plain import RichLabel, rich
from explorer_app.words.blanks import visible_blanks
from explorer_app.words.config_words import about_html, meaning
from explorer_app.words.model_words import count_text, memory_text
from explorer_app.words.text import tr

ARCHITECTURE = ModelFacts()


@panel("architecture", "Architecture", area="centre", order=90)
class Architecture(Panel):
    """The family's own text at the left; parameters by part and the configuration at the right."""

    follows = ()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.about = browser(tr("What makes this architecture different"))
        self.total = RichLabel()
        self.total.setWordWrap(True)
        self.total.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.parts = BarList("muted")
        self.parts.setAccessibleName(tr("Parameters by part"))
        self.facts = browser(tr("Configuration"))
        line = self.fontMetrics().height()
        right = QVBoxLayout()
        right.setSpacing(round(line * 0.5))
        right.addWidget(self.total)
        right.addWidget(self.parts)
        right.addWidget(self.facts, 1)
        row = QHBoxLayout(self)
        row.setSpacing(line)
        row.addWidget(self.about, 9)
        row.addLayout(right, 11)

    def needs(self) -> list[Query]:
        return [ARCHITECTURE]

    def draw(self, answers: Answers) -> None:
        answer, colours = answers[ARCHITECTURE], theme.current()
        self.about.setHtml(about_html(answer["about"], colours.text, colours.muted))
        self.total.setText(
            rich(
                tr("<b>{count}</b> parameters, <b>{memory}</b> in {dtype} on {device}"),
                count=count_text(answer["parameters"]),
                memory=memory_text(answer["bytes"]),
                dtype=answer["dtype"],
                device=answer["device"],
            )
        )
        self.parts.show_bars(bars(answer))
        rows = len(self.parts.bars())
        self.parts.setFixedHeight(round(self.parts.item_rect(0).height() * rows) if rows else 0)
        self.facts.setHtml(facts_html(answer))


def browser(name: str) -> QTextBrowser:
    """Text for reading that takes what room there is."""
    text = QTextBrowser()
    text.setFrameShape(QFrame.Shape.NoFrame)
    text.setAccessibleName(name)
    text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
    text.document().setDocumentMargin(text.fontMetrics().height() * 0.6)
    return text


def part_name(stack: str, part: str) -> str:
    """A part of the model in words: "decoder cross-attention"."""
    name = {
        "embed": tr("embedding"),
        "pos": tr("positions"),
        "attn": tr("attention"),
        "cross": tr("cross-attention"),
        "mlp": tr("MLP"),
        "norm": tr("norms"),
        "head": tr("head"),
    }.get(part, tr("other"))
    # Only one stack has cross-attention, and the first embedding is that of both.
    if not stack or part in ("cross", "embed"):
        return name
    return f"{tr('encoder') if stack == 'encoder' else tr('decoder')} {name}"


def bars(answer: Answer) -> list[Bar]:
    """Each part with its share of all parameters; a head that shares its weights has a row of its own."""
    total = answer["parameters"]
    rows = [
        Bar(
            part_name(part["stack"], part["part"]),
            part["parameters"] / total,
            f"{count_text(part['parameters'])}  {part['parameters'] / total:.1%}",
            tip=tr("{count} parameters, {memory}").format(
                count=f"{part['parameters']:,}", memory=memory_text(part["bytes"])
            ),
        )
        for part in answer["parts"]
    ]
    if tied_head(answer):
        tip = tr("The head uses the embedding's weights: they are counted there.")
        rows.append(Bar(part_name("", "head"), 0.0, tr("tied"), tip=tip))
    return rows


def tied_head(answer: Answer) -> bool:
    """Does the head use weights that another part has?"""
    return any("head.weight" in names for names in answer["shared"])


def facts_html(answer: Answer) -> str:
    """The configuration as a table, then where the model came from."""
    muted = theme.current().muted
    config = [
        rich('<tr><td style="white-space: nowrap"><code>{name}</code></td>', name=name)
        + row(value, meaning(name), muted)
        for name, value in answer["config"].items()
    ]
    origin = [
        rich('<tr><td style="white-space: nowrap">{name}</td>', name=name) + row(value, about, muted)
        for name, value, about in origins(answer)
    ]

    def table(title: str, rows: list[str]) -> str:
        return f'<p><b>{title}</b></p><table cellspacing="0" cellpadding="3">{"".join(rows)}</table>'

    return table(tr("Configuration"), config) + table(tr("Where it comes from"), origin)


def row(value: str, about: str, muted: str) -> str:
    return rich(
        '<td><b>{value}</b></td><td style="color: {muted}">{about}</td></tr>',
        value=value,
        about=about,
        muted=muted,
    )


def origins(answer: Answer) -> list[tuple[str, str, str]]:
    """Name, value and a remark: weights, head and tokenizer."""
    path = answer["path"]
    weights = (tr("weights"), tr("random"), tr("drawn from a seed: this model was never trained"))
    if path is not None:
        place = tr("comes with Layerscope") if answer["bundled"] else path
        weights = (tr("weights"), answer["name"], place)
    tied = tied_head(answer)
    return [
        weights,
        (
            tr("head"),
            tr("tied") if tied else tr("of its own"),
            tr("uses the embedding's weights") if tied else tr("shares no weights with the embedding"),
        ),
        (tr("tokenizer"), answer["tokenizer"]["name"], tokenizer_words(answer["tokenizer"])),
    ]


def tokenizer_words(tokenizer: dict[str, Any]) -> str:
    """How many tokens it knows, and its special ones."""
    words = [tr("{count} tokens").format(count=f"{tokenizer['vocab_size']:,}")]
    for name, token in ((tr("first"), tokenizer["bos"]), (tr("last"), tokenizer["eos"])):
        if token is not None:
            words.append(f"{name}: {visible_blanks(token['string'])} ({token['id']})")
    return "; ".join(words)
