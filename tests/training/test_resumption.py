import json
import shutil
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.files import sha256
from twinrank.data.images.reading import Reading
from twinrank.data.judgements import load_pairs
from twinrank.data.source import Source
from twinrank.errors import InputError, Interrupted
from twinrank.models.registry import entry
from twinrank.models.weights import read_tensors, write_tensors
from twinrank.runs import RunFolder
from twinrank.training.checks import finished
from twinrank.training.hooks import Hooks
from twinrank.training.train import resume, train

TYPEFACES = Path(__file__).parents[1] / "typefaces"
CONSTANT = {"schedule": "constant", "warmup": 0.0, "easy_share": 1.0, "augment_from": 0.0}
ONE = Context(threads=1)

Train = Callable[..., RunFolder]


class StopAfter(Hooks):
    """Ctrl-C after an epoch."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        if entry["epoch"] == self._epoch:
            raise KeyboardInterrupt


@pytest.fixture
def trained(benchmark_folder: Path, tmp_path: Path) -> Train:
    def run(name: str, hooks: Hooks | None = None, files: Path = benchmark_folder, **changes: Any) -> RunFolder:
        config = replace(entry("order_net").train, batch_size=64, lr=1e-2, **{"epochs": 2, **changes})
        spec = RunSpec("order_net", config, {"width": 4, "levels": 4})
        return train(spec, files / "train.npz", files / "val.npz", tmp_path / name, hooks=hooks, context=ONE)

    return run


def test_a_run_whose_data_has_moved_goes_on_with_the_new_place(
    trained: Train, benchmark_folder: Path, tmp_path: Path
) -> None:
    whole, old, new = trained("whole"), tmp_path / "old", tmp_path / "new"
    shutil.copytree(benchmark_folder, old)
    with chdir(tmp_path), pytest.raises(Interrupted):
        trained("run", StopAfter(1), Path("old"))
    run = tmp_path / "run"
    old.rename(new)
    with pytest.raises(InputError, match=r"old/train.npz: no such .*config.json names it, give .* with `train`"):
        resume(run)
    with pytest.raises(InputError, match=r"val.npz: other pairs than the run began with .* with `train`"):
        resume(run, train=new / "val.npz", val=new / "val.npz")
    with pytest.raises(InputError, match=r"run: was trained on no tables, so `images` has no meaning"):
        resume(run, images=new)
    lines: list[str] = []
    again = resume(run, train=new / "train.npz", val=load_pairs(new / "val.npz"), context=Context(lines.append))
    assert sha256(again.weights) == sha256(whole.weights)
    places = [file["path"] for file in again.read_config()["data"].values()]
    assert places == [str(new / "train.npz"), str(new / "val.npz")]
    assert len(lines) == 1
    resume(run)


def test_images_of_tables_may_move(tmp_path: Path) -> None:
    header, *lines = (TYPEFACES / "votes.csv").read_text().splitlines(keepends=True)
    for name, rows in (("train", lines[:40]), ("val", lines[40:60])):
        (tmp_path / f"{name}.csv").write_text("".join([header, *rows]))
    shutil.copytree(TYPEFACES / "images", tmp_path / "photos")
    spec = RunSpec("order_net", replace(entry("order_net").train, epochs=2), {"width": 2})
    source = Source(tmp_path / "photos", reading=Reading(size=16, channels=1))
    files = tmp_path / "train.csv", tmp_path / "val.csv"
    whole = train(spec, *files, tmp_path / "whole", source=source, context=ONE)
    with pytest.raises(Interrupted):
        train(spec, *files, tmp_path / "run", source=source, hooks=StopAfter(1), context=ONE)
    (tmp_path / "photos").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"photos: no such folder .*config.json names it, give .* with `images`"):
        resume(tmp_path / "run")
    again = resume(tmp_path / "run", images=tmp_path / "moved")
    assert sha256(again.weights) == sha256(whole.weights)
    assert {part["source"]["images"] for part in again.read_config()["data"].values()} == {str(tmp_path / "moved")}
    resume(tmp_path / "run")


def test_more_epochs_give_the_bits_of_a_run_that_had_them_from_the_start(trained: Train) -> None:
    longer, run = trained("longer", epochs=3, **CONSTANT), trained("run", **CONSTANT)
    with pytest.raises(InputError, match=r"`epochs` is 1, but 2 epochs are done; use 2 or more"):
        resume(run.path, epochs=1)
    with pytest.raises(Interrupted):
        resume(run.path, epochs=4, hooks=StopAfter(3))
    assert resume(run.path, epochs=3).train_config().epochs == 3
    assert sha256(run.weights) == sha256(longer.weights)
    recorded = json.loads(run.config.read_text())
    assert recorded["earlier_epochs"] == [2, 4]


def test_a_new_number_of_epochs_counts_although_the_run_is_killed_at_once(trained: Train) -> None:
    run = trained("run", **CONSTANT)

    class Killed(Hooks):
        def epoch_started(self, epoch: int) -> None:
            raise InputError("killed")

    with pytest.raises(InputError, match="killed"):
        resume(run.path, epochs=3, hooks=Killed())
    assert len(resume(run.path).read_history()) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "cosine"}, "the schedule cosine depends on the length of the run"),
        ({"schedule": "one_cycle"}, "the schedule one_cycle depends on the length of the run"),
        ({"easy_share": 0.5}, r"the curriculum \(`easy_share` 0.5\) depends on the length"),
        ({"warmup": 0.5}, "`warmup` is 0.5 of the run and would not be over"),
        ({"patience": 1, "min_delta": 0.9}, "stopped early after 2 epochs"),
    ],
)
def test_epochs_that_depend_on_the_length_of_the_run_stay(
    trained: Train, changes: dict[str, Any], message: str
) -> None:
    run = trained("run", **{**CONSTANT, **changes})
    before = run.config.read_bytes()
    with pytest.raises(InputError, match=message):
        resume(run.path, epochs=9)
    assert run.config.read_bytes() == before


def test_a_folder_that_is_removed_during_training_is_not_made_again(trained: Train, tmp_path: Path) -> None:
    class Remove(Hooks):
        def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(InputError, match="run: has been removed or moved during training; train again"):
        trained("run", Remove())
    assert not (tmp_path / "run").exists()


def test_an_unknown_sink_in_a_configuration_is_refused(trained: Train) -> None:
    run = trained("run", epochs=1)
    run.config.write_text(json.dumps(run.read_config() | {"log_to": ["antigravity"]}))
    with pytest.raises(InputError, match=r"`log_to`: 'antigravity' does not exist; it is one of tensorboard, wandb"):
        resume(run.path)


def test_a_run_that_describes_a_larger_network_than_it_stores_is_refused_before_that_is_built(
    trained: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained("run", epochs=1)
    recorded = json.loads(run.config.read_text())
    recorded["model"]["options"]["width"] = 4096
    run.config.write_text(json.dumps(recorded))
    tensors, state = read_tensors(run.checkpoint)
    write_tensors(run.checkpoint, tensors, state | {"asked": state["asked"] | {"model": recorded["model"]}})
    monkeypatch.setattr("twinrank.training.new_network.create_model", None)
    with pytest.raises(InputError, match=r"checkpoint.safetensors: is of another network than the run's"):
        resume(run.path)


def test_a_network_that_no_memory_holds_any_more_is_refused(trained: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained("run", epochs=1)
    monkeypatch.setattr("twinrank.training.new_network._BYTES_A_PARAMETER", 1 << 40)
    with pytest.raises(InputError, match=r"model 'order_net': with these options it has [0-9,]+ parameters"):
        resume(run.path)


@pytest.mark.parametrize("values", [3, ["high"], None])
def test_a_bent_checkpoint_is_one_line(trained: Train, values: Any) -> None:
    run = trained("run", epochs=1)
    tensors, state = read_tensors(run.checkpoint)
    write_tensors(run.checkpoint, tensors, state | {"values": values})
    for look in (lambda: finished(run.path), lambda: resume(run.path)):
        with pytest.raises(InputError, match=r"checkpoint.safetensors: not a checkpoint \('values"):
            look()
