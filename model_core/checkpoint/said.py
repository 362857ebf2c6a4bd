"""What a person says of a model beside its files, "heads=8" each, and how it meets what the files say.

Files win: what they say cannot be said otherwise. What they leave open has a default, or is asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from reprlib import repr as short
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from model_core.api.errors import InputError, Unsaid, spelled
from model_core.families.registry import Family

# How others call what is called so here, underscores and capitals aside.
ALIASES: Mapping[str, str] = {
    other: ours
    for ours, others in {
        "heads": "n_heads n_head num_heads num_attention_heads attention_heads nhead",
        "kv_heads": "n_kv_heads n_kv_head num_kv_heads num_key_value_heads",
        "layers": "n_layers n_layer num_layers num_hidden_layers n_blocks num_blocks blocks depth",
        "width": "dim n_embd d_model emb_dim embed_dim embedding_dim hidden_size",
        "hidden": "hidden_dim d_ff dff ffn_dim intermediate_size n_inner",
        "context": "context_length context_size block_size max_seq_len max_len seq_len n_ctx n_positions "
        "max_position_embeddings",
        "vocab_size": "vocab n_vocab vocabulary vocabulary_size",
        "head_dim": "d_head head_size head_width",
        "eps": "epsilon norm_eps layer_norm_eps layer_norm_epsilon rms_norm_eps",
        "theta": "rope_theta rope_base base",
        "tied": "tie tie_weights tie_word_embeddings tied_embeddings",
        "activation": "act activation_function hidden_act",
        "positions": "position pos position_embedding position_embedding_type",
    }.items()
    for other in others.split()
}
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Ask:
    """A field of a configuration that files may leave open.

    default  what is offered
    needed   no answer can be assumed: without one, nothing opens
    """

    name: str
    default: Any
    about: str
    needed: bool = False


def parse(words: Iterable[str]) -> dict[str, str]:
    """Names of ours with what was said of them; of two words for one name the later counts.

    InputError for a word that is not NAME=VALUE.
    """
    said = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not (name and equals and value):
            raise InputError(
                f"{short(word)} says nothing of a model: write it as NAME=VALUE, such as heads=8"
            )
        plain = name.lower().replace("-", "_")
        said[ALIASES.get(plain, plain)] = value
    return said


def settle(
    model: str, family: Family, known: Mapping[str, Any], said: Mapping[str, str], asks: Sequence[Ask] = ()
) -> Any:
    """The configuration: what the files say (`known`), then what was said, then defaults.

    InputError where the two differ, or what was said is no field or value of the family's, or makes no model: then
    with what may be said otherwise; Unsaid where an answer that is needed is missing.
    """
    answers = values(family, said)
    for name in answers.keys() & known.keys():
        if answers[name] != known[name]:
            raise InputError(
                f"{model} has {name}={spelled(known[name])} in its files, and not {spelled(answers[name])}: "
                f"leave out {name}={said[name]}"
            )
    asks = [ask for ask in asks if ask.name not in known]
    left = [ask for ask in asks if ask.name not in answers]
    if needed := [ask.name for ask in left if ask.needed]:
        raise Unsaid(model, [form_field(family, ask) for ask in left], needed)
    try:
        return family.config(**{ask.name: ask.default for ask in left} | answers | dict(known))
    except InputError as error:
        refused = InputError(f"{model} cannot be: {error}")
        # Asked once more, beginning with what was said.
        said_so = [replace(ask, default=answers.get(ask.name, ask.default)) for ask in asks]
        refused.asks = [form_field(family, ask) for ask in said_so]
        raise refused from None


def changed(model: str, family: Family, config: Any, said: Mapping[str, str]) -> Any:
    """The configuration with everything that was said put in its place. InputError where it makes no model."""
    answers = values(family, said)
    windows = getattr(config, "windows", ())
    if "layers" in answers and "windows" not in answers and windows:
        # Published windows go by layer: more layers go on as the last one, fewer stop earlier.
        answers["windows"] = tuple((*windows, *windows[-1:] * answers["layers"])[: answers["layers"]])
    try:
        return replace(config, **answers)
    except InputError as error:
        raise InputError(f"{model} cannot be: {error}") from None


def values(family: Family, said: Mapping[str, str]) -> dict[str, Any]:
    """What was said, in the types of the family's configuration."""
    kinds = get_type_hints(family.config)
    for name in said:
        if name not in kinds:
            raise InputError(f"{family.title} has no '{name}' to be said; it has {', '.join(kinds)}")
    return {name: value_of(name, text, kinds[name]) for name, text in said.items()}


def value_of(name: str, text: str, kind: Any) -> Any:
    """The text as a value of the type. InputError where it is none."""
    word = text.lower()
    if get_origin(kind) is Literal:
        if word not in get_args(kind):
            raise InputError(f"{name}={text}: {name} is one of {', '.join(get_args(kind))}")
        return word
    if get_origin(kind) in (Union, UnionType) and word == "none":
        return None
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is tuple:
        parts = text.split(",") if word != "none" else []
        return tuple(value_of(name, part.strip(), get_args(kind)[0]) for part in parts)
    if kind is bool:
        if word not in YES + NO:
            raise InputError(f"{name}={text}: {name} is true or false")
        return word in YES
    if kind is str:
        return text
    try:
        number = kind(text) if len(text) < 40 else None
    except ValueError:
        number = None
    if number is None:
        raise InputError(f"{name}={short(text)}: {name} is a {'whole ' if kind is int else ''}number")
    return number


def form_field(family: Family, ask: Ask) -> dict[str, Any]:
    """The ask as a form shows it."""
    kind = get_type_hints(family.config)[ask.name]
    choices = list(get_args(kind)) if get_origin(kind) is Literal else []
    return {
        "name": ask.name,
        "default": ask.default,
        "about": ask.about,
        "kind": "choice" if choices else kind.__name__,
        "choices": choices,
    }


def as_dict(config: Any) -> dict[str, Any]:
    """The fields of a configuration, one level deep."""
    return {field.name: getattr(config, field.name) for field in fields(config)}


def likely_heads(width: int) -> int:
    """The number of heads that makes each 64 wide, or as near as the width can be divided."""
    divisors = [heads for heads in range(1, min(width, 1024) + 1) if width % heads == 0]
    return min(divisors, key=lambda heads: (abs(width / heads - 64), heads))
