"""The menu bar: what can be done, and the keys that do it."""

from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from PySide6.QtCore import Qt
from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QMenu

from explorer_app.state.known import Compared
from explorer_app.state.settings import Scheme
from explorer_app.widgets.listening import Listening
from explorer_app.widgets.plain import caption, tip
from explorer_app.window.entries import entry, named
from explorer_app.window.keys_dialog import KeysDialog
from explorer_app.words.model_words import distinct_titles, model_tip, why_missing
from explorer_app.words.text import tr

if TYPE_CHECKING:
    from explorer_app.window.window import MainWindow

MASK_OFF = "mask off"


class Menus:
    """The menus of a window; each entry is something that the window, its engine or its session does."""

    def __init__(self, window: "MainWindow") -> None:
        self._window = window
        bar = window.menuBar()
        self._file_menu(bar.addMenu(tr("&File")))
        self._view_menu(bar.addMenu(tr("&View")))
        self._run_menu(bar.addMenu(tr("&Run")))
        self._go_menu(bar.addMenu(tr("&Go")))
        self._help_menu(bar.addMenu(tr("&Help")))

        self.show_mask()
        listens = Listening(bar)
        listens.to(window.session.scene_changed, self.show_mask)
        listens.to(window.session.shown_changed, self.show_mask)

    def _file_menu(self, menu: QMenu) -> None:
        window = self._window
        entry(menu, tr("&Open checkpoint file…"), window.open_file, "Ctrl+O")
        entry(menu, tr("Open checkpoint &folder…"), window.open_folder, "Ctrl+Shift+O")
        self.recent = menu.addMenu(tr("Open &recent"))
        self.recent.setToolTipsVisible(True)
        self.recent.aboutToShow.connect(self.show_recent)
        self.show_recent()
        entry(menu, tr("&New untrained model…"), window.new_untrained, "Ctrl+N")
        menu.addSeparator()
        entry(menu, tr("&Save picture…"), window.save_picture, "Ctrl+S")
        menu.addSeparator()
        entry(menu, tr("&Quit"), window.close, "Ctrl+Q")

    def show_recent(self) -> None:
        """The models of before; those that are gone stay in the list, grey and with the reason."""
        self.recent.clear()
        recent = self._window.prompt_bar.model.recent
        titles = distinct_titles([(model.model, model.config) for model in recent])
        for model, title in zip(recent, titles, strict=True):
            missing = why_missing(model.model)
            action = entry(
                self.recent,
                caption(tr("{model} ({reason})").format(model=title, reason=missing) if missing else title),
                partial(self._window.open, model.model, model.config),
            )
            action.setToolTip(tip(model_tip(model.model, model.config)))
            action.setEnabled(not missing)
        if not recent:
            entry(self.recent, tr("Nothing was opened yet"), lambda: None).setEnabled(False)
        self.recent.addSeparator()
        entry(self.recent, tr("&Clear recent"), self._window.forget_recent).setEnabled(bool(recent))

    def _view_menu(self, menu: QMenu) -> None:
        window = self._window
        for dock in window.docks.values():
            menu.addAction(dock.view_action)
        menu.addSeparator()
        themes = menu.addMenu(tr("&Theme"))
        group = QActionGroup(window)
        chosen = window.memory.kept.theme
        choices: list[tuple[Scheme | None, str]] = [
            (None, tr("Like the &system")),
            ("light", tr("&Light")),
            ("dark", tr("&Dark")),
        ]
        for scheme, title in choices:
            action = entry(themes, title, partial(window.set_theme, scheme))
            action.setCheckable(True)
            action.setChecked(scheme == chosen)
            group.addAction(action)
        entry(menu, tr("&Reset layout"), window.arrange)

    def _run_menu(self, menu: QMenu) -> None:
        window = self._window
        entry(menu, tr("&Run again"), window.client.run_again, "Ctrl+R", "F5")
        entry(menu, named(tr("&Cancel"), Qt.Key.Key_Escape), window.client.cancel)
        menu.addSeparator()
        entry(menu, tr("&Pin as A, to compare with"), window.session.pin_baseline, "Ctrl+B")
        entry(menu, tr("&Unpin A"), window.session.unpin_baseline, "Ctrl+Shift+B")
        for key, what in enumerate(get_args(Compared), 1):
            entry(
                menu,
                tr("Look at {what}").format(what=what),
                partial(window.session.compare, what),
                f"Alt+{key}",
            )
        menu.addSeparator()
        self.causal = entry(menu, tr("Causal &mask"), lambda: window.session.toggle_edit(MASK_OFF), "Ctrl+M")
        self.causal.setCheckable(True)
        menu.setToolTipsVisible(True)
        entry(menu, tr("Clear all &edits"), lambda: window.session.change(edits=()))
        menu.addSeparator()
        entry(menu, tr("Restart &engine"), window.client.restart)

    def _go_menu(self, menu: QMenu) -> None:
        window = self._window
        entry(menu, tr("&Prompt"), window.go_to_prompt, "Ctrl+L")
        menu.addSeparator()
        for key, text, slot in window.plain_keys:
            entry(menu, named(text, key), slot)

    def _help_menu(self, menu: QMenu) -> None:
        window = self._window
        entry(menu, tr("&Keys…"), lambda: KeysDialog(window).exec(), "F1")
        entry(menu, tr("&Log…"), window.log.show)
        entry(menu, tr("&About Layerscope"), window.show_about)

    def show_mask(self, _: Any = None) -> None:
        """What the switch takes away from the model on screen, and whether it does."""
        session = self._window.session
        window = min((kind.window for kind in session.kinds if kind.window is not None), default=None)
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
        self.causal.setChecked(MASK_OFF not in session.scene.edits)
