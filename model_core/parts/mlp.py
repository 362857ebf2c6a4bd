"""The position-wise part of a block."""

from collections.abc import Callable

from torch import Tensor, nn

from model_core.taps.tap import Tapped

Activation = Callable[[Tensor], Tensor]


class MLP(Tapped):
    """down(act(up(x))) (Vaswani et al. 2017, eq. 2). x [B T C] -> [B T C]; dropout on the way out, in training."""

    def __init__(self, width: int, hidden: int, act: Activation, *, bias: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.act = act
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        pre = self.tap("pre", self.up(x), "B T F")
        post = self.tap("post", self.act(pre), "B T F")
        return self.tap("out", self.drop(self.down(post)), "B T C")


class GatedMLP(Tapped):
    """down(act(gate(x)) * up(x)): SwiGLU when act is SiLU (Shazeer 2020, eq. 6). x [B T C] -> [B T C]"""

    def __init__(self, width: int, hidden: int, act: Activation, *, bias: bool) -> None:
        super().__init__()
        self.act = act
        self.gate = nn.Linear(width, hidden, bias=bias)
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.tap("gate", self.gate(x), "B T F")
        up = self.tap("up", self.up(x), "B T F")
        post = self.tap("post", self.act(gate) * up, "B T F")
        return self.tap("out", self.down(post), "B T C")
