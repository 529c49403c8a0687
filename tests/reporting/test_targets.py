import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import RECORDED

from twinrank.config import TrainConfig
from twinrank.core.files import sha256, write_json
from twinrank.errors import InputError
from twinrank.evaluation.metrics_record import metrics_record
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.ranking import Entrant
from twinrank.reporting.leaderboard import _renamed, leaderboard_text, read_field, write_leaderboard
from twinrank.reporting.page import write_report
from twinrank.reporting.pictures import draw_curves
from twinrank.reporting.seeds import seeds_summary
from twinrank.reporting.targets import read_ensemble, read_targets, record_text, write_record
from twinrank.runs import RunFolder

STEMS = ("val", "test_public", "test_private")


def run(
    folder: Path,
    name: str,
    share: float,
    sure: float = 1.0,
    seconds: Sequence[float] = (10.0, 20.0),
    **train: float,
) -> Path:
    """A run of two epochs that took so many seconds and that is right on this share of 200 rows of every file."""
    made = RunFolder(folder / name)
    seed = int(name[-1])
    config = RECORDED | {"train": {"seed": seed, "epochs": TrainConfig.epochs} | train}
    write_json(made.config, config)
    epochs = [
        {"epoch": e, "seconds": took, "train": {}, "val": {"accuracy": 0.4 + 0.1 * e}}
        for e, took in enumerate(seconds, 1)
    ]
    made.write_history(epochs)
    y = np.arange(200) % 2
    logit = np.where((np.arange(200) < 200 * share) == (y == 1), sure, -sure).astype(np.float32)
    for stem in STEMS:
        meta = {"data": {"path": f"{stem}.npz", "sha256": stem, "n": 200}, "used": []}
        predictions = Predictions(np.arange(200).astype(str), logit, y.astype(np.int8), meta=meta)
        predictions.save(made.predictions(stem))
        write_json(made.metrics(stem), metrics_record(predictions))
    return made.path


def test_seeds_are_put_together_and_every_figure_has_its_rows(tmp_path: Path) -> None:
    runs = [
        run(tmp_path, "half-hour_seed7", 0.9, warmup=0.0),
        run(tmp_path, "half-hour_seed1", 0.8, warmup=0),
        run(tmp_path, "two_seed1", 0.7),
    ]
    half, two = read_targets(runs)
    assert (half.name, half.seeds, half.seconds, two.seeds) == ("half-hour", (1, 7), 30, (1,))
    assert half.each["test_private"] == (0.8, 0.9)
    written = write_record([half, two], tmp_path / "out")
    assert all(path.stat().st_size for path in written)
    first = json.loads(written[0].read_text())[0]
    assert {key: first[key] for key in ("target", "seconds", "seeds")} == {
        "target": "half-hour",
        "seconds": 30.0,
        "seeds": [1, 7],
    }
    for stem in STEMS:
        assert first[stem]["accuracy"] == pytest.approx(0.85)
        assert first[stem]["low"] < 0.85 < first[stem]["high"]
        assert (first[stem]["n"], first[stem]["each"]) == (200, [0.8, 0.9])
    assert "| half-hour | pairs-only | `order_net` | 77,102 | 30 s on 1 thread | 1, 7 | 85.00% (" in record_text([half])


def test_time_is_that_of_the_seeds_with_the_most_threads(tmp_path: Path) -> None:
    slow, fast = run(tmp_path, "net_seed1", 0.9, seconds=(40.0, 60.0)), run(tmp_path, "net_seed2", 0.8)
    config = json.loads((fast / "config.json").read_text())
    write_json(fast / "config.json", config | {"threads": 2})
    (net,) = read_targets([slow, fast])
    assert (net.seconds, net.threads, net.seeds, net.timed) == (30, 2, (1, 2), (2,))
    assert [seconds.tolist() for seconds, _ in net.curves] == [[10, 30]]
    text = record_text([net])
    assert "| 30 s on 2 threads | 1, 2 | 85.00% (" in text
    assert "The training of net is that of seed 2. The other seeds had fewer threads." in text
    both = read_ensemble("both", [slow, fast])
    assert (both.seconds, both.timed) == (130, (1, 2))
    write_json(fast / "config.json", config | {"device": "cuda"})
    (net,) = read_targets([fast])
    assert "| 30 s on a GPU | 2 |" in record_text([net])


def test_an_ensemble_is_the_mean_of_logits_and_costs_what_all_its_runs_cost(tmp_path: Path) -> None:
    sure, unsure = run(tmp_path, "good_seed1", 0.9, sure=3.0), run(tmp_path, "bad_seed2", 0.6, seconds=(5.0, 15.0))
    config = json.loads((sure / "config.json").read_text()) | {"track": "open"}
    write_json(sure / "config.json", config)
    both = read_ensemble("both", [sure, unsure])
    assert both.ensemble
    assert (both.track, both.seconds, both.seeds, both.parameters) == ("open", 50, (1, 2), 154_204)
    assert both.each["val"] == (0.9, 0.6)
    assert {stem: (each.value, each.n) for stem, each in both.accuracy.items()} == dict.fromkeys(STEMS, (0.9, 200))
    text = record_text([both])
    assert "| both | open | mean of 2 `order_net` | 0.15 M | 50 s on 1 thread | 1, 2 | 90.00% (" in text
    assert all(path.stat().st_size for path in write_record([both], tmp_path / "out"))


def test_the_training_of_a_teacher_counts_and_once(tmp_path: Path) -> None:
    teacher, student = run(tmp_path, "taught_seed1", 0.6), run(tmp_path, "taught_seed2", 0.9, seconds=(50.0, 50.0))
    config = json.loads((student / "config.json").read_text())
    taught = {"path": "runs/elsewhere/taught_seed1", "answered": {"weights_sha256": "abc"}, "sha256": "0", "seen": {}}
    write_json(student / "config.json", config | {"teacher": taught})
    for stem in STEMS:
        record = json.loads(RunFolder(teacher).metrics(stem).read_text())
        write_json(RunFolder(teacher).metrics(stem), record | {"weights_sha256": "abc"})
    (alone,) = read_targets([student])
    assert (alone.seconds, alone.uncounted) == (130, ())
    assert alone.curves[0][0].tolist() == [80, 130], "it begins where its teacher ends"
    field = read_field([student])
    assert (field.entrants[0].seconds, field.uncounted) == (130, ())
    assert read_ensemble("both", [teacher, student]).seconds == 130
    grandchild, elsewhere = run(tmp_path, "later_seed3", 0.9, seconds=(1.0, 2.0)), tmp_path / "other" / "taught"
    elsewhere.parent.mkdir()
    student.rename(elsewhere)
    taught_too = {"teacher": taught | {"path": str(elsewhere), "answered": {"weights_sha256": None}}}
    write_json(grandchild / "config.json", json.loads((grandchild / "config.json").read_text()) | taught_too)
    assert read_targets([grandchild])[0].seconds == 133, "the student's teacher stands beside the grandchild"
    elsewhere.rename(student)
    write_json(student / "config.json", config | {"teacher": taught | {"answered": {"weights_sha256": "other"}}})
    (alone,) = read_targets([student])
    assert alone.seconds == 100
    note = "Not counted for taught: the training of its teacher runs/elsewhere/taught_seed1, which is not here"
    assert note in record_text([alone])
    field = read_field([student])
    assert (field.entrants[0].seconds, field.uncounted) == (100, ("runs/elsewhere/taught_seed1",))
    assert "the weights that taught: runs/elsewhere/taught_seed1." in leaderboard_text(field.rank(), field)
    RunFolder(teacher).weights.write_bytes(b"weights")
    mine = {"answered": {"weights_sha256": sha256(RunFolder(teacher).weights)}}
    write_json(student / "config.json", config | {"teacher": taught | mine})
    assert read_targets([student])[0].seconds == 130, "a teacher need not have been evaluated"
    both = taught | {
        "path": ["runs/elsewhere/taught_seed1", "runs/elsewhere/gone"],
        "answered": {"members": [{"weights_sha256": "abc"}, {"weights_sha256": "def"}]},
    }
    write_json(student / "config.json", config | {"teacher": both})
    (alone,) = read_targets([student])
    assert (alone.seconds, alone.uncounted) == (130, ("runs/elsewhere/gone",))
    RunFolder(student).history.unlink()
    with pytest.raises(InputError, match=r"taught_seed2: has no history\.jsonl"):
        read_targets([student])


def test_an_ensemble_needs_runs_with_predictions_of_the_same_rows(tmp_path: Path) -> None:
    first, second = run(tmp_path, "one_seed1", 0.9), run(tmp_path, "one_seed2", 0.8)
    with pytest.raises(InputError, match="`mean`: few is of one run; name two or more"):
        read_ensemble("few", [first])
    with pytest.raises(InputError, match="is named twice"):
        read_ensemble("twice", [first, first])
    for path in (first, second):
        record = json.loads(RunFolder(path).metrics("val").read_text())
        write_json(RunFolder(path).metrics("val"), record | {"weights_sha256": "abc"})
    for read in (lambda: read_ensemble("copies", [first, second]), lambda: read_targets([first, second])):
        with pytest.raises(InputError, match=r"one_seed2: has the weights of .*one_seed1; name each network of"):
            read()
    stored = Predictions.load(RunFolder(second).predictions("val"))
    Predictions(stored.id[::-1], stored.logit, stored.y, meta=stored.meta).save(RunFolder(second).predictions("val"))
    with pytest.raises(InputError, match=r"one_seed2: has other rows of val than .*one_seed1; evaluate it again"):
        read_ensemble("other", [first, second])
    RunFolder(second).predictions("val").unlink()
    with pytest.raises(InputError, match=r"one_seed2: has no predictions of val\.npz and no weights to make them"):
        read_ensemble("none", [first, second])


def test_what_cannot_be_put_together_is_refused(tmp_path: Path) -> None:
    good = run(tmp_path, "hour_seed1", 0.9)
    with pytest.raises(InputError, match="hour: its runs differ in more than their seed"):
        read_targets([good, run(tmp_path, "hour_seed2", 0.9, epochs=3)])
    with pytest.raises(InputError, match=r"other/hour_seed1: seed 1 of hour is also .*hour_seed1; give one of the two"):
        read_targets([good, run(tmp_path / "other", "hour_seed1", 0.8)])
    for seed, models in (5, ["order_net"]), (6, ["order_net", "order_net"]):
        path = run(tmp_path, f"taught_seed{seed}", 0.8) / "config.json"
        answered = {"members": [{"model": model} for model in models]}
        write_json(
            path,
            json.loads(path.read_text())
            | {"teacher": {"path": models, "answered": answered, "seen": {}, "sha256": "0"}},
        )
    with pytest.raises(InputError, match="taught: its runs differ in more than their seed"):
        read_targets([tmp_path / "taught_seed5", tmp_path / "taught_seed6"])
    elsewhere = run(tmp_path, "hour_seed3", 0.8)
    record = json.loads(RunFolder(elsewhere).metrics("val").read_text())
    write_json(RunFolder(elsewhere).metrics("val"), record | {"data": record["data"] | {"sha256": "other"}})
    with pytest.raises(InputError, match=r"hour_seed3: has no metrics of val\.npz and no weights to make them"):
        read_targets([good, elsewhere])
    chosen_on_a_test = run(tmp_path, "hour_seed4", 0.8)
    config = json.loads((chosen_on_a_test / "config.json").read_text())
    config["data"]["val"]["sha256"] = "test_public"
    write_json(chosen_on_a_test / "config.json", config)
    for read in (read_ensemble_of, read_field):
        with pytest.raises(InputError, match=r"hour_seed4: its val is val\.npz, but that of .*hour_seed1 is val\.npz"):
            read([good, chosen_on_a_test])
    fitted_to_a_test = run(tmp_path, "hour_seed5", 0.8)
    config["data"] = RECORDED["data"] | {"train": {"path": "train.npz", "sha256": "test_public", "n": 200}}
    write_json(fitted_to_a_test / "config.json", config)
    for read in (read_ensemble_of, read_field):
        with pytest.raises(InputError, match=r"hour_seed5: its training used test_public\.npz, which is a test of "):
            read([good, fitted_to_a_test])
    field = read_field([fitted_to_a_test])
    assert ([*field.rows], field.left_out) == (["val", "test_private"], ("test_public",))
    assert "Left out, since a training used it: test_public." in leaderboard_text(field.rank(), field)
    RunFolder(good).metrics("test_public").unlink()
    RunFolder(good).weights.write_bytes(b"weights")
    with pytest.raises(InputError, match=r"hour_seed1: has not been evaluated on test_public\.npz; run 'twinrank eval"):
        read_targets([good, run(tmp_path, "other_seed1", 0.8)])


def read_ensemble_of(runs: Sequence[Path]) -> object:
    return read_ensemble("both", runs)


def test_files_are_known_by_their_digests(tmp_path: Path) -> None:
    """A run whose val is v200.npz, and whose test is exam.npz, beside one that calls them otherwise."""
    names = {"val": "v200", "test_public": "exam"}
    one, other = run(tmp_path, "one_seed1", 0.9), run(tmp_path, "other_seed1", 0.8)
    for path, own in ((one, names), (other, {"val": "later", "test_public": "name"})):
        config = json.loads((path / "config.json").read_text())
        config["data"]["val"]["path"] = f"data/{own['val']}.npz"
        write_json(path / "config.json", config)
        for kind in (RunFolder.predictions, RunFolder.metrics):
            kind(RunFolder(path), "test_private").unlink()
            for stem, name in own.items():
                kind(RunFolder(path), stem).rename(kind(RunFolder(path), name))
    field = read_field([one, other])
    board = field.rank()
    assert (board.ranked_on, board.compared_on, [row.entrant.name for row in board.rows]) == (
        "v200",
        "exam",
        ["one_seed1", "other_seed1"],
    )
    assert all(path.is_file() for path in write_leaderboard(board, field, tmp_path / "board"))
    first, second = read_targets([one, other])
    assert (first.decisive, second.accuracy["exam"].n) == ("exam", 200)
    assert "v200 chose epochs" in record_text([first, second, read_ensemble("both", [one, other])])
    assert all(path.is_file() for path in write_record([first, second], tmp_path / "record"))
    assert "one_seed1: val 60.00%, exam 90.00%" in seeds_summary([one])
    assert "of the 200 test pairs" in write_report(one, tmp_path / "page.html").read_text()
    third = run(tmp_path, "third_seed1", 0.7)
    with pytest.raises(InputError, match=r"third_seed1: has not been evaluated|other files than one"):
        record_text([first, *read_targets([third])])


def test_names_of_any_kind_stand_in_tables_as_they_are(tmp_path: Path) -> None:
    names = ["a|b", "<b>x</b>", "line\nbreak", "n" * 200, "$\\frac{", "[x](y)"]
    folders = [run(tmp_path / str(place), f"{name}_seed1", 0.9) for place, name in enumerate(names)]
    field = read_field(folders)
    board = field.rank()
    text = leaderboard_text(board, field)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(names)
    assert {line.replace("\\|", "").count("|") for line in table} == {14}
    assert "<b>" not in text
    assert max(len(row.entrant.name) for row in board.rows) <= 80
    assert all(path.is_file() for path in write_leaderboard(board, field, tmp_path / "out"))
    assert draw_curves(folders, tmp_path / "curves.png").is_file()
    targets = read_targets(folders)
    assert len([line for line in record_text(targets).splitlines() if line.startswith("|")]) == 2 + len(names)
    assert all(path.is_file() for path in write_record(targets, tmp_path / "record"))


def test_entrants_of_one_name_are_renamed_and_it_ends() -> None:
    same = Entrant("x", "model", "pairs-only", 1, 1.0, None, {})
    places = [(Path("/a"), same), (Path("/a"), same), (Path("/b"), replace(same, name="y" * 5000))]
    names = [each.name for each in _renamed(places)]
    assert names[:2] == ["/a/x", "/a/x (2)"]
    assert len(names[2]) == 80


def test_a_run_that_is_its_own_teacher_is_refused(tmp_path: Path) -> None:
    own = run(tmp_path, "own_seed1", 0.9)
    config = json.loads((own / "config.json").read_text())
    taught = {"path": str(own), "answered": {"weights_sha256": None}, "sha256": "0", "seen": {}}
    write_json(own / "config.json", config | {"teacher": taught})
    with pytest.raises(InputError, match="names as teacher a run that it has taught"):
        read_targets([own])
