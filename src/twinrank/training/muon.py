"""Muon (Jordan et al. 2024, Muon: an optimizer for hidden layers, https://kellerjordan.github.io/posts/muon)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from twinrank.core.device import arithmetic

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration: steepest at 0, so singular values end between 0.7 and 1.2 and not at 1."""
_ITERATIONS = 5
_MOMENTUM = 0.95
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

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change every parameter that has a gradient; that of the kernels is used up."""
        for group in self.param_groups:
            kernels = [kernel for kernel in group["params"] if kernel.grad is not None] if group["orthogonal"] else []
            if kernels:
                self._move(kernels, group["lr"], group["weight_decay"])
            for kernel in kernels:
                # AdamW leaves alone what has no gradient.
                kernel.grad = None
        return super().step(closure)

    def _move(self, kernels: list[nn.Parameter], lr: float | torch.Tensor, weight_decay: float) -> None:
        directions = [self._direction(kernel) for kernel in kernels]
        for kernel, direction, step in zip(
            kernels, directions, orthogonalised([each.flatten(1) for each in directions]), strict=True
        ):
            kernel.mul_(1 - lr * weight_decay)
            kernel.sub_(step.view(direction.shape).movedim(-1, 1) * (lr * _RMS * max(step.shape) ** 0.5))

    def _direction(self, kernel: nn.Parameter) -> torch.Tensor:
        """Nesterov momentum of a kernel, channels last, as kernels are kept: its matrix is a view."""
        gradient, state = kernel.grad, self.state[kernel]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum: torch.Tensor = state["momentum"]
        momentum.lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(momentum, _MOMENTUM).movedim(1, -1)


def orthogonalised(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Nearly U V^T of each matrix U S V^T, by Newton-Schulz iteration.

    Each step of the iteration is a polynomial of X X^T, times X. So it runs on these squares, and the product of all
    polynomials meets X once. Squares of one size go together. They are of float32: in bfloat16 errors of small singular
    values would grow with each step.

    Args:
        matrices: Matrices, float32 (R, C) each.

    Returns:
        float32 (R, C) each, whose singular values are 0.7 to 1.2 where those of the matrix are not tiny.
    """
    normed = [each / each.norm().clamp_min(1e-7) for each in matrices]
    wide = [each.T if each.shape[0] > each.shape[1] else each for each in normed]
    sizes: dict[int, list[int]] = {}
    for place, each in enumerate(wide):
        sizes.setdefault(len(each), []).append(place)
    found: dict[int, torch.Tensor] = {}
    fast = torch.bfloat16 if arithmetic(matrices[0].device, "auto") == "bfloat16" else torch.float32
    for places in sizes.values():
        factors = _polynomial(torch.stack([wide[place] @ wide[place].T for place in places]))
        for place, factor in zip(places, factors.to(fast), strict=True):
            found[place] = (factor @ wide[place].to(fast)).float()
    return [found[place].T if each.shape[0] > each.shape[1] else found[place] for place, each in enumerate(matrices)]


def _polynomial(squares: torch.Tensor) -> torch.Tensor:
    """The product of all steps' polynomials of X X^T, both float32 (N, R, R)."""
    a, b, c = _COEFFICIENTS
    product = None
    for step in range(_ITERATIONS):
        factor = torch.baddbmm(squares, squares, squares, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor if product is None else factor @ product
        if step < _ITERATIONS - 1:
            squares = factor @ (squares @ factor)
    assert product is not None
    return product
