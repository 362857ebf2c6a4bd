"""Speaks as `layerscope train --json --controlled` does, without a model: a step takes a moment, and files are small.

Run as a script with the words of a Spec; a text that holds "wrong" is refused, as one that is not UTF-8 is.
"""

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from explorer_app.state.training import unfinished

STEP_S = 0.02


def keep(folder: Path, step: int, steps: int, preset: str | None, source: str | None = None) -> None:
    """A checkpoint, that of the source where there is one, and what the training goes on from."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"__metadata__": {"numbers": json.dumps({"step": step})}}).encode()
    recipe = {"steps": steps, "batch": 2, "lr": 0.001, "seed": 5, "autocast": "float32"}
    run: dict[str, Any] = {"name": preset or folder.name, "recipe": recipe}
    if preset is None:
        run["checkpoint"] = "small"
    files = {
        "model.safetensors": b"weights",
        "training.safetensors": len(header).to_bytes(8, "little") + header,
        "training.json": json.dumps({"run": run}).encode(),
    }
    if source is not None:
        files |= {
            name: (Path(source) / name).read_bytes() for name in ("model.safetensors", "layerscope.json")
        }
    for name, content in files.items():
        part = folder / f".{name}.part"
        part.write_bytes(content)
        part.replace(folder / name)


def kept_step(folder: Path) -> int:
    found = unfinished(folder)
    return 0 if found is None else found.step


def command(*words: str) -> tuple[str, list[str]]:
    """Program and arguments of this one, in the place of `core_command`."""
    assert words[0] == "train"
    return sys.executable, [__file__, *words[1:]]


def say(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


def main(words: list[str]) -> int:
    said = dict(zip(words[:-2:2], words[1:-2:2], strict=True))
    folder, steps = Path(said["--out"]), int(said["--steps"])
    preset, source = said.get("--preset"), said.get("--from")
    if b"wrong" in Path(said["--data"]).read_bytes():
        print(f"layerscope: {said['--data']} is not UTF-8 text: byte 3 cannot be read", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    heard: queue.Queue[str] = queue.Queue()
    threading.Thread(
        target=lambda: ([heard.put(line.strip()) for line in sys.stdin], heard.put("stop")), daemon=True
    ).start()
    step = kept_step(folder)
    say("begun", folder=str(folder), model="fake", step=step, steps=steps, note="the text is short")
    paused = False
    while step < steps:
        while paused or not heard.empty():
            word = heard.get()
            if word == "stop":
                keep(folder, step, steps, preset, source)
                say("saved", step=step)
                say("stopped", step=step)
                return 130
            if (word == "pause") != paused:
                paused = word == "pause"
                say("paused" if paused else "resumed")
        time.sleep(STEP_S)
        step += 1
        point = {
            "step": step,
            "loss": 4 / step**0.2,
            "lr": 1e-3,
            "grad_norm": 1.5,
            "tokens_per_second": 900.0,
        }
        if step % 5 == 0:
            point["held_out_loss"] = 4.2 / step**0.2
        say("progress", **point, steps=steps, seconds_left=(steps - step) * STEP_S)
        with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(point) + "\n")
        if step % 5 == 0 or step == steps:
            keep(folder, step, steps, preset, source)
            say("saved", step=step)
    (folder / "training.json").write_text(json.dumps({"run": {}, "done": {}}), encoding="utf-8")
    say("finished", step=steps, card=str(folder / "README.md"))
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the thread that reads stdin would keep Python from ending
