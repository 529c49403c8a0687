"""Whether intervals keep their word: simulated crowds judge images whose scores are known.

``python -m benchmarks.scores [SETS]`` prints, for each setting, the share of the 95% intervals that hold the truth:
those of scores and of ranks (over all images and sets), and those of nu, sharpness and bias. For the last ones it also
prints the least: the share of the sets for the one parameter that is missed most often. Everything is fitted: tau, the
scale, nu and the raters. In the first setting the scores are known, and only raters and nu are fitted.

``python -m benchmarks.scores time`` times a million judgements of 100,000 images.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np

from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.fit_crowd import fit_crowd
from twinrank.evaluation.fit_judging import fit_judging
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.score_prior import fit_prior
from twinrank.evaluation.scores import posterior
from twinrank.evaluation.simulate import make_crowd, random_pairs, simulate_crowd

_SCALE, _NU, _BIAS, _SPREAD = 1.3, 0.5, 0.3, 0.5


@dataclass(frozen=True)
class Setting:
    """A simulated set.

    Attributes:
        images: Number of images.
        judgements: Number of judgements.
        raters: Number of raters.
        network: Whether there are network scores; the true scores lie around 1.3 times these.
        tau: Standard deviation of the true scores around the network's, or around 0.
        known: Whether the fit of the raters knows the true scores.
    """

    images: int
    judgements: int
    raters: int
    network: bool
    tau: float
    known: bool = False


SETTINGS = (
    Setting(150, 1500, 10, True, 0.8, known=True),
    Setting(150, 1500, 10, True, 0.8),
    Setting(150, 3000, 10, True, 0.8),
    Setting(150, 1500, 10, False, 1.5),
    Setting(60, 2000, 10, False, 1.5),
)


def covered(setting: Setting, seed: int) -> dict[str, np.ndarray]:
    """Whether each interval of one set holds the truth, by kind of parameter, bool (P,)."""
    random = np.random.default_rng(seed)
    f = random.standard_normal(setting.images) * setting.network
    crowd = make_crowd(setting.raters, seed, spread=_SPREAD, bias=_BIAS, nu=_NU)
    # Scores are in the unit in which the mean log sharpness is 0.
    unit = float(np.exp(np.log(crowd.sharpness).mean()))
    true = _SCALE * f + setting.tau * random.standard_normal(setting.images)
    seen = simulate_crowd(true, *random_pairs(setting.images, setting.judgements, seed), crowd, seed)
    names = np.array(crowd.names)
    rows = Comparisons(seen.left, seen.right, seen.y, seen.tie, None, names[seen.rater])
    found: dict[str, np.ndarray] = {}
    if setting.known:
        z = true[seen.left] - true[seen.right]
        judging = fit_judging(z, seen.y, seen.tie, None, seen.rater, crowd.names, bias=True)
    else:
        prior, judging = fit_crowd(f, rows, bias=True, seed=seed)
        scores = posterior(f, prior, rows, judging, seed)
        found["score"] = (scores.low <= true * unit) & (true * unit <= scores.high)
        rank = np.argsort(np.argsort(-true)) + 1
        found["rank"] = (scores.rank_low <= rank) & (rank <= scores.rank_high)
    found["nu"] = _within(np.array([_NU]), np.array([judging.nu_interval]))
    found["sharpness"] = _within(crowd.sharpness / unit, judging.sharpness_interval)
    found["bias"] = _within(crowd.bias, judging.bias_interval)
    return found


def _within(true: np.ndarray, interval: np.ndarray) -> np.ndarray:
    return (interval[:, 0] <= true) & (true <= interval[:, 1])


def timed(images: int = 100_000, judgements: int = 1_000_000) -> tuple[float, float]:
    """Seconds for the prior, and for the posterior, of many judgements."""
    random = np.random.default_rng(0)
    f = random.standard_normal(images)
    true = 1.3 * f + 0.8 * random.standard_normal(images)
    seen = simulate_crowd(true, *random_pairs(images, judgements, 0), make_crowd(1, 0, spread=0, nu=0.5), 0)
    rows, judging = Comparisons(seen.left, seen.right, seen.y, seen.tie), Judging(nu=0.5)
    start = time.process_time()
    prior = fit_prior(f, rows, judging)
    middle = time.process_time()
    posterior(f, prior, rows, judging)
    return middle - start, time.process_time() - middle


def main(sets: int) -> None:
    """Print a line for each setting."""
    for setting in SETTINGS:
        each = [covered(setting, seed) for seed in range(sets)]
        parts = []
        for name in each[0]:
            values = np.stack([found[name] for found in each])
            least = "" if name in ("score", "rank") else f" (least {values.mean(0).min():.2f})"
            parts.append(f"{name} {values.mean():.3f}{least}")
        print(f"{setting}: {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["time"]:
        print("processor seconds for prior and posterior: {:.1f} and {:.1f}".format(*timed()))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
