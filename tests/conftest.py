"""What several tests need: digits, a small benchmark made from them, the command line as a real process."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import Mnist, fetch_mnist
from twinrank.cli.main import main
from twinrank.config import BenchmarkConfig
from twinrank.core import machine
from twinrank.core.cache_folder import cache_folder
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.errors import InputError

# The shell of a background job ignores Ctrl-C, and tested processes would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine may be busy, and a failure must come again.
settings.register_profile("twinrank", deadline=None, derandomize=True)
settings.load_profile("twinrank")

SMALL_BENCHMARK = BenchmarkConfig(severity=1, pairs_train=384, pairs_val=96, pairs_public=40, pairs_private=60)

RECORDED = {
    "model": {"name": "order_net", "options": {}},
    "track": "pairs-only",
    "parameters": 77_102,
    "train": {},
    "data": {part: {"path": f"{part}.npz", "sha256": part, "n": 200} for part in ("train", "val")},
    "threads": 1,
}
"""What every run's ``config.json`` has."""


def pytest_configure(config: pytest.Config) -> None:
    """Let trainings here have one thread, and processes start fast.

    Small networks gain nothing from more threads, which wait for each other where other tests run beside. Results do
    not depend on the machine then. Bytecode of the session is kept in a folder of its own where none may be written.
    What is collected stays for good, so until then no garbage is looked for.
    """
    gc.disable()
    machine.available_threads = lambda: 1
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if not os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        return
    folder = tempfile.TemporaryDirectory(prefix="twinrank-bytecode-")
    config.add_cleanup(folder.cleanup)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder.name
    sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """From now on garbage is looked for, but not among what was imported and collected."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """What no training does has one thread, too: libraries may have read the environment before."""
    import torch  # Not above: the process that hands out tests to others needs none.

    torch.set_num_threads(1)
    threadpool_limits(1)


@pytest.fixture(autouse=True)
def denormals(one_thread: None) -> None:
    """Training flushes them for the whole process, and hypothesis does not work without them."""
    import torch

    torch.set_flush_denormal(False)


@pytest.fixture(scope="session", autouse=True)
def users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache folder, which has MNIST; tests keep pixels in one of their own."""
    users, own = cache_folder(), tmp_path_factory.mktemp("cache")
    (own / "mnist.npz").symlink_to(users / "mnist.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINRANK_CACHE", str(own))
        yield users


@pytest.fixture(scope="session")
def mnist(users_cache: Path) -> Mnist:
    """All of MNIST, fetched once and then from the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TWINRANK_CACHE", str(users_cache))
        return fetch_mnist()


@pytest.fixture(scope="session")
def digits() -> Mnist:
    """400 digits of MNIST (by Yann LeCun and Corinna Cortes, CC BY-SA 3.0)."""
    with np.load(Path(__file__).with_name("digits.npz")) as arrays:
        return Mnist(**arrays)


@pytest.fixture(scope="session")
def benchmark_folder(digits: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small and easy benchmark. Tests do not write into it."""
    folder = tmp_path_factory.mktemp("benchmark")
    make_benchmark(digits, folder, SMALL_BENCHMARK, jobs=1)
    return folder


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """As ``twinrank``, but in this process, which saves its start."""

    def call(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        status: str | int | None = 0
        with chdir(cwd):
            try:
                main([*map(str, arguments)])
            except SystemExit as stopped:
                status = stopped.code
        assert isinstance(status, int)
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def twinrank() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the real command line: ``twinrank("data", "make", cwd=folder, env={...})``."""

    def call(*arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "twinrank", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | (env or {}),
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


@pytest.fixture(scope="session")
def refusal() -> Callable[..., str]:
    """Loads a bad file and returns the message, which is one line and names the file at fault."""

    def load(path: Path, labels: Path | None = None, at_fault: Path | None = None) -> str:
        with pytest.raises(InputError) as caught:
            load_pairs(path, labels)
        line = str(caught.value)
        assert line.splitlines() == [line]
        assert line.startswith(str(at_fault or path))
        return line

    return load


@pytest.fixture(scope="session")
def outcome() -> Callable[[Path], Judgements | str]:
    """Loads a file that may be bad and returns the pairs, or the message."""

    def load(path: Path) -> Judgements | str:
        try:
            return load_pairs(path)
        except InputError as error:
            return str(error)

    return load
