"""A panel's dock: a slim title that can be dragged, floated and closed; among tabs the tab is title enough."""

from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QColor, QFontMetricsF, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow, QStyle, QToolButton, QWidget

from explorer_app import theme
from explorer_app.panel.base import Panel
from explorer_app.panel.registry import Registered
from explorer_app.state.session import Session
from explorer_app.widgets.plain import Label, tip
from explorer_app.window.holder import Holder
from explorer_app.words.text import tr


class DockTitle(QWidget):
    """Name, float and close. Presses that hit none of them reach the dock, which moves."""

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        line = QFontMetricsF(self.font()).height()
        name = Label(dock.windowTitle())
        font = name.font()
        font.setBold(True)
        name.setFont(font)
        row = QHBoxLayout(self)
        row.setContentsMargins(round(line * 0.5), round(line * 0.15), round(line * 0.25), round(line * 0.1))
        row.setSpacing(0)
        row.addWidget(name, 1)
        icon = QStyle.StandardPixmap
        for pixmap, about, slot in (
            (
                icon.SP_TitleBarNormalButton,
                tr("Float, or dock again"),
                lambda: dock.setFloating(not dock.isFloating()),
            ),
            (icon.SP_TitleBarCloseButton, tr("Close; the View menu opens it again"), dock.close),
        ):
            button = QToolButton()
            button.setAutoRaise(True)
            button.setIcon(self.style().standardIcon(pixmap))
            button.setIconSize(QSize(round(line * 0.75), round(line * 0.75)))
            button.setFixedSize(round(line * 1.25), round(line * 1.1))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setToolTip(tip(about))
            button.clicked.connect(slot)
            row.addWidget(button)


class PanelDock(QDockWidget):
    """The dock of a panel, under its name, so that its place can be saved and restored.

    The panel is built when it is first asked for or seen: the window is on screen before the tabs behind are built.
    """

    built = Signal(Panel)
    placed = Signal()
    """Its size changed, or whether it is seen."""

    def __init__(self, registered: Registered, session: Session, window: QMainWindow) -> None:
        super().__init__(tr(registered.title), window)
        # Low and wide: the title stands beside the panel and not above it.
        if registered.area == "bottom":
            self.setFeatures(self.features() | QDockWidget.DockWidgetFeature.DockWidgetVerticalTitleBar)
        self.setObjectName(registered.name)
        self.registered = registered
        self.panel_if_built: Panel | None = None
        self._session, self._window = session, window
        self._in_front = False
        # Behind another tab a dock is only moved out of sight; its panel is to know that nobody looks.
        self.visibilityChanged.connect(self._set_seen)
        self.view_action = QAction(self.windowTitle(), self)
        self.view_action.setCheckable(True)
        self.view_action.triggered.connect(self._choose)
        self._title = DockTitle(self)
        self._none = QWidget(self)
        self.setTitleBarWidget(self._title)
        self._holder = Holder(self)
        self.setWidget(self._holder)

    @property
    def panel(self) -> Panel:
        return self.panel_if_built or self.build()

    def build(self) -> Panel:
        panel = self.panel_if_built = self.registered.build(self._session)
        panel.set_seen(self._in_front)
        self._holder.hold(panel)
        self.built.emit(panel)
        return panel

    def _set_seen(self, seen: bool) -> None:
        self._in_front = seen
        self.view_action.setChecked(seen)
        if seen or self.panel_if_built is not None:
            self.panel.set_seen(seen)
        self.placed.emit()

    def takes_part(self) -> bool:
        """Whether it is seen in one of the window's columns."""
        sides = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        return self._in_front and not self.isFloating() and self._window.dockWidgetArea(self) in sides

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.placed.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.isFloating():
            # Without a frame of the system's it would run into the window below.
            painter = QPainter(self)
            painter.setPen(QColor(theme.current().muted))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _choose(self) -> None:
        """Chosen in the View menu: one that is seen closes, any other comes to the front."""
        if self._in_front:
            self.close()
        else:
            self.bring()
        self.view_action.setChecked(self._in_front)

    def bring(self) -> None:
        """Open it, and in front of the tabs beside it."""
        self.show()
        self.raise_()

    def float(self) -> None:
        """Out of the window, in front of its middle: a dock behind a tab lies nowhere that could be seen."""
        self.setFloating(True)
        self.move(self._window.geometry().center() - self.rect().center())
        self._set_seen(True)

    def tidy(self, _: Any = None) -> None:
        """Show the title, or none where a tab says the same."""
        tabbed = not self.isFloating() and bool(self._window.tabifiedDockWidgets(self))
        title = self._none if tabbed else self._title
        if self.titleBarWidget() is not title:
            self.titleBarWidget().hide()
            self.setTitleBarWidget(title)
            title.show()
