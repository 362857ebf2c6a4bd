"""The steps of a forward pass in few arrays: what is read, then every site in order of computation. No torch, no Qt.

A deep model has thousands of sites whose words repeat: as JSON they cost more to send, to read and to keep than all
that is drawn of them. What is packed depends on no text; the lengths of texts are put in by who unpacks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_core.api.names import Site
from model_core.api.queries.answer import Answer


def pack(sites: Sequence[Site], texts: Sequence[dict[str, int]]) -> Answer:
    """Sites, and along which text the axes T and S of each run.

    dims, dtypes  the axis letters and number types that there are
    keys          UTF-8, one a line
    kinds         [N 2] which of the dims and of the dtypes each has
    sizes         of all axes, one site after the other; -1 for the length of the first text, -2 for the second
    """
    dims, dtypes = (
        list(dict.fromkeys(words)) for words in zip(*((s.dims, s.dtype) for s in sites), strict=True)
    )
    sizes = [
        -1 - along[letter] if letter in along else size
        for site, along in zip(sites, texts, strict=True)
        for letter, size in zip(site.dims.split(), site.shape, strict=True)
    ]
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "keys": np.frombuffer("\n".join(site.key for site in sites).encode(), np.uint8),
        "kinds": np.array([(dims.index(s.dims), dtypes.index(s.dtype)) for s in sites], np.uint16),
        "sizes": np.array(sizes, np.int64),
    }
    return Answer({"dims": dims, "dtypes": dtypes}, arrays)


def unpack(packed: Answer, lengths: Sequence[int]) -> list[dict[str, Any]]:
    """The steps for texts of these lengths: key, axis letters, shape, dtype, module and word of each.

    texts  which text the axes T and S run along, where the site has them
    """
    sizes = packed["sizes"].tolist()
    keys = packed["keys"].tobytes().decode().split("\n")
    steps, at = [], 0
    for key, (dims, dtype) in zip(keys, packed["kinds"].tolist(), strict=True):
        letters = packed["dims"][dims].split()
        own, at = sizes[at : at + len(letters)], at + len(letters)
        module, _, word = key.rpartition(".")
        steps.append(
            {
                "key": key,
                "dims": packed["dims"][dims],
                "shape": [lengths[-1 - size] if size < 0 else size for size in own],
                "dtype": packed["dtypes"][dtype],
                "module": module,
                "word": word,
                "texts": {letter: -1 - size for letter, size in zip(letters, own, strict=True) if size < 0},
            }
        )
    return steps
