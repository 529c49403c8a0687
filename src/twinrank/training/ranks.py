"""Several processes that train one network: each takes a part of the images of every batch.

A *rank* is one of these processes. ``torchrun`` starts them, and the environment tells each its number. All ranks make
the same plan of the same batches, with the same random numbers. Of each batch a rank takes some of the images through
the tower. Then the features of all images are brought together, and every rank computes the whole objective. So every
term of the loss is that of the whole batch, whatever it compares: the contrastive term sees all pairs. Gradients of the
tower are added up over the ranks. Each rank then takes the same step.

Inside the tower, batch norm and dropout look beyond an image; :mod:`twinrank.training.shared_layers` has them.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from twinrank.core.launched import Launched, launched, leave_to_first
from twinrank.core.machine import available_threads
from twinrank.errors import InputError, Interrupted, shortened
from twinrank.models.siamese import Embedded

Value = TypeVar("Value")
_LONGEST_REASON = 200
_INTERRUPTED = 130
"""Status with which the command line exits after :class:`twinrank.errors.Interrupted`."""


class RankLost(Interrupted):
    """Another rank has ended, so this one cannot go on. The first rank says so, the others end without a word."""


class Ranks:
    """The ranks of a training, seen from one of them. A training in one process has one, which asks nobody.

    Args:
        place: Place of this process among the ranks.
    """

    def __init__(self, place: Launched) -> None:
        self.place = place
        self._sizes = [0]
        """Images of the batch of each rank."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Ranks":
        return self  # Copies of a network have the same ranks.

    @property
    def first(self) -> bool:
        """Whether this rank alone writes and prints."""
        return self.place.first

    @property
    def several(self) -> bool:
        """Whether there is another rank."""
        return self.place.world > 1

    def threads(self) -> int:
        """Threads of the CPU for this process, if nobody says: the cores of the machine are divided among its ranks."""
        return max(1, available_threads() // self.place.local_world)

    def described(self) -> dict[str, int]:
        """The number of processes, for the run configuration; nothing of one."""
        return {"processes": self.place.world} if self.several else {}

    def note(self, line: str) -> None:
        """Print a line on standard error, if this is the first rank."""
        if self.first:
            print(line, file=sys.stderr)

    def part(self, count: int) -> slice:
        """Places of this rank's part of so many things; parts follow each other, and differ by one at most."""
        each, more = divmod(count, self.place.world)
        start = self.place.rank * each + min(self.place.rank, more)
        return slice(start, start + each + (self.place.rank < more))

    def begin_batch(self, images: int) -> int:
        """Tell the other ranks how many images of a batch are this rank's.

        Args:
            images: Number of images of this rank.

        Returns:
            Number of images of the batch.

        Raises:
            InputError: A rank has none.
            RankLost: Another rank has ended.
        """
        if self.several:
            sizes = torch.zeros(self.place.world, dtype=torch.int64)
            sizes[self.place.rank] = images
            self._sizes = self.summed(sizes).tolist()
            if min(self._sizes) == 0:
                raise self.found_by_all(
                    InputError(
                        f"a batch has {sum(self._sizes)} images for {self.place.world} processes; start fewer of them,"
                        " or use a larger `batch_size`"
                    )
                )
        else:
            self._sizes = [images]
        return sum(self._sizes)

    @property
    def batch(self) -> int:
        """Number of images of the batch that has begun."""
        return sum(self._sizes)

    @property
    def own(self) -> slice:
        """Places of this rank's images in the batch that has begun."""
        start = sum(self._sizes[: self.place.rank])
        return slice(start, start + self._sizes[self.place.rank])

    def joined(self, embedded: Embedded) -> Embedded:
        """What the tower makes of all images of a batch, from what it makes of this rank's images."""
        return Embedded(*(_Joined.apply(part, self) for part in embedded)) if self.several else embedded

    def whole(self, part: torch.Tensor, places: slice, count: int) -> torch.Tensor:
        """All rows of a tensor, float (count, ...), of which this rank has those at some places."""
        rows = part.new_zeros(count, *part.shape[1:])
        rows[places] = part
        return self.summed(rows)

    def summed(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over the ranks, in its place."""
        with self._talking():
            distributed.all_reduce(tensor)
        return tensor

    def add_up_gradients(self, shared: nn.Module) -> None:
        """Sum the gradients of a module, of which each rank has those by its own images."""
        if self.several:
            gradients = [each.grad for each in shared.parameters() if each.grad is not None]
            summed = self.summed(torch.cat([each.reshape(-1) for each in gradients]))
            for each, values in zip(gradients, summed.split([each.numel() for each in gradients]), strict=True):
                each.copy_(values.view(each.shape))

    def send_out(self, modules: Iterable[nn.Module]) -> None:
        """Give modules of all ranks the weights and buffers of the first: machines may round differently."""
        if not self.several:
            return
        tensors = [each.detach() for module in modules for each in module.state_dict().values()]
        as_bytes = [each.reshape(-1).view(torch.uint8) for each in tensors]
        sent = torch.cat(as_bytes)
        with self._talking():
            distributed.broadcast(sent, 0)
        for each, values in zip(tensors, sent.split([len(part) for part in as_bytes]), strict=True):
            # A copy begins where a value of its kind may begin in memory.
            each.copy_(values.clone().view(each.dtype).view(each.shape))

    def from_first(self, value: Value) -> Value:
        """The value of the first rank."""
        return self._values(value)[0] if self.several else value

    def require_alike(self, value: object, message: str) -> None:
        """Make sure that all ranks have the same.

        Args:
            value: What they have.
            message: What is wrong if they do not.

        Raises:
            InputError: They have not.
        """
        if self.several and any(each != value for each in self._values(value)):
            raise self.found_by_all(InputError(message))

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """A block in which no rank waits for another. If one of them fails in it, then all of them do.

        Raises:
            InputError: A rank has failed, and this is the first one, which says so.
            RankLost: A rank has failed, and this is another one.
        """
        if not self.several:
            yield
            return
        failed: InputError | None = None
        try:
            yield
        except InputError as error:
            failed = error
        lines = self._values(None if failed is None else str(failed))
        for rank, line in enumerate(lines):
            if line is not None:
                told = failed if failed is not None and rank == 0 else InputError(f"process {rank}: {line}")
                raise self.found_by_all(told) from failed

    def found_by_all(self, error: InputError) -> Exception:
        """What this rank raises for an error that all of them find: the first one says it, the others end."""
        return error if self.first else RankLost(f"stopped: {error}")

    def _values(self, value: Value) -> list[Value]:
        values: list[Any] = [None] * self.place.world
        with self._talking():
            distributed.all_gather_object(values, value)
        return values

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = re.sub(r"^\[.*?\] ", "", str(error)).partition("\n")[0].partition(". ")[0]
            reason = shortened(reason, _LONGEST_REASON)
            raise RankLost(f"another process of this training has ended ({reason})") from error


ALONE = Ranks(Launched())
"""A training in one process."""


@contextmanager
def ranks_of_environment() -> Iterator[Ranks]:
    """The ranks that ``torchrun`` has started, who can talk to each other in the block.

    They talk by NCCL where each has a GPU of its own, else by gloo. Where the training is interrupted, or a rank is
    lost, the first rank raises that, and the others exit.

    Raises:
        InputError: The environment is not that of ``torchrun``, or the ranks do not reach each other.
    """
    place = launched()
    if place.world == 1:
        yield ALONE
        return
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(place.local_rank % gpus)
    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise InputError(f"{' and '.join(missing)}: missing in the environment; start with torchrun")
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus >= place.local_world else "gloo")
    except (RuntimeError, ValueError) as error:
        reason = shortened(str(error).partition("\n")[0], _LONGEST_REASON)
        raise InputError(f"the processes of torchrun do not reach each other ({reason}); start them again") from error
    try:
        yield Ranks(place)
    except Interrupted:
        if place.first:
            raise
        leave_to_first(_INTERRUPTED)
    # After an error the others may be gone; the end of the process is enough.
    distributed.destroy_process_group()


class _Joined(torch.autograd.Function):
    """Rows of all ranks. Every rank computes the same loss of them, so it knows the gradients of its own rows."""

    @staticmethod
    def forward(ctx: Any, part: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        ctx.own = ranks.own
        return ranks.whole(part, ranks.own, ranks.batch)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient[ctx.own], None
