"""What no method can beat on the benchmark, as calibrated networks estimate it that were trained on pairs without end.

Run as ``python benchmarks/ceiling.py seeds RUN RUN ...`` with evaluated runs of one kind that differ in their seed, or
as ``python benchmarks/ceiling.py passes RUN RUN RUN ...`` with runs that differ in their number of passes. A judge
whose probabilities are true is right about a pair as often as the more probable answer is: the mean of that needs no
labels, and is its self-estimated accuracy. Temperatures are fitted on val (Guo et al. 2017, equation 9); all figures
are of both tests' rows. What several networks of one kind would reach together is extrapolated from their mean: the
part of a metric that seeds are to blame for falls with one over their number. What one network would reach after passes
without end is extrapolated by the law limit + scale * passes ** -power (Hestness et al. 2017, arXiv:1712.00409), for
several powers, since so few runs cannot tell which is true.
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
POWERS = (0.3, 0.4, 0.5, 0.6, 0.7, 1.0)


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


def seeds(runs: list[RunFolder]) -> None:
    alone = np.mean([figures(run.path.name, [run]) for run in runs], 0)
    together = figures(f"mean of {len(runs)}", runs)
    right, sure, loss = together - (alone - together) / (len(runs) - 1)
    print(f"mean of many, extrapolated: right {right:.2%}; self-estimated {sure:.2%}; log-loss {loss:.4f}")


def passes(runs: list[RunFolder]) -> None:
    n = np.array([len(run.read_history()) for run in runs], float)
    values = np.stack([figures(run.path.name, [run]) for run in runs])
    for power in POWERS:
        law = np.stack([np.ones_like(n), n**-power], 1)
        fitted = np.linalg.lstsq(law, values)[0]
        right, sure, loss = fitted[0]
        off = np.abs(law @ fitted - values).max(0)
        print(
            f"passes without end, extrapolated with power {power}: right {right:.2%} (fits to {off[0]:.2%});"
            f" self-estimated {sure:.2%} (to {off[1]:.2%}); log-loss {loss:.4f} (to {off[2]:.4f})"
        )


def main() -> None:
    kinds = {"seeds": (seeds, 2), "passes": (passes, 3)}
    kind, *names = sys.argv[1:] or [""]
    if kind not in kinds or len(names) < kinds[kind][1]:
        sys.exit("say 'seeds' and two evaluated runs or more, or 'passes' and three")
    kinds[kind][0]([RunFolder(Path(name)) for name in names])


if __name__ == "__main__":
    main()
