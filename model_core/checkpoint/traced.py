"""Values in a file that `layerscope trace` wrote, for edits that refer to another run."""

from torch import Tensor

from model_core.api.errors import InputError
from model_core.api.files.paths import expanded
from model_core.checkpoint.safetensors_file import read_safetensors


def read_site(file: str, key: str) -> Tensor:
    """The value of a site. InputError where there is no such file, or where it has no such value."""
    stored = read_safetensors(expanded(file))
    if key not in stored:
        raise InputError(f"{file} has no site '{key}'")
    stored[key].check_floats()
    return stored[key].read()
