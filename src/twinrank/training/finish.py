"""What a finished training leaves besides its weights: a panel of images, and how people judged."""

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
from twinrank.inference.scores import panel_of
from twinrank.models.comparators import LatentOrder
from twinrank.runs import RunFolder


def finish(run: RunFolder, train: Judgements, val: Judgements, config: TrainConfig) -> str | None:
    """Write what scores and probabilities need later, from the best weights.

    - ``panel.npz``: features of a panel of training images. Networks with latent levels need none.
    - ``score_prior.json``: how far scores lie from the network's, fitted to ``val``. It is written where an image
      occurs in several judgements; else the two could not be told apart.
    - ``judging.json``: ties and raters, fitted to the logits of ``val``. It is written where there is more to fit than
      labels.
    - ``calibration.json``: from logits to probabilities, fitted to ``val``, too. It is written beside either.

    Args:
        run: Finished run.
        train: Judgements that were fitted.
        val: Judgements that chose the epoch.
        config: Training values.

    Returns:
        A warning where the predictions of ``val`` are no better than chance, else None.

    Raises:
        InputError: A file cannot be written.
    """
    network = Network(run)
    if not isinstance(network.model.comparator, LatentOrder):
        panel = panel_of(network.model, train.images, numpy_generator(config.seed, "panel"))
        write_npz(run.panel, {"features": panel.cpu().numpy()})
    logit, nu = network.logits(val).astype(np.float64), 0.0
    assert val.y is not None
    judged = val.tie is not None or val.rater is not None or config.rater_bias
    if judged:
        write_json(run.judging, _judging(logit, val, config).as_json())
    if judged or val.recurring:
        calibration = fit_votes(logit, val.y, val.tie, val.weight, val.image_codes)
        calibration.save(run.calibration)
        logit, nu = calibration.logits(logit), calibration.nu
    if val.recurring:
        judging = Judging.load(run.judging) if run.judging.is_file() else None
        prior = fit_prior(network.scores(val.images), as_comparisons(val), judging, config.seed)
        write_json(run.score_prior, prior.as_json())
    return _chance_warning(logit, val, nu)


def _judging(logit: np.ndarray, val: Judgements, config: TrainConfig) -> Judging:
    names, rater = (), None
    if val.rater is not None:
        names, rater = np.unique(val.rater, return_inverse=True)
    assert val.y is not None
    return fit_judging(logit, val.y, val.tie, val.weight, rater, [str(name) for name in names], config.rater_bias)


def _chance_warning(logit: np.ndarray, val: Judgements, nu: float) -> str | None:
    assert val.y is not None
    votes, images = {"tie": val.tie, "weight": val.weight}, val.image_codes if val.recurring else None
    found = chance_warning(
        share_right(val.y, logit, images=images, **votes),
        log_loss(val.y, logit, **votes, nu=nu),
        constant_log_loss(val.tie if nu else None, val.weight),
    )
    return None if found is None else f"warning: {val.path}: {found}"
