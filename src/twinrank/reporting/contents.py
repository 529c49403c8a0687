"""The content of a run folder, read for a report."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from twinrank.core.files import sha256
from twinrank.errors import InputError
from twinrank.evaluation.chance import EVEN_LOG_LOSS, chance_warning
from twinrank.evaluation.estimates import Estimate
from twinrank.evaluation.metrics_record import EstimateRecord, read_metrics, rows_in_words
from twinrank.evaluation.predictions import Predictions
from twinrank.reporting.files import Evaluated, EvaluatedFile, Role
from twinrank.reporting.records import read_steps
from twinrank.runs import RunFolder, distinct_runs, teacher_folders, teacher_identities, used_in_training

_NAME = re.compile(r"(?P<factor>.+)_seed(?P<seed>[0-9]+)", re.DOTALL)
_LONGEST_SEED = 18
"""Most digits of a seed, which fit into an integer of 64 bits."""


@dataclass(frozen=True)
class KindMetrics:
    """Metrics of the rows of one kind, see :data:`twinrank.evaluation.metrics_record.KINDS`.

    Attributes:
        n: Number of rows.
        metrics: Estimates by name; empty where no row is decided.
    """

    n: int
    metrics: dict[str, Estimate]


@dataclass(frozen=True)
class AgreementMetrics:
    """Agreement about the pairs that were judged more than once.

    Attributes:
        pairs: Number of these pairs.
        agreement: Chance that two votes about a pair are alike.
        ceiling: Accuracy on single votes that no predictor exceeds.
        accuracy: Accuracy of the predictor on these pairs.
        own: Whether votes of one rater are compared, who judged a pair again.
        with_ties: The agreement where a tie is an outcome of its own; None where no such pair has a tie.
    """

    pairs: int
    agreement: Estimate
    ceiling: Estimate
    accuracy: Estimate
    own: bool = False
    with_ties: Estimate | None = None


@dataclass(frozen=True)
class FileMetrics:
    """Metrics of one evaluation, read from ``metrics/KEY.json``.

    Attributes:
        key: Key of the evaluated file in its run folder.
        data: Evaluated file, {"path", "sha256", "n"}; of several files together, {"path", "n", "files"}.
        rows: Rows in words.
        metrics: Estimates by name, accuracy among them.
        confusion: Counts ``[[tn, fp], [fn, tp]]``.
        role: Use of the file; of several files together "test" if all of them are tests.
        images: Number of distinct images, where one occurs in several rows; else None.
        ties: Number of rows that were judged equal.
        undecided: Number of rows that only the log-loss is about.
        constant_log_loss: Log-loss of a constant prediction; None where it is unknown.
        votes: Number of votes; None where each row is one.
        kinds: Metrics by kind of row; empty where training used none of the images, or it is unknown.
        agreement: Agreement of those who judged; None where no pair was judged more than once.
        warnings: Lines that a reader must know.
    """

    key: str
    data: dict[str, Any]
    rows: str
    metrics: dict[str, Estimate]
    confusion: list[list[int]]
    role: Role
    images: int | None = None
    ties: int = 0
    undecided: int = 0
    constant_log_loss: float | None = EVEN_LOG_LOSS
    votes: float | None = None
    kinds: Mapping[str, KindMetrics] = field(default_factory=dict)
    agreement: AgreementMetrics | None = None
    warnings: tuple[str, ...] = ()

    @property
    def files(self) -> list[dict[str, Any]]:
        """Evaluated data files: one, or those that were pooled."""
        return self.data.get("files", [self.data])

    @property
    def chance(self) -> str | None:
        """What to say where the predictions are no better than chance; None where they are better."""
        log_loss = self.metrics["log_loss"].value if "log_loss" in self.metrics else 0.0
        return chance_warning(self.metrics["accuracy"], log_loss, self.constant_log_loss)

    @property
    def is_pooled(self) -> bool:
        """Whether these are the metrics of several files together."""
        return "files" in self.data

    @property
    def held_out(self) -> bool:
        """Whether no training used any of the files."""
        return self.role == "test"


@dataclass(frozen=True)
class RunContents:
    """A run folder.

    Attributes:
        path: Run folder.
        config: Content of ``config.json``.
        history: Epoch entries of ``history.jsonl``; empty if there is none.
        metrics: Metrics by key, in reading order: val, the tests, the tests together, others.
        predictions: Predictions by key, in the same order.
        steps: Content of ``steps.json``; empty if there is none.
        weights_sha256: Digest of the evaluated weights; None where no evaluation names it.
        milliseconds: Time of a pair in the largest evaluation; None where there was none.
    """

    path: Path
    config: dict[str, Any]
    history: list[dict[str, Any]]
    metrics: dict[str, FileMetrics]
    predictions: dict[str, Predictions]
    steps: list[dict[str, Any]]
    weights_sha256: str | None
    milliseconds: float | None

    @property
    def val_metrics(self) -> FileMetrics | None:
        """Metrics of the run's own val file, whatever its name; None without an evaluation of it."""
        return next((each for each in self.metrics.values() if each.role == "val" and not each.is_pooled), None)

    @property
    def evaluated(self) -> Evaluated:
        """Files with metrics."""
        files = [(each.key, each.data) for each in self.metrics.values() if not each.is_pooled]
        return self._evaluated(files, "metrics")

    @property
    def predicted(self) -> Evaluated:
        """Labelled files with predictions."""
        labelled = {key: each for key, each in self.predictions.items() if each.y is not None and each.data_sha256}
        return self._evaluated([(key, each.meta["data"]) for key, each in labelled.items()], "predictions")

    def role(self, digest: str | None) -> Role:
        """The use of a data file, by its digest."""
        return role_of(self.config, digest, used_in_training(self.config))

    def predictions_of(self, metrics: FileMetrics) -> dict[str, Predictions]:
        """The stored predictions of the files behind some metrics, by key; empty unless all are there."""
        digests = {file["sha256"] for file in metrics.files}
        found = {key: part for key, part in self.predictions.items() if part.data_sha256 in digests}
        complete = sum(map(len, found.values())) == metrics.data["n"]
        return found if complete and all(part.y is not None for part in found.values()) else {}

    def _evaluated(
        self, files: Sequence[tuple[str, dict[str, Any]]], kind: Literal["predictions", "metrics"]
    ) -> Evaluated:
        val, can = self.val_file, RunFolder(self.path).weights.is_file()
        found = (EvaluatedFile(key, data["path"], data["sha256"], self.role(data["sha256"])) for key, data in files)
        return Evaluated(self.path, val["path"], val["sha256"], tuple(found), can, kind)

    @property
    def val_file(self) -> dict[str, Any]:
        """The file that chose the epoch.

        Raises:
            InputError: The run has none, since it was cross-validated.
        """
        if "val" not in self.config["data"]:
            raise InputError(f"{self.path}: was cross-validated, without a val file to compare runs by; leave it out")
        return self.config["data"]["val"]


def role_of(config: dict[str, Any], digest: str | None, used: Collection[str]) -> Role:
    """The use of a data file in a run.

    Args:
        config: Run configuration.
        digest: Digest of the file.
        used: Digests of all files used in its training and in its teachers'.
    """
    if "val" in config["data"] and digest == config["data"]["val"]["sha256"]:
        return "val"
    return "used" if digest in used else "test"


def read_by_factor(runs: Sequence[Path]) -> dict[str, dict[int, RunContents]]:
    """Run folders named ``FACTOR_seedSEED``, by factor and seed, in the order of ``runs``.

    Raises:
        InputError: A folder or a factor's seed is given twice, a name is of another form, or as :func:`read_run`.
    """
    found: dict[str, dict[int, RunContents]] = {}
    for run in distinct_runs(runs):
        name = _NAME.fullmatch(run.resolve().name)
        if name is None or len(name["seed"]) > _LONGEST_SEED:
            raise InputError(f"{run}: runs to be put together are named NAME_seedSEED, for example no_mask_seed1")
        seeds, seed = found.setdefault(name["factor"], {}), int(name["seed"])
        if seed in seeds:
            raise InputError(f"{run}: seed {seed} of {name['factor']} is also {seeds[seed].path}; give one of the two")
        seeds[seed] = read_run(run)
    return found


def read_run(run: Path, current: bool = True) -> RunContents:
    """Read a run folder.

    Args:
        run: Run folder.
        current: Whether figures of other weights than those of the run are refused. A training that goes on after an
            evaluation leaves such behind.

    Raises:
        InputError: It is no run folder, a file is damaged, or figures are those of other weights.
    """
    run, folder = Path(run), RunFolder(Path(run))
    config = folder.read_config()
    used = used_in_training(config)
    documents = {path: read_metrics(path) for path in _files(run / "metrics", ".json")}
    metrics = [_file_metrics(path.stem, document, config, used) for path, document in documents.items()]
    weights = {document.get("weights_sha256") for document in documents.values()} - {None}
    timed = [(each["data"]["n"], each["milliseconds"]) for each in documents.values() if "milliseconds" in each]
    predictions = {path.stem: Predictions.load(path) for path in _files(run / "predictions", ".npz")}
    if current:
        _require_current(folder, weights | {each.meta.get("weights_sha256") for each in predictions.values()} - {None})
    roles: dict[str, Role] = {key: role_of(config, each.data_sha256, used) for key, each in predictions.items()}
    return RunContents(
        path=run,
        config=config,
        history=folder.read_history(),
        metrics={
            each.key: each for each in sorted(metrics, key=lambda each: _place(each.key, each.role, each.is_pooled))
        },
        predictions={key: predictions[key] for key in sorted(predictions, key=lambda key: _place(key, roles[key]))},
        steps=read_steps(run / "steps.json"),
        weights_sha256=next(iter(weights), None),
        milliseconds=max(timed)[1] if timed else None,
    )


def trainings(contents: RunContents) -> tuple[dict[str, float], list[str]]:
    """Seconds of the trainings of a run and of its teachers, by history, and the paths of missing teachers.

    A run and its copy have the same history: they are one training. Teachers may also stand beside the run, or beside
    the students between.

    Raises:
        InputError: The time of one of them is unknown, or a run is its own teacher.
    """
    return _trainings(contents, (), ())


def _trainings(
    contents: RunContents, beside: tuple[Path, ...], students: tuple[Path, ...]
) -> tuple[dict[str, float], list[str]]:
    place = contents.path.resolve()
    if place in students:
        raise InputError(f"{RunFolder(contents.path).config}: names as teacher a run that it has taught; restore it")
    if not contents.history or not all("seconds" in epoch for epoch in contents.history):
        raise InputError(f"{contents.path}: has no history.jsonl with seconds, so its time is unknown; restore it")
    own = {repr(contents.history): float(sum(epoch["seconds"] for epoch in contents.history))}
    uncounted: list[str] = []
    beside = (contents.path.parent, *beside)
    for named, identity in zip(teacher_folders(contents.config), teacher_identities(contents.config), strict=True):
        # Published results stand beside each other, wherever they were trained.
        for path in (named, *(folder / named.name for folder in beside)):
            if (path / "config.json").is_file():
                teacher = read_run(path, current=False)
                if identity.get("weights_sha256") in (teacher.weights_sha256, _weights(path)):
                    earlier, missing = _trainings(teacher, beside, (*students, place))
                    own, uncounted = earlier | own, [*uncounted, *missing]
                    break
        else:
            uncounted.append(str(named))
    return own, uncounted


def _require_current(run: RunFolder, evaluated: Collection[str | None]) -> None:
    """Refuse figures of different weights, or of others than the run has; a published run may have none.

    Args:
        run: Run folder.
        evaluated: Digests of the evaluated weights.
    """
    remedy = "evaluate every file again, or remove old ones from the folders metrics and predictions"
    if len(evaluated) > 1:
        raise InputError(f"{run.path}: has figures of different weights; {remedy}")
    if evaluated and _weights(run.path) not in (None, *evaluated):
        raise InputError(f"{run.path}: has figures of other weights than {run.weights.name}; {remedy}")


def _weights(run: Path) -> str | None:
    """Digest of a run's weights, which need not be published with it."""
    weights = RunFolder(run).weights
    return sha256(weights) if weights.is_file() else None


def _files(folder: Path, suffix: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{suffix}") if not path.name.startswith("."))


def _place(key: str, role: Role, is_pooled: bool = False) -> tuple[int, int, int, str]:
    """Reading order: val, the tests, the tests together, others."""
    first, known, _ = EvaluatedFile(key, "", "", role).place
    return first, int(is_pooled), known, key


def _file_metrics(key: str, document: dict[str, Any], config: dict[str, Any], used: Collection[str]) -> FileMetrics:
    data = document["data"]
    roles: set[Role] = {role_of(config, file["sha256"], used) for file in data.get("files", [data])}
    return metrics_of(key, document, roles.pop() if len(roles) == 1 else "used")


def metrics_of(key: str, document: dict[str, Any], role: Role = "used") -> FileMetrics:
    """A metrics record as it is shown.

    Args:
        key: Key of the evaluated file.
        document: Metrics record.
        role: Use of the file.
    """
    data = document["data"]
    people: dict[str, Any] = {
        name: document[name] for name in ("images", "ties", "undecided", "votes") if name in document
    }
    # An older version wrote no such number beside ties.
    people["constant_log_loss"] = document.get("constant_log_loss", None if "ties" in document else EVEN_LOG_LOSS)
    if "agreement" in document:
        found = document["agreement"]
        parts = {name: _estimate(found[name]) for name in ("agreement", "ceiling", "accuracy")}
        with_ties = _estimate(found["with_ties"]) if "with_ties" in found else None
        people["agreement"] = AgreementMetrics(
            found["pairs"], **parts, own=found.get("own", False), with_ties=with_ties
        )
    people["kinds"] = {
        kind: KindMetrics(each["n"], _estimates(each["metrics"])) for kind, each in document.get("kinds", {}).items()
    }
    people["warnings"] = tuple(document.get("warnings", ()))
    metrics = _estimates(document["metrics"])
    return FileMetrics(key, data, rows_in_words(document), metrics, document["confusion"], role, **people)


def _estimates(values: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: _estimate(each) for name, each in values.items()}


def _estimate(values: Mapping[str, Any]) -> Estimate:
    # A newer version may write more keys.
    return Estimate(**{part: values[part] for part in EstimateRecord.__annotations__ if part in values})
