"""Calibration by odd, increasing maps of the logit.

No decision changes, and the logit of a swapped pair stays its negative to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from twinrank.evaluation.labelled_rows import LabelledRows
from twinrank.evaluation.metrics import log_loss, share_agreed
from twinrank.evaluation.row_statistics import is_decided

Calibration = Callable[[np.ndarray], np.ndarray]
_LEAST = 0.5 + 1e-6
"""Least probability of a decision; a half or less would undo it."""
_LARGEST_LOG = 3.0


@dataclass(frozen=True)
class Temperature:
    """Logits divided by one number (Guo et al. 2017, On calibration of modern neural networks, equation 9).

    Attributes:
        temperature: Divisor; above 1 where the predictor was too sure.
    """

    temperature: float

    def __call__(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated logits, float64 (N,)."""
        return logit / self.temperature


@dataclass(frozen=True, eq=False)
class OddIsotonic:
    """The probability of being right as an increasing function of the size of the logit (Zadrozny and Elkan 2002).

    The sign of the logit stays.

    Attributes:
        size: Sizes of logits, float64 (K,), ascending.
        calibrated: Calibrated sizes, float64 (K,); in between, linear.
    """

    size: np.ndarray
    calibrated: np.ndarray

    def __call__(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated logits, float64 (N,)."""
        return np.sign(logit) * np.interp(np.abs(logit), self.size, self.calibrated)


def fit_temperature(rows: LabelledRows, logit: np.ndarray) -> Temperature:
    """The temperature of least log-loss.

    Args:
        rows: N rows that the predictor was not fitted on.
        logit: Logits of these, float (N,).
    """
    found = minimize_scalar(
        lambda log: log_loss(rows.y, logit / np.exp(log), **rows.votes),
        bounds=(-_LARGEST_LOG, _LARGEST_LOG),
        method="bounded",
    )
    return Temperature(float(np.exp(found.x)))


def fit_isotonic(rows: LabelledRows, logit: np.ndarray) -> OddIsotonic:
    """Isotonic regression of being right on the size of the logit. Arguments as :func:`fit_temperature`."""
    from sklearn.isotonic import IsotonicRegression

    kept = is_decided(rows.y, rows.tie, rows.weight)
    rows, logit = rows.take(kept), logit[kept]
    # A block of rows that are all right would get certainty, and one wrong row an infinite loss.
    votes = len(logit) if rows.weight is None else float(rows.weight.sum())
    model = IsotonicRegression(y_min=_LEAST, y_max=1 - 1 / (2 * votes + 2))
    model.fit(np.abs(logit), share_agreed(rows.y, logit), rows.weight)
    right = model.y_thresholds_
    return OddIsotonic(model.X_thresholds_, np.log(right / (1 - right)))


CALIBRATIONS: dict[str, Callable[[LabelledRows, np.ndarray], Calibration]] = {
    "temperature": fit_temperature,
    "isotonic": fit_isotonic,
}
"""Ways to fit one, by name."""
