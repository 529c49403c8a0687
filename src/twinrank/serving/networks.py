"""The networks of a server, in a process of their own.

A network holds the interpreter's lock between its operations, hundreds of times a batch. In the process that reads
requests it would wait for the lock as often.
"""

import multiprocessing.connection
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.processes import safe_children
from twinrank.errors import CheckFailed, InputError
from twinrank.inference.form import ImageForm
from twinrank.inference.load import load_predictor
from twinrank.serving.models import Model, Prediction

_GRACE_SECONDS = 10
"""Seconds that the process gets to end."""


@dataclass(frozen=True)
class _Facts:
    """What the server knows of a network."""

    name: str
    form: ImageForm
    scores: bool
    described: dict[str, Any]


class RemoteModel:
    """A model in the process of the networks; it is used like a :class:`twinrank.serving.models.Model`.

    Args:
        facts: What is known of it.
        connection: Connection to the process. One thread uses it.

    Attributes:
        name: Name.
        form: Form of the images that it takes.
        scores: Whether it scores single images.
    """

    def __init__(self, facts: _Facts, connection: Connection) -> None:
        self.name, self.form, self.scores = facts.name, facts.form, facts.scores
        self._described = facts.described
        self._connection = connection

    def compare(self, images: np.ndarray, left: np.ndarray, right: np.ndarray) -> Prediction:
        """See :meth:`twinrank.serving.models.Model.compare`."""
        return self._asked("compare", images, left, right)

    def score(self, images: np.ndarray) -> np.ndarray:
        """See :meth:`twinrank.serving.models.Model.score`."""
        return self._asked("score", images)

    def described(self) -> dict[str, Any]:
        """See :meth:`twinrank.serving.models.Model.described`."""
        return self._described

    def _asked(self, method: str, *arguments: np.ndarray) -> Any:
        self._connection.send((self.name, method, arguments))
        found = self._connection.recv()
        if isinstance(found, Exception):
            raise found
        return found


class Networks:
    """The process of the networks.

    Attributes:
        models: Models, the default first.
    """

    def __init__(self, models: Sequence[RemoteModel], process: Any) -> None:
        self.models = models
        self._process = process

    def require_alive(self) -> None:
        """Make sure that the process works.

        Raises:
            CheckFailed: It has ended.
        """
        if self._process.exitcode is not None:
            raise CheckFailed(f"the process of the networks has ended ({_end(self._process.exitcode)}); serve again")


def _end(exitcode: int) -> str:
    return f"killed by signal {-exitcode}; out of memory?" if exitcode < 0 else f"exit code {exitcode}"


@contextmanager
def networks(paths: Mapping[str, Sequence[Path]], threads: int) -> Iterator[Networks]:
    """A process that has some networks, for a block. If it ends before, this process gets SIGTERM.

    Args:
        paths: Run folders, stack folders or exported files of each model, by its name; the mean of several.
        threads: CPU threads.

    Raises:
        InputError: A model is refused.
    """
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_process, args=(there, dict(paths), threads), name="networks", daemon=True
    )
    with safe_children(), _deaf():
        process.start()
    there.close()
    ending = threading.Event()
    try:
        models = remote_models(here)
        threading.Thread(target=_watch, args=(process.sentinel, ending), name="watch", daemon=True).start()
        yield Networks(models, process)
    finally:
        ending.set()
        here.close()
        process.join(_GRACE_SECONDS)
        process.kill()


def _watch(sentinel: int, ending: threading.Event) -> None:
    multiprocessing.connection.wait([sentinel])
    if not ending.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def remote_models(connection: Connection) -> list[RemoteModel]:
    """The models at the other end, once they are loaded.

    Args:
        connection: Connection to the process.

    Raises:
        InputError: A model is refused, or the process has ended.
    """
    try:
        found = connection.recv()
    except EOFError as error:
        raise InputError("the process of the networks ended while it loaded them (out of memory?)") from error
    if isinstance(found, InputError):
        raise found
    return [RemoteModel(facts, connection) for facts in found]


@contextmanager
def _deaf() -> Iterator[None]:
    """A block in which Ctrl-C does nothing, as in the processes that it starts: they end with their connection."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _process(connection: Connection, paths: Mapping[str, Sequence[Path]], threads: int) -> None:
    # Whoever ends a service ends all its processes at once, and what has begun is to be answered.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    work(connection, paths, threads)


def work(connection: Connection, paths: Mapping[str, Sequence[Path]], threads: int) -> None:
    """What the process does: it loads the networks, and predicts until nobody is at the other end.

    Args:
        connection: Connection to the server.
        paths: See :func:`networks`.
        threads: See :func:`networks`.
    """
    try:
        models = {name: _model(name, each, threads) for name, each in paths.items()}
    except InputError as error:
        return connection.send(error)
    connection.send([_Facts(each.name, each.form, each.scores, each.described()) for each in models.values()])
    try:
        while True:
            name, method, arguments = connection.recv()
            connection.send(_answer(models[name], method, arguments))
    except (EOFError, ConnectionError):
        return None


def _model(name: str, paths: Sequence[Path], threads: int) -> Model:
    predictor = load_predictor(*paths, threads=threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    return Model(name, predictor)


def _answer(model: Model, method: str, arguments: Sequence[np.ndarray]) -> Any:
    try:
        return getattr(model, method)(*arguments)
    except InputError as error:
        return error
    except Exception:  # The process goes on, whatever a network does.
        return RuntimeError(traceback.format_exc())
