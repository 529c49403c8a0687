import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from tests.reporting.browser import CHROMIUM, Browser
from tests.reporting.structure import Structure

from twinrank.errors import InputError
from twinrank.evaluation.comparisons import Comparisons
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.judging import Judging
from twinrank.evaluation.learning_curve import score_curve
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.scores import posterior
from twinrank.reporting.ranking_page import Ranking, write_ranking_page

IMAGES = 60
HOSTILE = "</script><img src=x onerror=alert(1)> & \"'.jpg"


def ranking(images: int = IMAGES, side: int = 80, *, with_curve: bool = True) -> Ranking:
    """Photographs of one colour each, judged by a sharp and a careless rater; the first has a hostile name."""
    rng = np.random.default_rng(0)
    score = rng.normal(0, 1.5, images)
    left = rng.integers(0, images, 400)
    right = (left + rng.integers(1, images, 400)) % images
    rater = np.where(np.arange(400) % 4, "Ada", "Bo")
    y = (rng.random(400) < expit((score[left] - score[right]) * np.where(rater == "Ada", 2, 0.1))).astype(float)
    judgements = Comparisons(left, right, y, rater=rater)
    judging = Judging(
        raters=("Ada", "Bo"),
        sharpness=np.array([4.0, 0.25]),
        sharpness_interval=np.array([[3.0, 5.0], [0.1, 0.4]]),
        bias=np.array([0.05, -0.1]),
        bias_interval=np.array([[-0.1, 0.2], [-0.3, 0.1]]),
        judgements=np.array([300, 100]),
    )
    network = score + rng.normal(0, 1, images)
    prior = Prior(1.0, 1.0)

    return Ranking(
        title="lake",
        names=[HOSTILE, *(f"trips/IMG_{number:05d}.jpg" for number in range(1, images))],
        scores=posterior(network, prior, judgements, judging),
        picture=lambda image: np.full((3, side, side), image % 256, np.uint8),
        network=network,
        judgements=judgements,
        agreement=Estimate(0.8, 0.7, 0.9, 50, "image bootstrap 95%"),
        ceiling=Estimate(0.9, 0.85, 0.95, 50, "image bootstrap 95%"),
        with_ties=Estimate(0.7, 0.6, 0.8, 60, "image bootstrap 95%"),
        curve=score_curve(network, prior.tau, judgements, judging) if with_curve else None,
        not_in_curve=35,
        notes=["The network was trained on 12 of these images."],
        about={"network": "order_net"},
    )


@pytest.fixture(scope="module")
def lake() -> Ranking:
    return ranking()


@pytest.fixture(scope="module")
def page(lake: Ranking, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ranking_page(lake, tmp_path_factory.mktemp("ranking") / "ranking.html")


def words(page: str) -> str:
    text = re.sub(r"<(style|script|template).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(text))


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_shows_scores_calls_raters_and_curve(lake: Ranking, page: Path) -> None:
    text = words(page.read_text(encoding="utf-8"))
    first = int(np.argmin(lake.scores.rank))
    shown = f"{lake.scores.mean[first]:.2f} {lake.scores.low[first]:.2f} to {lake.scores.high[first]:.2f}"
    assert f"1 {lake.scores.rank_low[first]}–{lake.scores.rank_high[first]} {lake.names[first]}" in text
    assert shown in text
    assert "60 images in order Scores of the network, sharpened by 400 judgements." in text
    assert "The network was trained on 12 of these images." in text
    assert "Closest calls" in text
    assert "Where judges and network disagree" in text
    assert "Ada 300 4.00 3.00 to 5.00 0.05 −0.10 to 0.20" in text
    assert "Bo hardly better than chance 100 0.25 0.10 to 0.40 −0.10 −0.30 to 0.10" in text
    assert "80.0% (70.0–90.0)" in text
    assert "ties are left out. With ties as answers of their own: 70.0% (60.0–80.0) , n = 60" in text
    assert "From 160 to 320 judgements the log-loss on held-out judgements changed by −0." in text
    assert "Another 35 judgements are left out: training used an image of theirs" in text
    assert not re.search("digit|benchmark|track", text)


def test_the_page_is_whole_and_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    structure = Structure()
    structure.feed(text)
    assert structure.open == []
    assert len(set(structure.ids)) == len(structure.ids)
    assert all(address.startswith(("data:image/", "#")) for address in structure.addresses)
    assert "onerror" not in re.sub(r"&lt;.*?&gt;|\\u003c.*?>", "", text)
    assert len(re.findall("<img ", text)) == len(re.findall('<img [^>]*alt="', text))


def test_the_list_has_every_image_in_order(lake: Ranking, page: Path) -> None:
    data = data_of(page.read_text(encoding="utf-8"))
    order = np.argsort(lake.scores.rank)
    assert data["names"] == [lake.names[image] for image in order]
    assert len(data["pictures"]) == IMAGES
    np.testing.assert_allclose(np.array(data["low"]) / data["decimals"], lake.scores.low[order], atol=5e-4)
    assert data["comparisons"] == lake.scores.comparisons[order].tolist()


def test_very_many_images_have_names_and_some_pictures(tmp_path: Path) -> None:
    many = ranking(3000, side=16, with_curve=False)
    text = write_ranking_page(many, tmp_path / "many.html").read_text(encoding="utf-8")
    data = data_of(text)
    assert (len(data["names"]), len(data["pictures"])) == (3000, 1000)
    assert {"0", "249", "2750", "2999"} <= data["pictures"].keys()
    assert "1,000 of the images have a picture here" in words(text)
    assert len(text) < 1_500_000


def test_scores_of_a_network_alone_have_a_page(tmp_path: Path) -> None:
    network = np.array([1.0, 0.0])
    none = Comparisons(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    alone = Ranking(
        "two", ["a", "b"], posterior(network, Prior(), none), lambda _: np.zeros((1, 8, 8), np.uint8), network
    )
    text = words(write_ranking_page(alone, tmp_path / "two.html").read_text(encoding="utf-8"))
    assert "2 images in order Scores of the network alone, without judgements of these images." in text
    for absent in ("disagree", "Who judged", "more votes", "sharpened"):
        assert absent not in text
    with pytest.raises(InputError, match=r"\.html"):
        write_ranking_page(alone, tmp_path / "two.txt")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def test_search_and_paging_work_in_a_browser(lake: Ranking, page: Path, browser: Browser) -> None:
    browser.open(page, 1200)
    where = "document.getElementById('where').textContent"
    places = "[...document.querySelectorAll('#list .place span')].map((each) => Number(each.textContent))"
    assert browser.run(where) == "1–25 of 60"
    browser.run("document.getElementById('next').click()")
    assert browser.run(places) == list(range(26, 51))
    typed = "search.value = {!r}; search.dispatchEvent(new Event('input'))"
    browser.run(typed.format("ONERROR"))
    assert browser.run("document.querySelector('#list .who span').textContent") == HOSTILE
    assert browser.run(places) == [int(lake.scores.rank[0])]
    browser.run(typed.format("no such"))
    assert browser.run(where) == "no image has such a name"
    browser.run("goto.value = '57'; goto.dispatchEvent(new Event('change'))")
    assert browser.run(places) == list(range(51, 61))
    assert browser.run("document.querySelectorAll('#list img').length") == 10
    assert browser.problems == []


def test_nothing_is_wider_than_a_phone(page: Path, browser: Browser) -> None:
    browser.open(page, 400)
    assert browser.run("document.documentElement.scrollWidth") == 400
    assert browser.run("[...document.images].every((each) => each.complete && each.naturalWidth > 0)")
    assert browser.problems == []
