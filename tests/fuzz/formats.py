"""What is damaged: of each format a valid case, the files of it that a stranger may have made, and how it is used."""

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors

from model_core.checkpoint import Loaded, native, open_checkpoint
from model_core.decoder import Decoder
from model_core.families import FAMILIES
from model_core.families.llama import LlamaConfig
from model_core.first_weights import initialise
from model_core.tokenizer import Tokenizer
from model_core.tokenizers import tokenizer_in
from tests.data_files import STORIES
from tests.model_core import tutorials, vocabularies

Files = dict[str, bytes]

VOCAB = 40
LLAMA = LlamaConfig(
    vocab_size=VOCAB, width=8, layers=2, heads=2, kv_heads=1, hidden=12, context=16, head_dim=4, tied=True
)
IDS = [1, 2, 3, 2, 1]
TEXTS = ("The cat sat on the mat", "", "  naïve – 東京 \U0001f409 <s> \0", "x" * 3000)


@dataclass(frozen=True)
class Format:
    """files  a valid case, by name in a folder
    use    opens the case that lies in a folder and works with what came of it; InputError where that cannot be
    kept   names of files that are left as they are
    """

    files: Callable[[], Files]
    use: Callable[[Path], object]
    kept: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {}


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def written(write: Callable[[Path], object]) -> Files:
    """The files that `write` leaves in a folder."""
    with scratch() as folder:
        write(folder)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


# Checkpoints: opened, and run on a few tokens


@cache
def model() -> Decoder:
    found = FAMILIES["llama"].build(LLAMA)
    assert isinstance(found, Decoder)
    initialise(found, 0)
    return found.eval().requires_grad_(False)


def run(loaded: Loaded) -> None:
    limit = min(len(IDS), loaded.model.context)
    tokens = torch.tensor([IDS])[:, :limit] % loaded.model.config.vocab_size
    with torch.inference_mode():
        loaded.model.reader(tokens)(tokens, None)
    work(loaded.tokenizer)


def opened(name: str, *said: str) -> Callable[[Path], object]:
    return lambda folder: run(open_checkpoint(folder / name, config=said))


def renamed(names: dict[str, str], rest: dict[str, str]) -> dict[str, torch.Tensor]:
    """The model's tensors under the names of another project."""
    found = {}
    for name, weight in model().named_parameters():
        _, *middle = name.split(".")
        if name in rest:
            found[rest[name]] = weight.detach().clone()
        elif len(middle) > 1:
            layer, part = middle[0], ".".join(middle[1:]).removesuffix(".weight")
            found[names[part].format(layer)] = weight.detach().clone()
    return found


HF = {
    "norm1": "model.layers.{}.input_layernorm.weight",
    "norm2": "model.layers.{}.post_attention_layernorm.weight",
    **{f"attn.{part}": f"model.layers.{{}}.self_attn.{part}_proj.weight" for part in "qkvo"},
    **{f"mlp.{part}": f"model.layers.{{}}.mlp.{part}_proj.weight" for part in ("gate", "up", "down")},
}
META = {
    "norm1": "layers.{}.attention_norm.weight",
    "norm2": "layers.{}.ffn_norm.weight",
    **{f"attn.{part}": f"layers.{{}}.attention.w{part}.weight" for part in "qkvo"},
    **{
        f"mlp.{part}": f"layers.{{}}.feed_forward.w{n}.weight"
        for part, n in (("gate", 1), ("down", 2), ("up", 3))
    },
}


def hugging_face(shards: int) -> Files:
    config = {
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": LLAMA.width,
        "num_hidden_layers": LLAMA.layers,
        "num_attention_heads": LLAMA.heads,
        "num_key_value_heads": LLAMA.kv_heads,
        "intermediate_size": LLAMA.hidden,
        "max_position_embeddings": LLAMA.context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": [2],
    }
    tensors = renamed(HF, {"embed.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight"})
    files = {"config.json": json.dumps(config).encode()}
    if shards == 1:
        return files | {"model.safetensors": safetensors(tensors)}
    names = [f"model-{n + 1:05}-of-{shards:05}.safetensors" for n in range(shards)]
    places = {name: names[n % shards] for n, name in enumerate(tensors)}
    files["model.safetensors.index.json"] = json.dumps({"weight_map": places}).encode()
    for file in names:
        files[file] = safetensors({name: tensors[name] for name in tensors if places[name] == file})
    return files


def meta() -> Files:
    params = {"dim": LLAMA.width, "n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "vocab_size": VOCAB}
    params |= {"multiple_of": 4, "norm_eps": 1e-5, "max_seq_len": 16}
    tensors = renamed(META, {"embed.weight": "tok_embeddings.weight", "norm.weight": "norm.weight"})
    # What its rule makes of a width of 8.
    hidden = 24
    for layer in range(LLAMA.layers):
        for n, shape in ((1, (hidden, 8)), (2, (8, hidden)), (3, (hidden, 8))):
            tensors[f"layers.{layer}.feed_forward.w{n}.weight"] = torch.zeros(shape)
    tensors["output.weight"] = tensors["tok_embeddings.weight"].clone()
    return {"params.json": json.dumps(params).encode(), "consolidated.00.pth": pickled(tensors)}


def pickled(content: Any) -> bytes:
    target = io.BytesIO()
    torch.save(content, target)
    return target.getvalue()


def llama2c(version: int) -> Files:
    from tests.model_core.test_checkpoint_llama2c import legacy, versioned

    return {"model.bin": legacy(model()) if version == 0 else versioned(model())}


def own() -> Files:
    def write(folder: Path) -> None:
        native.save(folder, model(), FAMILIES["llama"], tokenizer=None, name="small", about="random weights")

    return written(write)


def state_dict(make: Callable[[], torch.nn.Module]) -> Callable[[], Files]:
    return lambda: {"model.pth": pickled({"model": make().state_dict()})}


heads = f"heads={tutorials.HEADS}"
FORMATS["Hugging Face"] = Format(partial(hugging_face, 1), opened("."))
FORMATS["Hugging Face in pieces"] = Format(partial(hugging_face, 3), opened("."))
FORMATS["Meta"] = Format(meta, opened("."))
FORMATS["llama2.c version 0"] = Format(partial(llama2c, 0), opened("model.bin"))
FORMATS["llama2.c version 1"] = Format(partial(llama2c, 1), opened("model.bin"))
FORMATS["layerscope"] = Format(own, opened("."))
FORMATS["nanoGPT"] = Format(state_dict(tutorials.NanoGPT), opened("model.pth", heads))
FORMATS["mini-GPT"] = Format(state_dict(tutorials.MiniGPT), opened("model.pth"))
FORMATS["encoder-decoder"] = Format(
    state_dict(partial(tutorials.TutorialTransformer, "pre")), opened("model.pth", heads)
)


# Tokenizers: opened, and given texts and ids


def work(tokenizer: Tokenizer) -> None:
    from model_core.errors import InputError
    from model_core.merges import merges

    for text in TEXTS:
        try:
            ids = tokenizer.encode(text)
            tokenizer.decode(ids)
            for id in ids[:20]:
                tokenizer.token(id)
            if ids:
                merges(tokenizer, text, len(ids) // 2)
        except InputError:
            continue
    for id in (0, tokenizer.vocab_size - 1):
        tokenizer.token(id)
    assert all(0 <= id < tokenizer.vocab_size for id in tokenizer.prefix)


def tokenizer(size: int, config: dict[str, Any] | None = None) -> Callable[[Path], object]:
    return lambda folder: work(tokenizer_in(folder, size, config))


def hf_tokenizer(content: Callable[[], str]) -> Callable[[], Files]:
    settings = {"add_bos_token": True, "bos_token": "<s>", "eos_token": {"content": "</s>"}}
    return lambda: {
        "tokenizer.json": content().encode(),
        "tokenizer_config.json": json.dumps(settings).encode(),
    }


def word_tokenizer(kind: str) -> str:
    words = {"[UNK]": 0, "the": 1, "cat": 2, "##s": 3, "mat": 4, "The": 5}
    models = {
        "WordPiece": {
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        },
        "WordLevel": {"unk_token": "[UNK]"},
        "BPE": {"unk_token": "[UNK]", "merges": ["t h"], "dropout": None, "fuse_unk": False},
    }
    if kind == "BPE":
        words |= {"t": 6, "h": 7, "th": 8}
    flags = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    replace = {"type": "Replace", "pattern": {"String": "  "}, "content": " "}
    begin, text = {"SpecialToken": {"id": "[UNK]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    described = {
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "[UNK]", **flags}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, replace]},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "\\s+"},
            "behavior": "Removed",
            "invert": False,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, text],
            "pair": [],
            "special_tokens": {"[UNK]": {"id": "[UNK]", "ids": [0], "tokens": ["[UNK]"]}},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": kind, "vocab": words, **models[kind]},
    }
    return json.dumps(described)


def vocabulary_and_merges() -> Files:
    from model_core.assets import asset

    # The bytes as GPT-2 spells them are the first 256 tokens of any such vocabulary.
    described = json.loads(vocabularies.bpe_json())["model"]
    assert asset("tokenizers").is_dir()
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in described["merges"]]
    return {
        "vocab.json": json.dumps(described["vocab"]).encode(),
        "merges.txt": "\n".join(["#version: 0.2", *merges]).encode(),
    }


def ranks() -> Files:
    import base64

    tokens = [*(bytes([n]) for n in range(256)), b"th", b"the", b" c", b" ca", b"\xe6\x9d"]
    lines = (b"%s %d" % (base64.b64encode(token), n) for n, token in enumerate(tokens))
    return {"qwen.tiktoken": b"\n".join(lines) + b"\n"}


def characters() -> Files:
    from model_core.assets import asset

    return {"dates.characters": asset("tokenizers", "dates.characters").read_bytes()}


SIZE = vocabularies.SIZE
FORMATS["tokenizer.json, bytes"] = Format(
    hf_tokenizer(partial(vocabularies.bpe_json, "<|begin|>")), tokenizer(SIZE)
)
FORMATS["tokenizer.json, whole text"] = Format(hf_tokenizer(vocabularies.whole_text_json), tokenizer(SIZE))
FORMATS["tokenizer.json, unigram"] = Format(hf_tokenizer(vocabularies.unigram_json), tokenizer(SIZE))
for kind in ("WordPiece", "WordLevel", "BPE"):
    FORMATS[f"tokenizer.json, {kind}"] = Format(
        hf_tokenizer(partial(word_tokenizer, kind)), tokenizer(SIZE, {"bos_token_id": 1, "eos_token_id": 2})
    )
FORMATS["vocab.json and merges.txt"] = Format(vocabulary_and_merges, tokenizer(SIZE))
for kind in ("bpe", "unigram"):
    FORMATS[f"SentencePiece, {kind}"] = Format(
        lambda kind=kind: {"tokenizer.model": vocabularies.sentencepiece_model(kind)}, tokenizer(SIZE)
    )
FORMATS["tiktoken"] = Format(ranks, tokenizer(300))
FORMATS["tokenizer.bin"] = Format(
    lambda: {"tokenizer.bin": (STORIES / "tok512.bin").read_bytes()}, tokenizer(512)
)
