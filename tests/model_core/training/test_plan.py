"""What is to be trained can be described in a file, and a checkpoint is trained further with its own tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from model_core.api.errors import InputError
from model_core.api.recipe import Recipe
from model_core.checkpoint.formats import native
from model_core.checkpoint.opening import open_checkpoint
from model_core.families.first_weights import initialise
from model_core.families.gpt2 import GPT2Config
from model_core.families.llama import LlamaConfig
from model_core.families.registry import family_of
from model_core.sources.presets import NAMES
from model_core.text.opening import tokenizer_in
from model_core.text.tokenizer import TiktokenTokenizer, Tokenizer
from model_core.text.vocabulary import save_ranks
from model_core.training.plan import FINE_TUNING, of_checkpoint, of_file, of_preset
from tests.support.models.vocabularies import LINES, SIZE, bpe_json, sentencepiece_model, unigram_json, write

pytestmark = pytest.mark.unit

TOML = """
family = "gpt2"
tokenizer = "tales-2048"
[config]
width = 32
layers = 3
heads = 4
hidden = 64
context = 32
[recipe]
steps = 7
lr = 1
held_out = [1, 2]
"""


def described(folder: Path, content: str | dict[str, Any]) -> Path:
    path = folder / ("plan.toml" if isinstance(content, str) else "plan.json")
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_file_describes_a_model_and_its_recipe(tmp_path: Path) -> None:
    plan = of_file(described(tmp_path, TOML))
    assert plan.name == "plan"
    assert plan.config == GPT2Config(2048, width=32, layers=3, heads=4, hidden=64, context=32)
    assert plan.recipe == Recipe(steps=7, lr=1.0, held_out=(1, 2))
    assert plan.tokenizer.name == "tales-2048"
    assert plan.model().parameter_count > 0


def test_published_size_is_changed_where_the_file_says_so(tmp_path: Path) -> None:
    said = {
        "family": "mini",
        "size": "tiny",
        "config": {"layers": 3},
        "recipe": {"steps": 1},
        "name": "mine",
        "about": "a try",
    }
    plan = of_file(described(tmp_path, said))
    assert (plan.name, plan.about) == ("mine", "a try")
    assert plan.config.layers == 3
    assert plan.config.width == 64
    assert plan.tokenizer.name == "ids"


def test_vocabulary_beside_the_file_gives_its_size(tmp_path: Path) -> None:
    save_ranks({bytes([byte]): byte for byte in range(256)} | {b"th": 256}, tmp_path / "own.tiktoken")
    plan = of_file(described(tmp_path, TOML.replace("tales-2048", "own.tiktoken")))
    assert plan.config.vocab_size == plan.tokenizer.vocab_size == 258
    assert plan.tokenizer.origin.files == {"own.tiktoken": tmp_path / "own.tiktoken"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"gpt2"', '"gpt7"', "there is no family 'gpt7'; known are "),
        ('family = "gpt2"', "", "has no 'family'"),
        ("[config]", "color = 1\n[config]", "has 'color'; it may have family, size, config"),
        ("heads = 4", "heads = 4\ndepth = 2", "the config has 'depth'; it may have vocab_size, width"),
        ("heads = 4", "heads = 5", "a width of 32 cannot be split into 5 heads"),
        ("heads = 4", "", "the config has no 'heads'"),
        ("width = 32", 'width = "wide"', "'width' is 'wide', not a whole number"),
        ("steps = 7", "", "the recipe does not say how many steps to train"),
        ("steps = 7", "steps = 7.5", "the recipe's steps is 7.5, not a whole number"),
        ("steps = 7", "steps = 0", "the recipe's steps is 0: it is to be 1 or more"),
        ("steps = 7", "steps = true", "the recipe's steps is True, not a whole number"),
        ("steps = 7", "steps = 7\nspeed = 3", "the recipe has 'speed'; it may have steps, batch"),
        ("lr = 1", "lr = -1", "the recipe's lr is -1.0, not a positive number"),
        ("lr = 1", "lr = 1e38", "the recipe's lr is 1e+38, not a positive number below 1e+30"),
        ("lr = 1", "gain = 1e39", "the recipe's gain is 1e+39, not a positive number below 1e+30"),
        (
            "lr = 1",
            "embedding = 1e300",
            "the recipe's embedding is 1e+300, not a positive number below 1e+30",
        ),
        ("lr = 1", 'autocast = "int8"', "the recipe's autocast is 'int8', not float32, bfloat16, float16"),
        ("lr = 1", "batch = 10\naccumulate = 4", "a batch of 10 rows cannot be cut into 4 equal parts"),
        ("[1, 2]", "[1, 0.5]", "the recipe's held_out is 0.5, not a whole number"),
        ('"tales-2048"', '"lost"', "there is no tokenizer lost"),
        ('tokenizer = "tales-2048"', "", "without a tokenizer the config needs a 'vocab_size'"),
        ("[config]", 'task = "chess"\n[config]', "'task' is 'chess', not one of text, dates"),
        ("[config]", 'size = "9T"\n[config]', "GPT-2 has no size '9T'"),
        ("[recipe]", "[recipe", "is not TOML"),
    ],
)
def test_description_that_makes_no_plan_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TOML
    with pytest.raises(InputError) as error:
        of_file(described(tmp_path, TOML.replace(old, new, 1)))
    assert message in str(error.value)
    assert "plan.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"plan.json is not JSON: "):
        of_file(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        of_file(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_has_a_tokenizer_of_its_size(name: str) -> None:
    plan = of_preset(name)
    assert plan.tokenizer.vocab_size == plan.config.vocab_size
    assert plan.recipe.length <= plan.config.context or plan.task == "dates"


def same(first: Tokenizer, second: Tokenizer) -> bool:
    alike = all(
        getattr(first, field) == getattr(second, field)
        for field in ("vocab_size", "bos", "eos", "prefix", "special")
    )
    return (
        alike
        and [first.token(id) for id in range(first.vocab_size)]
        == [second.token(id) for id in range(second.vocab_size)]
        and all(first.encode(line) == second.encode(line) for line in LINES)
    )


FOLDERS: dict[str, dict[str, Any]] = {
    "tokenizer.json": {
        "tokenizer.json": bpe_json("<|begin|>"),
        "tokenizer_config.json": {"eos_token": "<|end|>"},
    },
    "unigram": {"tokenizer.json": unigram_json()},
    "vocab.json": {
        "vocab.json": json.loads(bpe_json())["model"]["vocab"],
        "merges.txt": "#version: 0.2\n"
        + "\n".join(" ".join(pair) for pair in json.loads(bpe_json())["model"]["merges"]),
    },
    "SentencePiece": {"tokenizer.model": sentencepiece_model("bpe")},
}


@pytest.mark.parametrize("case", FOLDERS)
def test_model_trained_further_keeps_its_tokenizer(tmp_path: Path, case: str) -> None:
    folder, saved = tmp_path / "theirs", tmp_path / "ours"
    folder.mkdir()
    write(folder, FOLDERS[case])
    hf = {
        "model_type": "llama",
        "vocab_size": SIZE,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "max_position_embeddings": 16,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    config = LlamaConfig(
        vocab_size=SIZE, width=8, layers=1, heads=2, kv_heads=2, hidden=8, context=16, head_dim=4, tied=True
    )
    (folder / "config.json").write_text(json.dumps(hf), encoding="utf-8")
    model = family_of(config).build(config)
    initialise(model, 0)
    sources = family_of(config).hf_weights(config)
    save_file({source.name: dict(model.named_parameters())[ours].detach() for ours, source in sources.items()
               if ours in dict(model.named_parameters())}, folder / "model.safetensors")  # fmt: skip

    plan = of_checkpoint(str(folder), (), "ours")
    assert plan.recipe.length == 16
    assert plan.recipe.steps == FINE_TUNING.steps
    assert all(parameter.requires_grad for parameter in plan.model().parameters())
    native.save(saved, plan.model(), plan.family, tokenizer=plan.tokenizer.origin, name="ours", about="tuned")
    again = open_checkpoint(saved)
    assert same(again.tokenizer, plan.tokenizer)
    assert same(again.tokenizer, tokenizer_in(folder, SIZE, hf))
    # And once more, from our own folder.
    further = of_checkpoint(str(saved), (), "further")
    native.save(
        tmp_path / "further",
        further.model(),
        further.family,
        tokenizer=further.tokenizer.origin,
        name="further",
        about="",
    )
    assert same(open_checkpoint(tmp_path / "further").tokenizer, plan.tokenizer)


def test_bundled_vocabulary_is_named_and_not_copied(tmp_path: Path) -> None:
    plan = of_checkpoint("untrained:mini/tiny", ("width=16", "heads=2"), "small")
    native.save(tmp_path, plan.model(), plan.family, tokenizer=plan.tokenizer.origin, name="small", about="")
    assert sorted(file.name for file in tmp_path.iterdir()) == [native.MANIFEST, native.WEIGHTS]
    assert isinstance(open_checkpoint(tmp_path).tokenizer, TiktokenTokenizer)


def test_encoder_decoder_without_pairs_is_not_trained_further() -> None:
    with pytest.raises(
        InputError, match="reads two texts: the pairs that it would learn from cannot be given"
    ):
        of_checkpoint("untrained:seq2seq/tiny", (), "x")


def test_tokenizer_that_is_said_to_lie_beside_a_model_is_missed(tmp_path: Path) -> None:
    plan = of_checkpoint("untrained:mini/tiny", ("width=16", "heads=2"), "small")
    native.save(tmp_path, plan.model(), plan.family, tokenizer=plan.tokenizer.origin, name="small", about="")
    manifest = json.loads((tmp_path / native.MANIFEST).read_text(encoding="utf-8"))
    (tmp_path / native.MANIFEST).write_text(json.dumps(manifest | {"tokenizer": {}}), encoding="utf-8")
    with pytest.raises(InputError, match=r"says that the tokenizer lies beside it, but .* has none"):
        open_checkpoint(tmp_path)
