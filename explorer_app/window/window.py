"""The window: the prompt above, panels in docks around what matters most, the film of the forward pass below."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from model_core.api.command import complain
from model_core.api.errors import InputError
from model_core.api.plain_text import bytes_text
from model_core.api.queries.query import Query
from PySide6.QtCore import QByteArray, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QKeyEvent,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QMainWindow,
    QMenu,
    QTabWidget,
    QToolBar,
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
from explorer_app.processes.engine_client import Connect, EngineClient
from explorer_app.processes.trainer import Trainer
from explorer_app.state.session import Session
from explorer_app.state.settings import Layout, Recent, Scheme, Settings
from explorer_app.state.store import RUN, SITES
from explorer_app.widgets.listening import Listening, detach
from explorer_app.widgets.on_screen import fit
from explorer_app.widgets.one_line import OneLine
from explorer_app.widgets.plain import Message, tip, title_text
from explorer_app.window.arrangement import Arrangement
from explorer_app.window.dock import PanelDock
from explorer_app.window.keys import PlainKeys, plain_key
from explorer_app.window.memory import Memory
from explorer_app.window.menus import Menus
from explorer_app.window.picture import save_picture
from explorer_app.words.model_words import model_title
from explorer_app.words.text import tr

SIZE = (1280, 800)
LAYOUT_VERSION = 1
AFTER_PAINT_MS = 50


class MainWindow(QMainWindow):
    """One session on screen. `connect` makes its engine's client; without `settings` nothing is remembered."""

    completed = Signal()
    """It was painted, and every panel is built."""

    def __init__(
        self, session: Session, settings: Settings | None = None, connect: Connect = EngineClient
    ) -> None:
        super().__init__()
        self.session = session
        self.memory = Memory(settings, session.tell)
        self.client = connect(session, self.wanted)
        self.trainer = Trainer(session.training)
        specs = self.memory.kept.trainings
        session.training.specs = {spec.out: spec for spec in specs}
        session.training.texts = next((spec.data for spec in specs if spec.data), ())
        self.prompt_bar = PromptBar(session, self.memory.kept.recent)
        self.status = OneLine()
        self.compare = CompareBar(session)
        self.log = LogDialog(self.client, self)
        self.asks: AsksDialog | None = None
        self._shown_once = self._painted_once = False
        self.setDockNestingEnabled(True)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setDocumentMode(True)
        side = round(self.fontMetrics().height() * 0.3)
        self.setContentsMargins(side, 0, side, 0)
        self._build_top()
        self.arrangement = Arrangement(self, load_panels(), session)
        self.arrangement.built.connect(self._listen)
        self.arrangement.completed.connect(self.completed)
        self.menus = Menus(self)
        self._build_status()
        self._connect()
        self.resize(*SIZE)
        self.arrange()
        self.show_facts()
        self.veil = DropVeil(self)
        self.veil.opened.connect(self.open)
        self.veil.texts.connect(self.train_on)
        self.veil.refused.connect(session.tell)
        self.keys = PlainKeys(self, frozenset(key for key, _, _ in self.plain_keys))
        self.prompt_bar.prompt.setFocus()
        self._restored = self._restore()

    @property
    def docks(self) -> dict[str, PanelDock]:
        """The dock of each panel, by its name."""
        return self.arrangement.by_name

    def wanted(self) -> list[Query]:
        """What the window and its visible panels want to know, the most urgent first."""
        panels, session = self.arrangement.panels, self.session
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

    def _listen(self, panel: Panel) -> None:
        panel.asks.connect(self.client.ask)

    def _complete(self) -> None:
        """What can wait until the window is on screen."""
        fit(self)  # its frame is known by now
        if self.memory.kept.restoring:
            self.memory.keep(restoring=False)
        self.arrangement.bring_floating()
        self.arrangement.build_all()

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

    def arrange(self) -> None:
        """The default layout."""
        self.arrangement.arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.arrangement.follow_width()

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
        listens.to(session.compared_changed, self.show_facts)
        listens.to(session.answered, self.show_facts)
        listens.to(session.engine_changed, self.show_facts)
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
            parts.append(tr("kept {size}").format(size=bytes_text(run["kept_bytes"])))
        training = self.session.training
        if training.active and training.steps:
            step = f"{training.step / training.steps:.0%}"
            parts.append(tr("training: {share}").format(share=step))
        parts.append(self.prompt_bar.light.text())
        self.status.setText(" · ".join(parts))
        self.status.setToolTip(tip(self.status.text()))

    def _note_model(self, _: Any = None) -> None:
        """What could be opened is offered again, now and at the next start."""
        recent = Recent(*self.session.shown.shape)
        greeting = self.session.greeting
        known = greeting.get("presets", {recent.model: ""}) | greeting.get("damaged", {})
        if recent.model not in known and recent != next(iter(self.prompt_bar.model.recent), None):
            self.prompt_bar.model.remember(recent)
            self.memory.keep(recent=tuple(self.prompt_bar.model.recent))

    def _note_training(self, word: str) -> None:
        """What was started can be gone on with at the next start."""
        if word == "start":
            self.memory.keep(trainings=tuple(self.session.training.specs.values()))

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
        for dock in self.docks.values():
            if dock.registered.build.takes_texts:
                dock.bring()

    def open_file(self) -> None:
        self._open_chosen(choose_file)

    def open_folder(self) -> None:
        self._open_chosen(choose_folder)

    def _open_chosen(self, choose: Callable[[QWidget, str], str]) -> None:
        """Have a path chosen, beginning where the last one was, and open it."""
        if path := choose(self, self.memory.kept.folder):
            self.memory.keep(folder=str(Path(path).parent))
            self.open(path)

    def new_untrained(self) -> None:
        """Have a configuration made up and open it."""
        dialog = UntrainedDialog(self.session, self.client, self)
        dialog.created.connect(self.open)
        dialog.open()

    def forget_recent(self) -> None:
        self.prompt_bar.model.forget()
        self.memory.keep(recent=())

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
        self.memory.keep(theme=scheme)

    # Keys without modifiers, which PlainKeys brings here

    @property
    def plain_keys(self) -> list[tuple[Qt.Key, str, Callable[[], object]]]:
        """Key, what it does in words, and what is called."""
        return [
            (key.key, key.words, partial(key.act, dock.panel))
            for dock in self.docks.values()
            for key in dock.registered.build.window_keys()
        ]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.escape()
            return
        pressed = plain_key(event)
        for key, _, slot in self.plain_keys:
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
                QTimer.singleShot(0, self, self.arrangement.arrange_columns)
            elif (layout := self.memory.kept.layout) is not None:
                self.arrangement.settle(layout.shares)

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
        if self.memory.problem:
            self.session.tell(self.memory.problem)
        layout = self.memory.kept.layout
        if layout is None or not self.memory.keep(restoring=True):
            return False
        self.restoreGeometry(QByteArray(layout.geometry))
        restored = self.restoreState(QByteArray(layout.state), LAYOUT_VERSION)
        if not restored:
            self.arrange()
        self.arrangement.restored()
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
        layout = Layout(
            bytes(self.saveGeometry().data()),
            bytes(self.saveState(LAYOUT_VERSION).data()),
            self.arrangement.shares,
        )
        if not self.memory.keep(layout=layout, restoring=False):
            complain(self.session.message)  # the window says nothing any more
        # Out of sight first: an engine that is busy may take half a second to end.
        self.hide()
        self.client.close()
        detach(self)
        self.trainer.close()
        self.keys.detach()
        for panel in self.arrangement.panels:
            panel.detach()
        super().closeEvent(event)
