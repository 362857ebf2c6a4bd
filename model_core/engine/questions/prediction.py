"""What comes next."""

import contextlib
from collections.abc import Sequence

from model_core.analysis import derive
from model_core.api.errors import InputError
from model_core.api.queries.answer import Answer
from model_core.api.queries.prediction import NextTokens
from model_core.engine.context import Context
from model_core.engine.questions.registry import answers
from model_core.taps.trace import to_array
from model_core.text.tokenizer import Tokenizer


@answers(NextTokens)
def next_token(context: Context, asked: NextTokens) -> Answer:
    run, tokenizer = context.run, context.loaded.tokenizer
    result = derive.next_token(run.logits, run.tokens, asked.k)
    ids, typed = result.ids.tolist(), run.tokens[context.prefix :]
    return Answer(
        {
            "ids": ids,
            "strings": tokenizer.strings(ids),
            "texts": added(tokenizer, typed, ids),
            "special": [id in tokenizer.special for id in ids],
            "end": tokenizer.eos,
        },
        {
            "probabilities": to_array(result.probabilities),
            "log_probs": result.log_probs.cpu().numpy(),
            "ranks": result.ranks.cpu().numpy(),
        },
    )


def added(tokenizer: Tokenizer, typed: Sequence[int], ids: Sequence[int]) -> list[str | None]:
    """What each of the ids adds to the text of those typed; None where no text would be read as it.

    A special token has a text where the tokenizer reads its name as the token itself.
    """

    def text_of(id: int, text: str) -> str | None:
        if id not in tokenizer.special:
            return None if "\ufffd" in text else text
        name = tokenizer.token(id)
        with contextlib.suppress(InputError):
            return name if tokenizer.encode(name) == [id] else None
        return None

    return [text_of(id, text) for id, text in zip(ids, tokenizer.continuations(typed, ids), strict=True)]
