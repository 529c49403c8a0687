"""Pages of runs on own images: they speak of names, and never of digits or of the benchmark."""

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import RECORDED

from twinrank.core.files import write_json
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.pool import pool_of
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.metrics_record import metrics_record
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.page import write_report

NAMES = tuple(f"lake/photo {number}.jpg" for number in range(12))
BENCHMARK_WORDS = re.compile(r"digit|MNIST|published|guide|track|93%|81%", re.IGNORECASE)


@pytest.fixture
def judged() -> Judgements:
    """40 judgements of 12 photographs of 96 x 80 pixels."""
    rng = np.random.default_rng(0)
    store = ImageStore.from_arrays(rng.integers(0, 256, (12, 3, 80, 96), np.uint8), NAMES)
    left, right = np.stack([rng.choice(12, 2, replace=False) for _ in range(40)], 1)
    return Judgements(store, left, right, np.ones(40, np.int8), None, Path("votes.csv"), "a" * 64)


def page_of(folder: Path, judged: Judgements, logit: np.ndarray, **columns: np.ndarray) -> str:
    about = {"data": {"path": "votes.csv", "sha256": judged.sha256, "n": len(judged)}, "used": []}
    made = Predictions(judged.row_ids, logit, judged.y, meta=about, **columns)
    made.save(folder / "predictions" / "votes.npz")
    write_json(folder / "metrics" / "votes.json", metrics_record(made))
    write_json(folder / "config.json", RECORDED | {"track": "pairs-only", "warnings": ["The winner stands left."]})
    page = write_report(folder, pictures={"votes": judged}, on_benchmark=False).read_text(encoding="utf-8")
    assert not BENCHMARK_WORDS.search(text_of(page).partition("Exact configuration")[0])
    return page


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)))


def test_mistakes_show_names_and_reduced_pictures(tmp_path: Path, judged: Judgements) -> None:
    # Another judged the same pair in the other order.
    left, right = (
        np.where(np.arange(40) == 8, other[7], own)
        for own, other in ((judged.left, judged.right), (judged.right, judged.left))
    )
    y = np.where(np.arange(40) == 8, 0, 1).astype(np.int8)
    judged = replace(judged, left=left, right=right, y=y)
    logit = np.where(np.arange(40) == 7, -2.0, np.where(np.arange(40) == 8, 2.0, 1.0))
    page = page_of(tmp_path, judged, logit)
    higher, lower = NAMES[judged.left[7]], NAMES[judged.right[7]]
    assert f"{higher} is higher predicted {lower} , 88.1%" in text_of(page)
    assert f'alt="{higher}"' in page
    assert page.count("data:image/webp;base64,") == 2


def test_a_network_at_chance_is_said_to_be(tmp_path: Path, judged: Judgements) -> None:
    page = page_of(tmp_path, judged, np.where(np.arange(40) % 2, -2.0, 1.0))
    assert " votes: no better than chance (accuracy 50.0%, interval 35.2–64.8, which includes 50%); try " in text_of(
        page
    )


def test_votes_ties_raters_and_images_of_the_training_are_on_the_page(tmp_path: Path, judged: Judgements) -> None:
    tie = np.arange(40) == 3
    judged = replace(judged, y=np.where(tie, 0.5, np.where(np.arange(40) == 7, 0.75, 1)).astype(np.float32), tie=tie)
    judged = replace(judged, weight=np.full(40, 4, np.float32))
    seen = np.stack([judged.left < 3, judged.right < 3], 1)
    judging = Judging(
        raters=("Ada",),
        sharpness=np.array([1.0]),
        sharpness_interval=np.array([[0.8, 1.2]]),
        bias=np.zeros(1),
        bias_interval=np.zeros((1, 2)),
        judgements=np.array([40]),
    )
    write_json(tmp_path / "judging.json", judging.as_json())
    page = page_of(
        tmp_path,
        judged,
        np.where(np.arange(40) == 7, -2.0, 1.0),
        images=np.stack([judged.left, judged.right], 1),
        tie=tie,
        weight=np.full(40, 4.0),
        seen=seen,
    )
    text = text_of(page)
    assert "of the 39 decided test pairs" in text
    assert "12 images; 160 votes; 1 tie" in text
    assert "the image bootstrap 95% interval, for other images" in text
    assert f"{NAMES[judged.left[7]]} is higher: 75% of 4 votes" in text
    record = json.loads((tmp_path / "metrics" / "votes.json").read_text())
    agreed = record["agreement"]
    for number in (agreed["pairs"], *(f"{100 * agreed[name]['value']:.2f}%" for name in ("agreement", "ceiling"))):
        assert f"{number} " in text.partition("How good could it be?")[2]
    assert f"two votes agree in {100 * agreed['with_ties']['value']:.1f}% (" in text
    for kind, found in record["kinds"].items():
        assert f"{kind} {found['n']} " in text
    for line in ("The winner stands left.", *record["warnings"]):
        assert f" {line} " in text
    assert "Ada 40 1.00 0.80 to 1.20" in text


def test_all_pairs_of_named_images_are_known_by_name(judged: Judgements) -> None:
    pool = pool_of(judged, 12)
    assert sorted(pool.names) == sorted(NAMES)
    for name, image in zip(pool.names, pool.images, strict=True):
        np.testing.assert_array_equal(image, judged.images.parts[0][NAMES.index(name)])
