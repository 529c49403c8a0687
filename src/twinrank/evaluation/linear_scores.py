"""Scores that are linear in features of images, fitted to judgements to the optimum, with a ridge that is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from twinrank.errors import InputError
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.fit_judging import fit_judging
from twinrank.evaluation.judging import Judging, log_likelihood, slopes
from twinrank.evaluation.principal_axes import PrincipalAxes

SPREADS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Standard deviations of scores, in logits, that a prior may give them. The ridge is one over their square."""
_STACKED_SPREAD = 1.0
"""Of the weight of a block in the sum of blocks."""
_ROUNDS = 3
"""Rounds of scores and raters at most."""
_CLOSE = 0.05
"""Change of a log sharpness or of log nu below which the rounds end."""
_MOST_STEPS, _GRADIENT = 300, 1e-3


@dataclass(frozen=True, eq=False)
class FoldMasks:
    """Which judgements cross-validation fits and predicts.

    Attributes:
        fold: Fold that predicts each judgement, int (N,), 0 to K - 1.
        fitted: Judgements that share no image with those of a fold, bool (K, N).
    """

    fold: np.ndarray
    fitted: np.ndarray


@dataclass(frozen=True, eq=False)
class LinearScores:
    """Scores s(x) = (x - mean) @ weight, in logits.

    Attributes:
        mean: Features of an image whose score is 0, float32 (F,).
        weight: Weights, float32 (F,).
        judging: How people judge, fitted to out-of-fold scores; its scale is in ``weight`` already, and 1.
        out_of_fold: Difference of the scores of left and right, float64 (N,), scaled alike. Each is predicted by
            scores that were fitted without both images.
        unseen: Scores of the images, float64 (M,), scaled alike: the mean of those that were fitted without the image;
            NaN for an image that was not judged, or was fitted in every fold.
        log_loss: Out-of-fold log-loss of the judgements, in nats a vote.
        blocks: Of each block of features: its spread, its own out-of-fold log-loss, and its weight in the sum.
    """

    mean: np.ndarray
    weight: np.ndarray
    judging: Judging
    out_of_fold: np.ndarray
    unseen: np.ndarray
    log_loss: float
    blocks: list[tuple[float, float, float]]


def fit_linear_scores(
    features: np.ndarray,
    comparisons: Comparisons,
    folds: FoldMasks,
    blocks: Sequence[slice] = (slice(None),),
    spreads: Sequence[float] = SPREADS,
    seed: int = 0,
) -> LinearScores:
    """Fit scores to judgements by penalised maximum likelihood.

    The model is Bradley and Terry's with ties and raters, see :mod:`twinrank.evaluation.judging`. Each block of
    features has scores of its own. Given the raters they are a convex problem, which L-BFGS solves to its optimum.
    Their spread is the one of least out-of-fold log-loss. The sum of the blocks is weighted by what their out-of-fold
    scores tell together (stacking, Wolpert 1992), with weights of at least 0 (Breiman 1996, Stacked regressions). Ties
    and raters are fitted to out-of-fold scores. Scores and raters take turns until the raters stay.

    Args:
        features: Features of M images, float (M, F); may be a memory map.
        comparisons: N judgements of these images.
        folds: Folds of images for cross-validation.
        blocks: Blocks of features, such as those of one stage of a network; they may overlap.
        spreads: Spreads to choose from, ascending.
        seed: Root seed.

    Raises:
        InputError: A fold leaves nothing to fit.

    Example:
        >>> random = np.random.default_rng(0)
        >>> features, left, right = random.normal(size=(60, 3)), *random.integers(0, 30, (2, 900))
        >>> rows = Comparisons(left, right + 30, features[left, 0] > features[right + 30, 0])
        >>> fitted = np.stack([left % 3 != fold for fold in range(3)])
        >>> scores = fit_linear_scores(features, rows, FoldMasks(left % 3, fitted))
        >>> bool(scores.weight[0] > 10 * abs(scores.weight[1:]).max())
        True
    """
    if not folds.fitted.any(1).all():
        raise InputError("a fold leaves no judgement to fit; give more judgements of different images")
    images, rows = comparisons.renumbered()
    used = features if len(images) == len(features) else features[images]
    axes = [PrincipalAxes.of(used[:, block], seed) for block in blocks]
    fits = [_Block(each.coordinates(used[:, block]), rows, folds) for each, block in zip(axes, blocks, strict=True)]
    # Thousands of steps, each too small to share: threads would wait for each other far longer than they compute.
    with threadpool_limits(1, "blas"):
        chosen, shares, judging = _taken_in_turns(fits, rows, spreads)
    weight, mean = np.zeros(features.shape[1], np.float32), np.zeros(features.shape[1], np.float32)
    for one, block, fit, best, share in zip(axes, blocks, fits, chosen, shares, strict=True):
        mean[block] = one.mean
        if share:
            weight[block] += one.weights(share * fit.weights(best.spread, judging, np.ones(len(rows), bool)))
    unseen = np.full(len(features), np.nan)
    unseen[images] = np.stack([block.unseen for block in chosen], 1) @ shares
    out_of_fold = np.stack([block.out_of_fold for block in chosen], 1) @ shares
    log_loss = _log_loss(out_of_fold, rows, judging)
    described = [(best.spread, best.log_loss, float(share)) for best, share in zip(chosen, shares, strict=True)]
    return LinearScores(mean, weight, judging, out_of_fold, unseen, log_loss, described)


def _taken_in_turns(
    fits: "Sequence[_Block]", rows: Comparisons, spreads: Sequence[float]
) -> "tuple[list[_Chosen], np.ndarray, Judging]":
    """Blocks, the weights of their sum, and how people judge, each fitted given the others."""
    names, codes = _raters(rows)
    crowd, judging, rounds = bool(names) or (rows.tie is not None and bool(rows.tie.any())), Judging(), 0
    while True:
        chosen, before, rounds = [fit.best(judging, spreads) for fit in fits], judging, rounds + 1
        each = np.stack([block.out_of_fold for block in chosen], 1)
        shares = _stacked(each, rows, judging)
        judging = fit_judging(each @ shares, rows.y, rows.tie, rows.weight, codes, names)
        if not crowd or rounds == _ROUNDS or _same(before, judging):
            # The scale belongs to the scores from now on.
            return chosen, judging.scale * shares, replace(judging, scale=1.0, scale_interval=(1.0, 1.0))


def _raters(rows: Comparisons) -> tuple[list[str], np.ndarray | None]:
    """Names of the raters, and each row's place among them; none where there is one kind of rater."""
    if rows.rater is None:
        return [], None
    names, codes = np.unique(rows.rater, return_inverse=True)
    return [str(name) for name in names], codes


def _same(one: Judging, other: Judging) -> bool:
    """Whether raters and ties hardly differ."""
    if one.raters != other.raters or (one.nu > 0) != (other.nu > 0):
        return False
    changes = [np.abs(np.log(one.sharpness / other.sharpness)).max(initial=0.0)]
    if one.nu:
        changes.append(abs(np.log(one.nu / other.nu)))
    return max(changes) < _CLOSE


def _log_loss(z: np.ndarray, rows: Comparisons, judging: Judging) -> float:
    """Log-loss of judgements by differences of scores, in nats a vote."""
    sharpness, bias = judging.of_raters(rows.rater, len(rows))
    likelihood = log_likelihood(sharpness * z + bias, rows.y, rows.tie, rows.votes, judging.nu)
    return -float(likelihood.sum() / rows.votes.sum())


def _minimised(
    inputs: np.ndarray, rows: Comparisons, judging: Judging, spread: float, start: np.ndarray, stacked: bool = False
) -> np.ndarray:
    """Weights of greatest penalised likelihood.

    Args:
        inputs: What is weighted: coordinates of each image, float (M, R); or where blocks are stacked, the differences
            of their scores for each row, float (N, R).
        rows: N judgements.
        judging: How people judge.
        spread: Standard deviation of the normal prior of the weights.
        start: Weights to begin with, float (R,).
        stacked: Whether blocks are stacked: their weights are at least 0, and their prior has its mean at ``start``.
    """
    sharpness, bias = judging.of_raters(rows.rater, len(rows))
    votes, centre = rows.votes, start if stacked else 0.0
    total = votes.sum()

    def objective(weight: np.ndarray) -> tuple[float, np.ndarray]:
        score = inputs @ weight
        u = sharpness * (score if stacked else score[rows.left] - score[rows.right]) + bias
        slope = votes * sharpness * slopes(u, rows.y, rows.tie, judging.nu)[0]
        if not stacked:
            slope = np.bincount(rows.left, slope, len(score)) - np.bincount(rows.right, slope, len(score))
        pull = (weight - centre) / spread**2
        value = pull @ (weight - centre) / 2 - log_likelihood(u, rows.y, rows.tie, votes, judging.nu).sum()
        return value / total, (pull - inputs.T @ slope) / total

    bounds = [(0.0, None)] * len(start) if stacked else None
    options = {"maxiter": _MOST_STEPS, "maxcor": 20, "gtol": _GRADIENT / np.sqrt(total), "ftol": 1e-9}
    return minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x


def _stacked(each: np.ndarray, rows: Comparisons, judging: Judging) -> np.ndarray:
    """Weights of the blocks, float64 (B,), of at least 0, from their out-of-fold scores (N, B)."""
    count = each.shape[1]
    if count == 1:
        return np.ones(1)
    return _minimised(each, rows, judging, _STACKED_SPREAD, np.full(count, 1 / count), stacked=True)


class _Chosen(NamedTuple):
    """A spread of a block: its out-of-fold log-loss, differences (N,), and scores of the images (J,)."""

    spread: float
    log_loss: float
    out_of_fold: np.ndarray
    unseen: np.ndarray


class _Block:
    """Judgements of J images whose features have coordinates (J, R)."""

    def __init__(self, coordinates: np.ndarray, rows: Comparisons, folds: FoldMasks) -> None:
        self._coordinates, self._rows, self._folds = coordinates, rows, folds

    def best(self, judging: Judging, spreads: Sequence[float]) -> _Chosen:
        """The spread of least out-of-fold log-loss."""
        rows, found = self._rows, list[_Chosen]()
        weights = [np.zeros(self._coordinates.shape[1])] * len(self._folds.fitted)
        for spread in spreads:
            out_of_fold, (total, times) = np.empty(len(rows)), np.zeros((2, len(self._coordinates)))
            for fold, fitted in enumerate(self._folds.fitted):
                # From the strongest penalty on, each fit begins where the last one ended.
                weights[fold] = self.weights(spread, judging, fitted, weights[fold])
                score, predicted = self._coordinates @ weights[fold], self._folds.fold == fold
                out_of_fold[predicted] = (score[rows.left] - score[rows.right])[predicted]
                unseen = rows.select(fitted).counts(len(score)) == 0
                total, times = total + np.where(unseen, score, 0.0), times + unseen
            mean = np.where(times > 0, total / np.maximum(times, 1), np.nan)
            found.append(_Chosen(spread, _log_loss(out_of_fold, rows, judging), out_of_fold, mean))
            if len(found) > 1 and found[-1].log_loss > found[-2].log_loss:
                break
        return min(found, key=lambda each: each.log_loss)

    def weights(
        self, spread: float, judging: Judging, fitted: np.ndarray, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Weights of the coordinates, float64 (R,), fitted to some rows, bool (N,)."""
        images, rows = self._rows.select(fitted).renumbered()
        start = np.zeros(self._coordinates.shape[1]) if start is None else start
        return _minimised(self._coordinates[images], rows, judging, spread, start)
