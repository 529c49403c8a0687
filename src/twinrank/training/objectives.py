"""The losses that training minimises. The objective gets the network and a batch, so the loop knows no loss by name."""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from twinrank.config import TrainConfig
from twinrank.data.batches import Batch, Targets
from twinrank.errors import InputError
from twinrank.models.comparators import LatentOrder
from twinrank.models.siamese import Embedded, SiameseNet
from twinrank.training.judging import JudgementModel, needed
from twinrank.training.ranks import ALONE, Ranks

_MEANS_MOMENTUM = 0.1
_LABELS_ALONE = Targets()
_PAIR = "pair_loss", "soft_loss"


class Loss(NamedTuple):
    """The loss of a batch.

    Attributes:
        total: Number that is minimised, float32 ().
        terms: Parts before weighting, by name, detached; the history keeps them.
    """

    total: torch.Tensor
    terms: dict[str, torch.Tensor]


class Objective(nn.Module):
    """Pair loss against labels, and on demand a teacher's logits, the latent order term, target levels and subclasses.

    The latent order term reads posteriors over latent levels. A network whose comparator is a :class:`LatentOrder` uses
    that. Any other network gets an auxiliary one here, on the averages of its backbone's maps, with a pair loss of its
    own. The auxiliary head alone trains the backbone, and is dropped after training. Neck and comparator learn on what
    the backbone gives; their noisy gradient would keep the backbone on its plateau for longer. An auxiliary head on the
    features, behind the neck's dropout, would leave the levels alike. A teacher's logits are compared with both heads,
    since otherwise they would not reach the backbone.

    Args:
        config: Training values.
        model: Network.
        targets: What the labels are: target levels, raters, ties.
        ranks: Processes that train together. Each has a part of the images, and computes the loss of the whole batch.

    Raises:
        InputError: Levels or subclasses have a weight but no targets, or the targets have more levels than the network.
    """

    def __init__(
        self, config: TrainConfig, model: SiameseNet, targets: Targets = _LABELS_ALONE, ranks: Ranks = ALONE
    ) -> None:
        super().__init__()
        self.config = config
        self._ranks = ranks
        self.subclasses: nn.Linear | None = None
        if config.subclass_weight:
            if not targets.subclasses:
                raise InputError("`subclass_weight` needs a teacher that divides its levels; distill again")
            self.subclasses = nn.Linear(model.tower.averages, targets.subclasses)
        self.auxiliary: LatentOrder | None = None
        self.latent: LatentTerm | None = None
        modelled = needed(targets, config.rater_bias)
        self.judging = JudgementModel(targets, config.rater_bias) if modelled else None
        contrasted = config.contrastive_weight > 0 or config.balance_weight > 0
        self._levelled = contrasted or config.level_weight > 0
        if self._levelled:
            if needs_auxiliary(config, model):
                self.auxiliary = LatentOrder(model.tower.averages, config.auxiliary_levels)
            head = self.auxiliary or model.comparator
            assert isinstance(head, LatentOrder)
            if config.level_weight and not targets.levels:
                raise InputError("`level_weight` needs a teacher that has latent levels itself; choose another one")
            if config.level_weight and head.levels < targets.levels:
                raise InputError(
                    f"`level_weight` needs a latent level for each of {targets.levels} target levels, but the network"
                    f" has {head.levels}; raise its option `levels`, or `auxiliary_levels`"
                )
            if contrasted:
                self.latent = LatentTerm(head.levels, targets.undecided)

    def forward(self, model: SiameseNet, batch: Batch) -> Loss:
        """The loss of a batch. Each of its images goes through the tower once."""
        embedded = self._ranks.joined(model.embed_batch(batch.images, detached=self.auxiliary is not None))
        sides = batch.left, batch.right
        left, right = (Embedded(*(part.index_select(0, side) for part in embedded)) for side in sides)
        if self._levelled:
            total, terms = self._levelled_loss(model, left, right, batch)
        else:
            total, terms = self._pair_loss(model.comparator(left.features, right.features), batch)
        if self.subclasses is not None:
            assert batch.subclasses is not None
            averages = torch.cat([left.averages, right.averages])
            loss = functional.cross_entropy(self.subclasses(averages), batch.subclasses.T.flatten())
            total = total + self.config.subclass_weight * loss
            terms |= {"subclass_loss": loss}
        return Loss(total, {name: term.detach() for name, term in terms.items()})

    def end_epoch(self) -> None:
        """Fit how people judge to the logits of the epoch."""
        if self.judging is not None:
            self.judging.refit()

    def _levelled_loss(
        self, model: SiameseNet, left: Embedded, right: Embedded, batch: Batch
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss and its terms where posteriors over levels have a part in it."""
        if self.auxiliary is None:
            head = model.comparator
            assert isinstance(head, LatentOrder)
            levels = head.posterior(left.features), head.posterior(right.features)
            total, terms = self._pair_loss(head.compare(*levels), batch)
        else:
            head = self.auxiliary
            levels = head.posterior(left.averages), head.posterior(right.averages)
            pair_loss, terms = self._pair_loss(model.comparator(left.features, right.features), batch)
            names = "auxiliary_loss", "auxiliary_soft_loss"
            auxiliary_loss, auxiliary_terms = self._pair_loss(head.compare(*levels), batch, names)
            total, terms = pair_loss + auxiliary_loss, terms | auxiliary_terms
        if self.latent is not None:
            contrastive, balance = self.latent(*levels, head.table, batch.y)
            total = total + self.config.contrastive_weight * contrastive + self.config.balance_weight * balance
            terms |= {"contrastive_loss": contrastive, "balance_loss": balance}
        if self.config.level_weight:
            assert batch.levels is not None
            with torch.no_grad():
                known = functional.pad(batch.levels, (0, head.levels - batch.levels.shape[2]), value=-math.inf)
                inferred = head.inferred(known[:, 0], known[:, 1], batch.y)
            level_loss = -(torch.cat(inferred) * torch.cat(levels)).sum(1).mean()
            total = total + self.config.level_weight * level_loss
            terms["level_loss"] = level_loss
        return total, terms

    def _pair_loss(
        self,
        logit: torch.Tensor,
        batch: Batch,
        names: tuple[str, str] = _PAIR,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        config, teacher, (name, soft_name) = self.config, batch.teacher, names
        if self.judging is not None and names == _PAIR:
            self.judging.observe(logit, batch)
        hard = self._hard_loss(logit, batch)
        if teacher is None or not config.distill_weight:
            return hard, {name: hard}
        soft = soft_loss(logit, teacher, config.distill_temperature)
        total = config.distill_weight * soft + (1 - config.distill_weight) * hard
        return total, {name: hard, soft_name: soft}

    def _hard_loss(self, logit: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Loss against what was judged."""
        config = self.config
        gamma, alpha = (config.focal_gamma, config.focal_alpha) if config.loss == "focal" else (0.0, 1.0)
        decided_by = logit if self.judging is None else self.judging.decided_by(logit, batch.rater)
        if self.judging is None or not self.judging.ties:
            return focal_loss(decided_by, batch.y, gamma, alpha, config.label_smoothing, batch.weight)
        each = self.judging.tie_loss(decided_by, smoothed(batch.y, config.label_smoothing), batch.tie)
        return each.mean() if batch.weight is None else (batch.weight * each).mean()


def needs_auxiliary(config: TrainConfig, model: SiameseNet) -> bool:
    """Whether a network without latent levels gets an auxiliary head for them.

    Args:
        config: Training values.
        model: Network.
    """
    weights = config.contrastive_weight, config.balance_weight, config.level_weight
    return any(weights) and not isinstance(model.comparator, LatentOrder)


def soft_loss(logit: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Distillation (Hinton et al. 2015, Distilling the knowledge in a neural network, arXiv:1503.02531), averaged.

    For logits z and t it is ``T^2`` times the cross-entropy of ``sigma(z / T)`` against ``sigma(t / T)``. Its gradient
    by z is ``T (sigma(z / T) - sigma(t / T))``: without ``T^2`` it would fall as ``1 / T^2`` (section 2 there), and the
    weights of both losses would mean something else at each temperature.

    Args:
        logit: Logits of the student, float (B,).
        teacher: Logits of the teacher, float (B,).
        temperature: Temperature T.

    Returns:
        float (), nats.
    """
    target = torch.sigmoid(teacher / temperature)
    return temperature**2 * functional.binary_cross_entropy_with_logits(logit / temperature, target)


def focal_loss(
    logit: torch.Tensor,
    y: torch.Tensor,
    gamma: float,
    alpha: float = 1.0,
    label_smoothing: float = 0.0,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Focal loss (Lin et al. 2017, Focal loss for dense object detection, arXiv:1708.02002, equation 4), averaged.

    For targets t in [0, 1] it is ``-alpha (t (1 - p)^gamma log p + (1 - t) p^gamma log(1 - p))``. With gamma 0 and
    alpha 1 it is binary cross-entropy. Alpha is a plain factor, as in the training guide; the paper's weighs the two
    classes differently, for which swapped pairs give no reason. Smoothing after Szegedy et al. 2016, arXiv:1512.00567.

    Args:
        logit: Logits, float (B,).
        y: Labels, float (B,), 0 or 1, or shares between.
        gamma: Exponent: the higher, the less a pair counts that is predicted rightly with confidence.
        alpha: Factor.
        label_smoothing: Smoothing, see :func:`smoothed`.
        weight: Weights of the pairs, float (B,); None is 1 each.

    Returns:
        float (), nats.
    """
    target = smoothed(y, label_smoothing)
    if gamma == 0:
        return alpha * functional.binary_cross_entropy_with_logits(logit, target, weight)
    log_p, log_q = functional.logsigmoid(logit), functional.logsigmoid(-logit)
    p, q = log_p.exp(), log_q.exp()
    each = target * q**gamma * log_p + (1 - target) * p**gamma * log_q
    return -alpha * (each if weight is None else weight * each).mean()


def smoothed(y: torch.Tensor, label_smoothing: float) -> torch.Tensor:
    """Labels after smoothing: 0 and 1 become ``label_smoothing / 2`` and ``1 - label_smoothing / 2``."""
    return y * (1 - label_smoothing) + label_smoothing / 2


class LatentTerm(nn.Module):
    """Contrastive term and balance term of latent levels.

    The label puts each pair in order. Every greater image g of a batch is scored against every lesser one l by
    ``S_gl = log sum_ij exp(g_i - m_i + W_ij + l_j - n_j)``. Here m and n are the logs of the running means of the
    posteriors. So S is the log-ratio of "these two are a pair" to chance. Cross-entropy along the rows and the columns
    of S (InfoNCE, van den Oord et al. 2018, arXiv:1807.03748, equation 4, both ways) measures which images were paired.
    That is far more than one bit. The balance term is log K minus the entropy of the batch's mean posterior. It keeps
    every level in use; without it levels merge in a cyclic order.

    Args:
        levels: Number of levels, K.
        undecided: Whether there may be pairs that nobody decided, whose label is 0.5.
        momentum: Momentum of the running means.
    """

    mean_posteriors: torch.Tensor

    def __init__(self, levels: int, undecided: bool = False, momentum: float = _MEANS_MOMENTUM) -> None:
        super().__init__()
        self.undecided = undecided
        self.momentum = momentum
        self.register_buffer("mean_posteriors", torch.full((2, levels), 1 / levels))

    def forward(
        self, left: torch.Tensor, right: torch.Tensor, table: torch.Tensor, y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-posteriors (B, K) of both images, table (K, K) and labels (B,) to both terms, in nats.

        Pairs that nobody decided put no image above another, so they are in the balance term alone.
        """
        usage = torch.cat([left, right]).exp().mean(0)
        balance = math.log(usage.numel()) + torch.xlogy(usage, usage).sum()
        if self.undecided and (undecided := y == 0.5).any():
            left, right, y = (part[~undecided] for part in (left, right, y))
        left_greater = y[:, None] > 0.5
        greater, lesser = torch.where(left_greater, left, right), torch.where(left_greater, right, left)
        return self._contrastive(greater, lesser, table) if len(y) else torch.zeros_like(balance), balance

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
