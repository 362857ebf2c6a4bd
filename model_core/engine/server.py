"""The engine: the models in a process of their own, answering queries over stdin and stdout.

    layerscope engine        reads frames, writes frames (protocol.py); prints and logs go to stderr

    ->  hello   protocol                    <-  hello     protocol, devices, dtypes, presets, families
    ->  size    model, config, device       <-  size      parameters, bytes, free, error
    ->  ask     asks (scene, queries),      <-  progress  what, share
                pinned                      <-  answer    scene, query, facts + arrays      one for each query
                                            <-  error     message, scene and query (or null), fault, fix, ...
                                            <-  done      milliseconds
    ->  cancel                              stops the request under way

The newest `ask` wins: a running one stops at its next tap, except that a model being loaded goes on when the newer
request wants the same one. What is asked about each scene of a request is answered in turn, and `pinned` scenes stay
ready. What it can answer is a registry of small functions: `@answers("value")`.
"""

import contextlib
import importlib
import os
import queue
import sys
import threading
from typing import BinaryIO

# A spinning OpenMP thread beside any busy process makes a pass 20 times slower; read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


from model_core.api.protocol import BadFrame, Frame, FrameReader, encode
from model_core.api.scene import Opened, read_asks
from model_core.engine.answering import Engine, failure
from model_core.system.devices import configure_threads

NOBODY: Opened = ("", (), "", "", "")  # the model of a request that cannot be read


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer the frames of `source` on `sink` until it ends. A thread reads, so that a newer request stops an older."""
    configure_threads()
    writing = threading.Lock()

    def send(frame: Frame) -> None:
        with writing:
            for buffer in encode(frame):
                sink.write(buffer)
            sink.flush()

    waiting: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    counting: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
    newest = Frame("none", -1)
    stopped: Frame | None = None  # by itself: numbers are the window's, and need not rise

    def read() -> None:
        nonlocal newest, stopped
        reader = FrameReader()
        while data := os.read(source.fileno(), 1 << 20):
            for frame in reader.feed(data):
                if isinstance(frame, BadFrame):
                    send(failure(frame.id or 0, f"unreadable frame: {frame.reason}"))
                elif frame.kind == "cancel":
                    stopped = newest
                elif frame.kind == "size":
                    counting.put(frame)
                else:
                    newest = frame if frame.kind == "ask" else newest
                    waiting.put(frame)
        stopped = newest
        waiting.put(None)

    def count() -> None:
        """Sizes are counted while a model loads or runs; only the newest is of interest."""
        while (request := counting.get()) is not None:
            if counting.empty():
                engine.handle(request, lambda: False)

    def models_of(frame: Frame) -> frozenset[Opened]:
        """What decides which models a request needs; nothing where its scenes cannot be read."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return frozenset(scene.opened for scene, _ in read_asks(frame.fields)[0])
        return frozenset()

    engine = Engine(send)
    threading.Thread(target=read, name="read", daemon=True).start()
    # It is waited for at the end: torch aborts a process that leaves while another thread is inside it.
    counter = threading.Thread(target=count, name="count", daemon=True)
    counter.start()
    with contextlib.suppress(BrokenPipeError):
        while (request := waiting.get()) is not None:
            current = request

            def cancelled(current: Frame = current) -> bool:
                return current.kind == "ask" and (current is not newest or current is stopped)

            def unwanted(opened: Opened, current: Frame = current) -> bool:
                return stopped in (current, newest) or (
                    current is not newest and opened not in models_of(newest)
                )

            if current.kind == "ask" and all(map(unwanted, models_of(current) or {NOBODY})):
                send(Frame("done", current.id, {"cancelled": True, "milliseconds": 0.0}))
            else:
                engine.handle(current, cancelled, unwanted)
            if current.kind == "hello" and waiting.empty():
                # The first dry run on meta tensors loads this, a second long; better now, while nobody waits.
                importlib.import_module("torch._dynamo")
            while waiting.empty() and engine.kept.load_ahead():
                pass
    counting.put(None)
    counter.join()


def main() -> int:
    """`layerscope engine`. The real stdout is taken aside for frames; whatever prints goes to stderr."""
    frames = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=1 << 16)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, frames)
    return 0
