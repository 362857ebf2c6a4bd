"""What the options of a command name: the model, opened, and its texts as tokens. Loads torch."""

from collections.abc import Sequence

from model_core.api.errors import InputError, TooLong
from model_core.checkpoint.building import Loaded
from model_core.cli.arguments import ModelOptions, RunOptions
from model_core.sources.presets import open_model
from model_core.system.devices import configure_threads


def opened(options: ModelOptions) -> Loaded:
    """The model that the options name, with as many threads as in the engine: the same sums, the same digits."""
    configure_threads()
    return open_model(options.model, options.device, options.dtype, config=options.config)


def encoded(loaded: Loaded, text: str) -> list[int]:
    """The tokens of a text. InputError where it is no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("the prompt is not valid UTF-8 text") from None
    return loaded.tokenizer.encode(text)


def prefix_of(loaded: Loaded, options: RunOptions) -> list[int]:
    """What is put before every text: the model's own BOS, unless --no-special leaves it away."""
    return list(loaded.tokenizer.prefix) if options.special else []


def target_of(loaded: Loaded, options: RunOptions) -> list[int]:
    """The tokens of --target, or without it what is put before every text.

    InputError where they are too many, or the model reads one text only.
    """
    if not options.target:
        return prefix_of(loaded, options) if len(loaded.model.inputs) > 1 else []
    if len(loaded.model.inputs) == 1:
        raise InputError(
            f"{loaded.name} reads one text: --target is what the decoder of an encoder-decoder reads"
        )
    tokens = [*prefix_of(loaded, options), *encoded(loaded, options.target)]
    if len(tokens) > loaded.model.context:
        raise TooLong(len(tokens), loaded.model.context)
    return tokens


def too_long(tokens: Sequence[int], limit: int) -> InputError:
    return InputError(f"{TooLong(len(tokens), limit)}, or let --cut do so")
