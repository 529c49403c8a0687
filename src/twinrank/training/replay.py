"""CUDA graphs of training steps. A step is hundreds of small kernels, which take longer to launch than to run."""

from collections.abc import Callable

import torch

from twinrank.config import TrainConfig
from twinrank.data.batches import Batch
from twinrank.models.siamese import SiameseNet
from twinrank.training.objectives import Objective

_WARM = 3
"""Steps of a kind that run one kernel at a time, before the next one is recorded."""

StepOf = Callable[[Batch], None]


def recordable(model: SiameseNet, objective: Objective, config: TrainConfig) -> bool:
    """Whether a step never waits for the device, and all that changes from step to step is in the device's memory.

    Args:
        model: Network on its device.
        objective: Objective.
        config: Training values.
    """
    waits = config.precision == "float16" or config.checkpoint_stages or objective.judging is not None or model.trim
    changes = config.accumulate > 1 or config.schedule == "one_cycle"
    return next(model.parameters()).is_cuda and not waits and not changes


class Replayed:
    """A step that is recorded once, and replayed from then on. Batches of other shapes run one kernel at a time.

    Every call trains: the first ones warm up, as libraries choose kernels and allocate memory at first use.

    Args:
        step: Step to record; its results are changes of tensors that exist before.
        say: Listener for a line, if the step cannot be recorded.
    """

    def __init__(self, step: StepOf, say: Callable[[str], None]) -> None:
        self._step, self._say = step, say
        self._kind: tuple[object, ...] = ()
        self._warm = 0
        self._stream: torch.cuda.Stream | None = None
        self._given: Batch | None = None
        """Where the recorded step reads its batch."""
        self._replay: Callable[[], None] | None = None
        self._failed = False

    def __call__(self, batch: Batch) -> None:
        """Train on a batch."""
        kind = tuple(None if part is None else (part.shape, part.dtype) for part in batch)
        if self._given is None and not self._failed:
            self._warm = self._warm + 1 if kind == self._kind else 0
            self._kind = kind
            if self._warm < _WARM:
                self._aside(batch)
                return
            self._record(batch)
        if self._given is None or self._replay is None or kind != self._kind:
            self._step(batch)
            return
        for place, part in zip(self._given, batch, strict=True):
            if place is not None and part is not None:
                place.copy_(part)
        self._replay()

    def _aside(self, batch: Batch) -> None:
        """Train on a batch on a stream of its own, as a step must before it is recorded."""
        here = torch.cuda.current_stream()
        self._stream = self._stream or torch.cuda.Stream()
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            self._step(batch)
        here.wait_stream(self._stream)

    def _record(self, batch: Batch) -> None:
        given = batch.map(torch.clone)
        try:
            self._replay = recorded(lambda: self._step(given))
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            self._say(f"CUDA cannot record a training step, so training is slower: {reason}")
            self._failed = True
            self._replay = None
            return
        self._given = given


def recorded(run: Callable[[], None]) -> Callable[[], None]:
    """Record the kernels of a function, and give a function that runs them again. Nothing runs meanwhile."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay
