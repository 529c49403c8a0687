import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp
from tests.conftest import RECORDED
from tests.reporting.structure import Structure

from twinrank.core.files import write_json
from twinrank.data.formats.arrays import PairArrays
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import metrics_record, pooled_record, rows_in_words
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.contents import read_run, trainings
from twinrank.reporting.leaderboard import read_field
from twinrank.reporting.page import write_report
from twinrank.runs import RunFolder

ROWS = {"val": 120, "test_public": 40, "test_private": 80}
HOSTILE = "<script>alert('x')</script>&\"$x_1$"


@dataclass
class Run:
    """A run folder of small arrays, with what is known about its rows."""

    path: Path
    predictions: dict[str, Predictions]
    digits: dict[str, np.ndarray]
    pictures: dict[str, Judgements]


def pairs(xa: np.ndarray, xb: np.ndarray, ids: np.ndarray) -> Judgements:
    return Judgements.of_pairs(PairArrays(xa, xb, None, ids), Path("pairs.npz"), "")


def draw_pairs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Digits (n, 2) and, as a network with ten noisy levels gives them, log-posteriors of both sides and logits."""
    rng = np.random.default_rng(seed)
    digits = np.array([rng.choice(10, 2, replace=False) for _ in range(n)], np.uint8)
    left, right = (log_softmax(4 * np.eye(10)[side] + rng.normal(0, 1.6, (n, 10)), 1) for side in digits.T)
    joint = left[:, :, None] + right[:, None, :]
    order = 4 * np.sign(np.subtract.outer(np.arange(10), np.arange(10)))
    left_greater, right_greater = (np.asarray(logsumexp(joint + sign * order, (1, 2))) for sign in (1, -1))
    return digits, left, right, left_greater - right_greater


def make_run(path: Path, *, stems: tuple[str, ...] = tuple(ROWS), **config: Any) -> Run:
    run = Run(path, {}, {}, {})
    for seed, stem in enumerate(stems):
        n = ROWS[stem]
        digits, left, right, logit = draw_pairs(n, seed)
        data = {"path": f"data/{stem}.npz", "sha256": f"{seed + 1:064x}", "n": n}
        meta = {"data": data, "used": [], "weights_sha256": "w", "track": "pairs-only"}
        ids = np.array([f"{stem}_{row}" for row in range(n)])
        made = Predictions(ids, logit, digits[:, 0] > digits[:, 1], left, right, meta)
        made.save(path / "predictions" / f"{stem}.npz")
        write_json(path / "metrics" / f"{stem}.json", metrics_record(made))
        images = np.random.default_rng(seed).integers(256, size=(2, n, 1, 28, 28)).astype(np.uint8)
        shuffled = np.random.default_rng(seed).permutation(n)
        run.pictures[stem] = pairs(images[0][shuffled], images[1][shuffled], ids[shuffled])
        run.predictions[stem], run.digits[stem] = made, digits
    tests = [part for stem, part in run.predictions.items() if stem.startswith("test")]
    if tests:
        write_json(path / "metrics" / "tests.json", pooled_record(tests))
    files: dict[str, Any] = RECORDED["data"] | {"train": {"path": "data/train.npz", "sha256": "f" * 64, "n": 500}}
    if "val" in run.predictions:
        files["val"] = run.predictions["val"].meta["data"]
    base = {
        "name": "order_net",
        "track": "pairs-only",
        "seed": 42,
        "model": {"name": "order_net", "options": {"width": 16}},
        "train": {"epochs": 3, "learning_rate": 0.003},
        "data": files,
        "parameters": 304622,
        "version": "0.1.0",
        "threads": 2,
        "commit": None,
        "command": "twinrank train order_net",
    }
    write_json(path / "config.json", base | config)
    history = [
        {
            "epoch": epoch,
            "seconds": 36.25,
            "learning_rate": 0.003 / epoch,
            "train": {"loss": 3.5 / epoch, "pair_loss": 0.7 / epoch, "contrastive_loss": 2.5 / epoch, "grad_norm": 1.5},
            "val": {"accuracy": 0.5 + 0.1 * epoch, "f1": 0.49 + 0.1 * epoch, "log_loss": 0.6 / epoch},
        }
        for epoch in (1, 2, 3)
    ]
    (path / "history.jsonl").write_text("".join(json.dumps(epoch) + "\n" for epoch in history), encoding="utf-8")
    write_json(path / "steps.json", [{"step": "train", "seconds": 280.1, "peak_memory_mb": 1234}])
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("runs") / "order_net")


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return write_report(run.path, pictures=run.pictures, digits=run.digits).read_text(encoding="utf-8")


def words(page: str) -> str:
    """The text of the page as one line, without its style."""
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(text))


def drawn_from(make: Callable[[], Path]) -> str:
    return make().read_text(encoding="utf-8")


def test_every_number_of_the_records_is_in_the_page(run: Run, page: str) -> None:
    text = words(page)
    for path in (run.path / "metrics").glob("*.json"):
        record = json.loads(path.read_text())
        assert rows_in_words(record) in text
        for name, estimate in record["metrics"].items():
            ends = [estimate[key] for key in ("value", "low", "high")]
            percent = name in ("accuracy", "macro_f1", "expected_calibration_error")
            value, low, high = (f"{100 * end:.2f}" if percent else f"{end:.4f}" for end in ends)
            assert f"{value}{'%' if percent else ''} {low}–{high}" in text, (path.stem, name)
            assert f"{estimate['n']:,}" in text
            assert estimate["interval"] in text
        tn, fp, fn, tp = np.ravel(record["confusion"])
        assert f"{path.stem} {tn} {fp} {fn} {tp}" in text


def test_the_headline_is_the_tests_together(run: Run, page: str) -> None:
    accuracy = json.loads((run.path / "metrics" / "tests.json").read_text())["metrics"]["accuracy"]
    value, low, high = (f"{100 * accuracy[key]:.1f}" for key in ("value", "low", "high"))
    assert (
        f"{value}% ({low}–{high}) of the 120 test pairs are put in the right order, "
        "after 109 s of training on 2 CPU threads, pairs-only track." in words(page)
    )


def test_our_row_stands_in_the_published_table(run: Run, page: str) -> None:
    rows = [words(row) for row in re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL)]
    ours = next(row for row in rows if "(this run)" in row)
    for stem in ROWS:
        value = json.loads((run.path / "metrics" / f"{stem}.json").read_text())["metrics"]["accuracy"]["value"]
        assert f"{100 * value:.2f}" in ours
    assert "0.30 M" in ours
    headline = next(place for place, row in enumerate(rows) if "headline “93%”" in row)
    assert rows.index(ours) < headline
    assert "in-sample" in rows[headline]
    assert "89.65*" in words(page)
    assert "scored by this project from the submitted predictions" in words(page)


def test_a_row_is_placed_by_val_and_never_against_an_in_sample_number(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    record = json.loads((tmp_path / "metrics" / "val.json").read_text())
    record["metrics"]["accuracy"]["value"] = 0.8
    write_json(tmp_path / "metrics" / "val.json", record)
    text = words(drawn_from(lambda: write_report(made.path)))
    assert text.index("a small residual siamese CNN") < text.index("(this run)") < text.index("one CNN over the joined")


def test_the_use_of_each_file_is_in_the_page(page: str) -> None:
    text = words(page)
    assert "train.npz 500 fitted" in text
    assert "val.npz 120 watched" in text
    assert "test_private.npz 80 held out" in text
    assert "81% of the digits in val also occur" in text


def test_configuration_history_and_steps_are_in_the_page(run: Run, page: str) -> None:
    config = re.search(r"<pre><code>(.*?)</code></pre>", page, flags=re.DOTALL)
    assert config is not None
    assert json.loads(unescape(config[1])) == json.loads((run.path / "config.json").read_text())
    text = words(page)
    assert "train 280 s (5 min) 1,234 MB" in text
    assert "train contrastive_loss" in text
    assert "1.1667" in text


def test_the_most_confident_mistakes_are_shown_with_their_pictures(run: Run, page: str) -> None:
    for stem, made in run.predictions.items():
        assert made.y is not None
        wrong = np.flatnonzero((made.logit > 0) != (made.y == 1))
        assert len(wrong)
        surest = wrong[np.abs(made.logit[wrong]).argmax()]
        left, right = run.digits[stem][surest]
        item = re.search(rf"<li>(?:(?!</li>).)*{stem}_{surest}</code></li>", page, flags=re.DOTALL)
        assert item is not None
        assert item[0].count('src="data:image/png;base64,') == 2
        side = "left" if made.logit[surest] > 0 else "right"
        confidence = 100 / (1 + np.exp(-abs(float(made.logit[surest]))))
        assert f"{left} {'>' if left > right else '<'} {right} predicted {side}, {confidence:.1f}%" in words(item[0])


def test_latent_levels_are_shown_against_the_digits(run: Run, page: str) -> None:
    levels, digits = [], []
    for stem in ("test_public", "test_private"):
        made = run.predictions[stem]
        assert made.levels_a is not None
        assert made.levels_b is not None
        levels += [*made.levels_a.argmax(1), *made.levels_b.argmax(1)]
        digits += [*run.digits[stem][:, 0], *run.digits[stem][:, 1]]
    counts = np.histogram2d(levels, digits, bins=[np.arange(11)] * 2)[0]
    purity = 100 * counts.max(1).sum() / 240
    assert f"{purity:.1f}%" in words(page)
    assert "of the 240 images" in words(page)
    assert "its training never used which digit an image shows" in words(page)
    assert 'aria-label="Latent levels and digits' in page
    without = words(drawn_from(lambda: write_report(run.path, run.path / "without.html")))
    assert "never used" not in without


def test_the_page_is_whole_small_and_needs_nothing_else(page: str) -> None:
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    assert len(set(structure.ids)) == len(structure.ids)
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in structure.addresses)
    assert {address[1:] for address in structure.addresses if address.startswith("#")} <= set(structure.ids)
    assert not structure.tags & {"script", "link", "iframe", "object"}
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")
    assert page.startswith("<!doctype html>")
    assert len(page.encode()) < 2_000_000


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    model = {"name": HOSTILE, "options": {HOSTILE: HOSTILE}}
    made = make_run(tmp_path, name=HOSTILE, model=model, command=HOSTILE, commit=HOSTILE)
    record = json.loads((tmp_path / "metrics" / "val.json").read_text())
    record["data"]["path"] = HOSTILE
    write_json(tmp_path / "metrics" / "val.json", record)
    write_json(tmp_path / "steps.json", [{"step": HOSTILE, "seconds": 1.0}])
    hostile_epoch = {"epoch": 1, "train": {"loss": 1.0, f"{HOSTILE}_loss": 2.0, "$_loss": 1.0}, "val": {}}
    (tmp_path / "history.jsonl").write_text(json.dumps(hostile_epoch), encoding="utf-8")
    text = drawn_from(lambda: write_report(made.path, pictures=made.pictures, digits=made.digits))
    assert "<script" not in text
    assert words(text).count(HOSTILE) >= 8
    Structure().feed(text)


def test_a_run_without_tests_is_marked(tmp_path: Path) -> None:
    made = make_run(tmp_path, stems=("val",))
    text = words(drawn_from(lambda: write_report(made.path)))
    assert "of the 120 validation pairs" in text
    assert "No held-out test file has been evaluated yet. Training stopped" in text


def test_a_file_that_training_was_given_is_never_called_a_test(tmp_path: Path) -> None:
    made = make_run(tmp_path, stems=("test_public",))
    config = json.loads((tmp_path / "config.json").read_text())
    config["data"]["val"] = made.predictions["test_public"].meta["data"]
    write_json(tmp_path / "config.json", config)
    text = words(drawn_from(lambda: write_report(made.path)))
    assert "test pairs" not in text
    assert "No held-out test file" in text


def test_a_run_that_has_only_begun_still_has_a_page(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", RECORDED)
    text = words(drawn_from(lambda: write_report(tmp_path, tmp_path / "out" / "page.html")))
    assert "Nothing has been evaluated yet" in text


def test_one_class_and_no_mistakes_are_reported(tmp_path: Path) -> None:
    make_run(tmp_path, stems=())
    data = {"path": "own.npz", "sha256": "a" * 64, "n": 3}
    about = {"data": data, "used": []}
    made = Predictions(np.array(["a", "b", "c"]), np.array([1.0, 2.0, 3.0]), np.ones(3, np.int8), meta=about)
    made.save(tmp_path / "predictions" / "own.npz")
    write_json(tmp_path / "metrics" / "own.json", metrics_record(made))
    images = np.zeros((3, 3, 8, 6))
    pictures = {"own": pairs(images, images, made.id)}
    text = words(drawn_from(lambda: write_report(tmp_path, pictures=pictures, on_benchmark=False)))
    assert "100.0% (43.9–100.0) of the 3 test pairs" in text
    assert "None: every labelled pair is decided rightly" in text
    assert "published" not in text
    assert "81%" not in text


def test_another_track_is_never_mixed_in_silently(tmp_path: Path) -> None:
    made = make_run(tmp_path, track="open")
    text = words(drawn_from(lambda: write_report(made.path, digits=made.digits)))
    assert "(this run, open track)" in text
    assert "the rows do not compare" in text
    assert "never used" not in text


def test_epochs_may_lack_what_others_have(tmp_path: Path) -> None:
    make_run(tmp_path, stems=())
    own = [{"train": {"loss": 1.0}}, {"val": {"accuracy": 0.5}}, {"note": "text"}]
    lines = [{"epoch": epoch, "train": {}, "val": {}} | each for epoch, each in enumerate(own, start=1)]
    (tmp_path / "history.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    text = drawn_from(lambda: write_report(tmp_path))
    assert 'aria-label="Loss of a pair' in text
    assert 'aria-label="Gradient norm' not in text


def test_writing_again_gives_the_same_page(run: Run, page: str) -> None:
    again = write_report(run.path, run.path / "again.html", pictures=run.pictures, digits=run.digits)
    assert again.read_text(encoding="utf-8") == page


def test_wrong_inputs_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        write_report(tmp_path / "nowhere")
    made = make_run(tmp_path / "run", stems=("val",))
    digits, pictures = made.digits["val"], made.pictures["val"]
    with pytest.raises(InputError, match="one pair a row"):
        write_report(made.path, digits={"val": digits[:-1]})
    with pytest.raises(InputError, match="contradict the labels"):
        write_report(made.path, digits={"val": digits[:, ::-1]})
    with pytest.raises(InputError, match="has a prediction but no picture"):
        write_report(made.path, pictures={"val": pairs(pictures.xa[:0], pictures.xb[:0], pictures.row_ids[:0])})
    (made.path / "history.jsonl").write_text('{"epoch": 1, "train": {}, "val": {}}\n{"epo', encoding="utf-8")
    with pytest.raises(InputError, match=r"history\.jsonl: line 2"):
        write_report(made.path)


@pytest.mark.parametrize("damage", ["{}", "[]", '{"metrics": {}, "data": {"path": "x"}, "used": [], "confusion": []}'])
def test_damaged_records_are_refused(tmp_path: Path, damage: str) -> None:
    made = make_run(tmp_path, stems=("val",))
    (tmp_path / "metrics" / "val.json").write_text(damage, encoding="utf-8")
    with pytest.raises(InputError, match=r"val\.json: not the metrics of an evaluation"):
        write_report(made.path)


def test_keys_of_a_newer_version_are_ignored(tmp_path: Path) -> None:
    made, file = make_run(tmp_path, stems=("val",)), tmp_path / "metrics" / "val.json"
    page = drawn_from(lambda: write_report(made.path))
    record = json.loads(file.read_text())
    record["metrics"]["accuracy"]["level"] = 0.95
    write_json(file, record | {"newer": 1})
    assert drawn_from(lambda: write_report(made.path)) == page


def test_records_of_different_weights_are_refused(tmp_path: Path) -> None:
    made = make_run(tmp_path)
    record = json.loads((tmp_path / "metrics" / "val.json").read_text())
    write_json(tmp_path / "metrics" / "val.json", record | {"weights_sha256": "older"})
    with pytest.raises(InputError, match="figures of different weights"):
        write_report(made.path)


def test_figures_from_before_a_training_went_on_are_refused(tmp_path: Path) -> None:
    made, weights = make_run(tmp_path), RunFolder(tmp_path).weights
    weights.write_bytes(b"later")
    with pytest.raises(
        InputError, match=r"figures of other weights than weights\.safetensors; evaluate every file again"
    ):
        write_report(made.path)
    with pytest.raises(InputError, match="figures of other weights"):
        read_field([made.path])
    # Its training counts for its students all the same.
    assert trainings(read_run(made.path, current=False))[1] == []


def test_figures_are_written_as_pictures_too(run: Run, tmp_path: Path) -> None:
    write_report(run.path, tmp_path / "page.html", digits=run.digits, figures=tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"confusion-matrix.png", "reliability.png", "latent-levels-and-digits.png", "right-decisions.png"} <= names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "figures").iterdir())
