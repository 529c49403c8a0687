"""A search for better values: an Optuna study whose trials are ordinary trainings, each into a run folder of its own.

Processes that share a study share its folder. A trial belongs to the process that has its claim locked, which the
system lets go of however that process ends; another one then goes on with the trial. Trials begin and end under one
lock, so no two processes count differently.
"""

import json
import math
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.core.locks import is_locked, locked
from twinrank.core.randomness import derive
from twinrank.errors import Diverged, InputError, Interrupted, differences
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.hooks import Hooks
from twinrank.training.jobs import Job, refuse_other_runs, train_job
from twinrank.tuning.space import Range, Space, with_choices

JOURNAL, TRIALS = "study.journal", "trials"
"""In the folder of a search: Optuna's journal, and the run folders by number of the trial."""

_LOCK, _CLAIM = "study.lock", "claim"
_FINGERPRINT, _TRIES = "asked", "tries"
_MOST_TRIES = 3
"""A trial that is always killed, for want of memory perhaps, must not stop the search."""
_SURE_SHARE = 1 / 3
"""Of the epochs, before which nothing is pruned: networks begin on a plateau, and leave it by luck."""
_BEST_SHARE = 0.25
_POLL_SECONDS = 0.5
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_OUTCOME = {"epochs": None, "seconds": None, "reason": "its process ended"}
"""Attributes that a process sets when its trial ends, with the values where it could not."""
_STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class Search:
    """What is searched for, and where.

    Attributes:
        out: Folder of the search.
        train_file: Labelled pairs that are fitted.
        val_file: Labelled pairs on which the accuracy is maximised.
        data: Digests of the two.
        spec: Training whose values are searched for; what the space does not have stays.
        space: Values to choose from.
        trials: Number of trials to finish, with those that are pruned.
        storage: Database URL, see Optuna; a journal in the folder by default.
        context: Command, and threads for one trial.
    """

    out: Path
    train_file: Path
    val_file: Path
    data: dict[str, str]
    spec: RunSpec
    space: Space
    trials: int
    storage: str | None = None
    context: Context = Context(threads=1)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The requested settings that decide which trials there are, as JSON has them."""
        options = entry(self.spec.model).complete(self.spec.options)
        space = {key: asdict(value) if isinstance(value, Range) else value for key, value in self.space.items()}
        requested = {"model": self.spec.model, "options": options, "train": asdict(self.spec.train)}
        return json.loads(json.dumps(requested | {"data": self.data, "space": space}))

    def run(self, number: int) -> RunFolder:
        """The run folder of a trial."""
        return RunFolder(self.out / TRIALS / str(number))

    def chosen(self, trial: FrozenTrial | optuna.Trial) -> dict[str, Any]:
        """The values of a trial, by key of the space."""
        return {key: _decoded(self.space[key], value) for key, value in trial.params.items()}

    def spec_of(self, trial: FrozenTrial | optuna.Trial) -> RunSpec:
        """The training of a trial."""
        return with_choices(self.spec, self.chosen(trial), f"trial {trial.number}")


class SharedStudy:
    """A study, opened or begun.

    Args:
        search: Search of the study.

    Raises:
        InputError: The folder cannot be written, the storage cannot be used, or the study is of another search.
    """

    def __init__(self, search: Search) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search = search
        self._lock = search.out / _LOCK
        self._distributions = {key: _distribution(value) for key, value in search.space.items()}
        RunFolder(search.out).require_room(0)
        with locked(self._lock):
            self._study = _opened(search)
            began = self._study.user_attrs.get(_FINGERPRINT)
            if began is None:
                self._study.set_user_attr(_FINGERPRINT, search.fingerprint)
            elif changed := differences(search.fingerprint, began):
                raise InputError(
                    f"{search.out}: holds another search ({'; '.join(changed)}); choose another folder with `out`"
                )

    @property
    def missing(self) -> int:
        """Trials that are still to be finished."""
        return max(0, self._search.trials - len(self._trials(*_FINISHED)))

    def work(self) -> None:
        """Train trials until enough are finished, by this process and others.

        Raises:
            InputError: Something that was given is wrong, or the disk is full; a network that diverges is pruned.
            Interrupted: Ctrl-C stopped the search.
        """
        try:
            while self.missing:
                with ExitStack() as claims:
                    trial = self._claim(claims)
                    if trial is None:
                        time.sleep(_POLL_SECONDS)
                    else:
                        self._train(trial)
        except optuna.exceptions.StorageInternalError as error:
            raise InputError(
                f"`storage`: cannot be used any more ({_reason(error)}); run the same command again"
            ) from error

    def ranked(self) -> list[FrozenTrial]:
        """The completed trials, the highest accuracy first; of equal ones, the first."""
        return sorted(self._trials(TrialState.COMPLETE), key=lambda trial: -(trial.value or 0.0))

    def importances(self) -> dict[str, float]:
        """What share each key has in a trial being among the best quarter (Watanabe et al. 2023, arXiv:2304.10255)."""
        # Imports scikit-learn, which the trials do not need.
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
        return get_param_importances(self._study, evaluator=evaluator)

    def outcomes(self) -> list[dict[str, Any]]:
        """A mapping for each trial that has ended, as JSON has it; what was killed failed, and was tried again."""
        return [
            {"number": trial.number, "state": _STATES[trial.state], "accuracy": trial.value}
            | {"values": self._search.chosen(trial)}
            | {name: trial.user_attrs.get(name, default) for name, default in _OUTCOME.items()}
            for trial in self._trials(*_STATES)
        ]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _claim(self, claims: ExitStack) -> optuna.Trial | None:
        """A trial that is this process's while ``claims`` lasts; None while others have all that are missing."""
        with locked(self._lock):
            self._retry_abandoned()
            if len(self._trials(TrialState.RUNNING)) >= self.missing:
                return None
            # Of each trial its own, or a search that goes on would draw again what it began with.
            drawn = sum(_TRIES not in trial.user_attrs for trial in self._trials())
            seed = derive(self._search.spec.train.seed, "trial", drawn).generate_state(1)[0]
            self._study.sampler = optuna.samplers.TPESampler(seed=int(seed))
            trial = self._study.ask(self._distributions)
            folder = self._search.run(trial.number).path
            for number in reversed(trial.user_attrs.get(_TRIES, [])):
                if (earlier := self._search.run(number).path).is_dir() and not folder.exists():
                    earlier.rename(folder)
            folder.mkdir(parents=True, exist_ok=True)
            claims.enter_context(locked(folder / _CLAIM))
            return trial

    def _retry_abandoned(self) -> None:
        """Put the trials that a process left behind into the queue again, with the same values."""
        for trial in self._trials(TrialState.RUNNING):
            if is_locked(self._search.run(trial.number).path / _CLAIM):
                continue
            self._study.tell(trial.number, state=TrialState.FAIL)
            tries = [*trial.user_attrs.get(_TRIES, []), trial.number]
            if len(tries) < _MOST_TRIES and trial.params.keys() == self._search.space.keys():
                self._study.enqueue_trial(trial.params, {_TRIES: tries})

    def _train(self, trial: optuna.Trial) -> None:
        search, run = self._search, self._search.run(trial.number)
        spec = search.spec_of(trial)
        job = Job(run.path, search.train_file, search.val_file, spec)
        refuse_other_runs([job])
        hooks, reason = TrialHooks(trial, spec.train.epochs), None
        hooks.say_of_trial("  ".join(f"{key} {_shown(value)}" for key, value in search.chosen(trial).items()))
        state = TrialState.COMPLETE
        try:
            for epoch in run.read_history():
                hooks.epoch_ended(epoch, False)
            train_job(job, search.context, hooks)
        except optuna.TrialPruned:
            state, reason = TrialState.PRUNED, "below the median of the trials before"
        except Diverged as error:
            state, reason = TrialState.PRUNED, str(error)
        except Interrupted as error:
            raise Interrupted("stopped; finished epochs are kept. Go on by running the same command again") from error
        history = run.read_history()
        accuracy = None
        if state == TrialState.COMPLETE:
            accuracy = run.best_epoch()["val"]["accuracy"]
        seconds = round(sum(epoch["seconds"] for epoch in history), 1)
        with locked(self._lock):
            for name, value in zip(_OUTCOME, (len(history), seconds, reason), strict=True):
                trial.set_user_attr(name, value)
            self._study.tell(trial, accuracy, state)
            self._tidy()
        hooks.say_of_trial(f"pruned: {reason}" if accuracy is None else f"accuracy {accuracy:.2%} on val")

    def _tidy(self) -> None:
        """Leave configuration and history of each finished trial, and the weights of the best one."""
        best = [trial.number for trial in self.ranked()[:1]]
        for trial in self._trials(*_FINISHED):
            run = self._search.run(trial.number)
            for file in (run.checkpoint, run.path / _CLAIM, *([] if trial.number in best else [run.weights])):
                file.unlink(missing_ok=True)


class TrialHooks(Hooks):
    """Reports each epoch to the study, and ends a trial that is not worth its time.

    Lines about weights are not shown, since those of most trials are not kept. There is no bar, since several trials
    may share the terminal.

    Args:
        trial: Trial of the study.
        epochs: Epochs of the whole trial.
    """

    def __init__(self, trial: optuna.Trial, epochs: int) -> None:
        self._trial = trial
        self._epochs = epochs
        self._reported = 0
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def epoch_ended(self, entry: dict[str, Any], best: bool) -> None:
        """Report an epoch once; the last one prunes nothing."""
        epoch, accuracy = entry["epoch"], entry["val"]["accuracy"]
        if epoch > self._reported:
            self._reported = epoch
            self._trial.report(accuracy, epoch)
            self.say_of_trial(f"epoch {epoch}/{self._epochs}  val accuracy {accuracy:.2%}")
        if epoch < self._epochs and self._trial.should_prune():
            raise optuna.TrialPruned

    def say_of_trial(self, line: str) -> None:
        """Show a line about the trial."""
        self._console.print(f"trial {self._trial.number}: {line}")


def _opened(search: Search) -> optuna.Study:
    pruner = optuna.pruners.MedianPruner(n_warmup_steps=math.ceil(_SURE_SHARE * search.spec.train.epochs))
    # The journal's lock is a link to it, which must hold wherever it is read from.
    folder = search.out.resolve()
    try:
        if search.storage is None:
            storage, name = JournalStorage(JournalFileBackend(str(folder / JOURNAL))), "search"
        else:
            # A database may hold many searches.
            storage, name = search.storage, str(folder)
        return optuna.create_study(
            storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
        )
    except Exception as error:
        # Databases and their drivers have errors of their own.
        place = search.out / JOURNAL if search.storage is None else "`storage`"
        raise InputError(
            f"{place}: cannot be used ({_reason(error)}); restore it, or give a database that Optuna can open,"
            " for example sqlite:///search.db as `storage`"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error.__cause__ or error).split())


def _distribution(dimension: Range | list[Any]) -> BaseDistribution:
    if isinstance(dimension, list):
        return CategoricalDistribution([_encoded(each) for each in dimension])
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        return IntDistribution(dimension.low, dimension.high, log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _encoded(choice: Any) -> Any:
    """A choice as Optuna can store it: a list as text."""
    return json.dumps(choice) if isinstance(choice, list) else choice


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _decoded(dimension: Range | list[Any], value: Any) -> Any:
    if isinstance(dimension, Range):
        return value
    return next(each for each in dimension if _encoded(each) == value)
