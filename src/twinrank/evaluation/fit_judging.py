"""The model of a judgement fitted to judgements: penalised maximum likelihood, with Laplace intervals."""

from collections.abc import Sequence

import numpy as np

from twinrank.core.messages import quoted
from twinrank.errors import InputError
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.rater_model import RaterModel, maximised, with_intervals


def fit_judging(
    z: np.ndarray,
    y: np.ndarray,
    tie: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    rater: np.ndarray | None = None,
    names: Sequence[str] = (),
    bias: bool = False,
) -> Judging:
    """Fit nu, the sharpness and bias of raters, and the scale of z.

    Row n has u = a_r (scale z_n) + b_r. The fit maximises the log-likelihood less the penalties of the priors: log a_r
    and b_r are shrunk to their means over the raters (:data:`twinrank.evaluation.judging.SHARPNESS_SD`,
    :data:`~twinrank.evaluation.judging.BIAS_SD`). Newton steps use Fisher's information. It is a block for each rater
    with a border of what is common, so a step costs sums over rows.

    Intervals are Laplace's (log a_r, log nu and log scale are normal) and take z as known. So z must come from a
    predictor that was not fitted to these rows. Fitted rows look too easy: the scale comes out too small, and all
    intervals too narrow. Errors of z that differ from image to image flatten all raters alike, which the scale takes
    up. Sharpnesses are relative, and so suffer least.

    Args:
        z: Score of the left image less that of the right, float (N,), in logits.
        y: Share of votes for left, float (N,) in [0, 1].
        tie: Whether the row is a tie, bool (N,), or None.
        weight: Number of votes, float (N,), above 0, or None for one each.
        rater: Number of the rater in ``names``, int (N,); None where raters are not told apart.
        names: Names of the raters, (R,).
        bias: Whether to fit the bias b_r; otherwise it is 0.

    Returns:
        The fitted model. With one rater or none there is only the scale to fit, nu where a row is a tie, and the one
        bias if it is asked for.

    Raises:
        InputError: There are no rows, or values are out of range.

    Example:
        >>> random = np.random.default_rng(0)
        >>> z = random.normal(0, 2, 4000)
        >>> y = (random.random(4000) < 1 / (1 + np.exp(-z))).astype(float)
        >>> bool(abs(fit_judging(z, y).scale - 1) < 0.1)
        True
    """
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    _require(z, y, tie, weight, rater, names)
    weight = np.ones(len(z)) if weight is None else np.asarray(weight, np.float64)
    codes = np.zeros(len(z), np.int64) if rater is None else np.asarray(rater, np.int64)
    ties = tie if tie is not None and np.any(tie) else None
    model = RaterModel(z, y, ties, weight, codes, max(1, len(names)), bias)
    parameters = maximised(model)
    return with_intervals(model, parameters, names if rater is not None else ())


def _require(
    z: np.ndarray,
    y: np.ndarray,
    tie: np.ndarray | None,
    weight: np.ndarray | None,
    rater: np.ndarray | None,
    names: Sequence[str],
) -> None:
    if not len(z):
        raise InputError("there is no judgement to fit to; give one or more")
    for name, value in (("y", y), ("tie", tie), ("weight", weight), ("rater", rater)):
        if value is not None and np.shape(value) != z.shape:
            raise InputError(f"`{name}` has shape {np.shape(value)}, but `z` has {z.shape}; give a value for each row")
    if not np.isfinite(z).all():
        raise InputError("`z` has values that are not finite")
    if not ((y >= 0) & (y <= 1)).all():
        raise InputError("`y` has values outside 0 to 1; it is the share of votes for left")
    if weight is not None and not (np.isfinite(weight) & (np.asarray(weight) > 0)).all():
        raise InputError("`weight` has values that are not above 0; it is the number of votes")
    if rater is not None:
        if not len(names):
            raise InputError("`rater` is given without `names`; give the names of the raters")
        if np.min(rater) < 0 or np.max(rater) >= len(names):
            raise InputError(f"`rater` has numbers outside 0 to {len(names) - 1}; they are places in `names`")
        silent = np.flatnonzero(np.bincount(rater, minlength=len(names)) == 0)
        if len(silent):
            raise InputError(f"`names` has {quoted(names[silent[0]])}, who judged nothing; leave such raters out")
