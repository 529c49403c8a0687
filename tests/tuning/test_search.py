import multiprocessing
import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.locks import is_locked
from twinrank.data.judgements import load_pairs
from twinrank.errors import InputError, Interrupted
from twinrank.models.registry import entry
from twinrank.tuning.search import Search, SharedStudy, TrialHooks
from twinrank.tuning.space import Range, Space
from twinrank.tuning.workers import run_search

TINY = {"epochs": 3, "batch_size": 192}
SPACE: Space = {"train.lr": Range(1e-3, 1e-1, log=True), "options.width": [4, 6]}

FILES = ("config.json", "history.jsonl", "images.npz", "lock")


def search(folder: Path, data: Path, trials: int = 3, space: Space = SPACE, **changes: Any) -> Search:
    files = data / "train.npz", data / "val.npz"
    digests = {path.stem: load_pairs(path).sha256 for path in files}
    spec = RunSpec("order_net", replace(entry("order_net").train, **TINY), {"width": 4})
    return replace(Search(folder, *files, digests, spec, space, trials), **changes)


def outcome(study: SharedStudy) -> list[Any]:
    """What each finished trial chose, and what came of it."""
    finished = [outcome for outcome in study.outcomes() if outcome["state"] != "failed"]
    return [[outcome[name] for name in ("state", "accuracy", "values", "epochs")] for outcome in finished]


@pytest.fixture(scope="module")
def whole(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, SharedStudy]:
    """A search that nothing has disturbed."""
    requested = search(tmp_path_factory.mktemp("whole"), benchmark_folder)
    return requested, run_search(requested)


def test_a_search_maximises_the_accuracy_and_keeps_the_weights_of_the_best(whole: tuple[Search, SharedStudy]) -> None:
    requested, study = whole
    outcomes = study.outcomes()
    assert [outcome["number"] for outcome in outcomes] == [0, 1, 2]
    assert len({outcome["values"]["train.lr"] for outcome in outcomes}) == 3
    best = study.ranked()[0]
    assert best.value == max(outcome["accuracy"] for outcome in outcomes)
    for outcome in outcomes:
        run = requested.run(outcome["number"])
        history = run.read_history()
        assert len(history) == outcome["epochs"] == 3
        assert outcome["accuracy"] == max(epoch["val"]["accuracy"] for epoch in history)
        assert run.train_config().lr == outcome["values"]["train.lr"]
        kept = [
            "config.json",
            "history.jsonl",
            "images.npz",
            "lock",
            *["weights.safetensors"] * (outcome["number"] == best.number),
        ]
        assert sorted(path.name for path in run.path.iterdir()) == kept


def test_a_search_that_was_stopped_goes_on_to_the_same_end(
    whole: tuple[Search, SharedStudy], benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = TrialHooks.epoch_ended
    requested = search(tmp_path, benchmark_folder)

    def stop(self: TrialHooks, entry: dict[str, Any], best: bool) -> None:
        ended(self, entry, best)
        if requested.run(1).path.exists() and entry["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrialHooks, "epoch_ended", stop)
        with pytest.raises(Interrupted, match="Go on by running the same command again"):
            run_search(requested)
    before = requested.run(1).read_history()
    study = run_search(requested)
    assert outcome(study) == outcome(whole[1])
    assert [outcome["state"] for outcome in study.outcomes()] == ["complete", "failed", "complete", "complete"]
    assert not requested.run(1).path.exists()
    assert requested.run(2).read_history()[:2] == before, "epochs that are done are not trained again"
    assert run_search(replace(requested, trials=1)).outcomes() == study.outcomes()


def test_a_search_is_shared_with_a_process_and_its_trial_taken_over_when_that_is_killed(
    benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested, histories = search(tmp_path, benchmark_folder), []
    work, others = SharedStudy.work, multiprocessing.active_children()

    def work_beside_a_frozen_process(study: SharedStudy) -> None:
        (process,) = (child for child in multiprocessing.active_children() if child not in others)
        assert process.pid is not None
        while not requested.run(0).checkpoint.exists() and process.is_alive():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGSTOP)
        # It keeps its trial, and nothing that others need.
        while is_locked(tmp_path / "study.lock") or os.path.lexists(tmp_path / "study.journal.lock"):
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.01)
            os.kill(process.pid, signal.SIGSTOP)
        histories.append(requested.run(0).read_history())

        def kill_it_when_it_is_waited_for() -> None:
            while len(SharedStudy(requested).ranked()) < 2:
                time.sleep(0.05)
            process.kill()

        killer = threading.Thread(target=kill_it_when_it_is_waited_for)
        killer.start()
        work(study)
        killer.join()

    monkeypatch.setattr(SharedStudy, "work", work_beside_a_frozen_process)
    outcomes = run_search(requested, Context(workers=2)).outcomes()
    assert [outcome["state"] for outcome in outcomes] == ["failed", "complete", "complete", "complete"]
    assert outcomes[3]["values"] == outcomes[0]["values"]
    assert not requested.run(0).path.exists()
    assert 1 <= len(histories[0]) < 3
    assert requested.run(3).read_history()[: len(histories[0])] == histories[0], (
        "epochs that are done are not trained again"
    )


def test_a_trial_that_is_always_killed_is_given_up(benchmark_folder: Path, tmp_path: Path) -> None:
    study = SharedStudy(search(tmp_path, benchmark_folder))
    values = []
    for _ in range(4):
        with ExitStack() as claims:
            trial = study._claim(claims)
            assert trial is not None
            values.append(trial.params)
    assert values[0] == values[1] == values[2] != values[3]
    assert {outcome["reason"] for outcome in study.outcomes()} == {"its process ended"}


def test_others_trials_are_waited_for(benchmark_folder: Path, tmp_path: Path) -> None:
    requested = search(tmp_path, benchmark_folder, trials=1)
    one, other = SharedStudy(requested), SharedStudy(requested)
    with ExitStack() as claims:
        assert one._claim(claims) is not None
        assert other._claim(claims) is None
        assert other.missing == 1


def test_a_trial_below_the_median_is_pruned_and_leaves_nothing_half_written(
    benchmark_folder: Path, tmp_path: Path
) -> None:
    requested = search(tmp_path, benchmark_folder, trials=6)
    study = SharedStudy(requested)
    for _ in range(5):
        values, curve = {"train.lr": 1e-2, "options.width": 4}, {1: 0.99, 2: 0.99, 3: 0.99}
        study._study.add_trial(
            optuna.create_trial(
                value=0.99, params=values, distributions=study._distributions, intermediate_values=curve
            )
        )
    study.work()
    outcome = study.outcomes()[-1]
    assert (outcome["state"], outcome["epochs"]) == ("pruned", 1)
    assert outcome["reason"] == "below the median of the trials before"
    assert outcome["accuracy"] == requested.run(5).read_history()[-1]["val"]["accuracy"]
    assert {path.name for path in requested.run(5).path.iterdir()} == {
        "config.json",
        "history.jsonl",
        "images.npz",
        "lock",
    }
    assert study.missing == 0


def test_a_diverging_trial_is_pruned_and_the_search_goes_on(benchmark_folder: Path, tmp_path: Path) -> None:
    requested = search(tmp_path, benchmark_folder, trials=2, space={"train.lr": Range(1e29, 1e30)})
    train = replace(requested.spec.train, clip_norm=1e30, warmup=0.0, precision="float32")
    study = run_search(replace(requested, spec=replace(requested.spec, train=train)))
    assert [outcome["state"] for outcome in study.outcomes()] == ["pruned", "pruned"]
    assert "not finite in step" in study.outcomes()[0]["reason"]
    assert study.ranked() == []


def test_another_search_in_the_folder_is_refused(whole: tuple[Search, SharedStudy]) -> None:
    requested, _ = whole
    other = replace(requested, space={**requested.space, "train.lr": Range(1e-3, 1.0, log=True)})
    with pytest.raises(
        InputError, match=r"holds another search \(space.train.lr.high is 1.0, not 0.1\); choose another"
    ):
        SharedStudy(other)


def test_lists_are_chosen_from(benchmark_folder: Path, tmp_path: Path) -> None:
    requested = search(
        tmp_path, benchmark_folder, space={"options.fusions": [["difference"], ["difference", "product"]]}
    )
    study = SharedStudy(replace(requested, spec=RunSpec("resnet_fusion", requested.spec.train)))
    with ExitStack() as claims:
        trial = study._claim(claims)
        assert trial is not None
        assert requested.chosen(trial)["options.fusions"] in requested.space["options.fusions"]  # pyright: ignore[reportOperatorIssue]


def test_a_database_may_hold_several_searches(benchmark_folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'all.db'}"
    first, second = (search(tmp_path / name, benchmark_folder, trials=1, storage=url) for name in ("a", "b"))
    assert len(run_search(first).outcomes()) == 1
    assert SharedStudy(second).missing == 1
    assert SharedStudy(first).missing == 0
    assert optuna.load_study(study_name=str(tmp_path / "a"), storage=url).trials[0].state == TrialState.COMPLETE


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/all.db", "redis://localhost", "mssql+none://x/y"])
def test_a_storage_that_cannot_be_used_is_one_line(benchmark_folder: Path, tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="`storage`: cannot be used") as refused:
        SharedStudy(search(tmp_path, benchmark_folder, storage=url))
    assert "\n" not in str(refused.value)


def test_a_damaged_journal_is_one_line(benchmark_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_text("{}\nnothing\n{}\n")
    with pytest.raises(InputError, match=r"study.journal: cannot be used \(.*\); restore it"):
        SharedStudy(search(tmp_path, benchmark_folder))
