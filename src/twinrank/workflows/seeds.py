"""One network with several seeds, each in a run folder of its own."""

from pathlib import Path

from twinrank.config import Recipe
from twinrank.core.context import Context
from twinrank.training.jobs import Job, run_jobs


def train_seeds(
    recipe: Recipe, train_file: Path, val_file: Path, out: Path, *, context: Context = Context()
) -> dict[str, str]:
    """Train a network with several seeds. Finished runs are skipped, stopped ones go on.

    Args:
        recipe: Recipe of the seeds, see :func:`twinrank.workflows.recipe.seeds_recipe`.
        train_file: Labelled pairs that are fitted.
        val_file: Labelled pairs that choose the epoch.
        out: Folder of the run folders, ``seed_SEED`` each.
        context: Listeners, command, threads and workers.

    Returns:
        Reasons of failures by name of the run; empty if nothing failed.

    Raises:
        InputError: Something that was given is wrong, or a folder holds another run.
        Interrupted: Ctrl-C stopped the trainings.
    """
    jobs = [Job(Path(out) / name, Path(train_file), Path(val_file), spec) for name, spec in recipe.runs.items()]
    return run_jobs(jobs, context=context)
