"""Flags that say where trainings run, and how many at a time."""

from dataclasses import dataclass, replace

from twinrank.cli.arguments import OptionalNumber, OptionalText
from twinrank.core.context import Context, ExecutorName
from twinrank.core.executors import require_executor


@dataclass(frozen=True)
class ExecutorFlags:
    """Where trainings run."""

    workers: OptionalNumber = None
    """Trainings at a time; they share the threads. By default 1, or the number of GPUs where there are several."""
    executor: ExecutorName = "local"
    """Machines: this one, or those of a Ray cluster. With ray, --threads are those of each training (1 by default),
    and --workers are by default as many as the machines have room for."""
    ray_address: OptionalText = None
    """HOST:PORT of a Ray cluster; by default that of this machine, which starts if necessary."""

    def on(self, context: Context) -> Context:
        """A context whose trainings run there.

        Raises:
            InputError: They cannot.
        """
        chosen = replace(context, workers=self.workers, executor=self.executor, ray_address=self.ray_address)
        require_executor(chosen)
        return chosen
