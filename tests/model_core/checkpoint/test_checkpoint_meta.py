"""Meta's folders open whole or in pieces, as the model that they came from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_core.api.errors import Cancelled, InputError
from model_core.checkpoint.files import Stored, readable
from model_core.checkpoint.opening import open_checkpoint
from model_core.families.first_weights import initialise
from model_core.families.llama import LlamaConfig, ffn_hidden
from model_core.families.registry import FAMILIES
from model_core.parts.decoder import Decoder
from tests.support.models.opening import refused

pytestmark = pytest.mark.unit

TOKENS = torch.arange(12)[None] * 5 % 40
WIDTH, HIDDEN = 32, ffn_hidden(32, 16)
SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "width": WIDTH,
    "layers": 2,
    "heads": 8,
    "kv_heads": 4,
    "hidden": HIDDEN,
    "context": 4096,
    "head_dim": 4,
}
PARAMS: dict[str, Any] = {
    "dim": WIDTH,
    "n_layers": 2,
    "n_heads": 8,
    "n_kv_heads": 4,
    "multiple_of": 16,
    "norm_eps": 1e-5,
    "vocab_size": -1,
}

# Written out here once more: what Meta calls each parameter, and along which axis its GPUs share it.
META: dict[str, tuple[str, int | None]] = {
    "norm1": ("attention_norm", None),
    "norm2": ("ffn_norm", None),
    "attn.q": ("attention.wq", 0),
    "attn.k": ("attention.wk", 0),
    "attn.v": ("attention.wv", 0),
    "attn.o": ("attention.wo", 1),
    "mlp.gate": ("feed_forward.w1", 0),
    "mlp.down": ("feed_forward.w2", 1),
    "mlp.up": ("feed_forward.w3", 0),
}


def model_of(**changes: Any) -> Decoder:
    model = FAMILIES["llama"].build(LlamaConfig(**SIZES | changes))
    assert isinstance(model, Decoder)
    initialise(model, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim == 2 else 1.1)
    return model.eval().requires_grad_(False)


def whole(model: Decoder, *, embed_axis: int) -> dict[str, tuple[Tensor, int | None]]:
    """The model's tensors under Meta's names, each with the axis along which it is shared."""
    ours = dict(model.named_parameters())
    stored: dict[str, tuple[Tensor, int | None]] = {
        "tok_embeddings.weight": (ours["embed.weight"], embed_axis),
        "norm.weight": (ours["norm.weight"], None),
        "rope.freqs": (torch.ones(2), None),
    }
    if "head.weight" in ours:
        stored["output.weight"] = (ours["head.weight"], 0)
    for n in range(model.config.layers):
        for part, (theirs, axis) in META.items():
            stored[f"layers.{n}.{theirs}.weight"] = (ours[f"blocks.{n}.{part}.weight"], axis)
    return stored


def write(
    folder: Path, model: Decoder, *, pieces: int = 1, embed_axis: int = 1, params: Mapping[str, Any] = PARAMS
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "params.json").write_text(json.dumps(dict(params)))
    tensors = whole(model, embed_axis=embed_axis)
    for n in range(pieces):
        own = {
            name: tensor.clone() if axis is None else tensor.chunk(pieces, axis)[n].clone()
            for name, (tensor, axis) in tensors.items()
        }
        torch.save(own, folder / f"consolidated.{n:02}.pth")
    return folder


@pytest.fixture(scope="module")
def model() -> Decoder:
    return model_of()


@pytest.mark.parametrize("embed_axis", [0, 1])
@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_pieces_equal_the_model_they_were_cut_from(
    pieces: int, embed_axis: int, model: Decoder, tmp_path: Path
) -> None:
    loaded = open_checkpoint(write(tmp_path / "m", model, pieces=pieces, embed_axis=embed_axis))
    assert loaded.model.config == model.config
    assert torch.equal(loaded.model(TOKENS), model(TOKENS))


def test_a_file_of_the_folder_opens_the_folder(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, pieces=2)
    for name in ("params.json", "consolidated.01.pth"):
        loaded = open_checkpoint(folder / name)
        assert loaded.path == folder
        assert torch.equal(loaded.model(TOKENS), model(TOKENS))


def test_tied_head_is_the_embedding(tmp_path: Path) -> None:
    model = model_of(tied=True)
    loaded = open_checkpoint(write(tmp_path / "m", model))
    assert loaded.model.config.tied
    assert torch.equal(loaded.model(TOKENS), model(TOKENS))


def test_scaled_rope_has_metas_constants_unless_others_are_said(tmp_path: Path) -> None:
    params = {**PARAMS, "use_scaled_rope": True, "rope_theta": 500000.0, "vocab_size": 40}
    folder = write(tmp_path / "m", model_of(), params=params)
    config = open_checkpoint(folder).model.config
    assert (config.rope_factor, config.low_freq_factor, config.high_freq_factor) == (8.0, 1.0, 4.0)
    assert (config.original_context, config.theta, config.context) == (8192, 500000.0, 131072)
    assert open_checkpoint(folder, config=["rope_factor=32"]).model.config.rope_factor == 32.0
    write(folder, model_of(), params={**params, "rope_scaling_factor": 16})
    assert open_checkpoint(folder).model.config.rope_factor == 16.0


def test_context_is_what_params_json_or_the_person_says(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model)
    assert open_checkpoint(folder, config=["max_seq_len=100"]).model.config.context == 100
    write(folder, model, params={**PARAMS, "max_seq_len": 64})
    assert open_checkpoint(folder).model.config.context == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": None}, "params.json has no 'dim'"),
        ({"dim": "32"}, "params.json: 'dim' is '32', not a whole number"),
        ({"dim": 30}, "a dim of 30 cannot be split into 8 heads"),
        ({"n_heads": 0}, "'n_heads' is 0"),
        ({"n_kv_heads": 3}, "8 query heads cannot share 3"),
        ({"n_layers": 3}, "lacks layers.2.attention.wk.weight"),
        ({"n_layers": 10**6}, "1000000 layers, but only"),
        ({"multiple_of": 256}, "makes the MLP 256 wide, but the weights have 96"),
        ({"ffn_dim_multiplier": 1.3}, "makes the MLP 112 wide, but the weights have 96"),
        ({"ffn_dim_multiplier": "wide"}, "'ffn_dim_multiplier' is 'wide', not a positive number"),
        ({"vocab_size": 41}, "has 41 tokens, but the weights 40"),
        ({"use_scaled_rope": "yes"}, "'use_scaled_rope' is 'yes', not true or false"),
        ({"sliding_window": 4096}, "has sliding_window, which LLaMA does not"),
        ({"n_heads": 16}, "does not fit its configuration"),
    ],
)
def test_params_that_make_no_model_are_refused(
    changes: dict[str, Any], message: str, model: Decoder, tmp_path: Path
) -> None:
    assert message in refused(write(tmp_path / "m", model, params={**PARAMS, **changes}))


def test_missing_piece_is_named(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, pieces=4)
    (folder / "consolidated.02.pth").unlink()
    assert "has consolidated.03.pth, but no consolidated.02.pth" in refused(folder)
    (folder / "consolidated.03.pth").unlink()
    assert "does not fit its configuration" in refused(folder) or "but the weights" in refused(folder)


def test_pieces_of_two_models_are_refused(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, pieces=2)
    other = write(tmp_path / "other", model_of(tied=True), pieces=2)
    (other / "consolidated.01.pth").replace(folder / "consolidated.01.pth")
    assert "output.weight is not in every piece" in refused(folder)
    other = write(tmp_path / "other", model_of(width=16, heads=4, hidden=HIDDEN), pieces=2)
    (other / "consolidated.01.pth").replace(folder / "consolidated.01.pth")
    assert "have shapes or dtypes that do not go together" in refused(folder)


def test_damaged_piece_is_named(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, pieces=2)
    content = (folder / "consolidated.01.pth").read_bytes()
    (folder / "consolidated.01.pth").write_bytes(content[:-100])
    assert "consolidated.01.pth is no whole file of torch.save" in refused(folder)


def test_a_piece_of_other_names_is_refused_before_the_next_is_read(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, pieces=3)
    torch.save({"norm.weight": torch.ones(WIDTH)}, folder / "consolidated.01.pth")
    (folder / "consolidated.02.pth").write_bytes(b"damaged")
    assert "is not in every piece: consolidated.01.pth is of another model" in refused(folder)


@pytest.mark.parametrize("name", ["\x1b[2J", "!" * 400])
def test_a_name_that_is_not_in_every_piece_is_said_as_every_name_is(
    name: str, model: Decoder, tmp_path: Path
) -> None:
    folder = write(tmp_path / "m", model, pieces=2)
    torch.save({name: torch.ones(WIDTH)}, folder / "consolidated.01.pth")
    said = refused(folder)
    assert f"{readable(name)} is not in every piece" in said
    assert said.isprintable()
    assert len(readable(name)) <= 160
    with pytest.raises(InputError) as error:
        Stored(name, (1,), "I8", lambda: torch.zeros(1)).check_floats()
    assert str(error.value).startswith(f"{readable(name)} is stored as I8; ")


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_piece_that_is_another_once_more_is_refused(link: Any, model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, pieces=2)
    (folder / "consolidated.01.pth").unlink()
    link(folder / "consolidated.01.pth", folder / "consolidated.00.pth")
    assert "consolidated.01.pth is the same file as consolidated.00.pth" in refused(folder)


def test_numbers_are_not_taken_for_more_weights_than_a_piece_holds(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, params={**PARAMS, "n_layers": 30})
    state = torch.load(folder / "consolidated.00.pth")
    layer = {name: tensor for name, tensor in state.items() if name.startswith("layers.0.")}
    for n in range(1, 30):
        state |= {name.replace(".0.", f".{n}."): tensor for name, tensor in layer.items()}
    torch.save(state, folder / "consolidated.00.pth")
    assert "many of its tensors share their numbers" in refused(folder)


def test_joining_holds_one_tensor_and_can_be_cancelled(model: Decoder, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", model, pieces=4)
    shares: list[float] = []
    open_checkpoint(folder, progress=shares.append)
    assert shares == sorted(shares)
    assert (len(shares), shares[-1]) == (len(list(model.parameters())), 1.0)
    shares.clear()
    with pytest.raises(Cancelled):
        open_checkpoint(folder, progress=shares.append, cancelled=lambda: len(shares) == 3)
    assert len(shares) == 3


JSON = st.none() | st.booleans() | st.integers(-2, 2**40) | st.floats() | st.text(max_size=4) | st.just([1])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from([*PARAMS, "ffn_dim_multiplier", "rope_theta", "max_seq_len", "moe"]), value=JSON)
@pytest.mark.process
def test_any_params_give_a_model_or_one_line(key: str, value: object, written: Path) -> None:
    (written / "params.json").write_text(json.dumps({**PARAMS, key: value}))
    message = ""
    try:
        open_checkpoint(written)
    except InputError as error:
        message = str(error)
    assert "\n" not in message


@pytest.fixture(scope="module")
def written(model: Decoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("meta") / "m", model, pieces=2)
