"""A safetensors file is read as the library reads it, and whatever is no such file is refused in one line."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model_core.api.errors import InputError
from model_core.checkpoint import files
from model_core.checkpoint.formats.pth import state_dict
from model_core.checkpoint.safetensors_file import DTYPES, read_safetensors, read_with_metadata

pytestmark = pytest.mark.unit


def written(path: Path, header: Any, numbers: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


def entry(dtype: str, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (4, 0)])
def test_numbers_are_those_that_the_library_reads(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    made = (torch.rand(shape) * 9).to(DTYPES[dtype])
    save_file({"odd": torch.zeros(3, dtype=torch.uint8), "made": made}, tmp_path / "a", {"said": "beside"})
    stored, about = read_with_metadata(tmp_path / "a")
    assert about == {"said": "beside"}
    assert (stored["made"].dtype, stored["made"].shape) == (dtype, shape)
    for name, tensor in load_file(tmp_path / "a").items():
        found = stored[name].read()
        assert found.dtype == tensor.dtype
        assert found.tolist() == tensor.tolist()


def test_tensors_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    header = {"b": entry("F32", [1], 4, 8), "a": entry("F32", [], 8, 12), "c": entry("F32", [1], 0, 4)}
    assert list(read_safetensors(written(tmp_path / "a", header, bytes(12)))) == ["c", "b", "a"]


WHOLE = entry("F32", [2], 0, 8)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "its header is not JSON: "),
        (b"{", "its header is not JSON: "),
        (b'{"a": "\xff"}', "its header is not UTF-8 text"),
        (b"[" * 5000, "its header "),
        ([], "its header is no JSON object"),
        ({}, "its tensors are 0 bytes, but it has 8 for them"),
        ({"a": WHOLE, "__metadata__": {"a": 1}}, "its __metadata__ is no object of texts"),
        ({"a": WHOLE, "__metadata__": "a"}, "its __metadata__ is no object of texts"),
        ({"a": 3}, "its header does not say dtype, shape and place of a"),
        ({"a": {"dtype": "F32", "shape": [2]}}, "does not say dtype, shape and place of a"),
        ({"a": entry("F32", [2.0], 0, 8)}, "does not say dtype, shape and place of a"),
        ({"a": entry("F32", [True, 2], 0, 8)}, "does not say dtype, shape and place of a"),
        ({"a": entry("F32", "2", 0, 8)}, "does not say dtype, shape and place of a"),
        ({"a": entry("F32", [-2], 8, 0)}, "does not say dtype, shape and place of a"),
        ({"a": entry("F32", [2], 0, 10**400)}, "does not say dtype, shape and place of a"),
        ({"a": entry("F33", [2], 0, 8)}, "a has the dtype F33, which is not known here"),
        ({"a": entry("\x1b" * 999, [2], 0, 8)}, "a has the dtype '\\x1b\\x1b"),
        ({"a": entry("F32", [1] * 65, 0, 4)}, "a has 65 axes, more than 64"),
        ({"a": entry("F32", [2**62] * 100_000, 0, 8)}, "a has 100,000 axes, more than 64"),
        ({"a": entry("F32", [2**62] * 64, 0, 8)}, "a has 8 bytes, which its dtype and shape do not make"),
        ({"a": entry("F32", [3], 0, 8)}, "a has 8 bytes, which its dtype and shape do not make"),
        ({"a": entry("F32", [0], 8, 0)}, "a has -8 bytes, which its dtype and shape do not make"),
        ({"a": entry("F32", [1], 0, 4)}, "its tensors are 4 bytes, but it has 8 for them"),
        ({"a": entry("F32", [4], 0, 16)}, "its tensors are 16 bytes, but it has 8 for them"),
        ({"a": WHOLE, "b": WHOLE}, "b begins at 0, not at 8, where the one before it ends"),
        ({"a": entry("F32", [1], 4, 8)}, "a begins at 4, not at 0, where the one before it ends"),
    ],
)
def test_what_is_no_such_file_is_refused_in_one_line(header: Any, message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a", header, bytes(8))
    with pytest.raises(InputError) as refused:
        read_safetensors(path)
    said = str(refused.value)
    assert said.startswith(f"{path} is no whole safetensors file: ")
    assert message in said
    assert said.isprintable()
    assert len(said) < 500 + len(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no header"),
        (bytes(7), "it has no header"),
        (bytes(8), "its header is not JSON: "),
        ((9).to_bytes(8, "little") + b"{}", "it ends within its header"),
        (((1 << 22) + 1).to_bytes(8, "little"), "a header may have 4,194,304 bytes, not 4,194,305"),
    ],
)
def test_a_file_without_a_whole_header_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_safetensors(tmp_path / "a")


def test_a_file_that_is_not_there_is_missed_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_safetensors(tmp_path / "a")
    assert str(refused.value) == f"{tmp_path} has no a"


@pytest.mark.parametrize("shape", [(7, 3), (1, 7, 3), (7, 1, 3), (7,), (1, 7), (1, 1), ()])
def test_some_rows_are_those_of_the_whole_tensor(shape: tuple[int, ...], tmp_path: Path) -> None:
    whole = torch.rand(shape)
    rows = whole.reshape([*[n for n in shape if n != 1][:1], -1] if whole.numel() > 1 else [1])
    save_file({"odd": torch.zeros(5), "a": whole}, tmp_path / "a.safetensors")
    stored = {"safetensors": read_safetensors(tmp_path / "a.safetensors")["a"]}
    torch.save(
        {"a": whole, "turned": whole.mT.contiguous().mT if whole.ndim > 1 else whole}, tmp_path / "a.pth"
    )
    stored |= state_dict(tmp_path / "a.pth")[0]
    for one in stored.values():
        for start, stop in [(0, 1), (2, 5), (5, 7)] if whole.numel() > 1 else [(0, 1)]:
            assert (
                one.rows(start, stop).reshape(stop - start, -1).tolist()
                == rows[start:stop].reshape(stop - start, -1).tolist()
            )


def test_tensors_are_compared_a_few_numbers_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 3 * 10_000_000
    header = {name: entry("F16", [size // 6, 3], at, at + size) for name, at in (("a", 0), ("b", size))}
    sparse = written(tmp_path / "a", header)
    with sparse.open("r+b") as file:
        file.truncate(file.seek(0, 2) + 2 * size)
    read: list[int] = []
    whole = files.numbers
    monkeypatch.setattr(
        files, "numbers", lambda *of: (read.append(of[2].itemsize * math.prod(of[3])), whole(*of))[1]
    )
    first, second = read_safetensors(sparse).values()
    assert first.is_same(second)
    assert max(read) <= files.COMPARED_AT_ONCE
    assert sum(read) == 2 * size
    with sparse.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    first, second = read_safetensors(sparse).values()
    assert not first.is_same(second)


def test_rows_that_no_model_has_are_refused(tmp_path: Path) -> None:
    size = 2 * files.MAX_PART
    sparse = written(tmp_path / "a", {"a": entry("F16", [2, size // 4], 0, size)})
    with sparse.open("r+b") as file:
        file.truncate(file.seek(0, 2) + size)
    (stored,) = read_safetensors(sparse).values()
    with pytest.raises(InputError, match="whose rows no model has"):
        stored.rows(0, 2)
