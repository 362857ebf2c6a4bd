"""The window: the prompt above, panels in docks around what matters most, the film of the forward pass below."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QTabWidget,
    QToolBar,
    QVBoxLayout,
)

from explorer_app import theme
from explorer_app.dock import PanelDock
from explorer_app.engine_client import EngineClient, Wanted
from explorer_app.log_dialog import LogDialog
from explorer_app.panels import Panel, Registered, load_panels
from explorer_app.panels.transport import Transport
from explorer_app.prompt_bar import PromptBar, model_title
from explorer_app.session import RUN, SITES, Session
from explorer_app.settings import recent_models, remember_model
from explorer_app.text import tr
from model_core.queries import Query

MASK_OFF = "mask off"
SIZE = (1280, 800)
LAYOUT_VERSION = 1

Connect = Callable[[Session, Wanted], EngineClient]


class MainWindow(QMainWindow):
    """One session on screen. `connect` makes its engine's client; `settings` None remembers nothing."""

    def __init__(
        self, session: Session, settings: QSettings | None = None, connect: Connect = EngineClient
    ) -> None:
        super().__init__()
        self.session = session
        self.settings = settings
        self.client = connect(session, self.wanted)
        self.panels: dict[str, Panel] = {}
        self.docks: dict[str, PanelDock] = {}
        self.registered: list[Registered] = load_panels()
        self.prompt_bar = PromptBar(session, recent_models(settings) if settings is not None else [])
        self.status = QLabel()
        self.log_dialog: LogDialog | None = None
        self.setWindowTitle(tr("Layerscope"))
        self.setDockNestingEnabled(True)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setDocumentMode(True)
        self._build_top()
        self._build_docks()
        self._build_menus()
        self.statusBar().addWidget(self.status, 1)
        self.statusBar().setSizeGripEnabled(False)
        self._connect()
        self.resize(*SIZE)
        self.arrange()
        self._restore()
        self.show_status()
        self.prompt_bar.prompt.setFocus()

    def wanted(self) -> list[Query]:
        """What the window and its visible panels want to know, the most urgent first."""
        wanted = [RUN, SITES]
        for panel in self.panels.values():
            wanted += panel.wanted()
        return wanted

    # Building

    def _build_top(self) -> None:
        bar = QToolBar(tr("Prompt"))
        bar.setObjectName("prompt")
        bar.setMovable(False)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        bar.toggleViewAction().setVisible(False)
        bar.addWidget(self.prompt_bar)
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, bar)

    def _build_docks(self) -> None:
        for registered in self.registered:
            panel = registered.build(self.session)
            panel.asks.connect(self.client.ask)
            dock = PanelDock(registered.name, tr(registered.title), panel, self)
            dock.topLevelChanged.connect(self._tidy_titles)
            dock.dockLocationChanged.connect(self._tidy_titles)
            dock.visibilityChanged.connect(self._tidy_titles)
            self.panels[registered.name] = panel
            self.docks[registered.name] = dock

    def of_area(self, area: str) -> list[PanelDock]:
        return [self.docks[r.name] for r in self.registered if r.area == area]

    def arrange(self) -> None:
        """The default layout: graph left, tabs in the middle, a stack right, the film below."""
        side = Qt.DockWidgetArea
        for dock in self.docks.values():
            dock.setFloating(False)
            self.removeDockWidget(dock)
        self.setCorner(Qt.Corner.BottomLeftCorner, side.BottomDockWidgetArea)
        self.setCorner(Qt.Corner.BottomRightCorner, side.BottomDockWidgetArea)
        left, centre, right = self.of_area("left"), self.of_area("centre"), self.of_area("right")
        for dock in left:
            self.addDockWidget(side.LeftDockWidgetArea, dock)
        for dock in (*centre[:1], *right[:1]):
            self.addDockWidget(side.RightDockWidgetArea, dock, Qt.Orientation.Horizontal)
        for before, dock in zip(centre, centre[1:], strict=False):
            self.tabifyDockWidget(before, dock)
        for before, dock in zip(right, right[1:], strict=False):
            self.splitDockWidget(before, dock, Qt.Orientation.Vertical)
        for dock in self.of_area("bottom"):
            self.addDockWidget(side.BottomDockWidgetArea, dock)
        for dock in self.docks.values():
            dock.show()
        for dock in centre[:1]:
            dock.raise_()
        columns = [(docks[0], share) for docks, share in ((left, 22), (centre, 54), (right, 24)) if docks]
        if columns:
            self.resizeDocks([d for d, _ in columns], [s * 10 for _, s in columns], Qt.Orientation.Horizontal)
        self._tidy_titles()

    def _tidy_titles(self, _: Any = None) -> None:
        """A dock among tabs is named by its tab: a second title above it would only take room."""
        for dock in self.docks.values():
            dock.tidy()

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
        self._add(menu, tr("&Open checkpoint folder…"), self.open_folder, "Ctrl+O")
        self._add(menu, tr("&Save picture…"), self.save_picture, "Ctrl+S")
        menu.addSeparator()
        self._add(menu, tr("&Quit"), self.close, "Ctrl+Q")

    def _view_menu(self, menu: QMenu) -> None:
        for dock in self.docks.values():
            menu.addAction(dock.toggleViewAction())
        menu.addSeparator()
        themes = menu.addMenu(tr("&Theme"))
        group = QActionGroup(self)
        names = {"system": tr("Like the &system"), "light": tr("&Light"), "dark": tr("&Dark")}
        for name, title in names.items():
            action = self._add(themes, title, lambda name=name: self.set_theme(name))
            action.setCheckable(True)
            action.setChecked(name == self._theme())
            group.addAction(action)
        self._add(menu, tr("&Reset layout"), self.arrange)

    def _run_menu(self, menu: QMenu) -> None:
        self._add(menu, tr("&Run again"), self.client.run_again, "Ctrl+R", "F5")
        self._add(menu, tr("&Cancel") + "\tEsc", self.client.cancel)
        menu.addSeparator()
        self.mask = self._add(menu, tr("Causal &mask"), lambda: self.session.toggle_edit(MASK_OFF), "Ctrl+M")
        self.mask.setCheckable(True)
        self._add(menu, tr("Clear all &edits"), lambda: self.session.change(edits=()))
        menu.addSeparator()
        self._add(menu, tr("Restart &engine"), self.client.restart)

    def _go_menu(self, menu: QMenu) -> None:
        for key, text, slot in self.keys():
            self._add(
                menu, f"{text}\t{QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)}", slot
            )

    def _help_menu(self, menu: QMenu) -> None:
        self._add(menu, tr("&Keys…"), self.show_keys, "F1")
        self._add(menu, tr("Engine &log…"), self.show_log)
        self._add(menu, tr("&About Layerscope"), self.show_about)

    def _connect(self) -> None:
        session = self.session
        self.prompt_bar.opening.connect(self.open_folder)
        self.prompt_bar.cancelled.connect(self.client.cancel)
        for signal in self._status_signals():
            signal.connect(self.show_status)
        session.scene_changed.connect(self.show_mask)
        session.shown_changed.connect(self._note_model)
        self.show_mask()

    def _status_signals(self) -> list[Any]:
        session = self.session
        return [session.shown_changed, session.answered, session.engine_changed]

    # Words

    def show_status(self, _: Any = None) -> None:
        """The facts of the run that is on screen."""
        run, scene = self.session.run, self.session.shown
        parts = [model_title(scene.model), scene.device, scene.dtype]
        if run is not None:
            parts.append(tr("{count} tokens").format(count=len(run["tokens"])))
            parts.append(tr("{ms:.0f} ms").format(ms=run["milliseconds"]))
            parts.append(tr("kept {size:.1f} MB").format(size=run["kept_bytes"] / 1e6))
        parts.append(tr("engine {state}").format(state=tr(self.session.engine)))
        self.status.setText(" · ".join(parts))

    def show_mask(self, _: Any = None) -> None:
        self.mask.setChecked(MASK_OFF not in self.session.scene.edits)

    def show_keys(self) -> None:
        KeysDialog(self).exec()

    def show_log(self) -> None:
        self.log_dialog = LogDialog(self.client.log, self)
        self.client.log_grew.connect(self.log_dialog.add)
        self.log_dialog.show()

    def show_about(self) -> None:
        QMessageBox.about(
            self, tr("About Layerscope"), tr("A desktop explorer of transformer architectures.")
        )

    # Doing

    def open_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, tr("Open checkpoint folder"))
        if folder:
            self.session.change(model=folder)

    def _note_model(self, _: Any = None) -> None:
        """A path that could be opened is offered at the next start."""
        model = self.session.shown.model
        if self.settings is not None and model not in self.session.greeting.get("presets", {model: ""}):
            remember_model(self.settings, model)

    def save_picture(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, tr("Save picture"), "layerscope.png", tr("Pictures (*.png)")
        )
        if path:
            target = Path(path).with_suffix(".png")
            if not self.grab().save(str(target)):
                self.session.tell(tr("{path} could not be written").format(path=target))

    def _theme(self) -> str:
        saved = self.settings.value("window/theme", "system") if self.settings is not None else "system"
        return saved if saved in get_args(theme.Scheme) else "system"

    def set_theme(self, name: str) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, None if name == "system" else cast(theme.Scheme, name))
        if self.settings is not None:
            self.settings.setValue("window/theme", name)

    # Keys: taken only where nothing with the focus has a use for them

    def keys(self) -> list[tuple[int, str, Callable[[], object]]]:
        transport = self.transport
        return [
            (Qt.Key.Key_Space, tr("Play or pause"), transport.toggle),
            (Qt.Key.Key_Left, tr("Previous step"), lambda: transport.go(-1)),
            (Qt.Key.Key_Right, tr("Next step"), lambda: transport.go(1)),
            (Qt.Key.Key_PageUp, tr("Previous layer"), lambda: transport.go_layer(-1)),
            (Qt.Key.Key_PageDown, tr("Next layer"), lambda: transport.go_layer(1)),
            (Qt.Key.Key_Home, tr("First step"), transport.go_first),
            (Qt.Key.Key_End, tr("Last step"), transport.go_last),
        ]

    @property
    def transport(self) -> Transport:
        return cast(Transport, self.panels["transport"])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.escape()
            return
        for key, _, slot in self.keys():
            if event.key() == key and not event.modifiers():
                slot()
                return
        super().keyPressEvent(event)

    def escape(self) -> None:
        """Stop what runs; else leave the prompt; else unlock the tokens."""
        if self.client.busy:
            self.client.cancel()
        elif self.prompt_bar.prompt.hasFocus():
            self.prompt_bar.strip.setFocus()
        else:
            self.session.select(query=None, key=None)

    # Coming and going

    def _restore(self) -> None:
        if self.settings is None:
            return
        geometry = self.settings.value("window/geometry")
        layout = self.settings.value("window/layout")
        if geometry is not None:
            self.restoreGeometry(geometry)
        if layout is not None and not self.restoreState(layout, LAYOUT_VERSION):
            self.arrange()
        self._tidy_titles()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.settings is not None:
            self.settings.setValue("window/geometry", self.saveGeometry())
            self.settings.setValue("window/layout", self.saveState(LAYOUT_VERSION))
            self.settings.sync()
        self.client.close()
        for signal in self._status_signals():
            signal.disconnect(self.show_status)
        self.session.scene_changed.disconnect(self.show_mask)
        self.session.shown_changed.disconnect(self._note_model)
        self.prompt_bar.detach()
        for panel in self.panels.values():
            panel.detach()
        super().closeEvent(event)


class KeysDialog(QDialog):
    """Every shortcut in one table."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setWindowTitle(tr("Keys"))
        grid = QGridLayout()
        rows = [
            (action.text().replace("&", "").split("\t")[0], action.shortcut().toString())
            for action in window.findChildren(QAction)
            if not action.shortcut().isEmpty()
        ]
        rows += [(text, QKeySequence(key).toString()) for key, text, _ in window.keys()]
        for n, (text, key) in enumerate(rows):
            grid.addWidget(QLabel(key), n, 0)
            grid.addWidget(QLabel(text), n, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(grid)
        column.addWidget(buttons)
