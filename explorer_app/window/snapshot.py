"""The window as a picture: the same window and the same engine process, drawn without a screen.

layerscope snapshot --model M --prompt P --out picture.png
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from model_core.api.command import Parser, carried_out
from model_core.api.edits import parse
from model_core.api.errors import InputError
from model_core.api.files.writing import replaced, write_errors
from model_core.api.scene import Scene
from PySide6.QtCore import (
    QEventLoop,
    QMessageLogContext,
    QSize,
    Qt,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication, QWidget

from explorer_app import theme
from explorer_app.panel.base import still_drawing
from explorer_app.panels import load_panels
from explorer_app.processes.engine_client import Connect, EngineClient
from explorer_app.state.session import Session
from explorer_app.window.picture import png
from explorer_app.window.window import MainWindow

PATIENCE_S = 300
SETTLE_MS = 50


def main(argv: Sequence[str]) -> int:
    """`layerscope snapshot ...`: 0 done, 2 wrong input, with one line on stderr."""

    def draw() -> int:
        arguments = command_line().parse_args(argv)
        start_application(arguments.scale)
        theme.apply(application(), arguments.theme)
        scene = Scene(
            arguments.model,
            arguments.prompt,
            arguments.target,
            edits=tuple(str(parse(edit)) for edit in arguments.edit),
            config=tuple(arguments.config),
        )
        focus = {name: getattr(arguments, name) for name in ("stack", "layer", "head")}
        render(Session(scene), arguments.out, arguments.size, arguments.panel, **focus)
        return 0

    return carried_out(draw)


def command_line() -> Parser:
    panels = ", ".join(registered.name for registered in load_panels())
    parser = Parser(
        prog="layerscope snapshot",
        description="Draw the window, or one panel of it, to a PNG file. Needs no screen.",
    )
    parser.add_argument("--model", metavar="M", required=True, help="a preset's name, or a checkpoint's path")
    parser.add_argument("--prompt", metavar="P", required=True, help="the text to run")
    parser.add_argument(
        "--target",
        metavar="P",
        default="",
        help="what the decoder of an encoder-decoder reads; as `layerscope trace --help` says",
    )
    parser.add_argument("--panel", metavar="NAME", help=f"only this panel, at --size: {panels}")
    parser.add_argument(
        "--stack",
        metavar="NAME",
        help="the focused attention of an encoder-decoder: encoder, decoder or cross",
    )
    parser.add_argument("--layer", metavar="L", type=int, help="the focused layer, from 0")
    parser.add_argument("--head", metavar="H", type=int, help="the focused head, from 0")
    parser.add_argument(
        "--edit", metavar="SPEC", action="append", default=[], help="as `layerscope trace --help` says"
    )
    parser.add_argument(
        "--config",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="as `layerscope trace --help` says",
    )
    parser.add_argument("--size", metavar="WxH", type=size, default=size("1280x800"), help="default 1280x800")
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="default light")
    parser.add_argument(
        "--scale", metavar="N", type=scale, default=1.0, help="pixels for each unit of size; default 1"
    )
    parser.add_argument("--out", metavar="F", type=Path, required=True, help="the PNG file to write")
    return parser


def size(text: str) -> QSize:
    """ "1280x800" """
    width, _, height = text.partition("x")
    if not (
        width.isdecimal() and height.isdecimal() and 0 < int(width) <= 10_000 and 0 < int(height) <= 10_000
    ):
        raise argparse.ArgumentTypeError(f"'{text}' is no size: write it as 1280x800")
    return QSize(int(width), int(height))


def scale(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.5 <= number <= 4:
        raise argparse.ArgumentTypeError(f"'{text}' is no scale: give a number from 0.5 to 4")
    return number


def start_application(scale: float = 1.0) -> None:
    """An application that draws into memory. The scale is read by Qt only once, here."""
    if QApplication.instance() is None:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        os.environ["QT_SCALE_FACTOR"] = str(scale)
        qInstallMessageHandler(_told)
        # Kept alive by Qt's own pointer: there is one application in a process.
        start_application.kept = QApplication(["layerscope"])  # type: ignore[attr-defined]
    theme.load_fonts()


def _told(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    """What Qt says goes to stderr, but for what the offscreen platform says of every window."""
    if not text.startswith("This plugin does not support"):
        print(text, file=sys.stderr)


def application() -> QApplication:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    return app


def render(
    session: Session,
    out: Path,
    size: QSize,
    panel: str | None = None,
    stack: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    connect: Connect = EngineClient,
) -> None:
    """Draw the session's scene, once everything on screen is answered, to a PNG file. InputError in one line."""
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent} to write {out.name} to")
    with replaced(out) as unfinished, closing(MainWindow(session, connect=connect)) as window:
        if panel is not None and panel not in window.docks:
            raise InputError(f"there is no panel '{panel}'; there are {', '.join(window.docks)}")
        window.resize(size)
        if panel is not None:
            show_only(window, panel)
        window.show()
        window.arrangement.arrange_columns()
        window.client.start()
        settle(window.client)
        for edit, why in session.suspended.items():
            raise InputError(f"{edit}: {why}")
        select(session, stack, layer, head)
        target: QWidget = window
        if panel is not None:
            target = window.docks[panel].panel
            if not window.docks[panel].panel.applies(session.run):
                raise InputError(f"panel '{panel}' has nothing to show of this model")
            show_only(window, panel)
        window.resize(size + window.size() - target.size())
        settle(window.client)
        drawn = png(target.grab())
        with write_errors(out):
            unfinished.write_bytes(drawn)


def show_only(window: MainWindow, panel: str) -> None:
    for name, dock in window.docks.items():
        dock.setVisible(name == panel)


@contextmanager
def closing(window: MainWindow) -> Iterator[MainWindow]:
    """Whatever happens inside: the window is closed, its engine is gone."""
    # Laid out and painted as on a screen, but never put on one.
    window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
    try:
        yield window
    finally:
        window.close()
        window.deleteLater()


def select(session: Session, stack: str | None, layer: int | None, head: int | None) -> None:
    """Focus a kind of attention, a layer and a head; InputError where the model has none of that name or number."""
    names = [kind.name for kind in session.kinds]
    if stack is not None:
        if stack not in names:
            there = (
                f"; there are {', '.join(names)}" if len(names) > 1 else ": it has one kind of attention only"
            )
            raise InputError(f"this model has no attention of the kind '{stack}'{there}")
        session.select(stack=stack)
    attention = session.attention
    assert attention is not None
    for what, number, count in (("layer", layer, attention.layers), ("head", head, attention.heads)):
        if number is not None:
            if not 0 <= number < count:
                raise InputError(f"there is no {what} {number}; this model has {what}s 0 to {count - 1}")
            session.select(**{what: number})


def settle(client: EngineClient) -> None:
    """Wait until everything that is visible was answered and drawn. InputError says what the engine refused."""
    loop = QEventLoop()
    client.idle.connect(loop.quit)
    patience = QTimer(interval=PATIENCE_S * 1000, singleShot=True)
    patience.timeout.connect(lambda: loop.exit(1))
    patience.start()
    calm = False
    while not calm:
        client.ask()
        if loop.exec():
            raise InputError(f"the engine did not answer within {PATIENCE_S} seconds")
        # Drawing may change what is wanted, and takes several turns; it is over when a moment later nothing is.
        QTimer.singleShot(SETTLE_MS, loop.quit)
        loop.exec()
        calm = not client.busy and not any(map(still_drawing, QApplication.topLevelWidgets()))
    if client.session.message:
        raise InputError(client.session.message)
