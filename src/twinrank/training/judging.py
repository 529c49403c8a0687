"""How people judge, fitted with the network: ties, and the sharpness and position bias of raters."""

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from twinrank.data.batches import Batch, Targets
from twinrank.evaluation.fit_judging import fit_judging

_LOG_NU = (-8.0, 8.0)
_HALVINGS = 60


class JudgementModel(nn.Module):
    """The probability of each outcome, from the logit of the network and the one who judged.

    Rater r decides by ``u = a_r z + b_r``, where z is the logit, a_r > 0 the sharpness and b_r the position bias (a
    noisy Bradley-Terry model; Chen et al. 2013, Pairwise ranking aggregation in a crowdsourced setting, WSDM). Ties
    follow Davidson 1970, JASA 65:317: ``P(left) : P(tie) : P(right) = exp(u/2) : nu : exp(-u/2)``.

    The network learns by gradients, and this by turns with it: after each epoch, :meth:`refit` fits it to the epoch's
    logits. A few steps of gradients would not move it far enough.

    Args:
        targets: Raters, and whether there are ties.
        bias: Whether raters have a position bias.
    """

    log_nu: torch.Tensor
    sharpness: torch.Tensor
    bias: torch.Tensor

    def __init__(self, targets: Targets, bias: bool = False) -> None:
        super().__init__()
        self.ties = targets.ties
        self._names, self._biased = targets.raters or ("",), bias
        self._observed: list[tuple[torch.Tensor, Batch]] = []
        self.register_buffer("log_nu", torch.zeros(()))
        self.register_buffer("sharpness", torch.ones(len(self._names)))
        self.register_buffer("bias", torch.zeros(len(self._names)))

    def decided_by(self, logit: torch.Tensor, rater: torch.Tensor | None) -> torch.Tensor:
        """The log-odds u by which raters decide.

        Args:
            logit: Logits of the network, float (B,).
            rater: Numbers of the raters, int64 (B,), or None.
        """
        rater = torch.zeros_like(logit, dtype=torch.int64) if rater is None else rater
        return logit * self.sharpness[rater] + self.bias[rater]

    def tie_loss(self, decided_by: torch.Tensor, y: torch.Tensor, tie: torch.Tensor | None) -> torch.Tensor:
        """Losses of the outcomes where ties are possible; arguments of :func:`outcome_loss`."""
        return outcome_loss(decided_by, y, tie, self.log_nu)

    def observe(self, logit: torch.Tensor, batch: Batch) -> None:
        """Keep the logits of a batch, float (B,), for the next :meth:`refit`."""
        self._observed.append((logit.detach().cpu(), batch._replace(images=logit.new_empty(0), levels=None)))

    def refit(self) -> None:
        """Fit everything here to the logits that were observed since the last call."""
        logits, batches = zip(*self._observed, strict=True)
        self._observed = []
        logit = torch.cat(logits).double().numpy()
        columns = ([getattr(batch, name) for batch in batches] for name in ("y", "tie", "weight", "rater"))
        y, tie, weight, rater = (None if part[0] is None else torch.cat(part).cpu().numpy() for part in columns)
        assert y is not None
        if len(self._names) > 1 or self._biased:
            raters = np.zeros(len(y), np.int64) if rater is None else rater
            fitted = fit_judging(logit, y.astype(np.float64), tie, weight, raters, self._names, self._biased)
            self.sharpness.copy_(torch.from_numpy(fitted.sharpness))
            self.bias.copy_(torch.from_numpy(fitted.bias))
        if self.ties:
            decided_by = self.decided_by(torch.from_numpy(logit), None if rater is None else torch.from_numpy(rater))
            self.log_nu.fill_(np.log(tie_weight(decided_by.numpy(), tie, weight)))

    @property
    def nu(self) -> float:
        """Weight of a tie, nu; 0 without ties."""
        return float(self.log_nu.exp()) if self.ties else 0.0


def outcome_loss(
    decided_by: torch.Tensor, y: torch.Tensor, tie: torch.Tensor | None, log_nu: torch.Tensor
) -> torch.Tensor:
    """Negative log-likelihood of the outcomes where ties are possible, float (B,), nats.

    Args:
        decided_by: Log-odds u, float (B,).
        y: Labels or shares, float (B,).
        tie: Whether a pair was judged equal, bool (B,); None where none was.
        log_nu: Logarithm of Davidson's nu, float ().
    """
    half = decided_by / 2
    total = torch.logaddexp(torch.logaddexp(half, -half), log_nu)
    decided = (2 * y - 1) * half
    return total - (decided if tie is None else torch.where(tie, log_nu, decided))


def tie_weight(u: np.ndarray, tie: np.ndarray | None, weight: np.ndarray | None) -> float:
    """Davidson's nu that suits log-odds as they are, by maximum likelihood; 0 without ties.

    The slope of the log-likelihood by log nu falls: it is the number of ties less the number that is expected.

    Args:
        u: Log-odds, float (N,).
        tie: Whether the two were judged equal, bool (N,), or None.
        weight: Numbers of votes, float (N,), or None.
    """
    if tie is None or not tie.any():
        return 0.0
    weights = np.ones(len(u)) if weight is None else np.asarray(weight, np.float64)
    ties, log_sum = float(weights[tie].sum()), np.logaddexp(u / 2, -u / 2)
    low, high = _LOG_NU
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = float((weights * expit(middle - log_sum)).sum())
        low, high = (middle, high) if expected < ties else (low, middle)
    return float(np.exp((low + high) / 2))


def needed(targets: Targets, bias: bool) -> bool:
    """Whether judgements have more to them than labels: ties, several raters, or a position bias."""
    return targets.ties or len(targets.raters) > 1 or bias
