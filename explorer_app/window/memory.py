"""What the window remembers from one time to the next."""

from collections.abc import Callable
from typing import Any

from model_core.api.errors import InputError

from explorer_app.state.settings import Kept, Settings


class Memory:
    """The settings as a window uses them; without any, nothing is remembered. `tell` is told what went wrong."""

    def __init__(self, settings: Settings | None, tell: Callable[[str], None]) -> None:
        self._settings, self._tell = settings, tell

    @property
    def kept(self) -> Kept:
        """What is remembered of before."""
        return Kept() if self._settings is None else self._settings.kept

    @property
    def problem(self) -> str:
        """Why what was kept could not be read, "" where it could."""
        return "" if self._settings is None else self._settings.problem

    def keep(self, **fields: Any) -> bool:
        """Remember something; False where that cannot be written, which is then told."""
        if self._settings is not None:
            try:
                self._settings.change(**fields)
            except InputError as error:
                self._tell(str(error))
                return False
        return True
