"""Scores that are linear in features of images, fitted to judgements to the optimum, with a ridge that is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, diags_array

from twinrank.errors import InputError
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.fit_judging import fit_judging
from twinrank.evaluation.judging import Judging, log_likelihood
from twinrank.evaluation.penalised import Penalised, Votes
from twinrank.evaluation.principal_axes import PrincipalAxes

SPREADS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Standard deviations of scores, in logits, that a prior may give them. The ridge is one over their square."""
_STACKED_SPREAD = 1.0
"""Of the weight of a block in the sum of blocks."""
_MOST_FOR_AXES = 10_000
"""Most images that axes are found from; of more images, these are evenly spaced."""
_MANY = 100_000
"""Number of judgements above which the spread of a block is chosen in the first round alone."""
_ROUNDS = 3
"""Rounds of scores and raters at most."""
_CLOSE = 0.05
"""Change of a log sharpness or of log nu below which the rounds end."""


@dataclass(frozen=True, eq=False)
class FoldMasks:
    """Which judgements cross-validation fits and predicts.

    Attributes:
        fold: Fold that predicts each judgement, int (N,), 0 to K - 1.
        fitted: Judgements that share no image with those of a fold, bool (K, N).
    """

    fold: np.ndarray
    fitted: np.ndarray


class Block(NamedTuple):
    """Scores s(x) = (x - mean) @ weight of a block of features.

    Attributes:
        mean: Features of an image whose score is 0, float32 (F,).
        weight: Weights, float32 (F,), times the weight of the block in the sum of blocks.
        spread: Spread that was chosen, in logits.
        log_loss: Out-of-fold log-loss of the block by itself.
        share: Weight of the block in the sum.
    """

    mean: np.ndarray
    weight: np.ndarray
    spread: float
    log_loss: float
    share: float


@dataclass(frozen=True, eq=False)
class LinearScores:
    """Scores that are the sum of those of blocks of features, in logits.

    Attributes:
        blocks: The blocks.
        judging: How people judge, fitted to out-of-fold scores; its scale is in the weights already, and 1.
        out_of_fold: Difference of the scores of left and right, float64 (N,), scaled alike. Each is predicted by
            scores that were fitted without both images.
        unseen: Scores of the images, float64 (M,), scaled alike: the mean of those that were fitted without the image;
            NaN for an image that was not judged, or was fitted in every fold.
        log_loss: Out-of-fold log-loss of the judgements, in nats a vote.
    """

    blocks: list[Block]
    judging: Judging
    out_of_fold: np.ndarray
    unseen: np.ndarray
    log_loss: float


def fit_linear_scores(
    blocks: Sequence[np.ndarray],
    comparisons: Comparisons,
    folds: FoldMasks,
    spreads: Sequence[float] = SPREADS,
    seed: int = 0,
) -> LinearScores:
    """Fit scores to judgements by penalised maximum likelihood.

    The model is Bradley and Terry's with ties and raters, see :mod:`twinrank.evaluation.judging`. Each block of
    features has scores of its own. Given the raters they are a convex problem, which L-BFGS solves to its optimum.
    Their spread is the one of least out-of-fold log-loss. The sum of the blocks is weighted by what their out-of-fold
    scores tell together (stacking, Wolpert 1992), with weights of at least 0 (Breiman 1996, Stacked regressions). Ties
    and raters are fitted to out-of-fold scores. Scores and raters take turns until the raters stay.

    The judged images of one block at a time are brought to R principal axes, float32 (J, R). For up to 3,000 images or
    features these are all axes, else the 1,024 leading ones. They are found from 10,000 images at most, evenly spaced.
    Besides the features, memory holds 4 J R bytes, about 10 bytes a judgement for each fold, and 10 for each block.
    With more than 100,000 judgements, spreads are chosen in the first round, before raters and ties are known.

    Args:
        blocks: Blocks of features of M images, float (M, F) each, such as those of one stage of a network. They may be
            views of one array and overlap, in half precision, or memory maps.
        comparisons: N judgements of these images.
        folds: Folds of images for cross-validation.
        spreads: Spreads to choose from, ascending.
        seed: Root seed.

    Raises:
        InputError: A fold leaves nothing to fit.

    Example:
        >>> random = np.random.default_rng(0)
        >>> features, left, right = random.normal(size=(60, 3)), *random.integers(0, 30, (2, 900))
        >>> rows = Comparisons(left, right + 30, features[left, 0] > features[right + 30, 0])
        >>> fitted = np.stack([left % 3 != fold for fold in range(3)])
        >>> (block,) = fit_linear_scores([features], rows, FoldMasks(left % 3, fitted)).blocks
        >>> bool(block.weight[0] > 10 * abs(block.weight[1:]).max())
        True
    """
    if not folds.fitted.any(1).all():
        raise InputError("a fold leaves no judgement to fit; give more judgements of different images")
    images, rows = comparisons.renumbered()
    sample = images[np.linspace(0, len(images) - 1, min(len(images), _MOST_FOR_AXES)).astype(np.int64)]
    axes = [PrincipalAxes.of(block[sample], seed) for block in blocks]
    fits = [_Block(block, images, each) for block, each in zip(blocks, axes, strict=True)]
    chosen, shares, judging, log_loss = _taken_in_turns(fits, rows, folds, spreads)
    unseen = np.full(len(blocks[0]), np.nan)
    unseen[images] = np.stack([block.unseen for block in chosen], 1) @ shares
    out_of_fold = np.stack([block.out_of_fold for block in chosen], 1) @ shares
    found = [
        Block(one.mean, one.weights(share * best.weights[:, -1]), best.spread, best.log_loss, float(share))
        for one, best, share in zip(axes, chosen, shares, strict=True)
    ]
    return LinearScores(found, judging, out_of_fold, unseen, log_loss)


def stacked(each: np.ndarray, rows: Comparisons, judging: Judging) -> np.ndarray:
    """Weights of scores in their sum, float64 (B,), each at least 0: those that predict the judgements best.

    Args:
        each: Out-of-fold differences of B scores, float (N, B), in logits.
        rows: N judgements.
        judging: How people judge.
    """
    count = each.shape[1]
    if count == 1:
        return np.ones(1)
    sharpness, _ = judging.of_raters(rows.rater, len(rows))
    votes = _votes(rows, np.ones((len(rows), 1), bool), judging.nu)
    problem = Penalised(np.asarray(each, np.float32), diags_array(sharpness.astype(np.float32)).tocsr(), votes)
    return problem.weights(_STACKED_SPREAD, np.full((count, 1), 1 / count), stacked=True)[:, 0]


def log_loss_of(z: np.ndarray, rows: Comparisons, judging: Judging) -> float:
    """Log-loss of judgements by differences of scores, in nats a vote.

    Args:
        z: Score of the left image less that of the right, float (N,), in logits.
        rows: N judgements.
        judging: How people judge.
    """
    sharpness, bias = judging.of_raters(rows.rater, len(rows))
    return _log_loss(sharpness * z + bias, rows, judging.nu)


class _Block(NamedTuple):
    """A block of features (M, F), the J images that are judged, and the principal axes of these."""

    features: np.ndarray
    images: np.ndarray
    axes: PrincipalAxes


class _Chosen(NamedTuple):
    """A spread of a block: its out-of-fold log-loss, differences (N,), and scores of the images (J,).

    The weights (R, K + 1) of the coordinates are fitted to each of K folds, and the last ones to all judgements.
    """

    spread: float
    log_loss: float
    out_of_fold: np.ndarray
    unseen: np.ndarray
    weights: np.ndarray


def _taken_in_turns(
    blocks: Sequence[_Block], rows: Comparisons, folds: FoldMasks, spreads: Sequence[float]
) -> tuple[list[_Chosen], np.ndarray, Judging, float]:
    """Blocks, the weights of their sum, and how people judge, each fitted given the others; and the log-loss."""
    names, codes = _raters(rows)
    crowd, judging, rounds = bool(names) or (rows.tie is not None and bool(rows.tie.any())), Judging(), 0
    chosen: list[_Chosen] = []
    while True:
        before, rounds = judging, rounds + 1
        validation = _CrossValidation(rows, folds, _sharpness(judging, codes, len(rows)), judging.nu)
        chosen = [validation.best(block, spreads, earlier) for block, earlier in zip_longest(blocks, chosen)]
        each = np.stack([block.out_of_fold for block in chosen], 1)
        shares = stacked(each, rows, judging)
        judging = fit_judging(each @ shares, rows.y, rows.tie, rows.weight, codes, names)
        if not crowd or rounds == _ROUNDS or _same(before, judging):
            # The scale belongs to the scores from now on.
            shares, judging = judging.scale * shares, replace(judging, scale=1.0, scale_interval=(1.0, 1.0))
            return chosen, shares, judging, log_loss_of(each @ shares, rows, judging)


class _CrossValidation:
    """Fits of blocks to N judgements of J images, given how people judge.

    Args:
        rows: Judgements.
        folds: Folds.
        sharpness: Sharpness of the rater of each judgement, float64 (N,).
        nu: Davidson's nu.
    """

    def __init__(self, rows: Comparisons, folds: FoldMasks, sharpness: np.ndarray, nu: float) -> None:
        self._rows, self._folds, self._sharpness, self._nu = rows, folds, sharpness, nu
        order, sides = np.tile(np.arange(len(rows)), 2), np.concatenate([rows.left, rows.right])
        self._seen = csr_array((np.concatenate([sharpness, -sharpness]).astype(np.float32), (order, sides)))
        self._fitted = np.concatenate([folds.fitted, np.ones((1, len(rows)), bool)]).T.copy()
        self._unseen = abs(self._seen).T @ self._fitted[:, :-1].astype(np.float32) == 0

    def best(self, block: _Block, spreads: Sequence[float], earlier: _Chosen | None) -> _Chosen:
        """The spread of a block with the least out-of-fold log-loss.

        Args:
            block: Block of features.
            spreads: Spreads to choose from, ascending.
            earlier: What was chosen in the round before.
        """
        rows, found = self._rows, list[_Chosen]()
        coordinates = block.axes.coordinates(block.features, block.images)
        problem = Penalised(coordinates, self._seen, _votes(rows, self._fitted, self._nu))
        weights, times = np.zeros((coordinates.shape[1], self._fitted.shape[1])), self._unseen.sum(1)
        if earlier is not None:
            weights, spreads = earlier.weights, spreads if len(rows) <= _MANY else (earlier.spread,)
        for spread in spreads:
            # From the strongest penalty on, each fit begins where the last one ended.
            weights = problem.weights(spread, weights)
            score = coordinates @ weights[:, :-1].astype(np.float32)
            out_of_fold = score[rows.left, self._folds.fold] - score[rows.right, self._folds.fold]
            mean = np.where(times > 0, (score * self._unseen).sum(1) / np.maximum(times, 1), np.nan)
            found.append(
                _Chosen(spread, _log_loss(self._sharpness * out_of_fold, rows, self._nu), out_of_fold, mean, weights)
            )
            if len(found) > 1 and found[-1].log_loss > found[-2].log_loss:
                break
        return min(found, key=lambda each: each.log_loss)


def _votes(rows: Comparisons, fitted: np.ndarray, nu: float) -> Votes:
    """Judgements for fits to some of them, bool (N, K)."""
    tie = None if rows.tie is None else rows.tie[:, None]
    return Votes(rows.y[:, None], tie, rows.votes[:, None].astype(np.float32), fitted, nu)


def _raters(rows: Comparisons) -> tuple[list[str], np.ndarray | None]:
    """Names of the raters, and each row's place among them; none where there is one kind of rater."""
    if rows.rater is None:
        return [], None
    names, codes = np.unique(rows.rater, return_inverse=True)
    return [str(name) for name in names], codes


def _sharpness(judging: Judging, codes: np.ndarray | None, count: int) -> np.ndarray:
    """Sharpness of the rater of each judgement, float64 (N,); nobody has a bias here."""
    return np.ones(count) if codes is None or not judging.raters else judging.sharpness[codes]


def _same(one: Judging, other: Judging) -> bool:
    """Whether raters and ties hardly differ."""
    if one.raters != other.raters or (one.nu > 0) != (other.nu > 0):
        return False
    changes = [np.abs(np.log(one.sharpness / other.sharpness)).max(initial=0.0)]
    if one.nu:
        changes.append(abs(np.log(one.nu / other.nu)))
    return max(changes) < _CLOSE


def _log_loss(u: np.ndarray, rows: Comparisons, nu: float) -> float:
    """Log-loss of judgements by what their raters see, in nats a vote."""
    likelihood = log_likelihood(u, rows.y, rows.tie, rows.votes, nu)
    return -float(likelihood.sum() / rows.votes.sum())
