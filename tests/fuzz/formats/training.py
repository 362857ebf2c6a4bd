"""How models are trained: what describes it, and all that lies in the folder of a training."""

import json
import struct
import tomllib
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from explorer_app.state.training import logged, unfinished
from model_core.api.errors import Cancelled
from model_core.api.opening import RECIPE
from model_core.api.protocol import Frame, encode_bytes
from model_core.api.run_files import DESCRIPTION, LOG, NUMBERS, STATE
from model_core.checkpoint.building import empty_model
from model_core.checkpoint.safetensors_file import read_with_metadata
from model_core.engine.describe import parameter_count, quality
from model_core.sources.description import TEXT
from model_core.sources.presets import preset_in
from model_core.training import run_folder
from model_core.training.corpus import corpus_in
from model_core.training.evaluation import held_out
from model_core.training.learned import corpus_of, description, task_of
from model_core.training.phases import begins, train_phases
from model_core.training.plan import Plan, of_file
from model_core.training.run_folder import CHECKSUM, RunFolder, done_in, held_out_in
from model_core.training.train import State, check_length, train
from tests.fuzz.formats import FORMATS, Files, Format, scratch, unfailing, written

DATA = "text.txt"
IDS = " ".join(str(n * n % 40) for n in range(200)).encode()
# Who asks for more than this gets it where there is room, and in the end: that is no damage.
MOST_WEIGHTS, MOST_PHASES, MOST_TOKENS = 1 << 20, 8, 1 << 11

TOML = """\
family = "llama"
name = "mine"
about = "random ids"
task = "text"

[config]
vocab_size = 40
width = 8
layers = 2
heads = 2
kv_heads = 1
hidden = 12
context = 16
head_dim = 4
tied = true

[recipe]
steps = 3
batch = 4
length = 8
lr = 0.01
warmup = 2
repeats = 0.5
random_repeats = 0.5
held_out_share = 0.2
accumulate = 2
embedding = 1.0
gain = 0.5
"""
PHASES = """
[[phase]]
steps = 2
autocast = "bfloat16"
weight_decay = 0.2

[[phase]]
steps = 1
clip = 0.5
batch = 2

[opening]
prompt = "1 2 3 1 2"
layer = 1
head = 1
stack = ""
"""
PUBLISHED = {
    "family": "gpt2",
    "size": "124M",
    "tokenizer": "letters.characters",
    "config": {"layers": 1, "width": 8, "heads": 2, "hidden": 8, "context": 12, "vocab_size": 41},
    "recipe": {"steps": 2, "batch": 2, "length": 6, "held_out": [1, 2], "kept": [0, 1]},
}
LETTERS = {"characters": " 0123456789", "begin": "<|begin|>", "end": "<|end|>"}


# What describes a training: planned, and the first step of each phase done


def learned(folder: Path, name: str) -> None:
    plan = of_file(folder / name)
    plan.check_room("cpu")
    corpus = corpus_of(plan, [folder / DATA] if plan.task == TEXT else [])
    tasks = [task_of(plan, corpus, phase) for phase in plan.recipes]
    if empty_model(plan.family, plan.config).parameter_count > MOST_WEIGHTS:
        return
    model = plan.model()
    for phase, task in list(zip(plan.recipes, tasks, strict=True))[:MOST_PHASES]:
        check_length(model, phase)
        if phase.batch * phase.length <= MOST_TOKENS:
            train(model, task, replace(phase, steps=1, kept=()), lambda progress: None)


def described_in_json() -> Files:
    documents = b"<|endoftext|>".join([IDS] * 3)
    texts = {"plan.json": json.dumps(PUBLISHED), "letters.characters": json.dumps(LETTERS)}
    return {DATA: documents} | {name: text.encode() for name, text in texts.items()}


def shown(folder: Path) -> None:
    """A preset as the engine's greeting has it."""
    preset = preset_in(folder)
    parameter_count(preset.family, preset.config)
    facts = [asdict(one) for one in (preset.recipe, *preset.phases, preset.opening)]
    encode_bytes(Frame("hello", 0, {"about": preset.about, "facts": facts}))


FORMATS["description, TOML"] = Format(
    lambda: {DATA: IDS, "plan.toml": (TOML + PHASES).encode()}, partial(learned, name="plan.toml"), (DATA,)
)
FORMATS["description, JSON"] = Format(described_in_json, partial(learned, name="plan.json"), (DATA,))
FORMATS["recipe of a preset"] = Format(
    lambda: {RECIPE: f'tokenizer = "tales-2048"\n{TOML}{PHASES}'.encode()}, shown
)


# The folder of a training: looked at, measured by, and gone on with to the end


@cache
def small(autocast: str, phases: str = "") -> Plan:
    with scratch() as folder:
        said = tomllib.loads(TOML + phases)
        said["recipe"]["autocast"] = autocast
        (folder / "plan.json").write_text(json.dumps(said))
        return of_file(folder / "plan.json")


def go_on(folder: Path, plan: Plan, until: int = 1 << 60) -> None:
    """Train in a folder from what is kept there to the end, or the step at which it is stopped."""
    (folder / DATA).write_bytes(IDS)
    corpus = corpus_of(plan, [folder / DATA])
    run = RunFolder(folder / "run", description(plan, corpus))
    model, tasks = plan.model(), [task_of(plan, corpus, phase) for phase in plan.recipes]
    state = run.kept(model, begins(plan.recipes)) or State()
    with suppress(Cancelled):
        train_phases(
            model,
            plan.recipes,
            tasks,
            run.log,
            state,
            every=1,
            measure=1,
            keep=partial(run.keep, model),
            keep_every=1,
            cancelled=lambda: state.step == until,
        )


def stopped(plan: Plan, until: int) -> Files:
    files = written(lambda folder: go_on(folder, plan, until))
    return {name: content for name, content in files.items() if name != DATA}


def done() -> Files:
    def write(folder: Path) -> None:
        go_on(folder, small("float32"))
        measured = {"loss": 3.5, "bits_per_byte": 2.5, "induction": 0.25, "previous": 0.125}
        RunFolder(folder / "run", described(folder)).finish(
            "# mine\n",
            seconds=1.5,
            tokens=96,
            hardware="a CPU",
            data="ids",
            licence="none",
            measured=measured,
        )

    return {name: content for name, content in written(write).items() if name.endswith(".json")}


def described(folder: Path) -> dict[str, object]:
    plan = small("float32")
    return description(plan, corpus_of(plan, [folder / DATA]))


def looked_at(folder: Path) -> None:
    """What the Train panel and a list of models see in it: whatever is damaged is not there."""
    found, points = unfinished(folder / "run"), logged(folder / "run", 1 << 60)
    assert found is None or found.steps >= 1
    assert all(point.step >= 0 for point in points)
    quality(done_in(folder / "run").get("measured", {}))


def evaluated(folder: Path) -> None:
    """What it held out is measured of a model that it is not about."""
    plan = small("float32")
    said = held_out_in(folder / "run")
    if said is not None:
        (folder / DATA).write_bytes(b"<|endoftext|>".join([IDS] * 3))
        held_out(plan.model(), corpus_in([folder / DATA], plan.tokenizer, *said), *said)


def read(folder: Path) -> None:
    unfailing(looked_at)(folder)
    evaluated(folder)


def used(folder: Path, plan: Plan) -> None:
    read(folder)
    go_on(folder, plan)


NUMBERS_FILE = "numbers.json"


def unsealed() -> Files:
    """A state of a training in float16, and beside it what its header says in JSON of its own."""
    files = stopped(small("float16"), 1)
    header, _ = header_of(files[f"run/{STATE}"])
    return files | {NUMBERS_FILE: header["__metadata__"][NUMBERS].encode()}


def used_sealed(folder: Path) -> None:
    """The numbers are put into the header by somebody who knows how the checksum is made."""
    path = folder / "run" / STATE
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        header, tensors = header_of(path.read_bytes())
        header["__metadata__"][NUMBERS] = (folder / NUMBERS_FILE).read_text("utf-8", "replace")
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + tensors)
    said = read_with_metadata(path)[1].get(CHECKSUM, "")
    with patch.object(run_folder, "checksum", lambda tensors, numbers: said):
        used(folder, small("float16"))


MOMENTS_FILE = "moments.json"


def with_moments() -> Files:
    """A state, and beside it the first number of each of its moments and weights in JSON of its own."""
    files = stopped(small("float32"), 2)
    header, tensors = header_of(files[f"run/{STATE}"])
    first = {
        name: struct.unpack_from("<f", tensors, said["data_offsets"][0])[0]
        for name, said in header.items()
        if said.get("dtype") == "F32"
    }
    return files | {MOMENTS_FILE: json.dumps(first).encode()}


def used_moments(folder: Path) -> None:
    """The numbers are put into their places by somebody who knows how the checksum is made."""
    path = folder / "run" / STATE
    data = bytearray(path.read_bytes())
    header, tensors = header_of(bytes(data))
    with suppress(ValueError, RecursionError, AttributeError):
        for name, number in json.loads((folder / MOMENTS_FILE).read_bytes()).items():
            with suppress(KeyError, TypeError, OverflowError, struct.error):
                at = len(data) - len(tensors) + header[name]["data_offsets"][0]
                struct.pack_into("<f", data, at, number)
    path.write_bytes(data)
    said = read_with_metadata(path)[1].get(CHECKSUM, "")
    with patch.object(run_folder, "checksum", lambda tensors, numbers: said):
        used(folder, small("float32"))


def header_of(data: bytes) -> tuple[Any, bytes]:
    """What a safetensors file says of its tensors, and their bytes."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


for name, phases, until in (("training state", "", 2), ("training state, second phase", PHASES, 4)):
    FORMATS[name] = Format(
        partial(stopped, small("float32", phases), until), partial(used, plan=small("float32", phases))
    )
FORMATS["training state, sealed"] = Format(unsealed, used_sealed, (f"run/{DESCRIPTION}", f"run/{LOG}"))
FORMATS["training state, moments"] = Format(
    with_moments, used_moments, tuple(f"run/{name}" for name in (DESCRIPTION, LOG, STATE))
)
FORMATS["training description"] = Format(done, read)
