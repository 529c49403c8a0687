"""What a run folder holds, read for a report."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinrank.core.files import read_json, sha256
from twinrank.errors import InputError
from twinrank.evaluation.metrics import Estimate
from twinrank.evaluation.metrics_record import POOLED
from twinrank.evaluation.predictions import Predictions
from twinrank.runs import RunFolder, distinct_runs, teacher_folders, teacher_identities, used_in_training

_NAME = re.compile(r"(?P<factor>.+)_seed(?P<seed>\d+)")
_ORDER = ("val", "test_public", "test_private", POOLED)


@dataclass(frozen=True)
class Record:
    """One evaluation, read from ``metrics/<stem>.json``.

    Attributes:
        stem: name of the file without its ending.
        data: {"path", "sha256", "n"}, or for a pooled record {"path", "n", "files"}.
        rows: which rows, in words.
        metrics: estimates by name, accuracy among them.
        confusion: counts ``[[tn, fp], [fn, tp]]``.
        held_out: it is of test files, none of which training was given.
    """

    stem: str
    data: dict[str, Any]
    rows: str
    metrics: dict[str, Estimate]
    confusion: list[list[int]]
    held_out: bool

    @property
    def files(self) -> list[dict[str, Any]]:
        """The data files it was made on: one, or those that were pooled."""
        return _files(self.data)


@dataclass(frozen=True)
class RunContents:
    """A run folder.

    Attributes:
        path: of the folder.
        config: of ``config.json``.
        history: one mapping an epoch, of ``history.jsonl``; empty if there is none.
        records: by stem, in reading order: val, the tests, the tests together, others.
        predictions: by stem, in the same order.
        steps: of ``steps.json``; empty if there is none.
        weights_sha256: of the weights that were evaluated; None where there was no evaluation that says so.
        milliseconds: that a pair took in the largest evaluation; None where there was none.
    """

    path: Path
    config: dict[str, Any]
    history: list[dict[str, Any]]
    records: dict[str, Record]
    predictions: dict[str, Predictions]
    steps: list[dict[str, Any]]
    weights_sha256: str | None
    milliseconds: float | None

    def require_unseen_tests(self) -> None:
        """Make sure that what is called a test was not given to the training, nor to that of a teacher.

        Raises:
            InputError: a test file was.
        """
        seen = used_in_training(self.config)
        for stem, said in self.predictions.items():
            if stem.startswith("test") and said.data_sha256 in seen:
                raise InputError(
                    f"{self.path}: its training was given {stem}, which is therefore no test; evaluate it on others,"
                    f" and remove predictions/{stem}.npz"
                )

    def labelled(self, stem: str) -> Predictions:
        """The stored predictions of a labelled file.

        Raises:
            InputError: there are none.
        """
        said = self.predictions.get(stem)
        if said is None or said.y is None:
            raise InputError(f"{self.path}: no labelled predictions on {stem}; evaluate it first")
        return said

    def predictions_of(self, record: Record) -> dict[str, Predictions]:
        """The stored predictions of the files that the record was made on, by stem; empty unless all are there."""
        digests = {file["sha256"] for file in record.files}
        found = {stem: part for stem, part in self.predictions.items() if part.data_sha256 in digests}
        complete = sum(map(len, found.values())) == record.metrics["accuracy"].n
        return found if complete and all(part.y is not None for part in found.values()) else {}


def read_by_factor(runs: Sequence[Path]) -> dict[str, dict[int, RunContents]]:
    """Run folders named ``FACTOR_seedSEED``, by factor and seed, in the order in which they are given.

    Raises:
        InputError: a folder or a factor's seed is given twice, a name is of another form, a test file was given
            to a training, or as :func:`read_run`.
    """
    found: dict[str, dict[int, RunContents]] = {}
    for run in distinct_runs(runs):
        name = _NAME.fullmatch(run.resolve().name)
        if name is None:
            raise InputError(f"{run}: runs to be put together are named FACTOR_seedSEED, for example no_mask_seed1")
        seeds, seed = found.setdefault(name["factor"], {}), int(name["seed"])
        if seed in seeds:
            raise InputError(f"{run}: seed {seed} of {name['factor']} is also {seeds[seed].path}; give one of the two")
        seeds[seed] = read_run(run)
        seeds[seed].require_unseen_tests()
    return found


def read_run(run: Path) -> RunContents:
    """Read a run folder.

    Raises:
        InputError: it is no run folder, a file is damaged, or the records are those of different weights.
    """
    run, folder = Path(run), RunFolder(Path(run))
    config = folder.read_config()
    documents = {path: read_json(path) for path in _in_order(run / "metrics", ".json")}
    weights = {document.get("weights_sha256") for document in documents.values() if isinstance(document, dict)}
    if len(weights - {None}) > 1:
        raise InputError(f"{run / 'metrics'}: the records were made with different weights; evaluate every file again")
    seen = used_in_training(config)
    timed = [(each["data"]["n"], each["milliseconds"]) for each in documents.values() if "milliseconds" in each]
    return RunContents(
        path=run,
        config=config,
        history=folder.read_history(),
        records={path.stem: _record(path, document, seen) for path, document in documents.items()},
        predictions={path.stem: Predictions.load(path) for path in _in_order(run / "predictions", ".npz")},
        steps=read_json(run / "steps.json") if (run / "steps.json").is_file() else [],
        weights_sha256=next(iter(weights - {None}), None),
        milliseconds=max(timed)[1] if timed else None,
    )


def trainings(contents: RunContents, beside: tuple[Path, ...] = ()) -> tuple[dict[str, float], list[str]]:
    """Seconds of a run's training and of its teachers', by history, and the paths of teachers that are not here.

    A run and its copy, as the one that comes with twinrank, have the same history: it is one training. Teachers may
    also stand beside the run, or beside the students between, in these folders.

    Raises:
        InputError: the time of one of them is not known.
    """
    if not contents.history or not all("seconds" in epoch for epoch in contents.history):
        raise InputError(f"{contents.path}: has no history.jsonl with seconds, so its time is not known; restore it")
    own = {repr(contents.history): float(sum(epoch["seconds"] for epoch in contents.history))}
    uncounted: list[str] = []
    beside = (contents.path.parent, *beside)
    for said, member in zip(teacher_folders(contents.config), teacher_identities(contents.config), strict=True):
        # Published results stand beside each other, wherever they were trained.
        for path in (said, *(folder / said.name for folder in beside)):
            if (path / "config.json").is_file():
                teacher = read_run(path)
                if member.get("weights_sha256") in (teacher.weights_sha256, _weights(path)):
                    earlier, missing = trainings(teacher, beside)
                    own, uncounted = earlier | own, [*uncounted, *missing]
                    break
        else:
            uncounted.append(str(said))
    return own, uncounted


def _weights(run: Path) -> str | None:
    """Digest of a run's weights, which need not be published with it."""
    weights = RunFolder(run).weights
    return sha256(weights) if weights.is_file() else None


def _in_order(folder: Path, suffix: str) -> list[Path]:
    place = {stem: position for position, stem in enumerate(_ORDER)}
    found = (path for path in folder.glob(f"*{suffix}") if not path.name.startswith("."))
    return sorted(found, key=lambda path: (place.get(path.stem, len(place)), path.stem))


def _files(data: dict[str, Any]) -> list[dict[str, Any]]:
    return data.get("files", [data])


def _record(path: Path, document: Any, seen: Collection[str]) -> Record:
    try:
        metrics = {name: Estimate(**estimate) for name, estimate in document["metrics"].items()}
        unseen = not any(file["sha256"] in seen for file in _files(document["data"]))
        held_out = unseen and path.stem.startswith("test")
        record = Record(path.stem, document["data"], document["rows"], metrics, document["confusion"], held_out)
        if "accuracy" not in metrics:
            raise KeyError("accuracy")
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a record of metrics ({error}); evaluate the file again") from error
    return record
