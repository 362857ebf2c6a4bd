"""Encoder-decoder: the Transformer of "Attention Is All You Need", as the hand-written tutorials have it.

The one family here with two stacks. The encoder reads the source without a mask, every token looking both ways. The
decoder reads the target under a causal mask, and in every layer looks at the encoder's output as well: in
cross-attention the queries come from the target, keys and values from the source.

Against the decoder-only GPTs: a third sublayer in each decoder block, sinusoidal positions that are computed and not
learned, a ReLU MLP and projections without biases. Encoder and decoder share one embedding; the output head has weights
of its own. In training it returns the loss of all positions, in use the logits of the last one; where no target is
given, the decoder reads what the encoder reads.

Its LayerNorm divides by (std + eps), with the unbiased standard deviation: the tutorials write it so, and it is not
what PyTorch's does, which divides by sqrt(variance + eps) with the biased variance. `norm` chooses between the two.

`order` chooses where the norms stand: "pre" before each sublayer, with the stream itself never normed, as all the
descendants have it; "post" after each addition, as the paper of 2017 had it; "normed" before each attention, which
then adds to the normed stream and not to the stream itself: a slip that one much copied tutorial has, and its
checkpoints need.

Vaswani et al. 2017, section 3; pre-norm: Xiong et al. 2020.
"""

from dataclasses import dataclass
from typing import Literal

from torch.nn.functional import relu

from model_core.api.schema import Positive, Share
from model_core.families.config import Size, check_config
from model_core.families.registry import Family, register
from model_core.parts.attention import Attention
from model_core.parts.block import (
    Block,
    CrossBlock,
    NormedBlock,
    NormedCrossBlock,
    PostNormBlock,
    PostNormCrossBlock,
)
from model_core.parts.decoder import Embedding
from model_core.parts.mlp import MLP
from model_core.parts.norm import LayerNorm, StdLayerNorm
from model_core.parts.position import SinusoidalPositions
from model_core.parts.seq2seq import EncoderDecoder, Stack

NORMS: dict[str, type[LayerNorm | StdLayerNorm]] = {"std": StdLayerNorm, "standard": LayerNorm}


@dataclass(frozen=True)
class Seq2SeqConfig:
    """layers: of each stack. norm: "std" is the tutorials' own, "standard" PyTorch's. order: where the norms stand."""

    vocab_size: Size
    width: Size
    layers: Size
    heads: Size
    hidden: Size
    context: Size
    norm: Literal["std", "standard"] = "std"
    order: Literal["pre", "post", "normed"] = "pre"
    eps: Positive = 1e-6
    dropout: Share = 0.0

    def __post_init__(self) -> None:
        check_config(self)


def build(config: Seq2SeqConfig) -> EncoderDecoder:
    """The model; its weights come from a checkpoint or from `first_weights.initialise`."""
    width, drop = config.width, config.dropout

    def norm() -> LayerNorm | StdLayerNorm:
        return NORMS[config.norm](width, config.eps)

    def attention() -> Attention:
        return Attention(width, config.heads, qkv_bias=False, out_bias=False, dropout=drop)

    def mlp() -> MLP:
        return MLP(width, config.hidden, relu, bias=False, dropout=drop)

    def encoder_block() -> Block:
        order = {"pre": Block, "post": PostNormBlock, "normed": NormedBlock}[config.order]
        return order(norm(), attention(), norm(), mlp())

    def decoder_block() -> CrossBlock:
        order = {"pre": CrossBlock, "post": PostNormCrossBlock, "normed": NormedCrossBlock}[config.order]
        return order(norm(), attention(), norm(), attention(), norm(), mlp())

    def stack(blocks: list[Block] | list[CrossBlock]) -> Stack:
        return Stack(Embedding(config.vocab_size, width), SinusoidalPositions(width), blocks, norm(), drop)

    return EncoderDecoder(
        config,
        vocab_size=config.vocab_size,
        width=width,
        context=config.context,
        encoder=stack([encoder_block() for _ in range(config.layers)]),
        decoder=stack([decoder_block() for _ in range(config.layers)]),
    )


register(
    Family(
        name="seq2seq",
        title="Encoder-decoder",
        about=__doc__ or "",
        config=Seq2SeqConfig,
        build=build,
        published={
            "tiny": Seq2SeqConfig(vocab_size=2048, width=64, layers=2, heads=4, hidden=256, context=128),
            "base": Seq2SeqConfig(
                vocab_size=37000,
                width=512,
                layers=6,
                heads=8,
                hidden=2048,
                context=512,
                order="post",
                dropout=0.1,
            ),
            "big": Seq2SeqConfig(
                vocab_size=37000,
                width=1024,
                layers=6,
                heads=16,
                hidden=4096,
                context=512,
                order="post",
                dropout=0.3,
            ),
        },
    )
)
