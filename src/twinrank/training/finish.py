"""What a finished training leaves besides its weights: a panel of images, and how people judged."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from twinrank.config import TrainConfig
from twinrank.core.files import write_json, write_npz
from twinrank.core.randomness import numpy_generator
from twinrank.data.judgements import Judgements
from twinrank.evaluation.chance import chance_warning, constant_log_loss
from twinrank.evaluation.fit_judging import fit_judging
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.metrics import log_loss, share_right
from twinrank.evaluation.score_prior import fit_prior
from twinrank.evaluation.vote_calibration import fit_votes
from twinrank.inference.judged import as_comparisons
from twinrank.inference.network import Network
from twinrank.inference.out_of_fold import OutOfFold
from twinrank.inference.scores import panel_of, scores_by_itself
from twinrank.inference.simple_feature import Examined, compared_with_rule, write_rule
from twinrank.models.comparators import LinearScore, MixedHead
from twinrank.runs import RunFolder


def finish(run: RunFolder, train: Judgements, val: Judgements | None, config: TrainConfig) -> list[str]:
    """Write what scores and probabilities need later, from the best weights.

    - ``panel.npz``: features of a panel of training images. Networks with latent levels need none.
    - ``score_prior.json``: how far scores lie from the network's, fitted to ``val``. It is written where an image
      occurs in several judgements; else the two could not be told apart.
    - ``judging.json``: ties and raters, fitted to the logits of ``val``. It is written where there is more to fit than
      labels.
    - ``calibration.json``: from logits to probabilities, fitted to ``val``, too. It is written beside either.
    - ``simple_rule.json``: the best rule on one simple feature. It is written for people's own images.

    Args:
        run: Finished run.
        train: Judgements that were fitted.
        val: Judgements that chose the epoch. A head that is fitted has out-of-fold predictions of ``train`` in their
            place.
        config: Training values.

    Returns:
        Warnings where the predictions of ``val`` are no better than chance, or than the simple rule.

    Raises:
        InputError: A file cannot be written.
    """
    network = Network(run)
    if not scores_by_itself(network.model):
        panel = panel_of(network.model, train.images, numpy_generator(config.seed, "panel"))
        write_npz(run.panel, {"features": panel.cpu().numpy()})
    if isinstance(network.model.comparator, LinearScore | MixedHead):
        unseen = _out_of_fold(run, train)
    else:
        assert val is not None
        unseen = _Unseen(val, network.logits(val).astype(np.float64), lambda: network.scores(val.images))
    examined = write_rule(run, train)
    return _fit_to_unseen(run, unseen, config, examined if unseen.rows is train else None)


class _Unseen(NamedTuple):
    """Judgements with logits and scores of networks that were not fitted to them."""

    rows: Judgements
    logit: np.ndarray
    scores: Callable[[], np.ndarray]


def _out_of_fold(run: RunFolder, train: Judgements) -> _Unseen:
    """The fitted rows, as heads saw them that were fitted without them."""
    kept = OutOfFold.load(run.out_of_fold)
    judged = np.unique(np.concatenate([train.left, train.right]))
    scores = np.zeros(len(train.images))
    scores[judged] = kept.of_images(train.images.hashes[judged])
    return _Unseen(train, kept.logit.astype(np.float64), lambda: scores)


def _fit_to_unseen(run: RunFolder, unseen: _Unseen, config: TrainConfig, examined: Examined | None) -> list[str]:
    rows, logit, nu = unseen.rows, unseen.logit, 0.0
    assert rows.y is not None
    judged = rows.tie is not None or rows.rater is not None or config.rater_bias
    if judged:
        write_json(run.judging, _judging(logit, rows, config).as_json())
    if judged or rows.recurring:
        calibration = fit_votes(logit, rows.y, rows.tie, rows.weight, rows.image_codes)
        calibration.save(run.calibration)
        logit, nu = calibration.logits(logit), calibration.nu
    if rows.recurring:
        judging = Judging.load(run.judging) if run.judging.is_file() else None
        prior = fit_prior(unseen.scores(), as_comparisons(rows), judging, config.seed)
        write_json(run.score_prior, prior.as_json())
    simple = compared_with_rule(run, rows, logit, examined).get("warning")
    found = [each for each in (_chance_warning(logit, rows, nu), simple) if each is not None]
    return [f"warning: {rows.path}: {each}" for each in found]


def _judging(logit: np.ndarray, val: Judgements, config: TrainConfig) -> Judging:
    names, rater = (), None
    if val.rater is not None:
        names, rater = np.unique(val.rater, return_inverse=True)
    assert val.y is not None
    return fit_judging(logit, val.y, val.tie, val.weight, rater, [str(name) for name in names], config.rater_bias)


def _chance_warning(logit: np.ndarray, val: Judgements, nu: float) -> str | None:
    assert val.y is not None
    votes, images = {"tie": val.tie, "weight": val.weight}, val.image_codes if val.recurring else None
    return chance_warning(
        share_right(val.y, logit, images=images, **votes),
        log_loss(val.y, logit, **votes, nu=nu),
        constant_log_loss(val.tie if nu else None, val.weight),
    )
