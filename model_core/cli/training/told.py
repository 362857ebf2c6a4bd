"""What a person reads on stderr, or a program on stdout, while training runs."""

import json
import sys
from datetime import timedelta
from typing import Any

from model_core.api.plain_text import unguarded
from model_core.training.run_folder import logged
from model_core.training.train import Progress

BAR = 24  # characters


class Said:
    """What a person reads on stderr, or a program on stdout, while training runs."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.redraws = not as_json and sys.stderr.isatty()

    def event(self, name: str, **more: Any) -> None:
        """begun, progress, saved, paused, resumed, stopped, finished: one JSON object a line."""
        if self.as_json:
            print(json.dumps({"event": name, **more}), flush=True)
        elif name in ("paused", "resumed"):
            print(name, file=sys.stderr)
        elif name == "stopped":
            print(f"stopped after step {more['step']}; the same command goes on", file=sys.stderr)
        elif name == "begun":
            if more["note"]:
                print(more["note"], file=sys.stderr)
            if more["step"]:
                print(f"going on after step {more['step']} of {more['steps']}", file=sys.stderr)

    def progress(self, progress: Progress) -> None:
        if self.as_json:
            self.event(
                "progress", **logged(progress), steps=progress.steps, seconds_left=progress.seconds_left
            )
            return
        ends = self.redraws and progress.step < progress.steps
        done = progress.step * BAR // progress.steps
        bar = f"\r\033[K[{'#' * done}{'.' * (BAR - done)}]  " if self.redraws else ""
        print(bar + line(progress), file=unguarded(sys.stderr), end="" if ends else "\n", flush=True)


def line(progress: Progress) -> str:
    left = timedelta(seconds=round(progress.seconds_left))
    held = "" if progress.held_out_loss is None else f"  held out {progress.held_out_loss:.3f}"
    return (
        f"step {progress.step} of {progress.steps}  loss {progress.loss:.3f}{held}  "
        f"{progress.tokens_per_second:,.0f} tokens/s  {left} left"
    )
