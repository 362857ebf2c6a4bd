"""The window: the prompt above, panels in docks around what matters most, the film of the forward pass below."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

from model_core.api.command import complain
from model_core.api.errors import InputError
from model_core.api.queries.query import Query
from PySide6.QtCore import QByteArray, QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QDialogButtonBox,
    QGridLayout,
    QMainWindow,
    QMenu,
    QTabBar,
    QTabWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from explorer_app import theme
from explorer_app.forms.about import about_text
from explorer_app.forms.compare_bar import CompareBar
from explorer_app.forms.config_form import AsksDialog, with_words
from explorer_app.forms.log_dialog import LogDialog
from explorer_app.forms.open_model import DropVeil, choose_file, choose_folder
from explorer_app.forms.prompt_bar import PromptBar
from explorer_app.forms.untrained_dialog import UntrainedDialog
from explorer_app.panel.base import Panel
from explorer_app.panels import load_panels
from explorer_app.panels.transport import Transport
from explorer_app.processes.engine_client import Connect, EngineClient
from explorer_app.processes.trainer import Trainer
from explorer_app.state.known import Compared
from explorer_app.state.session import Session
from explorer_app.state.settings import Kept, Layout, Recent, Scheme, Settings
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.listening import Listening, detach
from explorer_app.widgets.on_screen import FittingDialog, Scrolled, fit
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import Label, Message, caption, tip, title_text
from explorer_app.window.dock import PanelDock
from explorer_app.window.keys import PlainKeys, plain_key
from explorer_app.window.picture import save_picture
from explorer_app.words.model_words import distinct_titles, model_tip, model_title, why_missing
from explorer_app.words.text import tr

MASK_OFF = "mask off"
SIZE = (1280, 800)
WIDTHS = {"left": 21, "centre": 55, "right": 24}
HEIGHTS = {"next_token": 33, "edits": 25, "inspector": 42, "graph": 42, "growth": 58}
LAYOUT_VERSION = 1
AFTER_PAINT_MS = 50
SETTLING_MS = 300


class MainWindow(QMainWindow):
    """One session on screen. `connect` makes its engine's client; without `settings` nothing is remembered."""

    completed = Signal()
    """It was painted, and every panel is built."""

    def __init__(
        self, session: Session, settings: Settings | None = None, connect: Connect = EngineClient
    ) -> None:
        super().__init__()
        self.session = session
        self.settings = settings
        self.client = connect(session, self.wanted)
        self.trainer = Trainer(session.training)
        specs = self.kept.trainings
        session.training.specs = {spec.out: spec for spec in specs}
        session.training.texts = next((spec.data for spec in specs if spec.data), ())
        self.registered = load_panels()
        self.docks: dict[str, PanelDock] = {}
        self.prompt_bar = PromptBar(session, self.kept.recent)
        self.status = OneLine()
        self.compare = CompareBar(session)
        self.log = LogDialog(self.client, self)
        self.asks: AsksDialog | None = None
        self._shown_once = self._painted_once = self._arranging = False
        self._withheld: set[str] = set()
        self._never_shared: set[str] = set()  # of them, those that were so when the window was arranged
        self._shares: dict[PanelDock, float] = {}
        self._shared_width = self._between = 0
        # A layout that was kept of a maximized window is put right by Qt once the window is as large again.
        self._settling = QTimer(self, interval=SETTLING_MS, singleShot=True)
        self._settling.timeout.connect(self._settled)
        self.setDockNestingEnabled(True)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setDocumentMode(True)
        side = round(self.fontMetrics().height() * 0.3)
        self.setContentsMargins(side, 0, side, 0)
        self._build_top()
        self._build_docks()
        self._build_menus()
        self._build_status()
        self._connect()
        self.resize(*SIZE)
        self.arrange()
        self.show_facts()
        self.show_mask()
        self.veil = DropVeil(self)
        self.veil.opened.connect(self.open)
        self.veil.texts.connect(self.train_on)
        self.veil.refused.connect(session.tell)
        self.keys = PlainKeys(self, frozenset(key for key, _, _ in self.plain_keys()))
        self.prompt_bar.prompt.setFocus()
        self._restored = self._restore()

    @property
    def kept(self) -> Kept:
        """What is remembered of before."""
        return Kept() if self.settings is None else self.settings.kept

    def keep(self, **fields: Any) -> bool:
        """Remember something; False where that cannot be written, which is then said."""
        if self.settings is not None:
            try:
                self.settings.change(**fields)
            except InputError as error:
                self.session.tell(str(error))
                return False
        return True

    def wanted(self) -> list[Query]:
        """What the window and its visible panels want to know, the most urgent first."""
        panels, session = self.built_panels(), self.session
        wanted = [RUN, SITES, *(asked for panel in panels for asked in panel.wanted())]
        wanted += [asked for panel in panels for asked in panel.wishes()]
        if session.scene.shape == session.shown.shape:
            wanted += [asked for panel in panels for asked in panel.ahead()]
        return wanted

    # Building

    def _build_top(self) -> None:
        bar = QToolBar(tr("Prompt"))
        bar.setObjectName("prompt")
        bar.setMovable(False)
        bar.toggleViewAction().setVisible(False)
        bar.addWidget(self.prompt_bar)
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, bar)

    def _build_docks(self) -> None:
        for registered in self.registered:
            dock = PanelDock(registered, self.session, self)
            dock.built.connect(self._listen)
            dock.placed.connect(self._note_shares)
            for signal in (dock.topLevelChanged, dock.dockLocationChanged, dock.visibilityChanged):
                signal.connect(self._tidy)
            self.docks[registered.name] = dock

    def _listen(self, panel: Panel) -> None:
        panel.asks.connect(self.client.ask)

    def built_panels(self) -> list[Panel]:
        return [dock.panel_if_built for dock in self.docks.values() if dock.panel_if_built is not None]

    def _complete(self) -> None:
        """What can wait until the window is on screen."""
        fit(self)  # its frame is known by now
        if self.kept.restoring:
            self.keep(restoring=False)
        for dock in self.docks.values():
            if dock.isFloating() and dock.isVisible():
                # It was there before the window that it belongs to, and would go behind it at every click.
                dock.hide()
                dock.show()
        self._build_next()

    def _build_next(self) -> None:
        """Build a panel that nobody has seen yet, and the next one when the event loop is free again."""
        dock = next((dock for dock in self.docks.values() if dock.panel_if_built is None), None)
        if dock is None:
            self.completed.emit()
            return
        dock.build()
        QTimer.singleShot(0, self, self._build_next)

    def _build_status(self) -> None:
        self.status.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.statusBar().addWidget(self.status, 1)
        self.statusBar().addPermanentWidget(self.compare)
        self.statusBar().setSizeGripEnabled(False)
        line = self.fontMetrics().height()
        self.statusBar().setContentsMargins(round(line * 0.4), 0, round(line * 0.4), 0)

    def createPopupMenu(self) -> QMenu:
        """What a click with the right button on a title offers: the same as the View menu."""
        menu = QMenu(self)
        menu.addActions([dock.view_action for dock in self.docks.values()])
        return menu

    def of_area(self, area: str) -> list[PanelDock]:
        return [self.docks[registered.name] for registered in self.registered if registered.area == area]

    def arrange(self) -> None:
        """The default layout: the graph left, tabs in the middle, a stack right, the film below."""
        side = Qt.DockWidgetArea
        left, centre, right, bottom = (self.of_area(area) for area in ("left", "centre", "right", "bottom"))
        self._arranging = True
        for dock in self.docks.values():
            if dock.isFloating():
                dock.setFloating(False)
            self.removeDockWidget(dock)
        for corner in (Qt.Corner.BottomLeftCorner, Qt.Corner.BottomRightCorner):
            self.setCorner(corner, side.BottomDockWidgetArea)
        for dock in left[:1]:
            self.addDockWidget(side.LeftDockWidgetArea, dock)
        for dock in (*centre[:1], *right[:1]):
            self.addDockWidget(side.RightDockWidgetArea, dock, Qt.Orientation.Horizontal)
        for before, dock in pairwise(centre):
            self.tabifyDockWidget(before, dock)
        for stack in (left, right):
            for before, dock in pairwise(stack):
                self.splitDockWidget(before, dock, Qt.Orientation.Vertical)
        for dock in bottom:
            self.addDockWidget(side.BottomDockWidgetArea, dock)
        self._withheld.clear()
        self._never_shared.clear()
        for dock in self.docks.values():
            dock.show()
        for dock in centre[:1]:
            dock.raise_()
        self.offer_panels()
        for dock in (*left, *centre[:1], *right, *bottom):
            if dock.panel_if_built is None and not dock.isHidden():
                dock.build()
        self.arrange_columns()
        self._never_shared |= self._withheld
        self._arranging = False
        self._tidy()
        self._note_shares()

    def offer_panels(self, _: Any = None) -> None:
        """A panel that has nothing to show of the model on screen is out of sight until another model is there.

        One that then says what it would show can be opened all the same.
        """
        for name, dock in self.docks.items():
            kind = dock.registered.build
            applies, explains = kind.applies(self.session.run), kind.explains
            dock.view_action.setVisible(applies or explains)
            if not applies and not dock.isHidden() and not (explains and name in self._withheld):
                self._withheld.add(name)
                if (focus := self.focusWidget()) is not None and dock.isAncestorOf(focus):
                    # Qt would give the focus to whatever comes next, which then takes the keys of the forward pass.
                    self.setFocus()
                dock.hide()
            elif applies and name in self._withheld:
                self._withheld.remove(name)
                dock.show()
                if name in self._never_shared:
                    self._never_shared.remove(name)
                    self._arrange_stack(dock.registered.area)

    def arrange_columns(self) -> None:
        """Share the width, what is in the middle gets the most, and the height of the stacks at both sides."""
        columns = {dock: share for area, share in WIDTHS.items() for dock in self.of_area(area)[:1]}
        self._share(columns, self.width(), Qt.Orientation.Horizontal)
        self._arrange_stack("left")
        self._arrange_stack("right")

    def _arrange_stack(self, area: str) -> None:
        """Share the height among the panels at a side, if it is one."""
        if area in ("left", "right"):
            heights = {dock: HEIGHTS.get(dock.objectName(), 20) for dock in self.of_area(area)}
            self._share(heights, self.height(), Qt.Orientation.Vertical)

    def _share(self, shares: Mapping[PanelDock, int], whole: int, way: Qt.Orientation) -> None:
        sizes = [share * whole // sum(shares.values()) for share in shares.values()]
        self.resizeDocks(list(shares), sizes, way)

    def _settled(self) -> None:
        """The window of a layout that was kept has its size: give each column the share that it had."""
        layout = self.kept.layout
        docks = [dock for dock in self.docks.values() if dock.takes_part()]
        shares = {} if layout is None else {dock: layout.shares.get(dock.objectName(), 0.0) for dock in docks}
        if shares and all(shares.values()):
            columns = sum({dock.x(): dock.width() for dock in docks}.values())
            widths = [round(share * columns) for share in shares.values()]
            if any(abs(dock.width() - width) > 2 for dock, width in zip(docks, widths, strict=True)):
                self.resizeDocks(docks, widths, Qt.Orientation.Horizontal)
        self._note_shares()

    def _note_shares(self) -> None:
        """Which share of the width each column has, unless it is the window that changes its size."""
        if self._arranging or self.width() != self._shared_width:
            return
        if docks := [dock for dock in self.docks.values() if dock.takes_part()]:
            columns = sum({dock.x(): dock.width() for dock in docks}.values())
            self._between = self.width() - columns
            self._shares = {dock: dock.width() / columns for dock in docks}

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Every column keeps its share; Qt would give all that comes to the first."""
        super().resizeEvent(event)
        if self.width() == self._shared_width:
            return
        if not self._settling.isActive():
            docks = [dock for dock in self._shares if dock.takes_part()]
            widths = [round(self._shares[dock] * (self.width() - self._between)) for dock in docks]
            self.resizeDocks(docks, widths, Qt.Orientation.Horizontal)
            QApplication.sendPostedEvents(self, QEvent.Type.LayoutRequest)
        self._shared_width = self.width()

    def _tidy(self, _: Any = None) -> None:
        """Titles where no tab says the same; every tab has a menu to close it or to let it float."""
        if self._arranging:
            return
        for dock in self.docks.values():
            dock.tidy()
        for bar in self.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
            if bar.contextMenuPolicy() != Qt.ContextMenuPolicy.CustomContextMenu:
                bar.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
                bar.customContextMenuRequested.connect(lambda at, bar=bar: self._tab_menu(bar, at))

    def _tab_menu(self, bar: QTabBar, at: QPoint) -> None:
        title = bar.tabText(bar.tabAt(at))
        dock = next((dock for dock in self.docks.values() if dock.windowTitle() == title), None)
        if dock is not None:
            menu = QMenu(self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self._add(menu, tr("Float"), dock.float)
            self._add(menu, tr("Close"), dock.close)
            menu.popup(bar.mapToGlobal(at))

    # Menus

    def _build_menus(self) -> None:
        bar = self.menuBar()
        self._file_menu(bar.addMenu(tr("&File")))
        self._view_menu(bar.addMenu(tr("&View")))
        self._run_menu(bar.addMenu(tr("&Run")))
        self._go_menu(bar.addMenu(tr("&Go")))
        self._help_menu(bar.addMenu(tr("&Help")))

    def _add(self, menu: QMenu, text: str, slot: Callable[[], object], *keys: str) -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda: slot())
        action.setShortcuts([QKeySequence(key) for key in keys])
        return action

    def _file_menu(self, menu: QMenu) -> None:
        self._add(menu, tr("&Open checkpoint file…"), self.open_file, "Ctrl+O")
        self._add(menu, tr("Open checkpoint &folder…"), self.open_folder, "Ctrl+Shift+O")
        self.recent = menu.addMenu(tr("Open &recent"))
        self.recent.setToolTipsVisible(True)
        self.recent.aboutToShow.connect(self.show_recent)
        self.show_recent()
        self._add(menu, tr("&New untrained model…"), self.new_untrained, "Ctrl+N")
        menu.addSeparator()
        self._add(menu, tr("&Save picture…"), self.save_picture, "Ctrl+S")
        menu.addSeparator()
        self._add(menu, tr("&Quit"), self.close, "Ctrl+Q")

    def show_recent(self) -> None:
        """The models of before; those that are gone stay in the list, grey and with the reason."""
        self.recent.clear()
        recent = self.prompt_bar.model.recent
        titles = distinct_titles([(model.model, model.config) for model in recent])
        for model, title in zip(recent, titles, strict=True):
            missing = why_missing(model.model)
            entry = self._add(
                self.recent,
                caption(tr("{model} ({reason})").format(model=title, reason=missing) if missing else title),
                partial(self.open, model.model, model.config),
            )
            entry.setToolTip(tip(model_tip(model.model, model.config)))
            entry.setEnabled(not missing)
        if not recent:
            self._add(self.recent, tr("Nothing was opened yet"), lambda: None).setEnabled(False)
        self.recent.addSeparator()
        self._add(self.recent, tr("&Clear recent"), self.forget_recent).setEnabled(bool(recent))

    def _view_menu(self, menu: QMenu) -> None:
        for dock in self.docks.values():
            menu.addAction(dock.view_action)
        menu.addSeparator()
        themes = menu.addMenu(tr("&Theme"))
        group = QActionGroup(self)
        chosen = self.kept.theme
        choices: list[tuple[Scheme | None, str]] = [
            (None, tr("Like the &system")),
            ("light", tr("&Light")),
            ("dark", tr("&Dark")),
        ]
        for scheme, title in choices:
            action = self._add(themes, title, partial(self.set_theme, scheme))
            action.setCheckable(True)
            action.setChecked(scheme == chosen)
            group.addAction(action)
        self._add(menu, tr("&Reset layout"), self.arrange)

    def _run_menu(self, menu: QMenu) -> None:
        self._add(menu, tr("&Run again"), self.client.run_again, "Ctrl+R", "F5")
        self._add(menu, tr("&Pin as A, to compare with"), self.session.pin_baseline, "Ctrl+B")
        self._add(menu, tr("&Unpin A"), self.session.unpin_baseline, "Ctrl+Shift+B")
        for key, what in enumerate(get_args(Compared), 1):
            self._add(
                menu,
                tr("Look at {what}").format(what=what),
                partial(self.session.compare, what),
                f"Alt+{key}",
            )
        self._add(menu, named(tr("&Cancel"), Qt.Key.Key_Escape), self.client.cancel)
        menu.addSeparator()
        self.causal = self._add(
            menu, tr("Causal &mask"), lambda: self.session.toggle_edit(MASK_OFF), "Ctrl+M"
        )
        self.causal.setCheckable(True)
        menu.setToolTipsVisible(True)
        self._add(menu, tr("Clear all &edits"), lambda: self.session.change(edits=()))
        menu.addSeparator()
        self._add(menu, tr("Restart &engine"), self.client.restart)

    def _go_menu(self, menu: QMenu) -> None:
        self._add(menu, tr("&Prompt"), self.go_to_prompt, "Ctrl+L")
        menu.addSeparator()
        for key, text, slot in self.plain_keys():
            self._add(menu, named(text, key), slot)

    def _help_menu(self, menu: QMenu) -> None:
        self._add(menu, tr("&Keys…"), lambda: KeysDialog(self).exec(), "F1")
        self._add(menu, tr("&Log…"), self.log.show)
        self._add(menu, tr("&About Layerscope"), self.show_about)

    def show_about(self) -> None:
        box = Message(self, tr("About Layerscope"), about_text())
        box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box.exec()
        box.deleteLater()

    # Following the session

    def _connect(self) -> None:
        session, listens = self.session, Listening(self)
        self.prompt_bar.model.opening_file.connect(self.open_file)
        self.prompt_bar.model.opening_folder.connect(self.open_folder)
        self.prompt_bar.model.creating.connect(self.new_untrained)
        listens.to(session.message_changed, self.ask_what_is_unsaid)
        listens.to(session.training.changed, self.show_facts)
        listens.to(session.training.asked, self._note_training)
        self.trainer.log_grew.connect(self.client.note)
        self.prompt_bar.cancelled.connect(self.client.cancel)
        listens.to(session.shown_changed, self.show_facts)
        listens.to(session.answered, self.show_facts)
        listens.to(session.shown_changed, self.offer_panels)
        listens.to(session.answered, self.offer_panels)
        listens.to(session.compared_changed, self.offer_panels)
        listens.to(session.compared_changed, self.show_facts)
        listens.to(session.engine_changed, self.show_facts)
        listens.to(session.scene_changed, self.show_mask)
        listens.to(session.shown_changed, self.show_mask)
        listens.to(session.shown_changed, self._note_model)

    def show_facts(self, _: Any = None) -> None:
        """Title and status bar: the run that is on screen."""
        run, scene = self.session.run, self.session.viewed
        model = model_title(scene.model)
        self.setWindowTitle(title_text(tr("{model} – Layerscope").format(model=model)))
        parts = [model, scene.device, scene.dtype]
        if run is not None:
            counts = [len(text["tokens"]) for text in run["texts"]]
            count = " + ".join(map(str, counts))
            parts.append(tr("1 token") if counts == [1] else tr("{count} tokens").format(count=count))
            stored = self.session.store.is_stored(scene, RUN)
            parts.append(tr("stored run") if stored else tr("{ms:.0f} ms").format(ms=run["milliseconds"]))
            parts.append(tr("kept {size:.1f} MB").format(size=run["kept_bytes"] / 1e6))
        training = self.session.training
        if training.active and training.steps:
            step = f"{training.step / training.steps:.0%}"
            parts.append(tr("training: {share}").format(share=step))
        parts.append(self.prompt_bar.light.text())
        self.status.setText(" · ".join(parts))
        self.status.setToolTip(tip(self.status.text()))

    def show_mask(self, _: Any = None) -> None:
        """What the switch takes away from the model on screen, and whether it does."""
        window = min((kind.window for kind in self.session.kinds if kind.window is not None), default=None)
        if window is None:
            self.causal.setText(tr("Causal &mask"))
            self.causal.setToolTip(tip(tr("Off: every token sees every other, those after it as well.")))
        else:
            self.causal.setText(tr("Causal &mask and sliding window"))
            self.causal.setToolTip(
                tip(
                    tr(
                        "Off: every token sees every other, those after it as well as those before its window of "
                        "{window}."
                    ).format(window=window)
                )
            )
        self.causal.setChecked(MASK_OFF not in self.session.scene.edits)

    def _note_model(self, _: Any = None) -> None:
        """What could be opened is offered again, now and at the next start."""
        recent = Recent(*self.session.shown.shape)
        greeting = self.session.greeting
        known = greeting.get("presets", {recent.model: ""}) | greeting.get("damaged", {})
        if recent.model not in known and recent != next(iter(self.prompt_bar.model.recent), None):
            self.prompt_bar.model.remember(recent)
            self.keep(recent=tuple(self.prompt_bar.model.recent))

    def _note_training(self, word: str) -> None:
        """What was started can be gone on with at the next start."""
        if word == "start":
            self.keep(trainings=tuple(self.session.training.specs.values()))

    def fault(self, story: str, error: BaseException) -> None:
        """A fault of ours: its story for the log, one line for the person."""
        self.client.note(story)
        what = " ".join(str(error).split())[:200]
        self.session.tell(
            tr("Something went wrong in the window ({what}). See Help > Log.").format(
                what=what or type(error).__name__
            )
        )

    # Doing

    def open(self, model: str, config: Sequence[str] = ()) -> None:
        """Ask for a model; the present one stays on screen until the new one works."""
        self.session.open(model, config)

    def train_on(self, texts: tuple[str, ...]) -> None:
        """Texts to learn from were dropped: the form that takes them comes to the front."""
        self.session.training.offer(texts)
        self.docks["train"].bring()

    def open_file(self) -> None:
        self._open_chosen(choose_file)

    def open_folder(self) -> None:
        self._open_chosen(choose_folder)

    def _open_chosen(self, choose: Callable[[QWidget, str], str]) -> None:
        """Have a path chosen, beginning where the last one was, and open it."""
        if path := choose(self, self.kept.folder):
            self.keep(folder=str(Path(path).parent))
            self.open(path)

    def new_untrained(self) -> None:
        """Have a configuration made up and open it."""
        dialog = UntrainedDialog(self.session, self.client, self)
        dialog.created.connect(self.open)
        dialog.open()

    def forget_recent(self) -> None:
        self.prompt_bar.model.forget()
        self.keep(recent=())

    def ask_what_is_unsaid(self, _: Any = None) -> None:
        """A form for what the files of a model do not say; Cancel returns to the model before."""
        asks, scene = self.session.asks, self.session.scene
        if asks and self.asks is None:
            model = model_title(scene.model)
            self.asks = AsksDialog(model, asks, self.session.message, self)
            self.asks.answered.connect(lambda words: self.open(scene.model, with_words(scene.config, words)))
            self.asks.rejected.connect(
                lambda: self.session.go_back(tr("{model} was not opened.").format(model=model))
            )
            self.asks.finished.connect(self._asked)
            self.asks.open()

    def _asked(self, _: int) -> None:
        self.asks = None

    def save_picture(self) -> None:
        try:
            save_picture(self)
        except InputError as error:
            self.session.tell(str(error))

    def set_theme(self, scheme: Scheme | None) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, scheme)
        self.keep(theme=scheme)

    # Keys without modifiers, which PlainKeys brings here

    def plain_keys(self) -> list[tuple[Qt.Key, str, Callable[[], object]]]:
        film = self.transport
        return [
            (Qt.Key.Key_Space, tr("Play or pause the forward pass"), film.toggle),
            (Qt.Key.Key_Left, tr("Previous step"), lambda: film.go(-1)),
            (Qt.Key.Key_Right, tr("Next step"), lambda: film.go(1)),
            (Qt.Key.Key_PageUp, tr("Previous layer"), lambda: film.go_layer(-1)),
            (Qt.Key.Key_PageDown, tr("Next layer"), lambda: film.go_layer(1)),
            (Qt.Key.Key_Home, tr("First step"), film.go_first),
            (Qt.Key.Key_End, tr("Last step"), film.go_last),
        ]

    @property
    def transport(self) -> Transport:
        return cast(Transport, self.docks["transport"].panel)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.escape()
            return
        pressed = plain_key(event)
        for key, _, slot in self.plain_keys():
            if pressed == key:
                slot()
                return
        super().keyPressEvent(event)

    def go_to_prompt(self) -> None:
        """What is typed next is the prompt."""
        self.activateWindow()
        self.prompt_bar.prompt.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.prompt_bar.prompt.selectAll()

    def escape(self) -> None:
        """Stop what runs; else leave the prompt; else let go of the locked tokens."""
        if self.session.progress[1] < 1.0:
            self.client.cancel()
        elif self.focusWidget() in self.prompt_bar.fields:
            self.setFocus()  # plain keys walk the forward pass from here
        else:
            self.session.select(query=None, key=None)

    # Coming and going

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._shown_once:
            self._shown_once = True
            fit(self)
            if not self._restored:
                # Docks take their shares once they have a size.
                QTimer.singleShot(0, self, self.arrange_columns)
            else:
                self._settling.start()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._painted_once:
            self._painted_once = True
            QTimer.singleShot(AFTER_PAINT_MS, self, self._complete)

    def _restore(self) -> bool:
        """The layout of the last time. False where there is none, or it cannot be read: the default it is.

        Qt may end over one that is not as it wrote it. That it is about to is noted before, until the window was
        painted: the start after one that ended so does without. Where that cannot be noted, nothing is restored.
        """
        if self.settings is not None and self.settings.problem:
            self.session.tell(self.settings.problem)
        layout = self.kept.layout
        if layout is None or not self.keep(restoring=True):
            return False
        self.restoreGeometry(QByteArray(layout.geometry))
        restored = self.restoreState(QByteArray(layout.state), LAYOUT_VERSION)
        if not restored:
            self.arrange()
        for name in self._withheld:
            self.docks[name].hide()  # it was there for the model of then
        self.offer_panels()
        self._tidy()
        return restored

    def _may_close(self) -> bool:
        """Whether a training, if there is one, is to end with the window."""
        if not self.session.training.active:
            return True
        box = Message(self, tr("Layerscope"), tr("A training is running. Stop it and close the window?"))
        box.setIcon(Message.Icon.Question)
        box.setInformativeText(tr("It keeps a checkpoint, and Resume in the Train panel goes on with it."))
        stop = box.addButton(tr("Stop and close"), Message.ButtonRole.AcceptRole)
        box.addButton(Message.StandardButton.Cancel)
        box.setDefaultButton(stop)
        box.exec()
        box.deleteLater()
        return box.clickedButton() == stop

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self._may_close():
            event.ignore()
            return
        shares = {dock.objectName(): share for dock, share in self._shares.items()}
        layout = Layout(
            bytes(self.saveGeometry().data()), bytes(self.saveState(LAYOUT_VERSION).data()), shares
        )
        if not self.keep(layout=layout, restoring=False):
            complain(self.session.message)  # the window says nothing any more
        # Out of sight first: an engine that is busy may take half a second to end.
        self.hide()
        self.client.close()
        detach(self)
        self.trainer.close()
        self.keys.detach()
        for panel in self.built_panels():
            panel.detach()
        super().closeEvent(event)


def named(text: str, key: Qt.Key) -> str:
    """A menu's text with a key beside it that the menu itself does not catch."""
    return f"{text}\t{QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)}"


class KeysDialog(FittingDialog):
    """Every key in one table."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Keys"))
        table = QWidget()
        grid = QGridLayout(table)
        grid.setContentsMargins(0, 0, 0, 0)
        line = self.fontMetrics().height()
        grid.setHorizontalSpacing(line * 2)
        grid.setVerticalSpacing(round(line * 0.3))
        for row, (keys, text) in enumerate(self.rows(window)):
            name = Label(keys)
            name.setFont(theme.mono_font())
            grid.addWidget(name, row, 0)
            grid.addWidget(Label(text), row, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(line, line, line, line)
        column.setSpacing(line)
        column.addWidget(Scrolled(table, tr("Keys")))
        column.addWidget(buttons)

    @staticmethod
    def rows(window: MainWindow) -> list[tuple[str, str]]:
        native = QKeySequence.SequenceFormat.NativeText
        rows = [(QKeySequence(key).toString(native), text) for key, text, _ in window.plain_keys()]
        rows += [
            (
                tr("Arrows"),
                tr(
                    "In the Attention panel, a map or a plot: move its cursor, e.g. to the next head or layer"
                ),
            ),
            (tr("Shift+Left, Shift+Right"), tr("On the tokens: choose the query before or after")),
            (tr("Shift+click"), tr("On a token: choose it as the key")),
            (tr("Esc"), tr("Stop the engine's work; leave the prompt; let go of the locked tokens")),
        ]
        for menu in window.menuBar().findChildren(QMenu):
            for action in menu.actions():
                keys = ", ".join(keys.toString(native) for keys in action.shortcuts())
                if keys:
                    rows.append((keys, action.text().replace("&", "").rstrip("…")))
        return rows
