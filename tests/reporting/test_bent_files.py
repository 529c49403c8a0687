"""Whatever is bent in a run folder or a stack folder gives one line, and never a traceback."""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting.test_targets import run

from twinrank.core.files import write_json
from twinrank.errors import CheckFailed, InputError
from twinrank.reporting.ablation import ablation_text, read_ablation
from twinrank.reporting.leaderboard import leaderboard_text, leaderboard_values, read_field
from twinrank.reporting.pictures import draw_curves
from twinrank.reporting.records import read_audit, read_figures, read_steps
from twinrank.reporting.seeds import seeds_summary
from twinrank.reporting.stack_page import _confidence
from twinrank.reporting.targets import read_ensemble, read_targets, record_text
from twinrank.workflows.report import report
from twinrank.workflows.verify import verify

DEEP: Any = json.loads("[" * 60 + "]" * 60)
BENT: list[Any] = [None, True, -1, 0, 3.5, "text", "", [], {}, [[]], {"a": []}, 10**30, 1e308, "x" * 5000, "a\0b", DEEP]
BENT += ["\n|<b>", "\udc80", [None], {"path": 1}, "../../etc", float("nan")]
STACK = Path(__file__).parents[2] / "results" / "stack"


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield before
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*before, key))


def bent(value: Any, choose: random.Random) -> Any:
    """JSON values with one of them replaced or removed."""
    place = choose.choice(list(places(value)))
    if not place:
        return choose.choice(BENT)
    owner = value
    for key in place[:-1]:
        owner = owner[key]
    if choose.random() < 0.3:
        del owner[place[-1]]
    else:
        owner[place[-1]] = choose.choice(BENT)
    return value


def bend(file: Path, choose: random.Random) -> None:
    if file.suffix == ".npz":
        with np.load(file) as stored:
            arrays = dict(stored)
        arrays["meta"] = np.array(json.dumps(bent(json.loads(str(arrays["meta"])), choose)))
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    elif file.suffix == ".jsonl":
        lines = file.read_text().splitlines()
        lines[-1] = json.dumps(bent(json.loads(lines[-1]), choose))
        file.write_text("\n".join(lines))
    else:
        file.write_text(json.dumps(bent(json.loads(file.read_text()), choose)))


def refused_in_one_line(use: Callable[[], Any]) -> None:
    message = ""
    try:
        use()
    except InputError as error:
        message = str(error)
    except CheckFailed:
        pass
    assert "\n" not in message
    assert len(message) < 2500


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    found = [run(tmp_path, "base_seed1", 0.9), run(tmp_path, "other_seed1", 0.8)]
    step = {"step": "train", "seconds": 1.0, "peak_memory_mb": 3, "inputs": {}, "outputs": {}}
    write_json(found[0] / "steps.json", [step])
    config = json.loads((found[0] / "config.json").read_text())
    taught = {"path": "nowhere", "answered": {"weights_sha256": "q"}, "sha256": "0", "seen": {}}
    about = {"name": "x", "version": "1", "commit": None, "command": "c", "device": "cpu", "teacher": taught}
    write_json(found[0] / "config.json", config | about)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_bent_runs_are_refused_in_one_line(runs: list[Path], tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    files = sorted(path for path in runs[0].rglob("*") if path.suffix in (".json", ".jsonl", ".npz"))

    def board() -> None:
        field = read_field(runs)
        ranked = field.rank()
        leaderboard_text(ranked, field)
        leaderboard_values(ranked)

    uses: list[Callable[[], Any]] = [
        board,
        lambda: record_text([*read_targets(runs), read_ensemble("mean", runs)]),
        lambda: ablation_text(read_ablation(runs)),
        lambda: seeds_summary(runs),
        lambda: draw_curves(runs, tmp_path / "curves.png"),
        lambda: report(runs[0], tmp_path / "page.html"),
        lambda: verify(runs[0]),
    ]
    for number in range(21):
        file = choose.choice(files)
        before = file.read_bytes()
        bend(file, choose)
        refused_in_one_line(uses[number % len(uses)])
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("name", "read"), [("figures.json", read_figures), ("audit.json", read_audit), ("steps.json", read_steps)]
)
def test_bent_files_of_a_stack_are_refused_in_one_line(name: str, read: Callable[[Path], Any], tmp_path: Path) -> None:
    choose, file = random.Random(0), tmp_path / name
    for _ in range(40):
        file.write_bytes((STACK / name).read_bytes())
        bend(file, choose)
        refused_in_one_line(lambda: read(file))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda figures: figures["folds"][0]["folds"].pop(), "folds"),
        (lambda figures: figures["confusion"]["two_level"].append([1, 2]), "confusion.two_level"),
        (lambda figures: figures["errors"]["names"].pop(), "errors.correlation"),
        (lambda figures: figures["calibration"]["curves"]["none"]["n"].pop(), "calibration.curves.none"),
        (lambda figures: figures["abstention"].pop("tests"), "abstention"),
    ],
)
def test_figures_whose_lists_do_not_fit_are_refused(change: Callable[[Any], Any], key: str, tmp_path: Path) -> None:
    figures = json.loads((STACK / "figures.json").read_text())
    change(figures)
    write_json(tmp_path / "figures.json", figures)
    with pytest.raises(InputError, match=rf"figures\.json: not the figures of a stack \('{key}' has another size\)"):
        read_figures(tmp_path / "figures.json")


def test_keys_of_a_newer_version_change_no_figure(tmp_path: Path) -> None:
    figures = json.loads((STACK / "figures.json").read_text())
    figures["calibration"]["curves"]["none"]["newer"] = figures["newer"] = 1
    write_json(tmp_path / "figures.json", figures)
    new, known = (_confidence(read_figures(folder / "figures.json"), "tests") for folder in (tmp_path, STACK))
    assert [each.svg for each in new] == [each.svg for each in known]


def test_a_page_reads_regular_files_alone(runs: list[Path], tmp_path: Path) -> None:
    """A recorded path may be that of a pipe, which would never end."""
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    for file in (runs[1] / "predictions").iterdir():
        with np.load(file) as stored:
            arrays = dict(stored)
        meta = json.loads(str(arrays["meta"]))
        meta["data"]["path"] = str(pipe)
        np.savez(file, **arrays | {"meta": np.array(json.dumps(meta))})  # pyright: ignore[reportArgumentType]
    config = json.loads((runs[1] / "config.json").read_text())
    config["data"]["val"]["path"] = str(pipe)
    write_json(runs[1] / "config.json", config)
    assert "Most confident mistakes" not in report(runs[1], tmp_path / "page.html").read_text()
    os.mkfifo(runs[1] / "steps.json")
    with pytest.raises(InputError, match=r"steps\.json: .*give a file|steps\.json"):
        report(runs[1], tmp_path / "page.html")
