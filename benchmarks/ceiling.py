"""What no method can beat on the benchmark, as calibrated networks estimate it that were trained on pairs without end.

Run as ``python benchmarks/ceiling.py RUN RUN ...`` with evaluated runs of one kind that differ in their seed. A judge
whose probabilities are true is right about a pair as often as the more probable answer is: the mean of that needs no
labels, and is its self-estimated accuracy. Temperatures are fitted on val (Guo et al. 2017, equation 9); all figures
are of both tests' rows. What several networks of one kind would reach together is extrapolated from their mean: the
part of a metric that seeds are to blame for falls with one over their number.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.special import expit

from twinrank.evaluation.calibration import fit_temperature
from twinrank.evaluation.metrics import log_loss, share_right
from twinrank.evaluation.predictions import Predictions
from twinrank.runs import RunFolder

TESTS = ("test_public", "test_private")


def figures(name: str, runs: list[RunFolder]) -> np.ndarray:
    """Accuracy, self-estimated accuracy and log-loss of the mean of some networks' logits, printed and returned."""

    def mean(stem: str) -> tuple[np.ndarray, np.ndarray]:
        said = [Predictions.load(run.predictions(stem)) for run in runs]
        assert said[0].y is not None, f"{runs[0].path}: not evaluated on {stem} with labels"
        return said[0].y, np.stack([each.logit for each in said]).mean(0, dtype=np.float64)

    calibrate = fit_temperature(*mean("val"))
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


def main() -> None:
    runs = [RunFolder(Path(name)) for name in sys.argv[1:]]
    if len(runs) < 2:
        sys.exit("name two evaluated runs or more")
    alone = np.mean([figures(run.path.name, [run]) for run in runs], 0)
    together = figures(f"mean of {len(runs)}", runs)
    right, sure, loss = together - (alone - together) / (len(runs) - 1)
    print(f"mean of many, extrapolated: right {right:.2%}; self-estimated {sure:.2%}; log-loss {loss:.4f}")


if __name__ == "__main__":
    main()
