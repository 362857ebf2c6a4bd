"""The encoder-decoder equals PyTorch's Transformer, and its own parts the formulas that the tutorials write."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model_core.analysis.scores import head_scores
from model_core.api.edits import parse
from model_core.api.errors import InputError, TooLong
from model_core.families.first_weights import initialise
from model_core.families.seq2seq import Seq2SeqConfig, build
from model_core.generation.generate import Sampling, generate
from model_core.parts.attention import Attention, repeat_kv
from model_core.parts.norm import LayerNorm, StdLayerNorm
from model_core.parts.seq2seq import EncoderDecoder
from model_core.runs.run import Run
from model_core.taps.tap import record

pytestmark = pytest.mark.unit

VOCAB, WIDTH, HEADS, LAYERS, CONTEXT = 50, 24, 4, 3, 20
CONFIG = Seq2SeqConfig(vocab_size=VOCAB, width=WIDTH, layers=LAYERS, heads=HEADS, hidden=40, context=CONTEXT)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}

orders = pytest.mark.parametrize("order", ["pre", "post"])
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])


def texts(batch: int = 3, source: int = 11, target: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randint(VOCAB, (batch, length), generator=generator) for length in (source, target))


def model_of(dtype: torch.dtype = torch.float32, **changes: Any) -> EncoderDecoder:
    """A model whose attention is far from uniform, and whose norms do something."""
    model = build(replace(CONFIG, **changes))
    initialise(model, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2:
                weight.mul_(25 if "embed" in name else 8)
            else:
                weight.add_(torch.linspace(-0.2, 0.2, len(weight)))
    return model.to(dtype).eval().requires_grad_(False)


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


# Against torch.nn.Transformer


def as_torch(model: EncoderDecoder, dtype: torch.dtype, bias: bool) -> nn.Transformer:
    """PyTorch's own, with the weights of a model whose LayerNorm is the standard one."""
    theirs = nn.Transformer(
        WIDTH,
        HEADS,
        LAYERS,
        LAYERS,
        dim_feedforward=40,
        dropout=0.0,
        layer_norm_eps=model.config.eps,
        batch_first=True,
        norm_first=model.config.order == "pre",
        bias=bias,
    ).to(dtype)
    for parameter in theirs.parameters():
        nn.init.zeros_(parameter)  # the biases that ours does not have
    for stack, other in ((model.encoder, theirs.encoder), (model.decoder, theirs.decoder)):
        copy_norm(stack.norm, other.norm)
        for block, layer in zip(stack.blocks, other.layers, strict=True):
            copy_attention(block.attn, layer.self_attn)
            if stack is model.decoder:
                copy_attention(block.cross, layer.multihead_attn)
            norms = [module for name, module in block.named_children() if name.startswith("norm")]
            for n, norm in enumerate(norms, 1):
                copy_norm(norm, getattr(layer, f"norm{n}"))
            layer.linear1.weight.data = block.mlp.up.weight
            layer.linear2.weight.data = block.mlp.down.weight
    return theirs.eval().requires_grad_(False)


def copy_norm(ours: nn.Module, theirs: nn.Module) -> None:
    theirs.weight.data = ours.weight
    if theirs.bias is not None:
        theirs.bias.data = ours.bias


def copy_attention(ours: Attention, theirs: nn.MultiheadAttention) -> None:
    theirs.in_proj_weight.data = torch.cat([ours.q.weight, ours.k.weight, ours.v.weight])
    theirs.out_proj.weight.data = ours.o.weight


@contextmanager
def patterns_of(theirs: nn.Transformer) -> Iterator[list[Tensor]]:
    """The weights of every head in order of computation, for the forward passes inside the block."""
    found: list[Tensor] = []
    hooks = []
    for module in theirs.modules():
        if isinstance(module, nn.MultiheadAttention):
            hooks.append(module.register_forward_pre_hook(ask_for_weights, with_kwargs=True))
            hooks.append(module.register_forward_hook(lambda module, args, result: found.append(result[1])))
    yield found
    for hook in hooks:
        hook.remove()


def ask_for_weights(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
    return args, kwargs | {"need_weights": True, "average_attn_weights": False}


@orders
@dtypes
@pytest.mark.parametrize("bias", [True, False], ids=["norm biases", "no biases"])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_logits_and_every_pattern_equal_those_of_torch_nn_transformer(
    order: str, dtype: torch.dtype, bias: bool
) -> None:
    model = model_of(dtype, norm="standard", order=order)
    if not bias:
        for norm in (module for module in model.modules() if isinstance(module, LayerNorm)):
            norm.bias.zero_()
    theirs = as_torch(model, dtype, bias)
    source, target = texts()
    with record(model, ["*.pattern"]) as trace:
        logits = model.reader(source)(target, None)
    causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=dtype)
    with patterns_of(theirs) as patterns:
        hidden = theirs(
            model.encoder.begin(source), model.decoder.begin(target), tgt_mask=causal, tgt_is_causal=True
        )
    assert difference(logits, model.head(hidden)) <= TOLERANCE[dtype]
    assert len(patterns) == len(list(trace)) == 3 * LAYERS
    for key, pattern in zip(trace, patterns, strict=True):
        assert difference(trace[key], pattern) <= TOLERANCE[dtype], key


def test_eps_and_dropout_of_the_two_orders_are_those_that_were_asked_for() -> None:
    for order in ("pre", "post"):
        model = model_of(order=order, dropout=0.25, eps=1e-3)
        norms = [module for module in model.modules() if isinstance(module, StdLayerNorm)]
        assert {norm.eps for norm in norms} == {1e-3}
        assert {module.p for module in model.modules() if isinstance(module, nn.Dropout)} == {0.25}


# Against the formulas


@dtypes
def test_the_tutorials_layer_norm_divides_by_the_unbiased_std_plus_eps(dtype: torch.dtype) -> None:
    norm, x = StdLayerNorm(6).to(dtype), torch.randn(2, 3, 6, dtype=dtype)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 6))
        norm.bias.copy_(torch.linspace(-1, 1, 6))
    mean = x.sum(-1, keepdim=True) / 6
    std = (((x - mean) ** 2).sum(-1, keepdim=True) / 5) ** 0.5
    expected = norm.weight * (x - mean) / (std + 1e-6) + norm.bias
    assert difference(norm(x), expected) <= TOLERANCE[dtype]
    assert difference(norm(x), nn.functional.layer_norm(x, (6,), norm.weight, norm.bias, 1e-6)) > 1e-2


@dtypes
def test_the_forward_pass_is_that_of_the_formulas_written_out(dtype: torch.dtype) -> None:
    model = model_of(dtype)
    (source, target), weights = texts(batch=1), dict(model.named_parameters())
    theirs = written_out(weights, source[0], target[0], dtype)
    assert difference(model.reader(source)(target, None)[0], theirs) <= TOLERANCE[dtype]


def written_out(weights: dict[str, Tensor], source: Tensor, target: Tensor, dtype: torch.dtype) -> Tensor:
    """Logits [T V]: pre-norm, the tutorials' LayerNorm, one head after the other."""

    def norm(x: Tensor, at: str) -> Tensor:
        y = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6)
        return weights[f"{at}.weight"] * y + weights[f"{at}.bias"]

    def attention(x: Tensor, y: Tensor, at: str, causal: bool) -> Tensor:
        q, k, v = (z @ weights[f"{at}.{name}.weight"].T for name, z in (("q", x), ("k", y), ("v", y)))
        width, heads = WIDTH // HEADS, []
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            scores = q[:, part] @ k[:, part].T / width**0.5
            if causal:
                scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
            heads.append(scores.softmax(-1) @ v[:, part])
        return torch.cat(heads, -1) @ weights[f"{at}.o.weight"].T

    def mlp(x: Tensor, at: str) -> Tensor:
        return (x @ weights[f"{at}.up.weight"].T).clamp_min(0) @ weights[f"{at}.down.weight"].T

    def embedded(tokens: Tensor) -> Tensor:
        table = torch.zeros(len(tokens), WIDTH, dtype=torch.float64)
        for t in range(len(tokens)):
            for i in range(0, WIDTH, 2):
                angle = torch.tensor(t / 10000 ** (i / WIDTH), dtype=torch.float64)
                table[t, i], table[t, i + 1] = angle.sin(), angle.cos()
        return weights["encoder.embed.weight"][tokens] + table.to(dtype)

    x = embedded(source)
    for n in range(LAYERS):
        at = f"encoder.blocks.{n}"
        normed = norm(x, f"{at}.norm1")
        x = x + attention(normed, normed, f"{at}.attn", causal=False)
        x = x + mlp(norm(x, f"{at}.norm2"), f"{at}.mlp")
    memory = norm(x, "encoder.norm")
    y = embedded(target)
    for n in range(LAYERS):
        at = f"decoder.blocks.{n}"
        normed = norm(y, f"{at}.norm1")
        y = y + attention(normed, normed, f"{at}.attn", causal=True)
        y = y + attention(norm(y, f"{at}.norm2"), memory, f"{at}.cross", causal=False)
        y = y + mlp(norm(y, f"{at}.norm3"), f"{at}.mlp")
    return norm(y, "decoder.norm") @ weights["head.weight"].T


def test_repeat_kv_gives_each_query_head_the_head_that_it_shares() -> None:
    x = torch.randn(2, 3, 5, 4)
    repeated = repeat_kv(x, 2)
    for head in range(6):
        assert torch.equal(repeated[:, head], x[:, head // 2])


def test_weights_begin_as_normal_0_02_also_where_they_write_to_the_stream() -> None:
    model = build(replace(CONFIG, width=96, hidden=200))
    initialise(model, 0)
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            assert weight.std().item() == pytest.approx(0.02, rel=0.05), name
        else:
            assert torch.equal(weight, torch.full_like(weight, name.endswith("weight")))


# What the model returns


def test_without_targets_only_the_last_position_is_returned() -> None:
    model, (source, target) = model_of(), texts()
    assert torch.equal(model(source, target), model.reader(source)(target, None)[:, -1:])


def test_with_targets_all_logits_and_the_loss_are_returned_and_minus_one_does_not_count() -> None:
    model, (source, target) = model_of(), texts()
    targets = target.roll(-1, 1)
    targets[:, 4:] = -1
    logits, loss = model(source, target, targets)
    assert torch.equal(logits, model.reader(source)(target, None))
    chosen = logits[:, :4].log_softmax(-1).gather(-1, targets[:, :4, None])
    assert loss.item() == pytest.approx(-chosen.mean().item(), rel=1e-6)


def test_without_a_target_the_decoder_reads_what_the_encoder_reads() -> None:
    model, (source, _) = model_of(), texts()
    assert torch.equal(model(source), model(source, source))
    assert Run(model, source[0].tolist()).inputs == [source[0].tolist()] * 2


@orders
def test_cached_logits_equal_uncached_logits(order: str) -> None:
    model, (source, target) = model_of(order=order), texts()
    read, cache = model.reader(source), model.empty_cache(len(target), CONTEXT)
    steps = [read(target[:, :3], cache)] + [read(target[:, n : n + 1], cache) for n in range(3, 7)]
    assert difference(torch.cat(steps, 1), read(target, None)) <= 1e-5


@orders
@pytest.mark.process
def test_replay_equals_full_capture_also_under_edits(order: str) -> None:
    model, (source, target) = model_of(torch.float64, order=order), texts(batch=1)
    for words in ([], ["mask off"], ["ablate cross L1H2", "mask off decoder L0H1", "ablate encoder L2H0"]):
        edits = [parse(text) for text in words]
        run = Run(model, source[0].tolist(), edits, target=target[0].tolist())
        with torch.inference_mode(), record(model, ["*"], edits) as whole:
            model(source, target)
        assert list(run.sites) == list(whole)
        for key in whole:
            assert torch.equal(run.value(key), whole[key]), key
            assert run.sites[key] == whole.site(key)


def test_sites_know_which_text_they_run_along() -> None:
    run = Run(model_of(), list(range(9)), target=list(range(4)))
    assert run.texts("encoder.blocks.0.attn.pattern") == {"T": 0, "S": 0}
    assert run.texts("decoder.blocks.2.attn.mask") == {"T": 1, "S": 1}
    assert run.texts("decoder.blocks.1.cross.pattern") == {"T": 1, "S": 0}
    assert run.texts("decoder.blocks.1.cross.k") == {"S": 0}
    assert run.texts("target") == {"T": 1}
    assert run.texts("logits") == {"T": 1}


def test_graph_joins_the_two_stacks_by_the_cross_attention_of_every_layer() -> None:
    graph = Run(model_of(), [1, 2, 3]).graph
    assert list(graph)[:2] == ["source", "target"]
    memory = set(graph.successors("encoder.norm.out"))
    assert memory == {f"decoder.blocks.{n}.cross.{name}" for n in range(LAYERS) for name in "kv"}
    assert set(graph.predecessors("decoder.blocks.1.resid_cross")) == {
        "decoder.blocks.1.resid_mid",
        "decoder.blocks.1.cross.out",
    }
    assert [key for key in graph if graph.out_degree(key) == 0] == ["logits"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ablate L1H2", "write ablate encoder L1H2 or ablate decoder L1H2 or ablate cross L1H2"),
        ("mask off L1", "write mask off encoder L1 or mask off decoder L1 or mask off cross L1"),
        ("ablate cross L3H0", "there is no layer 3; this model has layers 0 to 2"),
        ("ablate encoder L0H4", "there is no head 4; this model has heads 0 to 3"),
    ],
)
def test_an_edit_that_is_nowhere_says_what_to_write(words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Run(model_of(), [1, 2, 3], [parse(words)])


def test_masking_off_lets_the_decoder_see_what_comes_later_and_changes_nothing_else() -> None:
    model, (source, target) = model_of(), texts(batch=1)
    given = source[0].tolist(), target[0].tolist()
    plain = Run(model, given[0], target=given[1])
    for words in ("mask off", "mask off decoder"):
        off = Run(model, given[0], [parse(words)], target=given[1])
        assert off.value("decoder.blocks.0.attn.pattern").triu(1).sum() > 0
        for same in ("encoder.norm.out", "decoder.blocks.0.attn.scores"):
            assert torch.equal(plain.value(same), off.value(same))
    for nothing in ("mask off encoder", "mask off cross"):
        run = Run(model, given[0], [parse(nothing)], target=given[1])
        torch.testing.assert_close(run.logits, plain.logits)


@pytest.mark.parametrize("edits", [[], ["ablate cross L1H2"], ["mask off"]])
def test_greedy_text_is_that_of_reading_everything_anew_at_each_step(edits: list[str]) -> None:
    model, (source, target) = model_of(), texts(batch=1, target=2)
    changes = [parse(edit) for edit in edits]
    found = list(generate(model, target[0].tolist(), 8, Sampling(0), changes, source=source[0].tolist()))
    expected = target[0].tolist()
    for _ in range(8):
        expected.append(int(Run(model, source[0].tolist(), changes, target=expected).logits[-1].argmax()))
    assert found == expected[2:]


def test_a_text_beyond_the_context_is_refused_in_either_stack() -> None:
    model = model_of()
    long = torch.zeros(1, CONTEXT + 1, dtype=torch.long)
    for source, target in ((long, long[:, :3]), (long[:, :3], long)):
        with pytest.raises(TooLong):
            model(source, target)


def test_scoring_heads_on_one_text_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="this model reads two"):
        head_scores(model_of())
