import numpy as np
import torch

from twinrank.data.batches import Batch, Targets
from twinrank.evaluation.judging import log_likelihood
from twinrank.training.judging import JudgementModel, tie_weight

RATERS = ("careless", "sharp", "sharper")
SHARPNESS = np.array([0.1, 2.0, 4.0])
NU = 0.7


def observed(rows: int, seed: int = 0) -> tuple[np.ndarray, Batch]:
    """Logits, and what three raters make of such pairs."""
    generator = np.random.default_rng(seed)
    logit, rater = generator.normal(0, 1.5, rows), generator.integers(0, 3, rows)
    u = SHARPNESS[rater] / np.exp(np.log(SHARPNESS).mean()) * logit
    weights = np.stack([np.exp(u / 2), np.full(rows, NU), np.exp(-u / 2)])
    outcome = (generator.random(rows) > np.cumsum(weights / weights.sum(0), 0)).sum(0)
    y, tie = torch.tensor([1.0, 0.5, 0.0])[outcome], torch.from_numpy(outcome == 1)
    empty = torch.zeros(rows, dtype=torch.int64)
    return logit, Batch(torch.empty(0), empty, empty, y, tie=tie, rater=torch.from_numpy(rater))


def test_raters_and_ties_are_recovered_from_logits() -> None:
    logit, batch = observed(30_000)
    model = JudgementModel(Targets(raters=RATERS, ties=True))
    for rows in np.array_split(np.arange(30_000), 7):
        chosen = torch.from_numpy(rows)
        model.observe(
            torch.from_numpy(logit[rows]).float(), batch.map(lambda part, c=chosen: part[c] if len(part) else part)
        )
    model.refit()
    np.testing.assert_allclose(model.sharpness[1:] / model.sharpness[2], SHARPNESS[1:] / SHARPNESS[2], rtol=0.1)
    assert model.sharpness[0] / model.sharpness[2] < 0.06
    np.testing.assert_allclose(model.nu, NU, rtol=0.1)


def test_the_loss_is_the_likelihood_of_the_model_of_judgements() -> None:
    logit, batch = observed(200)
    model = JudgementModel(Targets(raters=RATERS, ties=True))
    model.sharpness.copy_(torch.tensor([0.5, 1.0, 2.0]))
    model.log_nu.fill_(np.log(0.3))
    u = model.decided_by(torch.from_numpy(logit), batch.rater)
    loss = model.tie_loss(u, batch.y, batch.tie)
    assert batch.tie is not None
    expected = -log_likelihood(u.numpy(), batch.y.numpy(), batch.tie.numpy(), None, 0.3)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_weight_of_ties_suits_their_number() -> None:
    tie = np.arange(90) % 3 == 0
    assert abs(tie_weight(np.zeros(90), tie, None) - 1) < 1e-6
    assert tie_weight(np.zeros(90), None, None) == 0
