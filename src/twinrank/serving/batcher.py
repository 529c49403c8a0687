"""One thread that the networks work for. What clients ask for at the same time goes through a network together."""

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import numpy as np

from twinrank.serving.limits import Limits
from twinrank.serving.metrics import Metrics
from twinrank.serving.models import Prediction, Served


class Busy(Exception):
    """So much waits already that a request is refused."""


@dataclass(frozen=True, eq=False)
class _Job:
    """What one request waits for.

    Attributes:
        model: Model.
        images: Images, uint8 (C, H, W) each.
        pairs: Numbers of the left and the right images, int64 (2, N); None for scores of the images.
        future: Where the result goes.
    """

    model: Served
    images: Sequence[np.ndarray]
    pairs: np.ndarray | None
    future: asyncio.Future

    @property
    def size(self) -> int:
        """Bytes of the images."""
        return sum(image.nbytes for image in self.images)


class Batcher:
    """A bounded queue of jobs, and the thread that works through it.

    Comparisons by one network that wait together are one batch, in which each different image goes through the tower
    once. Scores of a request are a batch of their own, since those of some older runs depend on the other images.

    Args:
        limits: Bounds.
        metrics: Counters.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._jobs: list[_Job] = []
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, and end the thread."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    async def compare(self, model: Served, images: Sequence[np.ndarray], pairs: np.ndarray) -> Prediction:
        """Predictions for pairs of images.

        Args:
            model: Model.
            images: M images, uint8 (C, H, W) each, in the model's form.
            pairs: Numbers of the left and the right images, int64 (2, N).

        Raises:
            Busy: Too many images wait already.
        """
        return cast(Prediction, await self._done(model, images, pairs))

    async def score(self, model: Served, images: Sequence[np.ndarray]) -> np.ndarray:
        """Scores of images, float64 (M,); arguments and errors as of :meth:`compare`."""
        return cast(np.ndarray, await self._done(model, images, None))

    async def _done(
        self, model: Served, images: Sequence[np.ndarray], pairs: np.ndarray | None
    ) -> Prediction | np.ndarray:
        job = _Job(model, images, pairs, asyncio.get_running_loop().create_future())
        with self._changed:
            waiting = len(images) + sum(len(each.images) for each in self._jobs)
            if self._ending or waiting > self._limits.images_waiting:
                raise Busy
            self._jobs.append(job)
            self._metrics.waiting.set(waiting)
            self._changed.notify()
        return await job.future

    def _work(self) -> None:
        while jobs := self._next():
            self._answer(jobs)

    def _next(self) -> list[_Job]:
        """The jobs of the next batch: the one that waits longest, and those that go with it. None when all is done."""
        with self._changed:
            while True:
                # Whoever waits no longer is not served.
                self._jobs = [job for job in self._jobs if not job.future.cancelled()]
                if self._jobs or self._ending:
                    break
                self._changed.wait()
            taken, left = self._jobs[:1], []
            for job in self._jobs[1:]:
                (taken if self._goes_with(taken, job) else left).append(job)
            self._jobs = left
            self._metrics.waiting.set(sum(len(each.images) for each in left))
            return taken

    def _goes_with(self, taken: list[_Job], job: _Job) -> bool:
        first, images = taken[0], len(job.images) + sum(len(each.images) for each in taken)
        alike = job.model is first.model and job.pairs is not None and first.pairs is not None
        size = job.size + sum(each.size for each in taken)
        return alike and images <= self._limits.images_a_batch and size <= self._limits.bytes_a_batch

    def _answer(self, jobs: list[_Job]) -> None:
        """Predict for a batch; where that fails, for each job alone, so that none fails with another."""
        started, model = time.perf_counter(), jobs[0].model
        try:
            found = self._compared(jobs) if jobs[0].pairs is not None else [model.score(np.stack(jobs[0].images))]
        except Exception as error:  # The thread goes on, whatever a network does.
            if len(jobs) > 1:
                for job in jobs:
                    self._answer([job])
                return
            found = [error]
        self._metrics.network_seconds.labels(model.name).inc(time.perf_counter() - started)
        # All requests of a server are in one event loop.
        with suppress(RuntimeError):  # A second Ctrl-C has closed the loop.
            jobs[0].future.get_loop().call_soon_threadsafe(_deliver, jobs, found)

    def _compared(self, jobs: list[_Job]) -> list[Prediction]:
        number_of: dict[bytes, int] = {}
        different: list[np.ndarray] = []
        sides = []
        for job in jobs:
            numbers = []
            for image in job.images:
                content = image.tobytes()
                if (number := number_of.setdefault(content, len(different))) == len(different):
                    different.append(image)
                numbers.append(number)
            sides.append(np.array(numbers)[job.pairs])
        left, right = np.concatenate(sides, 1)
        found = jobs[0].model.compare(np.stack(different), left, right)
        ends = np.cumsum([each.shape[1] for each in sides])
        self._metrics.batch_pairs.observe(len(left))
        self._metrics.pairs.labels(jobs[0].model.name).inc(len(left))
        self._metrics.images.labels(jobs[0].model.name).inc(len(different))
        return [found.rows(slice(end - side.shape[1], end)) for end, side in zip(ends, sides, strict=True)]


def _deliver(jobs: list[_Job], found: Sequence[Prediction | np.ndarray | Exception]) -> None:
    """Give each request its result, in the event loop."""
    for job, each in zip(jobs, found, strict=True):
        if job.future.done():
            continue
        if isinstance(each, Exception):
            job.future.set_exception(each)
        else:
            job.future.set_result(each)
