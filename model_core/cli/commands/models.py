"""`layerscope models`: the presets, one paragraph each, and what else can be opened."""

import argparse
from dataclasses import dataclass

from model_core.cli.registry import Command, register


@dataclass(frozen=True)
class ModelsOptions:
    """None: it lists them all."""


def add(command: argparse.ArgumentParser) -> None:
    """It reads nothing."""


def run(options: ModelsOptions) -> None:
    from model_core.checkpoint.opening import either
    from model_core.checkpoint.registry import READERS
    from model_core.engine import describe
    from model_core.families.registry import FAMILIES
    from model_core.sources import presets
    from model_core.sources.untrained import PREFIX

    known, damaged = describe.presets()
    for name in presets.NAMES:
        if name in damaged:
            print(f"{name}\n    {damaged[name]}")
            continue
        preset = known[name]
        weights = f"{preset['bytes'] / 1e6:.1f} MB in {presets.folder_of(name)}"
        if not preset["bytes"]:
            weights = f"no weights yet: layerscope train --preset {name}"
        print(
            f"{name}\n    {preset['about']}\n    {preset['title']}, {preset['parameters']:,} parameters, {weights}"
        )
        if preset["data"]:
            print(f"    trained on {preset['data']} ({preset['licence']})")
        if preset["quality"]:
            print(f"    measured: {preset['quality']}")
    folders, files = (
        either(reader.what for reader in READERS if reader.file == file) for file in (False, True)
    )
    types = ", ".join(name for family in FAMILIES.values() for name in family.hf_types)
    print(f"\nA path works as well: a {files}, or the folder that has {folders} (families: {types}).")
    print(
        "\nWithout training, for --model; fields of the configuration may be changed, such as --config layers=4:"
    )
    for name, family in FAMILIES.items():
        print("    " + "  ".join(f"{PREFIX}{name}/{size}" for size in family.published))


register(Command("models", "list the presets and what each is", 1, ModelsOptions, add, run))
