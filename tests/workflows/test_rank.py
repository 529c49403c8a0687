"""Ranking a folder of images, with a predictor whose scores are the images' brightness."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.evaluation.score_prior import Prior
from twinrank.evaluation.simulate import make_crowd, random_pairs, simulate_crowd
from twinrank.inference.form import ImageForm
from twinrank.inference.judged import as_comparisons
from twinrank.runs import RunFolder
from twinrank.workflows import rank as module
from twinrank.workflows.rank import COLUMNS, PAIR_COLUMNS, choose_pairs, rank, score_images

IMAGES = 40
TRUE = np.linspace(-2, 2, IMAGES)


class Brightness:
    """Scores images by their mean."""

    form = ImageForm("brightness", (1, 8, 8))

    def scores(self, images: ImageStore) -> np.ndarray:
        return images.take(np.arange(len(images))).mean((1, 2, 3)) / 64.0


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images that get brighter, and beside it a table of judgements by two people."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for image in range(IMAGES):
        Image.fromarray(np.full((8, 8), 40 + 4 * image, np.uint8) + np.eye(8, dtype=np.uint8)).save(
            folder / f"{image:02}.png"
        )
    seen = simulate_crowd(TRUE, *random_pairs(IMAGES, 300, 0), make_crowd(2, 0, nu=0.5), 0)
    outcomes = np.where(seen.tie, "tie", np.where(seen.y > 0.5, "left", "right"))
    lines = [
        f"{a:02}.png,{b:02}.png,{o},r{r}"
        for a, b, o, r in zip(seen.left, seen.right, outcomes, seen.rater, strict=True)
    ]
    (tmp_path / "votes.csv").write_text("\n".join(["left,right,outcome,rater", *lines]) + "\n")
    monkeypatch.setattr(module, "load_predictor", lambda *runs: Brightness())
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def judged(store: ImageStore, left: list[int], right: list[int]) -> Judgements:
    """Judgements in which right always wins."""
    none = np.zeros(len(left), np.int8)
    return Judgements(store, np.array(left), np.array(right), none, None, Path("votes.npz"), "")


def test_the_ranking_has_a_row_for_each_image_the_highest_first(photos: Path, tmp_path: Path) -> None:
    scored = rank([tmp_path], photos, tmp_path / "ranking.csv", tmp_path / "votes.csv")
    rows = rows_of(tmp_path / "ranking.csv")
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["rank"]) for row in rows] == list(range(1, IMAGES + 1))
    assert rows[0]["image"] in {"39.png", "38.png", "37.png"}
    assert all(float(row["low"]) < float(row["score"]) < float(row["high"]) for row in rows)
    assert all(int(row["rank_low"]) <= int(row["rank"]) <= int(row["rank_high"]) for row in rows)
    assert sum(float(row["comparisons"]) for row in rows) == 600
    assert scored.scores.judging.raters == ("r0", "r1")
    assert scored.scores.judging.nu == pytest.approx(0.5, abs=0.25)
    assert scored.notes == ()
    page = (tmp_path / "ranking.html").read_text(encoding="utf-8")
    for told in ("40 images in order", "sharpened by 300 judgements", "two judgements of the same pair agree", "r1"):
        assert told in re.sub(r"<[^>]*>|\s+", " ", page).replace("  ", " ")
    assert "Held-out judgements that the scores predict" in page


def test_without_judgements_the_prior_of_the_run_counts(photos: Path, tmp_path: Path) -> None:
    assert "no judgements" in score_images([tmp_path], photos).notes[0]
    RunFolder(tmp_path).score_prior.write_text(json.dumps(Prior(2.0, 0.3, 0.1, 0.1, 50).as_json()))
    scored = score_images([tmp_path], photos)
    assert scored.notes == ()
    assert scored.scores.prior.tau == 0.3
    assert scored.scores.rank.tolist() == list(range(IMAGES, 0, -1))


def test_next_pairs_are_named_and_marked(photos: Path, tmp_path: Path) -> None:
    chosen, _ = choose_pairs(
        [tmp_path], photos, tmp_path / "next.csv", tmp_path / "votes.csv", count=20, share_random=0.2
    )
    rows = rows_of(tmp_path / "next.csv")
    assert tuple(rows[0]) == PAIR_COLUMNS
    assert [row["drawn"] for row in rows].count("at random") == 4
    assert all((photos / row[side]).is_file() for row in rows for side in ("left", "right"))
    assert chosen.right_after > chosen.right_now > 0.7


def test_judgements_of_images_that_are_not_there_are_left_out_and_counted(photos: Path, tmp_path: Path) -> None:
    store = ImageStore.from_folder(photos)
    some = ImageStore.from_arrays(store.take(np.arange(30)))
    whole = judged(store, [0, 1, 35], [1, 2, 1])
    rows = as_comparisons(whole, some)
    assert rows.left.tolist() == [0, 1]
    none = judged(store, [35], [36])
    scored = score_images([tmp_path], some, whole)
    assert "1 of 3 judgements left out" in scored.notes[0]
    with pytest.raises(InputError, match="none of its judgements"):
        score_images([tmp_path], some, none)


def test_images_of_training_are_mentioned(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = ImageStore.from_folder(photos).hashes[:3]
    monkeypatch.setattr(module, "images_of_training", lambda predictor, scored: hashes)
    notes = score_images([tmp_path], photos, tmp_path / "votes.csv").notes
    assert "3 judged images were used in training" in notes[0]


def test_nothing_is_written_where_something_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.csv"):
        rank([tmp_path], photos, tmp_path / "ranking.txt")
    with pytest.raises(InputError, match="`judgements` is missing, the table that `columns`"):
        rank([tmp_path], photos, tmp_path / "ranking.csv", source=Source(columns={"left": "a"}))
    with pytest.raises(InputError, match="`count` is 0"):
        choose_pairs([tmp_path], photos, tmp_path / "next.csv", count=0)
    assert not (tmp_path / "next.csv").exists()
    for command, name in ((rank, "ranking.csv"), (choose_pairs, "next.csv")):
        command([tmp_path], photos, tmp_path / name)
        command([tmp_path], photos, tmp_path / name)
        header, *lines = (tmp_path / name).read_text().splitlines()
        voted = "\n".join([f"{header},winner", *(f"{line},{line.split(',')[0]}" for line in lines)])
        (tmp_path / name).write_text(voted)
        with pytest.raises(InputError, match=rf"{name}: has columns that are not written here, 'winner', and is kept"):
            command([tmp_path], photos, tmp_path / name)
        assert (tmp_path / name).read_text() == voted
