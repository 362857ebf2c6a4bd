"""`layerscope trace`: the values of a run, with what is needed to repeat it, to a safetensors file."""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from model_core.cli.arguments import RunOptions, add_run_options, token_ids
from model_core.cli.registry import Command, register


@dataclass(frozen=True, kw_only=True)
class TraceOptions(RunOptions):
    """One of prompt, tokens and prompt_file is given, the others are None.

    sites  globs of the values that are written; None for all
    cut    whether tokens that do not fit the context are left out
    """

    prompt: str | None
    tokens: tuple[int, ...] | None
    prompt_file: Path | None
    sites: tuple[str, ...] | None
    cut: bool
    out: Path


def add(command: argparse.ArgumentParser) -> None:
    prompt = command.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--prompt", metavar="P", help="the text to run")
    prompt.add_argument("--tokens", metavar="1,2,3", type=token_ids, help="token ids instead of a text")
    prompt.add_argument("--prompt-file", metavar="F", type=Path, help="a UTF-8 file, read to its last byte")
    command.add_argument(
        "--sites", metavar="GLOB", action="append", help="which values, e.g. '*.pattern'; all without it"
    )
    add_run_options(command)
    command.add_argument("--cut", action="store_true", help="run only the tokens that fit the context")
    command.add_argument("--out", metavar="F", type=Path, required=True, help="the file to write")


def run(options: TraceOptions) -> None:
    import torch
    from safetensors.torch import save_file

    from model_core.api import edits
    from model_core.api.files.text_file import read_text
    from model_core.api.files.writing import replaced, write_errors
    from model_core.api.names import select
    from model_core.api.scene import Scene
    from model_core.checkpoint.traced import read_site
    from model_core.cli.asked import encoded, opened, prefix_of, target_of, too_long
    from model_core.runs.run import Run, sites
    from model_core.system.devices import memory_errors

    text = options.prompt if options.prompt_file is None else read_text(options.prompt_file)
    with replaced(options.out) as unfinished:
        loaded = opened(options)
        prefix = list(loaded.tokenizer.prefix)
        given = list(options.tokens or ())
        tokens = given if text is None else [*prefix_of(loaded, options), *encoded(loaded, text)]
        special = tokens[: len(prefix)] == prefix
        strings = loaded.tokenizer.strings(tokens)
        limit = loaded.model.context
        if len(tokens) > limit:
            if not options.cut:
                raise too_long(tokens, limit)
            tokens, strings, text = tokens[:limit], strings[:limit], None
        changes = [edits.parse(edit) for edit in options.edit]
        target = target_of(loaded, options)
        with memory_errors("this run"):
            lengths = [max(1, len(tokens)), max(1, len(target or tokens))][: len(loaded.model.inputs)]
            passed = {site.key: site for site in sites(loaded.model, *lengths)}
            keys = select(options.sites or ["*"], passed)
            run = Run(loaded.model, tokens, changes, target=target, read_site=read_site)
            # Each value its own: the file knows no views, and sites of a pass may share their memory.
            values = {key: run.value(key).clone(memory_format=torch.contiguous_format) for key in keys}
        scene = Scene(
            model=options.model,
            prompt=loaded.tokenizer.decode(tokens[special * len(prefix) :]) if text is None else text,
            target=options.target,
            device=options.device,
            dtype=options.dtype,
            edits=tuple(map(str, changes)),
            config=options.config,
            special=special,
            ids=tuple(tokens) if text is None else (),
        )
        about = {
            "tokens": tokens,
            "strings": strings,
            "texts": dict(zip(loaded.model.inputs, run.inputs, strict=True)),
            "family": loaded.family.name,
            "config": asdict(loaded.model.config),
            "edits": list(scene.edits),
            "dims": {key: passed[key].dims for key in keys},
            "scene": scene.to_json(),
        }
        with write_errors(options.out):
            save_file(values, unfinished, {name: json.dumps(value) for name, value in about.items()})
    size = options.out.stat().st_size
    read = " and ".join(map(str, map(len, run.inputs)))
    print(f"{options.out}: {len(keys)} sites of {read} tokens, {size / 1e6:.1f} MB")


register(Command("trace", "write every value of a run to a safetensors file", 2, TraceOptions, add, run))
