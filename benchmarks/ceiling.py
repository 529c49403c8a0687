"""An estimate of the best possible accuracy on the benchmark, from calibrated networks trained on ever new pairs.

    python benchmarks/ceiling.py seeds RUN RUN ...          # evaluated runs that differ in their seed
    python benchmarks/ceiling.py passes RUN RUN RUN ...     # evaluated runs that differ in their number of epochs

Let a predictor's probabilities be true. Then it is right about a pair with the probability of its predicted label. The
mean of that needs no labels, and is the self-estimated accuracy. Temperatures are fitted on val (Guo et al. 2017,
equation 9). All figures are of both tests' rows.

What many networks of one kind would reach together is extrapolated from the mean of some. The error due to seeds falls
with one over their number. What one network would reach after ever more epochs is extrapolated by a law: limit + scale
* epochs ** -power (Hestness et al. 2017, arXiv:1712.00409). It is fitted with several powers, since so few runs do not
show which is right.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.special import expit

from twinrank.evaluation.calibration import fit_temperature
from twinrank.evaluation.labelled_rows import LabelledRows
from twinrank.evaluation.metrics import log_loss, share_right
from twinrank.evaluation.predictions import Predictions
from twinrank.runs import RunFolder

TESTS = ("test_public", "test_private")
POWERS = (0.3, 0.4, 0.5, 0.6, 0.7, 1.0)


def figures(name: str, runs: list[RunFolder]) -> np.ndarray:
    """Accuracy, self-estimated accuracy and log-loss of the mean of some networks' logits, printed and returned."""

    def mean(stem: str) -> tuple[np.ndarray, np.ndarray]:
        loaded = [Predictions.load(run.predictions(stem)) for run in runs]
        assert loaded[0].y is not None, f"{runs[0].path}: not evaluated on {stem} with labels"
        return loaded[0].y, np.stack([each.logit for each in loaded]).mean(0, dtype=np.float64)

    chosen_by, logit = mean("val")
    calibrate = fit_temperature(LabelledRows(np.arange(len(logit)).astype(str), chosen_by), logit)
    y, logit = map(np.concatenate, zip(*map(mean, TESTS), strict=True))
    logit = calibrate(logit)
    right, sure = share_right(y, logit), expit(np.abs(logit))
    error = 1.96 * sure.std() / np.sqrt(len(sure))
    loss = log_loss(y, logit)
    print(
        f"{name}: right {right.value:.2%} ({right.low:.2%} to {right.high:.2%}, n = {right.n:,});"
        f" self-estimated {sure.mean():.2%} ({sure.mean() - error:.2%} to {sure.mean() + error:.2%});"
        f" log-loss {loss:.4f}, temperature {calibrate.temperature:.3f}; surer than 99% of {np.mean(sure > 0.99):.1%},"
        f" less sure than 60% of {np.mean(sure < 0.6):.1%}"
    )
    return np.array([right.value, sure.mean(), loss])


def seeds(runs: list[RunFolder]) -> None:
    alone = np.mean([figures(run.path.name, [run]) for run in runs], 0)
    together = figures(f"mean of {len(runs)}", runs)
    right, sure, loss = together - (alone - together) / (len(runs) - 1)
    print(f"mean of many, extrapolated: right {right:.2%}; self-estimated {sure:.2%}; log-loss {loss:.4f}")


def epochs(runs: list[RunFolder]) -> None:
    n = np.array([len(run.read_history()) for run in runs], float)
    values = np.stack([figures(run.path.name, [run]) for run in runs])
    for power in POWERS:
        law = np.stack([np.ones_like(n), n**-power], 1)
        fitted = np.linalg.lstsq(law, values)[0]
        right, sure, loss = fitted[0]
        off = np.abs(law @ fitted - values).max(0)
        print(
            f"ever more epochs, extrapolated with power {power}: right {right:.2%} (fits to {off[0]:.2%});"
            f" self-estimated {sure:.2%} (to {off[1]:.2%}); log-loss {loss:.4f} (to {off[2]:.4f})"
        )


def main() -> None:
    kinds = {"seeds": (seeds, 2), "passes": (epochs, 3)}
    kind, *names = sys.argv[1:] or [""]
    if kind not in kinds or len(names) < kinds[kind][1]:
        sys.exit("give 'seeds' and at least two evaluated runs, or 'passes' and at least three")
    kinds[kind][0]([RunFolder(Path(name)) for name in names])


if __name__ == "__main__":
    main()
