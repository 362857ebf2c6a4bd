"""`layerscope train`: train, leaving a checkpoint now and then, and a model card at the end."""

from model_core.cli.registry import Command, register
from model_core.cli.training.options import TrainOptions, add


def run(options: TrainOptions) -> None:
    from model_core.cli.training.run import train

    train(options)


register(
    Command(
        "train",
        "train a model from nothing, or a checkpoint further; what was stopped goes on by the same command",
        6,
        TrainOptions,
        add,
        run,
    )
)
