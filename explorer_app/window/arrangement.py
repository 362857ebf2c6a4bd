"""The docks of the panels: where they stand, how much room each has, and which have something to show."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QTabBar

from explorer_app.panel.base import Panel
from explorer_app.panel.registry import Registered
from explorer_app.state.session import Session
from explorer_app.widgets.listening import Listening
from explorer_app.window.dock import PanelDock
from explorer_app.window.entries import entry
from explorer_app.words.text import tr

WIDTHS = {"left": 21, "centre": 55, "right": 24}
SETTLING_MS = 300


class Arrangement(QObject):
    """A dock for each registered panel, in the columns of a window.

    by_name  the docks, in the order in which their panels are listed
    """

    built = Signal(Panel)
    completed = Signal()
    """Every panel is built."""

    def __init__(self, window: QMainWindow, registered: Sequence[Registered], session: Session) -> None:
        super().__init__(window)
        self._window, self._registered, self._session = window, registered, session
        self._arranging = False
        self._withheld: set[str] = set()
        self._never_shared: set[str] = set()  # of them, those that were so when the window was arranged
        self._shares: dict[PanelDock, float] = {}
        self._before: Mapping[str, float] = {}  # the shares of a layout that was kept
        self._shared_width = self._between = 0
        # A layout that was kept of a maximized window is put right by Qt once the window is as large again.
        self._settling = QTimer(self, interval=SETTLING_MS, singleShot=True)
        self._settling.timeout.connect(self._settled)
        self.by_name: dict[str, PanelDock] = {}
        for one in registered:
            dock = PanelDock(one, session, window)
            dock.built.connect(self.built)
            dock.placed.connect(self._note_shares)
            for signal in (dock.topLevelChanged, dock.dockLocationChanged, dock.visibilityChanged):
                signal.connect(self.tidy)
            self.by_name[one.name] = dock
        listens = Listening(self)
        listens.to(session.shown_changed, self.offer_panels)
        listens.to(session.compared_changed, self.offer_panels)
        listens.to(session.answered, self.offer_panels)

    @property
    def panels(self) -> list[Panel]:
        """Those that are built."""
        return [dock.panel_if_built for dock in self.by_name.values() if dock.panel_if_built is not None]

    @property
    def shares(self) -> dict[str, float]:
        """Which share of the width each column has, by the docks in it."""
        return {dock.objectName(): share for dock, share in self._shares.items()}

    def build_all(self) -> None:
        """Build a panel that nobody has seen yet, and the next one when the event loop is free again."""
        dock = next((dock for dock in self.by_name.values() if dock.panel_if_built is None), None)
        if dock is None:
            self.completed.emit()
            return
        dock.build()
        QTimer.singleShot(0, self, self.build_all)

    def bring_floating(self) -> None:
        """In front of the window what floats. It was there before, and would go behind the window at every click."""
        for dock in self.by_name.values():
            if dock.isFloating() and dock.isVisible():
                dock.hide()
                dock.show()

    def restored(self) -> None:
        """Put right what was shown of a layout that was kept."""
        for name in self._withheld:
            self.by_name[name].hide()  # it was there for the model of then
        self.offer_panels()
        self.tidy()

    def settle(self, shares: Mapping[str, float]) -> None:
        """Give each column the share that it had, once a window of then has its size."""
        self._before = shares
        self._settling.start()

    def of_area(self, area: str) -> list[PanelDock]:
        return [self.by_name[registered.name] for registered in self._registered if registered.area == area]

    def arrange(self) -> None:
        """The default layout: the graph left, tabs in the middle, a stack right, the film below."""
        side = Qt.DockWidgetArea
        left, centre, right, bottom = (self.of_area(area) for area in ("left", "centre", "right", "bottom"))
        self._arranging = True
        for dock in self.by_name.values():
            if dock.isFloating():
                dock.setFloating(False)
            self._window.removeDockWidget(dock)
        for corner in (Qt.Corner.BottomLeftCorner, Qt.Corner.BottomRightCorner):
            self._window.setCorner(corner, side.BottomDockWidgetArea)
        for dock in left[:1]:
            self._window.addDockWidget(side.LeftDockWidgetArea, dock)
        for dock in (*centre[:1], *right[:1]):
            self._window.addDockWidget(side.RightDockWidgetArea, dock, Qt.Orientation.Horizontal)
        for before, dock in pairwise(centre):
            self._window.tabifyDockWidget(before, dock)
        for stack in (left, right):
            for before, dock in pairwise(stack):
                self._window.splitDockWidget(before, dock, Qt.Orientation.Vertical)
        for dock in bottom:
            self._window.addDockWidget(side.BottomDockWidgetArea, dock)
        self._withheld.clear()
        self._never_shared.clear()
        for dock in self.by_name.values():
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
        self.tidy()
        self._note_shares()

    def offer_panels(self, _: Any = None) -> None:
        """A panel that has nothing to show of the model on screen is out of sight until another model is there.

        One that then says what it would show can be opened all the same.
        """
        for name, dock in self.by_name.items():
            kind = dock.registered.build
            applies, explains = kind.applies(self._session.run), kind.explains
            dock.view_action.setVisible(applies or explains)
            if not applies and not dock.isHidden() and not (explains and name in self._withheld):
                self._withheld.add(name)
                if (focus := self._window.focusWidget()) is not None and dock.isAncestorOf(focus):
                    # Qt would give the focus to whatever comes next, which then takes the keys of the forward pass.
                    self._window.setFocus()
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
        self._share(columns, self._window.width(), Qt.Orientation.Horizontal)
        self._arrange_stack("left")
        self._arrange_stack("right")

    def _arrange_stack(self, area: str) -> None:
        """Share the height among the panels at a side, if it is one."""
        if area in ("left", "right"):
            heights = {dock: dock.registered.height for dock in self.of_area(area)}
            self._share(heights, self._window.height(), Qt.Orientation.Vertical)

    def _share(self, shares: Mapping[PanelDock, int], whole: int, way: Qt.Orientation) -> None:
        sizes = [share * whole // sum(shares.values()) for share in shares.values()]
        self._window.resizeDocks(list(shares), sizes, way)

    def _settled(self) -> None:
        """The window of a layout that was kept has its size: give each column the share that it had."""
        docks = [dock for dock in self.by_name.values() if dock.takes_part()]
        shares = {dock: self._before.get(dock.objectName(), 0.0) for dock in docks} if self._before else {}
        if shares and all(shares.values()):
            columns = sum({dock.x(): dock.width() for dock in docks}.values())
            widths = [round(share * columns) for share in shares.values()]
            if any(abs(dock.width() - width) > 2 for dock, width in zip(docks, widths, strict=True)):
                self._window.resizeDocks(docks, widths, Qt.Orientation.Horizontal)
        self._note_shares()

    def _note_shares(self) -> None:
        """Which share of the width each column has, unless it is the window that changes its size."""
        if self._arranging or self._window.width() != self._shared_width:
            return
        if docks := [dock for dock in self.by_name.values() if dock.takes_part()]:
            columns = sum({dock.x(): dock.width() for dock in docks}.values())
            self._between = self._window.width() - columns
            self._shares = {dock: dock.width() / columns for dock in docks}

    def follow_width(self) -> None:
        """Every column keeps its share of a window that has become wider or narrower.

        Qt would give all that comes to the first.
        """
        width = self._window.width()
        if width == self._shared_width:
            return
        if not self._settling.isActive():
            docks = [dock for dock in self._shares if dock.takes_part()]
            widths = [round(self._shares[dock] * (width - self._between)) for dock in docks]
            self._window.resizeDocks(docks, widths, Qt.Orientation.Horizontal)
            QApplication.sendPostedEvents(self._window, QEvent.Type.LayoutRequest)
        self._shared_width = width

    def tidy(self, _: Any = None) -> None:
        """Titles where no tab says the same; every tab has a menu to close it or to let it float."""
        if self._arranging:
            return
        for dock in self.by_name.values():
            dock.tidy()
        for bar in self._window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
            if bar.contextMenuPolicy() != Qt.ContextMenuPolicy.CustomContextMenu:
                bar.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
                bar.customContextMenuRequested.connect(lambda at, bar=bar: self._tab_menu(bar, at))

    def _tab_menu(self, bar: QTabBar, at: QPoint) -> None:
        title = bar.tabText(bar.tabAt(at))
        dock = next((dock for dock in self.by_name.values() if dock.windowTitle() == title), None)
        if dock is not None:
            menu = QMenu(self._window)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            entry(menu, tr("Float"), dock.float)
            entry(menu, tr("Close"), dock.close)
            menu.popup(bar.mapToGlobal(at))
