"""One network with several seeds, each in a run folder of its own."""

from pathlib import Path

from twinrank.config import Recipe
from twinrank.core.context import Context
from twinrank.core.executors import require_executor
from twinrank.data.source import Source, kept_references
from twinrank.training.jobs import Job, run_jobs
from twinrank.training.train import load_data


def train_seeds(
    recipe: Recipe,
    train_file: Path,
    val_file: Path,
    out: Path,
    *,
    source: Source | None = None,
    context: Context = Context(),
) -> dict[str, str]:
    """Train a network with several seeds. Finished runs are skipped, stopped ones go on.

    Args:
        recipe: Recipe of the seeds, see :func:`twinrank.workflows.recipe.seeds_recipe`.
        train_file: Labelled pairs that are fitted.
        val_file: Labelled pairs that choose the epoch.
        out: Folder of the run folders, ``seed_SEED`` each.
        source: How tables are read, and where their images are. The folder keeps it for trainings.
        context: Listeners, command, and where trainings run.

    Returns:
        Reasons of failures by name of the run; empty if nothing failed.

    Raises:
        InputError: Something that was given is wrong, or a folder holds another run.
        Interrupted: Ctrl-C stopped the trainings.
    """
    require_executor(context)
    # Read for what may be wrong with them, and not kept: each training reads its own.
    load_data(train_file, val_file, source, context)
    files = kept_references(Path(train_file), Path(val_file), Path(out), source)
    jobs = [Job(Path(out) / name, *files, spec) for name, spec in recipe.runs.items()]
    return run_jobs(jobs, context=context)
