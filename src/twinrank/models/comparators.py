"""Comparators: from the features of two images to the logit that the left one ranks higher."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from twinrank.models.names import HeadName

_HIDDEN, _DROPOUT = 256, 0.2
"""Width and dropout of the training guide's baseline head."""
_FARTHEST = 5.0
"""Standard deviations to which features are clipped before they are squared, or given to a head that is trained."""
LEAST_DEVIATION = 1e-3
"""Of a feature that is standardised."""
_SCORE_HIDDEN, _SCORE_DROPOUT = 64, 0.2
"""Width and dropout of the small network that scores an image."""


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


class Standardised(nn.Module):
    """Features with mean 0 and deviation 1 in some images, clipped, and multiplied by a scale.

    By default the scale is one over the square root of their number. So a feature vector has a length of about 1,
    whatever the network that it comes from.

    Args:
        features: Length of one feature vector.
    """

    centre: torch.Tensor
    deviation: torch.Tensor
    scale: torch.Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("deviation", torch.zeros(features))
        self.register_buffer("scale", torch.full((features,), features**-0.5))

    @property
    def known(self) -> bool:
        """Whether mean and deviation were set."""
        return bool(self.deviation.any())

    def fit(self, parts: Iterable[torch.Tensor]) -> None:
        """Take mean and deviation of features, some images (N, F) at a time."""
        count, total, squares = 0, torch.zeros_like(self.centre, dtype=torch.float64), 0.0
        for part in parts:
            part = part.double()
            count, total, squares = count + len(part), total + part.sum(0), squares + part.square().sum(0)
        mean = total / count
        self.centre.copy_(mean)
        self.deviation.copy_((squares / count - mean**2).clamp_min(LEAST_DEVIATION**2).sqrt())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to as many, float32."""
        return _standardised(features, self.centre, self.deviation) * self.scale


def _standardised(features: torch.Tensor, centre: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Features (N, F) in standard deviations from their centre, clipped."""
    return ((features - centre) / deviation).clamp(-_FARTHEST, _FARTHEST)


class Scored(nn.Module):
    """A comparator that scores each image. Its logit is the difference of two scores. Antisymmetric, to the bit."""

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to scores in logits, float32 (N,)."""
        raise NotImplementedError

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits (N,)."""
        return self.score(left) - self.score(right)


class LinearScore(Scored):
    """The difference of two scores that are linear in the features, and in the squares of some.

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
        z = _standardised(last, self.centre, self.deviation)
        return torch.cat([plain, z, z.square()], 1)

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to scores in logits, float32 (N,)."""
        return self.score_of(self.inputs(features))

    def score_of(self, inputs: torch.Tensor) -> torch.Tensor:
        """What :meth:`inputs` gives, (N, F + squared), to scores in logits, float32 (N,)."""
        return (inputs - self.mean) @ self.weight


class MLPScore(Scored):
    """The difference of two scores, each of which a small network gives.

    Args:
        features: Length of one feature vector.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.standardised = Standardised(features)
        self.layers = nn.Sequential(
            nn.Dropout(_SCORE_DROPOUT),
            nn.Linear(features, _SCORE_HIDDEN),
            nn.GELU(),
            nn.Dropout(_SCORE_DROPOUT),
            nn.Linear(_SCORE_HIDDEN, 1),
        )

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to scores in logits, float32 (N,)."""
        return self.layers(self.standardised(features)).squeeze(1)


class LatentOrder(nn.Module):
    """Two posteriors over K latent levels, and a table of which level outranks which. Antisymmetric by construction.

    A linear layer gives log-posteriors l over levels. With the joint table W, the log-odds that the left image ranks
    higher are ``logsumexp_ij(la_i + lb_j + W_ij) - logsumexp_ij(lb_i + la_j + W_ij)``: Bayes' rule where exp(W_ij) is
    how likely a greater image of level i meets a lesser one of level j, relative to chance. W starts as sign(i - j),
    so level i means "more than i others".

    Args:
        features: Length of one feature vector.
        levels: Number of levels, K.
        standardised: Whether features are standardised first.
    """

    def __init__(self, features: int, levels: int = 10, standardised: bool = False) -> None:
        super().__init__()
        self.levels = levels
        self.standardised = Standardised(features) if standardised else None
        self.scores = nn.Linear(features, levels)
        # Not computed by torch: to lay out a network without memory, that would import its compiler.
        signs = [
            [float((greater > lesser) - (greater < lesser)) for lesser in range(levels)] for greater in range(levels)
        ]
        self.table = nn.Parameter(torch.tensor(signs))

    def posterior(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to log-posteriors over the levels, float32 (N, K)."""
        features = features if self.standardised is None else self.standardised(features)
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

    def against(self, posterior: torch.Tensor, panel: torch.Tensor) -> torch.Tensor:
        """Mean logits of images against a panel, float32 (N,).

        Args:
            posterior: Log-posteriors of the images (N, K).
            panel: Log-posteriors of the panel (P, K).
        """
        table, table_of_lesser = self.table.exp(), self.table.T.exp()
        greater, other = posterior.exp(), panel.exp().T
        return ((greater @ table @ other).log() - (greater @ table_of_lesser @ other).log()).mean(1)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits (N,)."""
        return self.compare(self.posterior(left), self.posterior(right))


class MixedHead(Scored):
    """The weighted sum of the logits of a linear score and of a latent order. Antisymmetric, to the bit.

    Both are fitted to judgements by :func:`twinrank.training.fitted_head.fit_head`, and weighted by what their
    out-of-fold logits tell together. The latent order has what the linear score weighs, and scales it alike.

    Args:
        features: Length of one feature vector.
        levels: Latent levels, K.
        squared: Number of the last features whose squares the linear score uses, too.
        panel: Number of images, P, against which the latent order scores an image.
    """

    shares: torch.Tensor
    panel: torch.Tensor

    def __init__(self, features: int, levels: int, squared: int = 0, panel: int = 64) -> None:
        super().__init__()
        self.linear = LinearScore(features, squared)
        self.latent = LatentOrder(features + squared, levels, standardised=True)
        self.register_buffer("shares", torch.tensor([1.0, 0.0]))
        self.register_buffer("panel", torch.zeros(panel, levels))

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, F) to scores in logits, float32 (N,): the latent order gives the mean against the panel."""
        inputs = self.linear.inputs(features)
        latent = self.latent.against(self.latent.posterior(inputs), self.panel)
        return self.shares[0] * self.linear.score_of(inputs) + self.shares[1] * latent

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Features (N, F) of both images to logits (N,)."""
        left, right = self.linear.inputs(left), self.linear.inputs(right)
        linear = self.linear.score_of(left) - self.linear.score_of(right)
        return self.shares[0] * linear + self.shares[1] * self.latent(left, right)


_Head = LinearScore | LatentOrder | MLPScore | MixedHead


def head_of(name: HeadName, features: int, levels: int, squared: int = 0) -> _Head:
    """The head of a network with public weights, by name.

    Args:
        name: Name of the head.
        features: Length of one feature vector.
        levels: Latent levels of the latent one.
        squared: Number of the last features whose squares the linear one uses, too.
    """
    heads: dict[HeadName, Callable[[], _Head]] = {
        "linear": lambda: LinearScore(features, squared),
        "latent": lambda: LatentOrder(features, levels, standardised=True),
        "mlp": lambda: MLPScore(features),
        "mixed": lambda: MixedHead(features, levels, squared),
    }
    return heads[name]()
