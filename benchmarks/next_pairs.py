"""How many judgements the chosen pairs save against random ones, for the same rank correlation with the true scores.

``python -m benchmarks.next_pairs [SETS]`` prints a line for each setting. Both ways refit the prior of the scores after
every batch. Random choice spends ten or twenty judgements for each image. The line has the judgements that the chosen
pairs need for the Kendall correlation that random choice then has, from curves that are means over the sets. It also
has how much more information about the scores the closest pairs carry than random ones. Who knows the true scores could
save no more than that on the errors of the scores.
"""

import sys
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.judging import Judging, slopes
from twinrank.evaluation.next_pairs import next_pairs
from twinrank.evaluation.score_prior import fit_prior
from twinrank.evaluation.scores import posterior
from twinrank.evaluation.simulate import make_crowd, random_pairs, simulate_crowd

_BATCHES = 25


@dataclass(frozen=True)
class Setting:
    """A simulated set.

    Attributes:
        images: Number of images.
        spread: Standard deviation of the true scores, in logits.
        network: Correlation of the network's scores with the true ones; 0 without a network.
        nu: Davidson's nu.
        each: Judgements for each image that random choice spends.
    """

    images: int
    spread: float
    network: float
    nu: float
    each: int


SETTINGS = (
    Setting(100, 1.0, 0.0, 0.0, 10),
    Setting(100, 2.0, 0.0, 0.0, 10),
    Setting(100, 4.0, 0.0, 0.0, 10),
    Setting(100, 4.0, 0.0, 0.5, 10),
    Setting(100, 4.0, 0.0, 0.0, 20),
    Setting(100, 8.0, 0.0, 0.0, 10),
    Setting(100, 2.0, 0.8, 0.0, 10),
    Setting(100, 4.0, 0.8, 0.0, 20),
    Setting(100, 8.0, 0.8, 0.0, 10),
)


def curve(setting: Setting, seed: int, chosen: bool) -> np.ndarray:
    """Kendall correlation after each batch, float64 (B + 1,)."""
    random = np.random.default_rng(seed)
    images, share = setting.images, setting.network
    shared, own = random.standard_normal((2, images))
    true = setting.spread * (share * shared + np.sqrt(1 - share**2) * own)
    f = shared if share else np.zeros(images)
    crowd, judging = make_crowd(1, 0, spread=0, nu=setting.nu), Judging(nu=setting.nu)
    size = images * setting.each // _BATCHES
    rows = Comparisons(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, bool))
    found = []
    for batch in range(_BATCHES + 1):
        prior = fit_prior(f, rows, judging) if len(rows) else None
        first = prior is None
        scores = None if first else posterior(f, prior, rows, judging, seed)
        found.append(kendalltau(f if scores is None else scores.mean, true)[0] if share or not first else 0.0)
        pairs = random_pairs(images, size, 1000 * seed + batch)
        if chosen and scores is not None:
            best = next_pairs(scores, size, share_random=0.1, seed=batch)
            pairs = best.left, best.right
        seen = simulate_crowd(true, *pairs, crowd, 1000 * seed + batch)
        rows = Comparisons(
            np.concatenate([rows.left, seen.left]),
            np.concatenate([rows.right, seen.right]),
            np.concatenate([rows.y, seen.y]),
            np.concatenate([rows.tie, seen.tie]),  # pyright: ignore[reportArgumentType, reportCallIssue]
        )
    return np.array(found)


def saved(setting: Setting, sets: int) -> tuple[float, float, float]:
    """Kendall correlation that random choice reaches, its judgements, and those that the chosen pairs need for it."""
    usual, best = (np.mean([curve(setting, seed, chosen) for seed in range(sets)], 0) for chosen in (False, True))
    spent = np.linspace(0, setting.images * setting.each, _BATCHES + 1)
    goal = usual[-1]
    after = int(np.argmax(best >= goal)) if (best >= goal).any() else len(best) - 1
    part = (goal - best[after - 1]) / max(best[after] - best[after - 1], 1e-9)
    return goal, spent[-1], float(spent[after - 1] + min(part, 1.0) * (spent[after] - spent[after - 1]))


def most_saved(setting: Setting, pairs: int = 100_000) -> float:
    """Expected curvature of the log-likelihood at a difference of 0, over that of random pairs."""
    difference = setting.spread * np.sqrt(2) * np.random.default_rng(0).standard_normal(pairs)
    at_zero, at_random = (slopes(z, np.zeros(len(z)), None, setting.nu)[1].mean() for z in (np.zeros(1), difference))
    return float(at_zero / at_random)


def main(sets: int) -> None:
    """Print a line for each setting."""
    for setting in SETTINGS:
        goal, usual, needed = saved(setting, sets)
        times = f"{usual / needed:.2f} times as many (close pairs carry {most_saved(setting):.2f} times as much)"
        print(f"{setting}: Kendall {goal:.3f} after {needed:.0f} chosen or {usual:.0f} random: {times}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
