"""The model as it was measured: the residual stream from top to bottom, what branches off it, the present step lit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from model_core.api.names import layer_of
from model_core.api.queries.answer import Answer
from model_core.api.queries.model import MeasuredGraph
from model_core.api.queries.query import Query
from PySide6.QtGui import QFont, QFontMetricsF
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from explorer_app.graph.layout import Layout
from explorer_app.graph.lazy import lazy, loaded
from explorer_app.graph.painting import Look
from explorer_app.graph.plan import Plan
from explorer_app.graph.tree import Part, module_path, spoken, twins
from explorer_app.graph.view import GraphView
from explorer_app.graph.viewport import ZOOM_STEP
from explorer_app.panel.base import Answers, Panel
from explorer_app.panel.registry import panel
from explorer_app.state.focus import block_at, block_of, stack_at
from explorer_app.state.selection import Selection
from explorer_app.state.session import Session
from explorer_app.state.store import SITES
from explorer_app.widgets.plain import tip
from explorer_app.widgets.readout import Readout
from explorer_app.words.site_words import roles, shape_text, shape_words
from explorer_app.words.text import tr

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy("networkx")

GRAPH = MeasuredGraph()
PIECE_S = 0.02  # of own CPU time: how long a plan is gone on with before the window has its turn


@panel("graph", "Model graph", area="left", order=10, height=42)
class ModelGraph(Panel):
    """Click a box to go there, its sign to fold or unfold it; only the block of the selected layer opens by itself."""

    follows = ("layer", "step", "site", "stack")
    later_ms = 15
    """The map that a key asked for is painted first; the graph follows before the eye has moved."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent, session=session)
        self._answer: Answer | None = None
        self._plan: Plan | None = None
        self._parts: dict[str, Part] = {}
        self._twins: dict[str, str] = {}
        self._roles: dict[str, str] = {}
        self._steps: list[dict[str, Any]] = []
        self._step: dict[str, dict[str, Any]] = {}
        self._looks: dict[str, Look] = {}
        self._chosen: dict[str, bool] = {}
        self._folded: frozenset[str] | None = None
        self._picture: Layout | None = None
        self._followed: Selection | None = None

        self.view = GraphView(self)
        self.readout = Readout(tr("What the pointer or the step shows"), self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.view, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(6, 2, 2, 2)
        foot.setSpacing(2)
        foot.addWidget(self.readout, 1)
        for text, about, act in (
            ("−", tr("Zoom out (key −)"), lambda: self.view.zoom_by(1 / ZOOM_STEP)),
            ("+", tr("Zoom in (key +)"), lambda: self.view.zoom_by(ZOOM_STEP)),
            (tr("Fit"), tr("Fit to the width (key 0)"), self.view.fit),
        ):
            button = QToolButton(self)
            button.setText(text)
            button.setToolTip(tip(about))
            button.setAutoRaise(True)
            button.clicked.connect(act)
            foot.addWidget(button)
        column.addLayout(foot)
        self.view.clicked.connect(self._go)
        self.view.fold_asked.connect(self._fold)
        self.view.hovered.connect(lambda path: self._say(path))
        self.view.left.connect(lambda: self._say(""))
        self.view.step_asked.connect(lambda by: session.go_to_step(session.selection.step + by))

    def needs(self) -> list[Query]:
        return [GRAPH, SITES]

    def draw(self, answers: Answers) -> Iterator[None]:
        if not loaded("networkx"):
            self.refresh()
            return
        if (answer := answers[GRAPH]) is not self._answer:
            # The picture before stays until the new one is whole.
            until = time.thread_time() + PIECE_S
            for _ in self._planned(answer):
                if time.thread_time() > until:
                    yield
                    until = time.thread_time() + PIECE_S
                if self.session.answer(GRAPH) is not answer:
                    return  # another model is on screen meanwhile
        if self.session.sites is not self._steps:
            self._steps = self.session.sites
            self._step = {step["key"]: step for step in self._steps}
            self._looks = {}
        plan, selection = self._plan, self.session.selection
        assert plan is not None
        folded = frozenset(part.path for part in plan.groups if not self._open(part, selection))
        if folded != self._folded or self._picture is None:
            self._folded, self._picture = folded, plan.layout(folded)
        self.view.show_layout(self._picture, self._look)
        lit = plan.seen(selection.site, folded) if selection.site in plan.graph else ""
        self.view.set_lit(lit, selection.site)
        before, self._followed = self._followed, selection
        if before is None or before.site != selection.site:
            self.view.reveal(lit)
        elif (block := block_at(selection.stack, selection.layer)) != block_at(before.stack, before.layer):
            self.view.reveal(next((part.path for part in plan.groups if part.path == block), lit))
        self._say("")

    def _planned(self, answer: Answer) -> Iterator[None]:
        """Lay another model out where its structure is new, in small pieces; the last one takes it over."""
        graph = nx.DiGraph()
        for step in self.session.sites:
            graph.add_node(step["key"], dims=step["dims"], shape=tuple(step["shape"]))
        keys = list(graph)
        yield
        graph.add_edges_from((keys[a], keys[b]) for a, b in answer["edges"].tolist())
        yield
        plan = self._plan
        if plan is None or list(plan.graph) != keys or set(plan.graph.edges) != set(graph.edges):
            plan = Plan(graph, QFontMetricsF(QFont(self.font())).horizontalAdvance, in_pieces=True)
            yield from plan.making()
        alike = twins(graph, plan.root)
        yield
        plan.graph = graph
        self._answer, self._twins, self._roles = answer, alike, roles(graph)
        if plan is not self._plan:
            self._plan = plan
            self._chosen.clear()
            self._folded, self._picture, self._followed = None, None, None
            self._parts = {part.path: part for part in plan.groups}

    def _look(self, path: str) -> Look:
        """What is known of a module or a site. Put in words when it is drawn: a model has thousands, a picture few."""
        if path not in self._looks:
            self._looks[path] = self._described(path)
        return self._looks[path]

    def _described(self, path: str) -> Look:
        assert self._plan is not None
        if path in self._parts:
            twin = self._twins.get(path)
            note = tr("like {other}").format(other=last_name(twin)) if twin else self._module_facts(path)[1]
            said = [*self._module_facts(path), tr("double click folds or unfolds")]
            return Look(note=note, tip="\n".join(said))
        step, constant = self._step[path], path in self._plan.constants
        said = [path, shape_words(step["dims"], step["shape"])]
        if constant:
            said.append(tr("depends on no token"))
        shape = shape_text(step["dims"], step["shape"])
        return Look(self._roles.get(path, ""), shape=shape, tip="\n".join(said), constant=constant)

    def _module_facts(self, path: str) -> list[str]:
        facts = [path, tr("{count} steps").format(count=len(self._parts[path].sites))]
        if twin := self._twins.get(path):
            facts.append(tr("same shape as {other}").format(other=last_name(twin)))
        return facts

    def _open(self, part: Part, selection: Selection) -> bool:
        """Repeated modules are folded but for the one that is looked at; what a person chose stays."""
        if part.path in self._chosen:
            return self._chosen[part.path]
        if not part.path.rpartition(".")[2].isdigit():
            return True
        if not is_block(part):
            return selection.site.startswith(part.path + ".")
        return part.path == block_at(selection.stack, selection.layer)

    def _go(self, path: str) -> None:
        assert self._plan is not None
        part = self._parts.get(path)
        if part is None:
            self.session.go_to(path)
        elif is_block(part):
            stack = stack_at(path, self.session.kinds, self.session.selection.stack)
            self.session.select(layer=layer_of(path), stack=stack)
        elif self._folded is not None and path in self._folded:
            self.session.go_to(part.sites[-1])

    def _fold(self, path: str, unfold: bool) -> None:
        self._chosen[path] = unfold
        self.refresh()

    def _say(self, path: str) -> None:
        path, hint = path or self.session.selection.site, not path
        facts = []
        if path in self._parts:
            facts = self._module_facts(path)
        elif (step := self._step.get(path)) is not None:
            facts = [path, shape_text(step["dims"], step["shape"])]
        self.readout.say(" · ".join(facts), hint=hint)


def last_name(path: str) -> str:
    """ "blocks.3" -> "block 3" """
    return spoken(module_path(path)[-1])


def is_block(part: Part) -> bool:
    """Whether a module is a layer."""
    return block_of(part.path) == part.path
