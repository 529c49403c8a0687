import numpy as np
import pytest
from scipy.optimize import minimize

from twinrank.errors import InputError
from twinrank.evaluation import comparisons as algebra
from twinrank.evaluation.comparisons import Comparisons, Graph, Spread
from twinrank.evaluation.fit_crowd import fit_crowd
from twinrank.evaluation.judging import Judging, log_likelihood
from twinrank.evaluation.score_prior import Prior, fit_prior
from twinrank.evaluation.scores import ScorePosterior, posterior
from twinrank.evaluation.simulate import Crowd, make_crowd, random_pairs, simulate_crowd


def judged(score: np.ndarray, count: int, seed: int, crowd: Crowd | None = None) -> Comparisons:
    """Judgements of uniformly drawn pairs."""
    crowd = crowd or make_crowd(1, 0, spread=0)
    seen = simulate_crowd(score, *random_pairs(len(score), count, seed), crowd, seed)
    return Comparisons(
        seen.left, seen.right, seen.y, seen.tie if crowd.nu else None, None, np.array(crowd.names)[seen.rater]
    )


def covered(scores: ScorePosterior, true: np.ndarray) -> float:
    """Share of the intervals that hold the true score."""
    return float(np.mean((scores.low <= true) & (true <= scores.high)))


def test_the_mode_is_where_the_density_is_greatest() -> None:
    rng = np.random.default_rng(0)
    f, crowd = rng.normal(size=8), make_crowd(3, 0, bias=0.3, nu=0.5)
    rows = judged(f, 40, 1, crowd)
    judging = Judging(
        0.5, (0, 1), 1.0, (1, 1), crowd.names, crowd.sharpness, np.ones((3, 2)), crowd.bias, np.ones((3, 2)), np.ones(3)
    )
    sharpness, bias = judging.of_raters(rows.rater, len(rows))

    def cost(score: np.ndarray) -> float:
        u = sharpness * (score[rows.left] - score[rows.right]) + bias
        return float(
            ((score - 1.2 * f) ** 2).sum() / (2 * 0.8**2) - log_likelihood(u, rows.y, rows.tie, None, 0.5).sum()
        )

    found = posterior(f, Prior(1.2, 0.8), rows, judging)
    # The mean is the mode, shifted by skewness; the shift is small beside a standard deviation.
    best = minimize(cost, np.zeros(8), tol=1e-10).x
    assert np.abs(found.mean - best).max() < 0.2 * found.sd.min()


def test_an_image_that_nobody_judged_keeps_its_prior() -> None:
    f = np.array([0.0, 1.0, 5.0])
    found = posterior(f, Prior(2.0, 0.7), Comparisons(np.array([0]), np.array([1]), np.array([1.0])))
    assert (found.mean[2], found.sd[2]) == (10.0, 0.7)
    assert found.low[2] == pytest.approx(10 - 1.96 * 0.7, abs=1e-3)
    assert found.comparisons.tolist() == [1, 1, 0]
    assert found.rank.tolist() == [3, 2, 1]


def test_without_judgements_there_is_only_the_prior() -> None:
    none = Comparisons(np.zeros(0), np.zeros(0), np.zeros(0))
    found = posterior(np.array([1.0, 2.0]), Prior(1.0, 0.5), none)
    assert found.mean.tolist() == [1.0, 2.0]
    assert found.sd.tolist() == [0.5, 0.5]
    assert (found.rank_low <= found.rank).all()
    assert (found.rank <= found.rank_high).all()


def test_swapping_left_and_right_changes_nothing_and_weights_are_votes() -> None:
    rows = judged(np.random.default_rng(0).normal(size=20), 100, 0)
    swapped = Comparisons(rows.right, rows.left, 1 - rows.y)
    doubled = Comparisons(np.tile(rows.left, 2), np.tile(rows.right, 2), np.tile(rows.y, 2))
    weighted = Comparisons(rows.left, rows.right, rows.y, weight=np.full(100, 2.0))
    plain, other = (posterior(np.zeros(20), Prior(), each) for each in (rows, swapped))
    assert np.allclose(plain.mean, other.mean, atol=1e-5)
    assert np.allclose(plain.sd, other.sd, atol=1e-5)
    plain, other = (posterior(np.zeros(20), Prior(), each) for each in (doubled, weighted))
    assert np.allclose(plain.mean, other.mean, atol=1e-5)
    assert np.array_equal(plain.comparisons, other.comparisons)


def test_who_won_everything_has_more_room_above() -> None:
    n = 6
    rows = Comparisons(np.zeros(n, int), np.arange(1, n + 1), np.ones(n))
    found = posterior(np.zeros(n + 1), Prior(1.0, 2.0), rows)
    assert found.rank[0] == 1
    assert found.high[0] - found.mean[0] > found.mean[0] - found.low[0]


def test_many_images_are_solved_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    f = rng.normal(size=300)
    true = f + rng.normal(size=300)
    rows = judged(true, 3000, 0)
    dense = posterior(f, Prior(), rows)
    fitted = fit_prior(f, rows)
    monkeypatch.setattr(algebra, "_DENSE", 10)
    sparse = posterior(f, Prior(), rows)
    assert np.abs(dense.mean - sparse.mean).max() < 0.02
    assert np.abs(dense.sd / sparse.sd - 1).max() < 0.03
    first, second = random_pairs(300, 500, 1)
    ratio = dense.difference(first, second)[1] / sparse.difference(first, second)[1]
    assert np.abs(ratio - 1).max() < 0.06
    assert fit_prior(f, rows).tau == pytest.approx(fitted.tau, rel=0.03)


def test_covariances_between_compared_images_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = random_pairs(12, 30, 0)
    graph = Graph(left, right, 12)
    precision = graph.precision(np.linspace(0.1, 0.3, 30), 0.5)
    full = np.diag(precision.diagonal) - precision.links.toarray()
    assert np.allclose(precision.solve(np.eye(12), 1e-10), np.linalg.inv(full))
    exact = Spread(precision, None)
    monkeypatch.setattr(algebra, "_DENSE", 1)
    rough = graph.precision(np.linspace(0.1, 0.3, 30), 0.5)
    drawn = Spread(rough, rough.draws(20_000, np.random.default_rng(0)))
    assert np.allclose(exact.of_rows[0], drawn.of_rows[0], atol=0.01)
    assert np.allclose(exact.of_rows[1], drawn.of_rows[1], atol=0.02)


def test_scale_and_tau_are_found() -> None:
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        f = 3 * rng.normal(size=150)
        found.append(fit_prior(f, judged(0.5 * f + rng.normal(0, 0.8, 150), 2500, seed)))
    assert np.mean([each.scale for each in found]) == pytest.approx(0.5, rel=0.05)
    assert np.mean([each.tau for each in found]) == pytest.approx(0.8, rel=0.05)
    assert all(abs(np.log(each.tau / 0.8)) < 3 * each.log_tau_sd for each in found)
    assert all(abs(each.scale - 0.5) < 3.5 * each.scale_sd for each in found)


def test_intervals_cover_the_true_scores() -> None:
    """tau, nu and the raters are fitted. The benchmark benchmarks/scores.py has many more sets."""
    hits, ranks = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        f = rng.normal(size=80)
        true = 1.3 * f + rng.normal(0, 0.8, 80)
        crowd = make_crowd(3, seed, spread=0.3, nu=0.5)
        rows = judged(true, 1200, seed, crowd)
        prior, judging = fit_crowd(f, rows)
        scores = posterior(f, prior, rows, judging)
        unit = np.exp(np.log(crowd.sharpness).mean())
        hits.append(covered(scores, true * unit))
        rank = np.argsort(np.argsort(-true)) + 1
        ranks.append(float(np.mean((scores.rank_low <= rank) & (rank <= scores.rank_high))))
    assert 0.9 < np.mean(hits) < 0.99
    assert 0.9 < np.mean(ranks) < 0.995


def test_parts_that_were_never_compared_are_ranked_without_a_network() -> None:
    rows = Comparisons(np.array([0, 0, 2, 2]), np.array([1, 1, 3, 3]), np.array([1.0, 1, 0, 0]))
    prior = fit_prior(np.zeros(5), rows)
    assert prior.scale == 1
    found = posterior(np.zeros(5), prior, rows)
    assert found.mean[0] > found.mean[4] == 0 > found.mean[1]
    assert found.mean[3] > 0 > found.mean[2]


def test_the_same_seed_gives_the_same_scores() -> None:
    rows = judged(np.linspace(-1, 1, 30), 200, 0)
    one, other = (posterior(np.zeros(30), Prior(), rows, seed=4) for _ in range(2))
    assert np.array_equal(one.draws, other.draws)
    assert np.array_equal(one.rank_low, other.rank_low)


def test_the_prior_survives_json_and_bent_values_are_named() -> None:
    prior = Prior(1.2, 0.7, 0.1, 0.2, 300)
    assert Prior.from_json(prior.as_json(), "judging.json") == prior
    with pytest.raises(InputError, match=r"judging.json: `scale` is .*`tau` above 0"):
        Prior.from_json(prior.as_json() | {"tau": 0}, "judging.json")
    with pytest.raises(InputError, match=r"judging.json.*'tau'"):
        Prior.from_json(prior.as_json() | {"tau": "x"}, "judging.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"right": np.array([0, 2])}, "row 0 compares image 0 with itself"),
        ({"y": np.array([1.0, 1.5])}, "`y` has values outside"),
        ({"weight": np.array([1.0, 0.0])}, "`weight`"),
        ({"tie": np.array([True])}, "`tie` has shape"),
        ({"left": np.array([0, -1])}, "below 0"),
    ],
)
def test_bent_comparisons_are_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Comparisons(**{"left": np.array([0, 1]), "right": np.array([1, 2]), "y": np.array([1.0, 0.0])} | change)


def test_scores_that_do_not_fit_are_refused() -> None:
    rows = Comparisons(np.array([0]), np.array([3]), np.array([1.0]))
    with pytest.raises(InputError, match="there are 2 images"):
        posterior(np.zeros(2), Prior(), rows)
    with pytest.raises(InputError, match="finite score"):
        posterior(np.array([0, np.nan, 0, 0]), Prior(), rows)
    with pytest.raises(InputError, match="no judgement"):
        fit_prior(np.zeros(3), rows.select(np.zeros(1, bool)))
