"""Work on the machines of a Ray cluster, each in a process of its own there.

Ray chooses the machine. A small task of Ray on it starts the process, as this machine would, and waits for it. So Ray's
own settings, threads and loaded modules do not reach the work. Where a machine has GPUs, each process gets one.

Every machine must see the folder that the work writes to, and respect its locks. A marker file shows both.
"""

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import twinrank
from twinrank.core.context import Context
from twinrank.core.executors import Outcome, Work
from twinrank.core.files import marker
from twinrank.core.local_pool import Child
from twinrank.core.locks import is_locked
from twinrank.core.machine import available_threads
from twinrank.core.messages import cause
from twinrank.errors import InputError

_PATIENCE = 5.0
"""Seconds in which a cluster has to take a connection."""
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
"""How a client and a server of HTTP/2, which Ray speaks, begin."""
_LOOK_SECONDS = 60.0
"""Seconds in which a machine has to say whether it sees the folder. It starts Python meanwhile."""
_STORE = 100 * 2**20
"""Bytes of Ray's store of objects, where Ray is started: only paths and settings go through it."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_worker_niceness": "0",
}
"""What keeps Ray from reporting to its makers and from advice, and lets work run with this process's priority."""
_NEUTRAL = "/"
"""A folder without Python's modules."""
_CARRIED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TWINRANK_CACHE", "TWINRANK_CACHE_GB")
"""Variables that work has as on this machine. Ray sets the first one for its own tasks."""


def require_ray(address: str | None) -> None:
    """Make sure, before anything takes long, that Ray is installed, and that something answers at an address.

    Args:
        address: ``HOST:PORT``, or None.

    Raises:
        InputError: Ray is missing, or the address is none, or nothing answers there.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("`executor` ray needs the package ray; install it with: pip install 'twinrank[ray]'")
    if (address := _stated(address)) is None:
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise InputError(
            f"`ray_address` is '{address}'; give HOST:PORT, as 'ray start --head' shows it, from a machine of the"
            " cluster"
        )
    try:
        is_ray = _speaks(host.strip("[]"), int(port))
    except (OSError, OverflowError) as error:
        raise InputError(
            f"`ray_address`: nothing answers at {address} ({cause(error)}); start Ray there with 'ray start --head', or"
            " leave it out"
        ) from error
    if not is_ray:
        raise InputError(f"`ray_address`: what answers at {address} is not Ray; give what 'ray start' shows")


def _speaks(host: str, port: int) -> bool:
    """Whether a server answers as Ray does. Ray itself would try any other server, and none, for minutes.

    Raises:
        OSError: Nothing answers.
    """
    with socket.create_connection((host, port), _PATIENCE) as connection:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return True
        connection.sendall(_HELLO)
        return connection.recv(len(_SETTINGS))[3:4] == _SETTINGS[3:4]


@contextmanager
def ray_cluster(context: Context, folder: Path) -> Iterator["RayCluster"]:
    """Give a cluster for the work of a block.

    Ray stays connected afterwards, until this process ends.

    Args:
        context: Address, threads and workers.
        folder: Folder that the work writes to.

    Raises:
        InputError: Ray does not start, or a machine does not see the folder.
    """
    ray = _connected(_stated(context.ray_address))
    with marker(folder.resolve()) as seen:
        cluster = RayCluster(ray, context, seen)
        cluster.require_shared()
        yield cluster


class RayTask:
    """Work on some machine of a cluster.

    Args:
        ray: The module.
        result: Ray's reference to the outcome.
    """

    def __init__(self, ray: ModuleType, result: Any) -> None:
        self._ray, self._result = ray, result

    def ended(self) -> bool:
        """Whether it has ended."""
        return bool(self._ray.wait([self._result], timeout=0)[0])

    def outcome(self) -> Outcome:
        """How it has ended."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(self._result)
        except errors.OutOfMemoryError:
            return Outcome("failed", "Ray ended it, since its machine ran out of memory; let fewer run there")
        except errors.RayTaskError as error:
            return Outcome("failed", cause(error.cause or error))
        except errors.RayError:
            return Outcome("lost", "its machine is lost")

    def stop(self) -> None:
        """End it now, and wait until it has ended."""
        self._ray.cancel(self._result, force=True)
        self._ray.wait([self._result], timeout=_PATIENCE)


class RayCluster:
    """The machines of a Ray cluster.

    Args:
        ray: The module, connected.
        context: Threads and workers.
        seen: Marker in the folder that all machines must see.
    """

    def __init__(self, ray: ModuleType, context: Context, seen: Path) -> None:
        self._ray, self._wanted, self._threads, self._seen = ray, context.workers, context.threads or 1, seen
        self._on_gpus = any(each.get("GPU", 0) >= 1 for each in self._machines().values())
        self._where = Path.cwd()

    @property
    def workers(self) -> int:
        """How much work there may be at a time: as requested, else as much as the machines have room for.

        Raises:
            InputError: No machine has room.
        """
        room = sum(self._room(each) for each in self._machines().values())
        if not room:
            what = "a GPU" if self._on_gpus else f"{self._threads} cores (`threads`)"
            raise InputError(f"no machine of the Ray cluster has {what} for a training; see what 'ray status' says")
        return room if self._wanted is None else self._wanted

    def start(self, work: Work) -> RayTask:
        """Start work in a process of its own."""
        options = {"num_cpus": self._threads, "num_gpus": int(self._on_gpus), "max_retries": 0}
        task = self._ray.remote(scheduling_strategy="SPREAD", **options)(_do)
        carried = {name: os.environ.get(name) for name in _CARRIED}
        return RayTask(self._ray, task.remote(work, self._where, carried, self._seen))

    def joined(self) -> bool:
        """False: this machine may be any, and does nothing itself."""
        return False

    def require_shared(self) -> None:
        """Make sure that all machines see the folder, and have this version of twinrank.

        Raises:
            InputError: Some do not; the message has all of them.
        """
        nodes = {name: each for name, each in self._machines().items() if self._room(each)}
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        look = self._ray.remote(num_cpus=0, max_retries=0)(_problem)
        looks = {
            look.options(scheduling_strategy=strategy(name, soft=False)).remote(
                self._seen, self._where, twinrank.__version__
            ): name
            for name in nodes
        }
        ready, late = self._ray.wait([*looks], num_returns=len(looks), timeout=_LOOK_SECONDS) if looks else ([], [])
        found = {looks[each]: self._said(each) for each in ready}
        found |= {looks[each]: f"says nothing for {_LOOK_SECONDS:.0f} seconds" for each in late}
        hosts = {each["NodeID"]: each["NodeManagerAddress"] for each in self._ray.nodes()}
        if problems := [f"{hosts[name]} {problem}" for name, problem in found.items() if problem is not None]:
            raise InputError(f"not every machine of the Ray cluster can do this: {'; '.join(problems)}")

    def _said(self, look: Any) -> str | None:
        try:
            return self._ray.get(look)
        except self._ray.exceptions.RayError as error:
            return f"cannot run twinrank ({cause(getattr(error, 'cause', None) or error)}); install it there"

    def _machines(self) -> dict[str, dict[str, float]]:
        """What each machine that is up has, by its name in Ray."""
        return {each["NodeID"]: each["Resources"] for each in self._ray.nodes() if each["Alive"]}

    def _room(self, machine: dict[str, float]) -> int:
        """How much work a machine may do at a time."""
        by_cores = int(machine.get("CPU", 0)) // self._threads
        return min(by_cores, int(machine.get("GPU", 0))) if self._on_gpus else by_cores


def _stated(address: str | None) -> str | None:
    """An address, or that of ``RAY_ADDRESS``, which Ray would prefer. None is a cluster of this machine."""
    address = address or os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", "auto", "local") else address


def _connected(address: str | None) -> ModuleType:
    """Ray, connected to a cluster, without a line on the screen.

    Raises:
        InputError: It does not connect or start.
    """
    os.environ.update(_QUIET)
    os.environ.pop("RAY_ADDRESS", None)
    if "RAY_AUTH_MODE" not in os.environ and _has_token():
        # 'ray start' demands the token where there is one, and clusters without a token ignore it.
        os.environ["RAY_AUTH_MODE"] = "token"
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.util.scheduling_strategies  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(f"`executor` ray: Ray cannot be imported ({cause(error)}); install it again") from error
    if ray.is_initialized():
        return ray
    # Ray lets its processes import from the working folder, where a user's modules may have the names of others.
    with chdir(_NEUTRAL), _silent():
        try:
            _connect(ray, address)
        except (OSError, RuntimeError, ValueError) as error:
            where = "does not start" if address is None else f"does not connect to {address}"
            raise InputError(f"`executor` ray: Ray {where} ({cause(error)})") from error
    return ray


def _has_token() -> bool:
    named = os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    return bool(named) or Path.home().joinpath(".ray", "auth_token").is_file()


@contextmanager
def _silent() -> Iterator[None]:
    """A block in which nothing reaches standard error, however it is written."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _connect(ray: ModuleType, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None and (address := _running()) is None:
        own = {"num_cpus": available_threads(), "object_store_memory": _STORE, "include_dashboard": False}
        ray.init("local", **own, **quiet)
    else:
        ray.init(address, **quiet)


def _running() -> str | None:
    """The address of the cluster that ``ray start`` has started on this machine, if it still answers."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    try:
        address = Path(folder, "ray", "ray_current_cluster").read_text(encoding="utf-8").strip()
        host, _, port = address.rpartition(":")
        return address if _speaks(host.strip("[]"), int(port)) else None
    except (OSError, OverflowError, ValueError):
        return None


def _problem(seen: Path, where: Path, version: str) -> str | None:
    """Why a machine cannot do the work of another one; None if it can. It runs there."""
    if twinrank.__version__ != version:
        return f"has twinrank {twinrank.__version__}, not {version}; install the same version"
    if not where.is_dir():
        return f"has no folder {where}; work in a folder that all machines share"
    if not seen.is_file():
        return f"does not see {seen.parent}; choose a folder that all machines share with `out`"
    if not is_locked(seen):
        return f"does not see the locks of {seen.parent}; mount it with locks that hold on all machines"
    return None


def _do(work: Work, where: Path, environment: dict[str, str | None], seen: Path) -> Outcome:
    """Do work in a process of its own. It runs on the machine that Ray has chosen, which may have joined later."""
    if problem := _problem(seen, where, twinrank.__version__):
        return Outcome("failed", f"{socket.gethostname()} {problem}")
    os.chdir(where)
    with _without_ray():
        child = Child(work, environment)
    child.wait()
    return child.outcome()


@contextmanager
def _without_ray() -> Iterator[None]:
    """A block in which processes start without Ray's main module, which would run again, and without its folders."""
    import ray  # pyright: ignore[reportMissingImports]

    ours, main, places = Path(str(ray.__file__)).parent, sys.modules["__main__"], [*sys.path]
    sys.modules["__main__"] = ModuleType("__main__")
    sys.path[:] = [place for place in places if place != _NEUTRAL and ours not in Path(place).parents]
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        sys.path[:] = places
