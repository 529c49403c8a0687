"""Work in processes of its own: claims, ends, GPUs, and what is refused before anything starts."""

import errno
import importlib.util
import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from twinrank.cli.main import main
from twinrank.core.context import Context
from twinrank.core.device import visible_gpus
from twinrank.core.executors import Outcome, Task, Work, require_executor, threads_each, workers_of
from twinrank.core.files import marker
from twinrank.core.local_pool import Child, LocalPool
from twinrank.core.locks import locked
from twinrank.core.ray_cluster import RayCluster, RayTask, _problem
from twinrank.errors import InputError

GPU = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"


def outcome(task: Task) -> Outcome:
    while not task.ended():
        time.sleep(0.01)
    return task.outcome()


def test_each_process_of_a_machine_with_several_gpus_sees_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1"]
    # The last one does not exist, so CUDA leaves it out.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5ad,99")
    assert visible_gpus() == ["3", "GPU-5ad"]
    assert (workers_of(Context()), workers_of(Context(workers=1))) == (2, 1)
    pool, logs = LocalPool(3), [tmp_path / f"{number}.log" for number in range(4)]
    tasks = [pool.start(Work(exec, (GPU,), log)) for log in logs[:3]]
    assert [outcome(each) for each in tasks] == [Outcome("done")] * 3
    assert [log.read_text() for log in logs[:3]] == ["3\n", "GPU-5ad\n", "3\n"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3, GPU-5ad,99"
    # This process computes on the first one.
    assert pool.joined()
    outcome(pool.start(Work(exec, (GPU,), logs[3])))
    assert logs[3].read_text() == "GPU-5ad\n"


def test_work_says_how_it_ends_and_is_done_by_one_process_at_a_time(tmp_path: Path) -> None:
    log = tmp_path / "folder" / "log"
    killed = Child(Work(exec, ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",), log))
    broken = Child(Work(exec, ("1 / 0",), tmp_path / "broken"))
    refused = Child(Work(LocalPool.start, (), tmp_path))
    assert outcome(killed) == ("failed", f"killed by signal 9 (out of memory?); run the same command again. Log: {log}")
    assert outcome(broken) == (
        "failed",
        f"ZeroDivisionError: division by zero; the log has more: {tmp_path / 'broken'}",
    )
    assert "ZeroDivisionError" in (tmp_path / "broken").read_text()
    assert outcome(refused) == ("failed", f"{tmp_path}: cannot be locked (it is no file); remove it")
    with locked(log):
        assert outcome(Child(Work(exec, ("1 / 0",), log))).kind == "taken"
    assert log.read_text() == ""


def test_threads_are_divided_on_this_machine_and_are_those_of_each_training_on_ray() -> None:
    assert threads_each(Context(threads=8, workers=3), 10) == 2
    assert threads_each(Context(threads=8, workers=3), 1) == 8
    assert threads_each(Context(threads=8, workers=3, executor="ray"), 10) == 8
    assert threads_each(Context(executor="ray"), 10) == 1


def test_a_machine_that_cannot_do_the_work_of_another_says_why(tmp_path: Path) -> None:
    with marker(tmp_path / "out") as seen:
        assert _problem(seen, tmp_path, "0") == "has twinrank 0.1.0, not 0; install the same version"
        assert "has no folder" in str(_problem(seen, tmp_path / "project", "0.1.0"))
        assert _problem(seen, tmp_path, "0.1.0") is None
    assert not seen.exists()
    assert f"does not see {seen.parent}; choose a folder" in str(_problem(seen, tmp_path, "0.1.0"))
    seen.touch()
    assert "does not see the locks of" in str(_problem(seen, tmp_path, "0.1.0"))


class FakeRay:
    """What a cluster of these machines is, and what was asked of it."""

    def __init__(self, *machines: dict[str, float]) -> None:
        self.machines, self.asked = machines, dict[str, Any]()
        self.exceptions = SimpleNamespace(OutOfMemoryError=MemoryError, RayTaskError=KeyError, RayError=Exception)

    def nodes(self) -> list[dict[str, Any]]:
        gone = {"NodeID": "gone", "Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        return [gone, *({"NodeID": n, "Alive": True, "Resources": each} for n, each in enumerate(self.machines))]

    def remote(self, **options: Any) -> Any:
        self.asked = options
        return lambda function: SimpleNamespace(remote=lambda *_: None)

    def get(self, result: Any) -> Outcome:
        if isinstance(result, Outcome):
            return result
        raise result


def test_work_on_a_cluster_gets_a_gpu_where_there_are_some(tmp_path: Path) -> None:
    def cluster(*machines: dict[str, float], **values: Any) -> tuple[FakeRay, RayCluster]:
        ray: Any = FakeRay(*machines)
        return ray, RayCluster(ray, Context(**values), tmp_path)

    ray, cores = cluster({"CPU": 4.0}, {"CPU": 3.0}, {}, threads=2)
    assert cores.workers == 3
    cores.start(Work(print, ()))
    assert (ray.asked["num_cpus"], ray.asked["num_gpus"], ray.asked["max_retries"]) == (2, 0, 0)
    ray, gpus = cluster({"CPU": 8.0, "GPU": 2.0}, {"CPU": 16.0}, {"CPU": 1.0, "GPU": 4.0})
    assert gpus.workers == 3
    gpus.start(Work(print, ()))
    assert (ray.asked["num_cpus"], ray.asked["num_gpus"]) == (1, 1)
    assert cluster({"CPU": 2.0}, workers=5)[1].workers == 5
    with pytest.raises(InputError, match=r"no machine of the Ray cluster has 4 cores \(`threads`\) for a training"):
        assert cluster({"CPU": 2.0}, threads=4)[1].workers


def test_only_what_is_lost_with_its_machine_may_be_done_again() -> None:
    ray: Any = FakeRay()
    assert RayTask(ray, Outcome("taken", "by another")).outcome() == ("taken", "by another")
    assert RayTask(ray, MemoryError()).outcome().kind == "failed"
    assert RayTask(ray, OSError("node died")).outcome() == ("lost", "its machine is lost")


def test_a_folder_without_locks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(InputError, match=r"log: cannot be locked \(No locks available\); mount its file system"):
        locked(tmp_path / "log").__enter__()


def test_what_cannot_work_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        silent = f"127.0.0.1:{free.getsockname()[1]}"
    wrong = {
        "`executor`: 'rya' is unknown; did you mean 'ray'?": {"executor": "rya"},
        "`ray_address` is that of a Ray cluster; give `executor` ray with it": {"ray_address": "a:1"},
        "`ray_address` is 'ray://a:1'; give HOST:PORT": {"executor": "ray", "ray_address": "ray://a:1"},
        "`ray_address` is 'a'; give HOST:PORT": {"executor": "ray", "ray_address": "a"},
        f"`ray_address`: nothing answers at {silent} (": {"executor": "ray", "ray_address": silent},
        "`ray_address`: nothing answers at 127.0.0.1:99999 (": {"executor": "ray", "ray_address": "127.0.0.1:99999"},
        "`workers` is 0; use 1 or more": {"workers": 0},
    }
    for message, values in wrong.items():
        with pytest.raises(InputError) as refused:
            require_executor(Context(**values))
        assert str(refused.value).startswith(message)


@pytest.mark.parametrize("command", ["seeds order_net", "tune order_net", "fit", "grid --mode oof", "run demo"])
def test_a_missing_package_is_one_line_before_data_are_read(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else found(name, *more))
    (tmp_path / "pairs.npz").touch()
    pairs = str(tmp_path / "pairs.npz")
    files = [pairs] if command == "fit" else ["--train", pairs, "--val", pairs]
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), *files, "--out", str(tmp_path / "out"), "--executor", "ray"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        "twinrank: error: --executor ray needs the package ray; install it with: pip install 'twinrank[ray]'\n"
    )
    assert not (tmp_path / "out").exists()
