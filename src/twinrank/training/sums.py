"""Sums of what the steps of an epoch measure. They stay on the device, since reading a number waits for all steps."""

import torch

_CHECKED_EVERY = 100
"""Steps after which an accelerator's sums are checked; those of a CPU are checked after each step."""
_LOSS, _NORM = "loss", "grad_norm"


class StepSums:
    """Sums of named numbers over the steps of an epoch, in float64 where the device has it.

    Args:
        device: Device of the numbers.
    """

    def __init__(self, device: torch.device) -> None:
        self._each = 1 if device.type == "cpu" else _CHECKED_EVERY
        self._names: tuple[str, ...] = ()
        self._totals = torch.zeros(0, device=device, dtype=torch.float32 if device.type == "mps" else torch.float64)
        self._finite = torch.zeros((), dtype=torch.int64, device=device)
        """Steps after which the sums were finite."""

    def begin(self) -> None:
        """Begin an epoch."""
        self._totals.zero_()
        self._finite.zero_()

    def add(self, measured: dict[str, torch.Tensor]) -> None:
        """Add the numbers of a step.

        Args:
            measured: Numbers by name, the same names in each step: float (), with the loss and the norm of the
                gradient.
        """
        if not self._names:
            self._names = tuple(measured)
            self._totals = self._totals.new_zeros(len(measured))
        self._totals += torch.stack([measured[name].float() for name in self._names])
        loss, norm = (self._totals[self._names.index(name)] for name in (_LOSS, _NORM))
        self._finite += (loss + norm).isfinite()

    def first_not_finite(self, steps: int, last: bool) -> int | None:
        """Number of the first step whose loss or gradient is not finite, from 1; None without, or if it is not time.

        Args:
            steps: Steps of the epoch so far.
            last: Whether the epoch is over.
        """
        if steps % self._each and not last:
            return None
        finite = int(self._finite)
        return None if finite == steps else finite + 1

    def read(self) -> dict[str, float]:
        """The sums by name."""
        return dict(zip(self._names, self._totals.tolist(), strict=True))
