"""The engine without its process, for tests where the process is not the point; and tiny checkpoints to run."""

import json
import shutil
from pathlib import Path

import torch

from explorer_app.processes.engine_client import EngineClient
from model_core.api.protocol import Frame, FrameReader, encode_bytes
from model_core.api.queries.answer import Answer
from model_core.api.queries.query import read
from model_core.checkpoint.formats import native
from model_core.engine.answering import Engine
from model_core.families.first_weights import initialise
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import LlamaConfig
from model_core.families.qwen3 import Qwen3Config
from model_core.families.registry import FAMILIES
from model_core.system.devices import configure_threads
from tests.support.engine.as_declared import check

LLAMA = LlamaConfig(
    vocab_size=2048, width=48, layers=3, heads=4, kv_heads=2, hidden=64, context=300, head_dim=12, tied=True
)
GPT2 = GPT2Config(vocab_size=2048, width=48, layers=2, heads=3, hidden=64, context=300)
QWEN3 = Qwen3Config(
    vocab_size=2048, width=48, layers=3, heads=4, kv_heads=2, hidden=64, context=300, head_dim=16,
    windows=(None, 4, None),
)  # fmt: skip


def tiny_checkpoint(folder: Path, config: LlamaConfig | GPT2Config | Qwen3Config = LLAMA) -> str:
    """A random model with the tales vocabulary, saved in our own layout; returns its path as a scene's model."""
    family = next(family for family in FAMILIES.values() if type(config) is family.config)
    model = family.build(config)
    initialise(model, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Wide enough that attention is far from uniform and the maps have something to show.
            weight.mul_(8.0 if ".attn.q." in name or ".attn.k." in name or "embed" in name else 1.0)
    native.save(
        folder, model, family, tokenizer="tales-2048", name=f"tiny-{family.name}", about="random weights"
    )
    return str(folder)


def with_tokenizer(folder: Path, model: str, content: str) -> str:
    """A copy of a checkpoint of ours that brings a tokenizer.json along."""
    shutil.copytree(model, folder)
    manifest = folder / native.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"tokenizer": {}}))
    (folder / "tokenizer.json").write_text(content)
    return str(folder)


class LocalEngine(EngineClient):
    """An EngineClient whose engine runs in this process and has answered when `ask`'s turn of the event loop ends."""

    engine: Engine | None = None

    def _launch(self) -> None:
        configure_threads()
        self._reader = FrameReader()
        if LocalEngine.engine is None:
            LocalEngine.engine = Engine(lambda frame: None)

    def _end(self) -> None:
        pass

    def _send(self, frame: Frame) -> None:
        assert LocalEngine.engine is not None
        LocalEngine.engine.send = self._deliver
        for request in FrameReader().feed(encode_bytes(frame)):
            assert isinstance(request, Frame)
            if request.kind != "cancel":
                LocalEngine.engine.handle(request, lambda: False)

    def _deliver(self, frame: Frame) -> None:
        for received in self._reader.feed(encode_bytes(frame)):
            if isinstance(received, Frame) and received.kind == "answer":
                answer = Answer(received.fields["facts"], received.arrays)
                check(read(**received.fields["query"]), answer)
            self._receive(received)
