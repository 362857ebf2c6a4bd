"""`layerscope tokenizer`: learn a vocabulary and write its ranks, <|endoftext|> being the token behind them."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from model_core.cli.arguments import add_text_option, count
from model_core.cli.registry import Command, register


@dataclass(frozen=True)
class TokenizerOptions:
    """Files of text, the size of the vocabulary, and the file to write."""

    data: tuple[Path, ...]
    vocab: int
    out: Path


def add(command: argparse.ArgumentParser) -> None:
    add_text_option(command, required=True)
    command.add_argument(
        "--vocab",
        metavar="N",
        type=count,
        required=True,
        help="tokens, <|endoftext|> and 256 bytes among them",
    )
    command.add_argument(
        "--out", metavar="F", type=Path, required=True, help="the file to write, NAME.tiktoken"
    )


def run(options: TokenizerOptions) -> None:
    from model_core.api.files.text_file import read_text
    from model_core.api.files.writing import replaced, write_errors
    from model_core.text.tokenizer import END_OF_TEXT
    from model_core.text.vocabulary import save_ranks, train_ranks

    with replaced(options.out) as unfinished:
        text = END_OF_TEXT.join(map(read_text, options.data))
        ranks = train_ranks(text, options.vocab, [END_OF_TEXT])
        with write_errors(options.out):
            save_ranks(ranks, unfinished)
    print(f"{options.out}: {options.vocab:,} tokens, the last of them {END_OF_TEXT}")


register(
    Command(
        "tokenizer",
        "learn a byte-pair vocabulary from text, and write it as ranks",
        7,
        TokenizerOptions,
        add,
        run,
    )
)
