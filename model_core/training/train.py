"""The training loop, kept apart from the models and from what they are trained on."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from model_core.api.errors import Cancelled, InputError
from model_core.api.recipe import Recipe, learning_rate
from model_core.api.schema import Count, Duration, Measured, Share, Within, value
from model_core.parts.loss import next_token_loss
from model_core.parts.model import Model
from model_core.training.task import Batch, Task


@dataclass(frozen=True)
class Progress:
    """After `step` of `steps`.

    loss           nats a token over the steps since the last report
    lr, grad_norm  of the last step; the norm before clipping
    tokens         read so far, and how many a second since training was begun or gone on with
    seconds        of training so far, every sitting counted, and how many are left at this speed
    held_out_loss  nats a token on held-out text, where it was measured now
    """

    step: int
    steps: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    tokens_per_second: float
    seconds: float
    seconds_left: float
    held_out_loss: float | None = None


@dataclass
class State:
    """All that decides how a training goes on, beside the model, the task and the recipe.

    loss_sum, since  of the steps since the last report
    random           what dropout draws from, by the device's type
    moments          of AdamW, by parameter
    scale            of float16's gradients; empty for the other dtypes
    """

    step: Count = 0
    loss_sum: Measured = 0.0
    since: Count = 0
    tokens: Count = 0
    seconds: Duration = 0.0
    scale: dict[str, float] = field(default_factory=dict)
    random: dict[str, Tensor] = field(default_factory=dict)
    moments: dict[str, Tensor] = field(default_factory=dict)


def optimizer_for(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; only matrices decay (Loshchilov & Hutter 2019; nanoGPT)."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.95))


def train(
    model: Model,
    task: Task,
    recipe: Recipe,
    report: Callable[[Progress], None],
    *,
    before: int = 0,
    after: Sequence[Recipe] = (),
    every: int = 50,
    measure: int = 0,
    state: State | None = None,
    keep: Callable[[State], None] = lambda state: None,
    keep_every: int = 0,
    grown: Callable[[State], None] = lambda state: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Train in place. The same model, task and recipe give the same weights, bit for bit, on the same machine.

    A training may have several phases, one call each: the optimiser is new in each, and the state counts on.

    before      steps of the phases before this one
    after       the phases that come; a step of theirs is taken to last as much longer as it has more tokens
    report      told after every `every` steps, and at the end
    measure     after how many steps the held-out loss is measured with the report, 0 for never; nothing else changes
    state       where to go on, the model having its weights of then; it moves with the training
    keep        given the state after every `keep_every` steps, at the end, and when training is stopped
    grown       given the state at each of the recipe's `kept` steps, 0 being before the first, and at the end
    cancelled   asked between two steps; True raises Cancelled. It may take its time: a pause

    InputError where the model's context is too short for the rows.
    """
    check_length(model, recipe)
    device = next(model.parameters()).device
    optimizer = optimizer_for(model, recipe)
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.autocast == "float16")
    torch.manual_seed(recipe.seed)  # what dropout draws from
    state = state or State()
    end = before + recipe.steps
    steps = end + sum(phase.steps for phase in after)
    later = sum(phase.steps * phase.tokens_at_most for phase in after) / recipe.tokens_at_most
    if state.step > before:
        restore(state, model, optimizer, scaler, device)
    begun, first_step, first_tokens, first_seconds = time.monotonic(), state.step, state.tokens, state.seconds

    def kept() -> None:
        remember(state, model, optimizer, scaler, device)
        keep(state)

    model.train()
    while state.step < end:
        asked = time.monotonic()
        if state.step in recipe.kept:
            grown(state)
        if cancelled():
            kept()
            raise Cancelled
        begun += time.monotonic() - asked  # a pause is no training
        step = state.step - before
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        batch = task.batch(step).to(device)
        counted = batch.counted
        for part in batch.cut(recipe.accumulate):
            loss = loss_of(model, recipe, part) * (part.counted / counted)
            scaler.scale(loss).backward()
            state.loss_sum += loss.item()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        state.step, state.since = state.step + 1, state.since + 1
        state.tokens += batch.tokens
        seconds = time.monotonic() - begun
        state.seconds = first_seconds + seconds
        if state.since == every or state.step == end:
            rate = (state.tokens - first_tokens) / seconds
            progress = Progress(
                step=state.step,
                steps=steps,
                loss=state.loss_sum / state.since,
                lr=learning_rate(step, recipe),
                grad_norm=norm.item(),
                tokens=state.tokens,
                tokens_per_second=rate,
                seconds=state.seconds,
                seconds_left=seconds / (state.step - first_step) * (end - state.step + later),
                held_out_loss=measured(model, task) if is_due(state.step, measure, end) else None,
            )
            state.loss_sum, state.since = 0.0, 0
            report(progress)
        if is_due(state.step, keep_every, end):
            kept()
    model.eval()
    if recipe.kept:
        grown(state)


def check_length(model: Model, recipe: Recipe) -> None:
    """InputError where rows of text do not fit the model's context."""
    if len(model.inputs) == 1 and recipe.length > model.context:
        raise InputError(f"rows of {recipe.length} tokens do not fit the model's context of {model.context}")


def loss_of(model: Model, recipe: Recipe, batch: Batch) -> Tensor:
    """Nats a token that counts."""
    mixed = recipe.autocast != "float32"
    *others, last = batch.inputs
    with (
        torch.autocast(batch.targets.device.type, getattr(torch, recipe.autocast)) if mixed else nullcontext()
    ):
        logits = model.reader(*others)(last, None)
    return next_token_loss(logits, batch.targets)


def is_due(step: int, every: int, steps: int) -> bool:
    return every > 0 and (step % every == 0 or step == steps)


def measured(model: Model, task: Task) -> float | None:
    """The held-out loss, the model being left as it was."""
    model.eval()
    try:
        return task.held_out_loss(model)
    finally:
        model.train()


# What AdamW keeps of a parameter.
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
Float32 = Annotated[
    float, Within(lambda x: 0 <= x <= torch.finfo(torch.float32).max, "a number that float32 holds")
]
Steps = Annotated[int, Within(lambda n: 0 <= n < 2**31, "a number of steps")]
# What float16 keeps of its gradients.
SCALE: dict[str, Any] = {
    "scale": Float32,
    "growth_factor": Annotated[float, Within(lambda x: x > 1, "a factor above 1")],
    "backoff_factor": Share,
    "growth_interval": Steps,
    "_growth_tracker": Steps,
}
RANDOM_BYTES = 1 << 14  # more than what any generator keeps


def moment_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shape of each moment of a training that has begun."""
    return {
        key: () if moment == "step" else tuple(parameter.shape) for key, parameter, moment in moments(model)
    }


def moments(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, str]]:
    """Each moment by its name in a state, with the parameter that it is of, and which of the parameter's it is."""
    for name, parameter in model.named_parameters():
        for moment in MOMENTS:
            yield f"{moment} {name}", parameter, moment


def check_state(state: State, device: torch.device, begins: Sequence[int]) -> None:
    """InputError where a training on the device cannot go on from the numbers of a state that was read back.

    begins  the steps after which a phase begins, with an optimiser that has no moments yet, and the last step of all
    """
    if state.step > begins[-1]:
        raise InputError(f"it is of step {state.step}, but the training has {begins[-1]}")
    if state.scale and state.scale.keys() != SCALE.keys():
        raise InputError("what it says of the scale of gradients is not whole")
    for name, number in state.scale.items():
        value(f"the scale of gradients: '{name}'", number, SCALE[name])
    if state.step not in begins and not state.moments and not state.scale:
        raise InputError(f"it is of step {state.step}, but has no moments")
    for name, values in state.moments.items():
        check_moment(name, values, state.step)
    for kind in {"cpu", device.type} & {"cpu", *state.random}:
        try:
            torch.Generator(kind).set_state(state.random[kind])
        except (KeyError, RuntimeError, TypeError):
            raise InputError(f"it has no random numbers to go on with on {kind}") from None


def check_moment(name: str, values: Tensor, step: int) -> None:
    """InputError where no steps of AdamW until this one leave such a moment."""
    kind = name.partition(" ")[0]
    if not values.isfinite().all():
        raise InputError(f"its moments {name} are not all finite numbers")
    if kind == "exp_avg_sq" and (values < 0).any():
        raise InputError(f"its moments {name} are squares, and some are below 0")
    # A phase has an optimiser of its own, and float16 leaves steps out.
    if kind == "step" and not (1 <= (at := float(values)) <= step and at.is_integer()):
        raise InputError(f"its moments {name} are of step {at:g}, not of one from 1 to {step}")


def remember(
    state: State,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    device: torch.device,
) -> None:
    """Take into the state what the optimiser, the scaler and the random generators hold."""
    state.moments = {
        key: optimizer.state[parameter][moment]
        for key, parameter, moment in moments(model)
        if parameter in optimizer.state
    }
    state.random = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        state.random[device.type] = getattr(torch, device.type).get_rng_state(*numbered(device))
    state.scale = {name: float(number) for name, number in scaler.state_dict().items()}


def restore(
    state: State,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    device: torch.device,
) -> None:
    """Give the optimiser, the scaler and the random generators what the state holds of them."""
    if state.moments:
        for key, parameter, moment in moments(model):
            values = state.moments[key]
            # Of their own memory, aligned as it was: how sums are split may depend on it.
            own = torch.empty_like(values, device="cpu" if moment == "step" else device)
            optimizer.state[parameter][moment] = own.copy_(values)
    torch.set_rng_state(state.random["cpu"])
    if device.type in state.random and device.type != "cpu":
        getattr(torch, device.type).set_rng_state(state.random[device.type], *numbered(device))
    if state.scale and scaler.is_enabled():
        integral = {"growth_interval", "_growth_tracker"}
        scaler.load_state_dict(
            {name: int(number) if name in integral else number for name, number in state.scale.items()}
        )


def numbered(device: torch.device) -> tuple[torch.device, ...]:
    """The device where there may be several of its type, each with its own random numbers."""
    return (device,) if device.type == "cuda" else ()
