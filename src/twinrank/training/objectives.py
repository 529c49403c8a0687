"""What training minimises. An objective is given the network and a batch, so the loop knows none of them."""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from twinrank.config import TrainConfig
from twinrank.errors import InputError
from twinrank.models.comparators import LatentOrder
from twinrank.models.siamese import SiameseNet


class Loss(NamedTuple):
    """The loss of a batch.

    Attributes:
        total: float32 (), what is minimised.
        terms: its parts before weighting, by name, detached; recorded in the history.
    """

    total: torch.Tensor
    terms: dict[str, torch.Tensor]


class PairObjective(nn.Module):
    """Binary cross-entropy of the pair's label, optionally smoothed (Szegedy et al. 2016, arXiv:1512.00567)."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, model: SiameseNet, xa: torch.Tensor, xb: torch.Tensor, y: torch.Tensor) -> Loss:
        """Images (B, C, H, W) and labels float32 (B,) to the loss."""
        loss = _pair_loss(model(xa, xb), y, self.label_smoothing)
        return Loss(loss, {"pair_loss": loss.detach()})


class LatentOrderObjective(nn.Module):
    """Pair loss, contrastive term and balance term for a network with latent levels.

    With each pair put in order by its label, every greater image g of a batch is scored against every lesser one l by
    ``S_gl = log sum_ij exp(g_i - m_i + W_ij + l_j - n_j)``, where m and n are the logs of the running means of the
    posteriors: the log-ratio of "these two are a pair" to chance. Cross-entropy along the rows and the columns of S
    (InfoNCE, van den Oord et al. 2018, arXiv:1807.03748, equation 4, both ways) asks which images were paired, far more
    than one bit. The balance term, log K minus the entropy of the batch's mean posterior, keeps every level in use;
    without it levels merge in a cyclic order.

    Args:
        levels: K.
        contrastive_weight: of the contrastive term.
        balance_weight: of the balance term.
        label_smoothing: of the pair loss.
        momentum: of the running means.
    """

    mean_posteriors: torch.Tensor

    def __init__(
        self,
        levels: int,
        contrastive_weight: float = 1.0,
        balance_weight: float = 2.0,
        label_smoothing: float = 0.0,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.contrastive_weight = contrastive_weight
        self.balance_weight = balance_weight
        self.label_smoothing = label_smoothing
        self.momentum = momentum
        self.register_buffer("mean_posteriors", torch.full((2, levels), 1 / levels))

    def forward(self, model: SiameseNet, xa: torch.Tensor, xb: torch.Tensor, y: torch.Tensor) -> Loss:
        """Images (B, C, H, W) and labels float32 (B,) to the loss."""
        head = model.comparator
        assert isinstance(head, LatentOrder)
        left, right = (head.posterior(features) for features in model.features(xa, xb))
        pair_loss = _pair_loss(head.compare(left, right), y, self.label_smoothing)
        left_greater = y[:, None] > 0.5
        greater, lesser = torch.where(left_greater, left, right), torch.where(left_greater, right, left)
        contrastive_loss = self._contrastive(greater, lesser, head.table)
        usage = torch.cat([left, right]).exp().mean(0)
        balance_loss = math.log(usage.numel()) + torch.xlogy(usage, usage).sum()
        total = pair_loss + self.contrastive_weight * contrastive_loss + self.balance_weight * balance_loss
        terms = {"pair_loss": pair_loss, "contrastive_loss": contrastive_loss, "balance_loss": balance_loss}
        return Loss(total, {name: term.detach() for name, term in terms.items()})

    def _contrastive(self, greater: torch.Tensor, lesser: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            means = torch.stack([side.exp().mean(0) for side in (greater, lesser)])
            self.mean_posteriors.lerp_(means, self.momentum)
        expected = self.mean_posteriors.clamp_min(1e-6).log()
        greater, lesser = greater - expected[0], lesser - expected[1]
        # One matrix product instead of a (B, B, K, K) log-sum-exp; the largest terms are taken out against overflow.
        top_greater, top_lesser = greater.amax(1, keepdim=True).detach(), lesser.amax(1, keepdim=True).detach()
        product = (greater - top_greater).exp() @ table.exp() @ (lesser - top_lesser).exp().T
        scores = product.log() + top_greater + top_lesser.T
        partner = torch.arange(len(scores), device=scores.device)
        return (functional.cross_entropy(scores, partner) + functional.cross_entropy(scores.T, partner)) / 2


def create_objective(config: TrainConfig, model: SiameseNet) -> PairObjective | LatentOrderObjective:
    """The objective that a configuration names.

    Raises:
        InputError: the network does not have what the objective needs.
    """
    if config.objective == "pair":
        return PairObjective(config.label_smoothing)
    if not isinstance(model.comparator, LatentOrder):
        raise InputError('train.objective: "latent_order" needs a network with latent levels, such as order_net')
    return LatentOrderObjective(
        model.comparator.levels, config.contrastive_weight, config.balance_weight, config.label_smoothing
    )


def _pair_loss(logit: torch.Tensor, y: torch.Tensor, label_smoothing: float) -> torch.Tensor:
    target = y * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(logit, target)
