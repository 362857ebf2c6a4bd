"""`layerscope`: the window; every other word on the command line is for the core."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments:
        from model_core.cli import main as core

        return core(arguments)
    return open_window()


def open_window() -> int:
    from PySide6.QtWidgets import QApplication

    from explorer_app import theme
    from explorer_app.session import Session
    from explorer_app.settings import open_settings
    from explorer_app.window import MainWindow
    from model_core.queries import Scene

    app = QApplication(sys.argv[:1])
    theme.load_fonts()
    settings = open_settings()
    window = MainWindow(Session(Scene("tales-llama", "Once upon a time")), settings)
    window.set_theme(window._theme())
    window.show()
    window.client.start()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
