"""`layerscope generate`: the prompt and what comes after it, as it comes."""

import argparse
from dataclasses import dataclass

from model_core.cli.arguments import RunOptions, add_run_options, count, seed
from model_core.cli.registry import Command, register


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(RunOptions):
    """A text, how what follows it is drawn, and whether one that is too long is cut from its beginning.

    temperature  0 is greedy
    """

    prompt: str
    max_new_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    cut: bool


def add(command: argparse.ArgumentParser) -> None:
    command.add_argument("--prompt", metavar="P", required=True, help="the text to go on after")
    command.add_argument("--max-new-tokens", metavar="N", type=count, default=100, help="100 without it")
    command.add_argument("--temperature", metavar="T", type=float, default=1.0, help="0 is greedy; default 1")
    command.add_argument("--top-k", metavar="K", type=int, help="draw from the K likeliest tokens only")
    command.add_argument(
        "--top-p", metavar="P", type=float, help="draw from the fewest tokens whose probabilities reach P"
    )
    command.add_argument("--seed", metavar="S", type=seed, default=0, help="the same seed, the same text")
    add_run_options(command)
    command.add_argument(
        "--cut",
        action="store_true",
        help="of a prompt that is too long, read the end, leaving room for the new tokens",
    )


def run(options: GenerateOptions) -> None:
    from model_core.api import edits
    from model_core.api.errors import InputError
    from model_core.checkpoint.traced import read_site
    from model_core.cli.asked import encoded, opened, prefix_of, target_of, too_long
    from model_core.generation import generate
    from model_core.system.devices import memory_errors

    sampling = generate.Sampling(options.temperature, options.top_k, options.top_p, options.seed)
    changes = [edits.parse(edit) for edit in options.edit]
    loaded = opened(options)
    prefix, limit = prefix_of(loaded, options), loaded.model.context
    tokens = [*prefix, *encoded(loaded, options.prompt)]
    if len(tokens) > limit:
        if not options.cut:
            raise too_long(tokens, limit)
        room = limit - min(options.max_new_tokens, limit // 2) - len(prefix)
        tokens = [*prefix, *tokens[-room:]]
    target = target_of(loaded, options)
    written, shown = (target or tokens)[len(prefix) :], 0

    def show(*, finished: bool) -> None:
        """Print what is new. A character whose last bytes are still to come waits for them."""
        nonlocal shown
        text = loaded.tokenizer.decode(written)
        ready = text if finished else text.rstrip("\ufffd")
        print(ready[shown:], end="", flush=True)
        shown = len(ready)

    stop = loaded.tokenizer.eos
    try:
        with memory_errors("this text"):
            for token in generate.generate(
                loaded.model,
                target or tokens,
                options.max_new_tokens,
                sampling,
                changes,
                source=tokens,
                read_site=read_site,
                stop=stop,
            ):
                if token != stop:
                    written.append(token)
                    show(finished=False)
    except InputError:
        if shown:
            # What there is of the text is told before the line that says why there is no more.
            show(finished=True)
            print(flush=True)
        raise
    show(finished=True)
    print()


register(Command("generate", "go on after a prompt", 4, GenerateOptions, add, run))
