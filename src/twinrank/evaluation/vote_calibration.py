"""From logits of pairs to probabilities of votes: a scale and a weight of ties, fitted to held-out votes.

Nobody in particular votes here: careful and careless raters count as they come. The scale is above 0, so no decision
changes, and the logit of a swapped pair stays its negative to the bit.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from twinrank.core.files import write_json
from twinrank.core.records import read_record
from twinrank.errors import InputError
from twinrank.evaluation.judging import COMMON_SD, log_likelihood, outcome_probabilities, slopes

SCALE_SD = float(np.log(2))
"""Prior standard deviation of the log of the scale around 0. Few votes could not tell it: were all of them predicted
rightly, the likelihood would rise for ever."""
_LARGEST_LOG = 8.0


class CalibrationRecord(TypedDict):
    """A :class:`VoteCalibration` in JSON."""

    scale: float
    nu: float


@dataclass(frozen=True)
class VoteCalibration:
    """Probabilities of votes from logits z: P(left) : P(tie) : P(right) = exp(s z / 2) : nu : exp(-s z / 2).

    Attributes:
        scale: Factor s of the logits, above 0; below 1 where they were too sure.
        nu: Davidson's nu; 0 without ties.

    Raises:
        InputError: A value is out of range.
    """

    scale: float
    nu: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.scale < np.inf and 0 <= self.nu < np.inf):
            raise InputError(f"`scale` is {self.scale} and `nu` {self.nu}; they must be numbers, `scale` above 0")

    def save(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            InputError: The file cannot be written.
        """
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "VoteCalibration":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: The file is damaged, or a value is out of range.
        """
        record = read_record(path, CalibrationRecord, "the calibration of a network")
        try:
            return cls(record["scale"], record["nu"])
        except InputError as error:
            raise InputError(f"{path}: {error}; restore it, or resume the run to fit it again") from error

    def logits(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated logits, float64 (N,), those of left where a side is decided for."""
        return self.scale * np.asarray(logit, np.float64)

    def ties(self, logit: np.ndarray) -> np.ndarray | None:
        """Probabilities of ties, float64 (N,), at logits before calibration; None without ties."""
        return outcome_probabilities(self.logits(logit), self.nu)[1] if self.nu else None


def fit_votes(
    logit: np.ndarray,
    y: np.ndarray,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    images: np.ndarray | None = None,
) -> VoteCalibration:
    """Fit scale and nu to votes, by maximum likelihood with weak priors.

    Votes on images that are shared err together. So where images recur, all votes together count as half as many as
    there are images: each image then has one. It makes no difference whether votes stand in one row or in many.

    >>> random = np.random.default_rng(0)
    >>> z = random.normal(0, 2, 4000)
    >>> y = (random.random(4000) < expit(z / 3)).astype(float)
    >>> round(fit_votes(z, y).scale, 1)
    0.3

    Args:
        logit: Logits, float (N,), of a predictor that was not fitted to these rows.
        y: Labels, or shares of the votes for left, float (N,).
        tie: Whether the two were judged equal, bool (N,); None without ties.
        weight: Numbers of votes, float (N,); None where each row is one.
        images: Numbers of the images of each row, int (N, 2); None where none recurs.
    """
    z, y = np.asarray(logit, np.float64), np.asarray(y, np.float64)
    votes = np.ones(len(z)) if weight is None else np.asarray(weight, np.float64)
    if images is not None:
        votes = votes * min(1.0, len(np.unique(images)) / (2 * votes.sum()))
    tied = tie if tie is not None and tie.any() else None

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        """Negative log-posterior of log scale and log nu, and its gradient."""
        u, nu = np.exp(logs[0]) * z, 0.0 if tied is None else float(np.exp(logs[1]))
        slope = [float((votes * u) @ slopes(u, y, tied, nu)[0])]
        if tied is not None:
            slope.append(float(votes @ (tied - outcome_probabilities(u, nu)[1])))
        widths = np.array([SCALE_SD, COMMON_SD][: len(logs)])
        value = float(log_likelihood(u, y, tied, votes, nu).sum()) - float(((logs / widths) ** 2).sum()) / 2
        return -value, logs / widths**2 - slope

    start = np.zeros(1 if tied is None else 2)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-_LARGEST_LOG, _LARGEST_LOG)] * len(start))
    scale, *nu = np.exp(found.x).tolist()
    return VoteCalibration(scale, *nu)


def probability_of_left(logit: np.ndarray) -> np.ndarray:
    """Probabilities that left ranks higher, float64 (N,), from logits. Those of a pair and its swapped copy sum to 1.

    >>> float(probability_of_left(np.array([0.3]))[0] + probability_of_left(np.array([-0.3]))[0])
    1.0
    """
    likelier = expit(np.abs(np.asarray(logit, np.float64)))
    return np.where(np.asarray(logit) >= 0, likelier, 1 - likelier)
