"""Muon (Jordan et al. 2024, Muon: an optimizer for hidden layers, https://kellerjordan.github.io/posts/muon)."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration: steepest at 0, so singular values end between 0.7 and 1.2 and not at 1."""
_ITERATIONS = 5
_MOMENTUM = 0.95
_STREAMS = 12
"""Streams of a GPU that move kernels at once."""
_RMS = 0.2
"""Size of an AdamW update, which Muon's is scaled to (Liu et al. 2025, Muon is scalable for LLM training,
arXiv:2502.16982, equation 4), so that both take the same learning rate and weight decay."""


class Muon(torch.optim.AdamW):
    """Kernels and matrices move along their orthogonalised Nesterov momentum, every other parameter as AdamW's do.

    ``torch.optim.Muon`` takes matrices alone: a kernel counts as one of (output channels) x (all else) here, and one
    optimizer, with one checkpoint, serves the whole network.

    Args:
        kernels: Parameters of two or more dimensions.
        others: All other parameters.
        lr: Learning rate of both.
        weight_decay: Decoupled weight decay of the kernels.
        betas: Decays of the running means of AdamW.
        capturable: Whether a step can be recorded as a CUDA graph.
    """

    def __init__(
        self,
        kernels: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        capturable: bool = False,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": list(kernels), "weight_decay": weight_decay, "orthogonal": True},
            {"params": list(others), "weight_decay": 0.0, "orthogonal": False},
        ]
        super().__init__(groups, lr=lr, betas=betas, fused=True, capturable=capturable)
        self._streams: list[torch.cuda.Stream] = []

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change every parameter that has a gradient; that of the kernels is used up."""
        for group in self.param_groups:
            kernels = [kernel for kernel in group["params"] if kernel.grad is not None] if group["orthogonal"] else []
            moves = [partial(self._move, kernel, group["lr"], group["weight_decay"]) for kernel in kernels]
            if kernels and kernels[0].is_cuda:
                self._at_once(moves)
            else:
                for move in moves:
                    move()
            for kernel in kernels:
                # AdamW leaves alone what has no gradient.
                kernel.grad = None
        return super().step(closure)

    def _at_once(self, moves: list[Callable[[], None]]) -> None:
        """Move kernels on several streams of a GPU, since none of them fills it."""
        self._streams = self._streams or [torch.cuda.Stream() for _ in range(_STREAMS)]
        here = torch.cuda.current_stream()
        for stream in self._streams:
            stream.wait_stream(here)
        for place, move in enumerate(moves):
            with torch.cuda.stream(self._streams[place % _STREAMS]):
                move()
        for stream in self._streams:
            here.wait_stream(stream)

    def _move(self, kernel: nn.Parameter, lr: float | torch.Tensor, weight_decay: float) -> None:
        gradient, state = kernel.grad, self.state[kernel]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum: torch.Tensor = state["momentum"]
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        direction = gradient.lerp(momentum, _MOMENTUM)
        # Channels last, as kernels are kept: the matrix is a view.
        matrix = direction.movedim(1, -1).flatten(1)
        step = orthogonalised(matrix).to(kernel.dtype).view(direction.movedim(1, -1).shape).movedim(-1, 1)
        kernel.mul_(1 - lr * weight_decay)
        length = lr * _RMS * max(matrix.shape) ** 0.5
        if isinstance(length, torch.Tensor):
            kernel.sub_(step * length)
        else:
            kernel.sub_(step, alpha=length)


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """Nearly U V^T of a matrix U S V^T, by Newton-Schulz iteration in bfloat16.

    Args:
        matrix: Matrix, float (R, C).

    Returns:
        bfloat16 (R, C), whose singular values are 0.7 to 1.2 where those of the matrix are not tiny.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
