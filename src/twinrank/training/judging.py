"""How people judge, fitted with the network: ties, and the sharpness and position bias of raters."""

import math

import torch
from torch import nn

from twinrank.data.batches import Targets
from twinrank.evaluation.judging import BIAS_SD, SHARPNESS_SD


class JudgementModel(nn.Module):
    """The probability of each outcome, from the logit of the network and the one who judged.

    Rater r decides by ``u = a_r z + b_r``, where z is the logit, a_r > 0 the sharpness and b_r the position bias (a
    noisy Bradley-Terry model; Chen et al. 2013, Pairwise ranking aggregation in a crowdsourced setting, WSDM). Ties
    follow Davidson 1970, JASA 65:317: ``P(left) : P(tie) : P(right) = exp(u/2) : nu : exp(-u/2)``. The mean of the
    log-sharpness is 0, since the network has a scale of its own.

    Args:
        targets: Raters, whether there are ties, and the number of votes that the prior is weighed against.
        bias: Whether raters have a position bias.
    """

    def __init__(self, targets: Targets, bias: bool = False) -> None:
        super().__init__()
        raters = len(targets.raters)
        self._votes = targets.votes
        self.log_nu = nn.Parameter(torch.zeros(())) if targets.ties else None
        self.log_sharpness = nn.Parameter(torch.zeros(raters)) if raters > 1 else None
        self.bias = nn.Parameter(torch.zeros(max(1, raters))) if bias else None

    def decided_by(self, logit: torch.Tensor, rater: torch.Tensor | None) -> torch.Tensor:
        """The log-odds u by which raters decide.

        Args:
            logit: Logits of the network, float (B,).
            rater: Numbers of the raters, int64 (B,), or None.
        """
        if self.log_sharpness is not None and rater is not None:
            logit = logit * (self.log_sharpness - self.log_sharpness.mean()).exp()[rater]
        if self.bias is not None:
            logit = logit + self.bias[torch.zeros_like(logit, dtype=torch.int64) if rater is None else rater]
        return logit

    def tie_loss(self, decided_by: torch.Tensor, y: torch.Tensor, tie: torch.Tensor | None) -> torch.Tensor:
        """Negative log-likelihood of the outcomes where ties are possible, float (B,), nats.

        Args:
            decided_by: Log-odds u, float (B,).
            y: Labels or shares, float (B,).
            tie: Whether a pair was judged equal, bool (B,); None where none was.
        """
        assert self.log_nu is not None
        half = decided_by / 2
        total = torch.logaddexp(torch.logaddexp(half, -half), self.log_nu)
        decided = (2 * y - 1) * half
        return total - (decided if tie is None else torch.where(tie, self.log_nu, decided))

    def penalty(self) -> torch.Tensor:
        """Negative logarithm of the prior for each vote, float ()."""
        total = torch.zeros(())
        if self.log_sharpness is not None:
            spread = self.log_sharpness - self.log_sharpness.mean()
            total = total + (spread / SHARPNESS_SD).square().sum() / 2
        if self.bias is not None:
            total = total + ((self.bias - self.bias.mean()) / BIAS_SD).square().sum() / 2
        return total / self._votes

    @property
    def nu(self) -> float:
        """Weight of a tie, nu; 0 without ties."""
        return 0.0 if self.log_nu is None else math.exp(self.log_nu.item())


def needed(targets: Targets, bias: bool) -> bool:
    """Whether judgements have more to them than labels: ties, several raters, or a position bias."""
    return targets.ties or len(targets.raters) > 1 or bias
