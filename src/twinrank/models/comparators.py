"""Comparators: from the features of two images to the logit that the left one ranks higher."""

import torch
from torch import nn

from twinrank.models.names import HeadName

_HIDDEN, _DROPOUT = 256, 0.2
"""Width and dropout of the training guide's baseline head."""
_FARTHEST = 5.0
"""Standard deviations to which features are clipped before they are squared."""


class ConcatenatedMLP(nn.Module):
    """The training guide's baseline head: both feature vectors joined, then a small network. Not antisymmetric.

    Args:
        features: Length of one feature vector.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * features, _HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(_HIDDEN, 1)
        )

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits float32 (N,)."""
        return self.layers(torch.cat([left, right], 1)).squeeze(1)


class Antisymmetric(nn.Module):
    """(f(a, b) - f(b, a)) / 2 of any comparator f: swapping the images negates the logit, to the bit.

    The features are computed once; only the comparator runs twice. In training it runs on both orders as one batch, so
    that batch norm has one population.

    Args:
        comparator: Comparator f.
        confidence: Comparator with the same value for both orders, to the bit; the logit is multiplied by twice its
            sigmoid. None leaves the logit.
    """

    def __init__(self, comparator: nn.Module, confidence: nn.Module | None = None) -> None:
        super().__init__()
        self.comparator = comparator
        self.confidence = confidence

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits (N,)."""
        if self.training:
            forth, back = self.comparator(torch.cat([left, right]), torch.cat([right, left])).chunk(2)
        else:
            forth, back = self.comparator(left, right), self.comparator(right, left)
        logit = (forth - back) / 2
        return logit if self.confidence is None else logit * (2 * self.confidence(left, right).sigmoid())


class LinearScore(nn.Module):
    """The difference of two scores that are linear in the features, and in the squares of some. Antisymmetric.

    It is fitted by :func:`twinrank.evaluation.linear_scores.fit_linear_scores`, and not by steps of a gradient.

    Args:
        features: Length of one feature vector.
        squared: Number of the last features that are standardised, and whose squares are inputs, too.
    """

    mean: torch.Tensor
    centre: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, features: int, squared: int = 0) -> None:
        super().__init__()
        self.squared = squared
        self.register_buffer("mean", torch.zeros(features + squared))
        self.weight = nn.Parameter(torch.zeros(features + squared))
        if squared:
            self.register_buffer("centre", torch.zeros(squared))
            self.register_buffer("deviation", torch.ones(squared))

    def inputs(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to what is weighted, (N, F + squared)."""
        if not self.squared:
            return features
        plain, last = features.split([features.shape[1] - self.squared, self.squared], 1)
        z = ((last - self.centre) / self.deviation).clamp(-_FARTHEST, _FARTHEST)
        return torch.cat([plain, z, z.square()], 1)

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to scores in logits, float32 (N,)."""
        return (self.inputs(features) - self.mean) @ self.weight

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits (N,)."""
        return self.score(left) - self.score(right)


class LatentOrder(nn.Module):
    """Two posteriors over K latent levels, and a table of which level outranks which. Antisymmetric by construction.

    A linear layer gives log-posteriors l over levels. With the joint table W, the log-odds that the left image ranks
    higher are ``logsumexp_ij(la_i + lb_j + W_ij) - logsumexp_ij(lb_i + la_j + W_ij)``: Bayes' rule where exp(W_ij) is
    how likely a greater image of level i meets a lesser one of level j, relative to chance. W starts as sign(i - j),
    so level i means "more than i others".

    Args:
        features: Length of one feature vector.
        levels: Number of levels, K.
    """

    def __init__(self, features: int, levels: int = 10) -> None:
        super().__init__()
        self.levels = levels
        self.scores = nn.Linear(features, levels)
        rank = torch.arange(levels, dtype=torch.float32)
        self.table = nn.Parameter((rank[:, None] - rank).sign())

    def posterior(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to log-posteriors over the levels, float32 (N, K)."""
        return self.scores(features).log_softmax(1)

    def ranking(self) -> torch.Tensor:
        """The levels from lowest to highest, int64 (K,): by how many others the table puts below, then by how far."""
        margin = (self.table - self.table.T).detach()
        wins = margin.sign().sum(1)
        return torch.argsort(wins + 0.5 * torch.tanh(margin.mean(1)))

    def log_joint(self, greater: torch.Tensor, lesser: torch.Tensor) -> torch.Tensor:
        """Log-likelihood, up to a constant, that pairs occur in this order.

        Args:
            greater: Log-posteriors (N, K).
            lesser: Log-posteriors (N, K).

        Returns:
            float32 (N,).
        """
        return torch.logsumexp(greater[:, :, None] + lesser[:, None, :] + self.table, (1, 2))

    def inferred(self, left: torch.Tensor, right: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Posteriors of both levels, given which image ranks higher, by Bayes' rule with the table.

        It is the expectation step of Dempster et al. 1977, Maximum likelihood from incomplete data via the EM
        algorithm.

        Args:
            left: Log-posteriors (N, K).
            right: Log-posteriors (N, K).
            y: Labels (N,), 1 where the left image ranks higher, 0.5 where neither does.

        Returns:
            Probabilities of the levels of both images, float32 (N, K) each.
        """
        table = torch.where(y[:, None, None] > 0.5, self.table, self.table.T)
        # An undecided pair says nothing about the order.
        table = table.masked_fill(y[:, None, None] == 0.5, 0)
        joint = left[:, :, None] + right[:, None, :] + table
        joint = joint.flatten(1).softmax(1).view_as(joint)
        return joint.sum(2), joint.sum(1)

    def compare(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Log-posteriors (N, K) of both images to logits (N,)."""
        return self.log_joint(left, right) - self.log_joint(right, left)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits (N,)."""
        return self.compare(self.posterior(left), self.posterior(right))


def head_of(name: HeadName, features: int, levels: int, squared: int = 0) -> LinearScore | LatentOrder:
    """The head of a network with public weights, by name.

    Args:
        name: Name of the head.
        features: Length of one feature vector.
        levels: Latent levels of the latent one.
        squared: Number of the last features whose squares the linear one uses, too.
    """
    return LinearScore(features, squared) if name == "linear" else LatentOrder(features, levels)
