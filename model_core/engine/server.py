"""The engine: the models in a process of their own, answering queries over stdin and stdout.

    layerscope engine        reads frames, writes frames (protocol.py); prints and logs go to stderr

    ->  hello                               <-  hello     devices, dtypes, presets, families
    ->  size    model, config, device       <-  size      parameters, bytes, free, error
    ->  ask     scene, queries              <-  progress  what, share
                                            <-  answer    query, facts + arrays      one for each query
                                            <-  error     message, query (or null), fault, fix, asks, edits, opening
                                            <-  done      milliseconds
    ->  cancel                              stops the request under way

The newest `ask` wins: a running one stops at its next tap, except that a model being loaded goes on when the newer
request wants the same one. What it can answer is a registry of small functions: `@answers("value")`.
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
from model_core.api.scene import Scene
from model_core.engine.answering import Engine, failure
from model_core.system.devices import configure_threads


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
                engine.handle(request, lambda: False, lambda: False)

    def model_of(frame: Frame) -> object:
        """What decides which model a request needs; None where its scene cannot be read."""
        try:
            return Scene.from_json(frame.fields["scene"]).opened
        except (KeyError, TypeError):
            return None

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

            def other_model(current: Frame = current) -> bool:
                return stopped in (current, newest) or (
                    current is not newest and model_of(current) != model_of(newest)
                )

            if current.kind == "ask" and other_model():
                send(Frame("done", current.id, {"cancelled": True, "milliseconds": 0.0}))
            else:
                engine.handle(current, cancelled, other_model)
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
