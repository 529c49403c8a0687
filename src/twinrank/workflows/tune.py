"""A search for better values, and whether the best of them are better when they are trained again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.executors import require_executor, threads_each
from twinrank.core.files import write_json
from twinrank.core.locks import one_at_a_time
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.data.source import Source, kept_references
from twinrank.errors import InputError
from twinrank.evaluation.compare import accuracy_difference
from twinrank.evaluation.metrics import accuracy
from twinrank.evaluation.metrics_record import rows_in_words
from twinrank.evaluation.predictions import Predictions
from twinrank.inference.evaluate import evaluate
from twinrank.inference.file_keys import file_keys
from twinrank.reporting.tuning import FEWEST_FOR_IMPORTANCES, draw_search
from twinrank.runs import RunFolder
from twinrank.training.checks import holds
from twinrank.training.jobs import Job, run_jobs
from twinrank.training.new_network import require_memory_for
from twinrank.training.train import load_data
from twinrank.tuning.search import Search, SharedStudy
from twinrank.tuning.space import Space
from twinrank.tuning.workers import run_search

SUMMARY = "study.json"
WINNER, DEFAULT = "winner", "default"
_LOCK = "retrain.lock"


def tune(
    spec: RunSpec,
    space: Space,
    train_file: Path,
    val_file: Path,
    out: Path,
    trials: int = 100,
    storage: str | None = None,
    retrain_seeds: Sequence[int] = (1, 2),
    *,
    source: Source | None = None,
    context: Context = Context(),
) -> dict[str, str]:
    """Search for the values with the highest accuracy on ``val``, then train the best and the defaults on fresh seeds.

    Whatever is done already is skipped. So a search that was stopped goes on when it is called again, and one that is
    over goes on with more trials. Other processes may work on the same search at the same time. Leaves
    ``study.json``, ``importances.png``, ``parallel.png``, and the run folders ``winner_seedS`` and ``default_seedS``.

    Args:
        spec: Training; what the space does not have stays as it is.
        space: Values to choose from.
        train_file: Labelled pairs that are fitted.
        val_file: Labelled pairs on which the accuracy is maximised. Test files are not for this.
        out: Folder of the search.
        trials: Number of trials to finish, with those that are pruned.
        storage: Database URL, see Optuna; a journal in the folder by default.
        retrain_seeds: Fresh seeds; without any, nothing is trained again.
        source: How tables are read, and where their images are. The folder keeps it for trials.
        context: Listeners, command, and where trials run.

    Returns:
        Reasons of failures by name of the last trainings; empty if nothing failed.

    Raises:
        InputError: Something that was given is wrong, the folder holds another search, or no trial was completed.
        Interrupted: Ctrl-C stopped the search.
    """
    require_executor(context)
    if trials < 1:
        raise InputError(f"`trials` is {trials}; use 1 or more")
    if spec.train.seed in retrain_seeds:
        raise InputError(f"`retrain_seeds`: {spec.train.seed} is the seed of the search; give others")
    share = threads_each(context, trials)
    files, out = (Path(train_file), Path(val_file)), Path(out)
    # Read for what may be wrong with them, and not kept: each trial reads its own.
    pairs, stopped_on = load_data(*files, source, context)
    require_memory_for(spec, pairs)
    data = {"train": pairs.sha256, "val": stopped_on.sha256}
    del pairs, stopped_on
    files = kept_references(*files, out, source)
    search = Search(out, *files, data, spec, space, trials, storage, context.for_worker(share))
    study = run_search(search, context)
    with one_at_a_time(out / _LOCK, context.say, "trains the winner"):
        summary = _summary(search, study)
        write_json(out / SUMMARY, summary)
        written, left_out = draw_search(summary, out)
        for line in [*map(str, written), *left_out]:
            context.say(line)
        if not study.ranked():
            raise InputError(f"{out}: no trial was completed, {out / SUMMARY} has the reasons; try another `space`")
        return _retrain(search, study, summary, retrain_seeds, context) if retrain_seeds else {}


def _retrain(
    search: Search, study: SharedStudy, summary: dict[str, Any], seeds: Sequence[int], context: Context
) -> dict[str, str]:
    """Train the winner and the defaults on fresh seeds, and compare them."""
    ranked = study.ranked()
    ways = {WINNER: search.spec_of(ranked[0]), DEFAULT: search.spec}
    jobs = {name: [_job(search, name, way, seed) for seed in seeds] for name, way in ways.items()}
    for job in jobs[WINNER]:
        move_earlier_winner(job, search, ranked, context.say)
    failed = run_jobs([job for each in jobs.values() for job in each], context=context)
    if not failed:
        write_json(search.out / SUMMARY, summary | {"retrained": _compared(jobs, load_pairs(search.val_file))})
    return failed


def _summary(search: Search, study: SharedStudy) -> dict[str, Any]:
    ranked = study.ranked()
    best = next(
        ({"number": each.number, "accuracy": each.value, "values": search.chosen(each)} for each in ranked), None
    )
    enough = len(ranked) >= FEWEST_FOR_IMPORTANCES and len(search.space) > 1
    importances = study.importances() if enough else None
    found = {"trials": study.outcomes(), "best": best, "importances": importances, "retrained": None}
    return search.fingerprint | found


def _job(search: Search, name: str, spec: RunSpec, seed: int) -> Job:
    folder, config = search.out / f"{name}_seed{seed}", replace(spec.train, seed=seed)
    return Job(folder, search.train_file, search.val_file, replace(spec, train=config))


def move_earlier_winner(job: Job, search: Search, trials: Sequence[FrozenTrial], say: Callable[[str], None]) -> None:
    """Make room for a winner that more trials have found.

    Args:
        job: Training of the new winner.
        search: Search of the trials.
        trials: Completed trials, among them the earlier winner.
        say: Listener.
    """
    run = RunFolder(job.folder)
    if not run.config.is_file() or holds(run, job.spec):
        return
    seed = job.spec.train.seed
    for trial in trials:
        spec = search.spec_of(trial)
        if holds(run, replace(spec, train=replace(spec.train, seed=seed))):
            moved = job.folder.with_name(f"trial{trial.number}_seed{seed}")
            say(f"{job.folder}: is of the earlier winner; moved to {moved}")
            job.folder.rename(moved)
            return


def _compared(jobs: dict[str, list[Job]], val: Judgements) -> dict[str, Any]:
    predictions = {name: [_predictions(job, val) for job in each] for name, each in jobs.items()}
    difference = accuracy_difference(predictions[DEFAULT], predictions[WINNER])
    return {
        "rows": rows_in_words(predictions[WINNER][0].meta),
        "seeds": [job.spec.train.seed for job in jobs[WINNER]],
        "accuracy": {
            name: [accuracy(one.y, one.logit, tie=one.tie, weight=one.weight) for one in each if one.y is not None]
            for name, each in predictions.items()
        },
        "difference": difference.estimate.record(),
        "by_seed": list(difference.by_seed),
        # The interval is over rows or images alone, so each seed has to be better, too.
        "better": difference.estimate.low > 0 and min(difference.by_seed) > 0,
    }


def _predictions(job: Job, val: Judgements) -> Predictions:
    run = RunFolder(job.folder)
    assert job.val_file is not None
    (key,) = file_keys(run, [val])
    if not run.predictions(key).is_file():
        evaluate(run, [job.val_file])
    return Predictions.load(run.predictions(key))
