"""Run folders: where a training run keeps its configuration, history, weights, predictions and metrics."""

import fcntl
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinrank.config import TrainConfig
from twinrank.core.files import read_bytes, read_json, write_json, write_npz, write_text
from twinrank.core.locks import is_locked, open_lock, try_lock
from twinrank.core.records import as_record, parse_record
from twinrank.core.run_records import EpochEntry, FileUse, RunConfig, as_uses, current_teacher
from twinrank.core.values import with_values
from twinrank.errors import InputError

if TYPE_CHECKING:
    # The command line starts without NumPy.
    import numpy as np

PRETRAINED = Path(__file__).parent / "pretrained"
"""The run folder of the network that comes with twinrank."""
_LOOK_SECONDS = 0.2
_RENAMED = {"class_weight": "level_weight"}
"""Training values by the names that older versions gave them."""


@dataclass(frozen=True)
class RunFolder:
    """The files of one run, which ``docs/architecture.md`` describes.

    Attributes:
        path: Folder of the run.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Run configuration and data: JSON."""
        return self.path / "config.json"

    @property
    def history(self) -> Path:
        """Epoch entries: one JSON object a line."""
        return self.path / "history.jsonl"

    @property
    def checkpoint(self) -> Path:
        """All that the next epoch depends on: safetensors."""
        return self.path / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        """Weights of the best epoch: safetensors."""
        return self.path / "weights.safetensors"

    @property
    def out_of_fold(self) -> Path:
        """Predictions for the fitted rows and their images, by heads that were fitted without them."""
        return self.path / "out_of_fold.npz"

    @property
    def panel(self) -> Path:
        """Features of the images that others are compared with for their scores: NPZ; not with latent levels."""
        return self.path / "panel.npz"

    @property
    def judging(self) -> Path:
        """How people judged: ties and raters: JSON; only where there was more to fit than labels."""
        return self.path / "judging.json"

    @property
    def calibration(self) -> Path:
        """From logits to probabilities of votes: JSON; only where people judged, or images of ``val`` recur."""
        return self.path / "calibration.json"

    @property
    def simple_rule(self) -> Path:
        """The best rule on one simple feature, such as brightness: JSON; only of people's own images."""
        return self.path / "simple_rule.json"

    @property
    def score_prior(self) -> Path:
        """How far scores of images lie from the network's: JSON; only where images of ``val`` recur."""
        return self.path / "score_prior.json"

    @property
    def teacher(self) -> Path:
        """A teacher's predictions of the training pairs: NPZ; only of a student."""
        return self.path / "teacher.npz"

    @property
    def images(self) -> Path:
        """Hashes of the images that training used: NPZ; runs of older versions lack it."""
        return self.path / "images.npz"

    @property
    def beside_weights(self) -> tuple[Path, ...]:
        """What probabilities, scores and evaluation need beside the weights, as far as the run has it."""
        kept = (self.calibration, self.judging, self.score_prior, self.panel, self.out_of_fold, self.images)
        return tuple(path for path in (*kept, self.simple_rule) if path.is_file())

    @property
    def lock(self) -> Path:
        """Locked by the process that trains the run; empty."""
        return self.path / "lock"

    @property
    def steps(self) -> Path:
        """What a recipe has done so far, and how long it took: JSON."""
        return self.path / "steps.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    def predictions(self, stem: str) -> Path:
        """Predictions on the file of that stem: NPZ."""
        return self.path / "predictions" / f"{stem}.npz"

    def metrics(self, stem: str) -> Path:
        """Metrics on the file of that stem: JSON."""
        return self.path / "metrics" / f"{stem}.json"

    def create(self, config: dict[str, Any]) -> None:
        """Begin a run.

        Args:
            config: Run configuration, written as ``config.json``.

        Raises:
            InputError: There is a run already, or the folder cannot be written.
        """
        self.require_new()
        write_json(self.config, config)

    def require_new(self) -> None:
        """Make sure that no run has begun here.

        Raises:
            InputError: A run has begun.
        """
        if self.config.exists():
            raise InputError(
                f"{self.path}: holds a run already; continue it with 'twinrank resume {self.path}',"
                " or choose another folder with `out`"
            )

    def require_room(self, room: int) -> None:
        """Make sure, before the first epoch, that the folder can be written.

        Args:
            room: Bytes that the run will need on the disk.

        Raises:
            InputError: It cannot be written, or the disk has less room.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror or error}); choose another folder with `out`"
            ) from error
        if free < room:
            raise InputError(
                f"{self.path}: the disk has {free / 1e6:,.0f} MB free, the run needs {room / 1e6:,.0f} MB;"
                " free some, or choose another folder with `out`"
            )

    @contextmanager
    def held(self, room: int) -> Iterator[None]:
        """Keep the run for this process while it trains. The system lets go of it however the process ends.

        Args:
            room: Bytes that the run will need on the disk.

        Raises:
            InputError: Another process trains it, the folder cannot be written, or the disk has less room.
        """
        self.require_room(room)
        with open_lock(self.lock) as file:
            if not try_lock(file, fcntl.LOCK_EX):
                # It may have been a look by is_held(), which takes the lock for a moment.
                time.sleep(_LOOK_SECONDS)
                if not try_lock(file, fcntl.LOCK_EX):
                    raise InputError(
                        f"{self.path}: another process is training this run;"
                        f" follow it with 'twinrank watch {self.path}'"
                    )
            yield

    def is_held(self) -> bool:
        """Whether a process trains the run now."""
        return is_locked(self.lock)

    def read_config(self) -> dict[str, Any]:
        """The run configuration, see :class:`twinrank.core.run_records.RunConfig`; unknown keys stay.

        What an older version wrote about a teacher is put into today's form.

        Raises:
            InputError: It is not a run folder, or the configuration is damaged.
        """
        if not self.config.is_file():
            raise InputError(f"{self.path}: not a run folder (no config.json); give the folder that training wrote")
        values, where = read_json(self.config), str(self.config)
        if isinstance(values, dict) and "teacher" in values:
            values = values | {"teacher": current_teacher(values["teacher"], where)}
        config = as_record(values, RunConfig, where, "the configuration of a run")
        if "train" not in config["data"]:
            raise InputError(f"{where}: not the configuration of a run ('data' needs 'train'); restore it")
        return dict(config)

    def train_config(self) -> TrainConfig:
        """The training values of the run.

        Raises:
            InputError: It is not a run folder, or they have been changed to something impossible.
        """
        values = {_RENAMED.get(str(name), str(name)): value for name, value in self.read_config()["train"].items()}
        return with_values(TrainConfig(), values, f"{self.config}: 'train'")

    def fingerprint(self) -> dict[str, Any]:
        """Requested settings: network, training values, and digests of the data and the teacher's predictions.

        Raises:
            InputError: It is not a run folder.
        """
        config = self.read_config()
        data = {part: {"sha256": config["data"][part]["sha256"]} for part in ("train", "val") if part in config["data"]}
        requested = {"model": config["model"], "train": config["train"], "data": data}
        return requested | ({"teacher": {"sha256": config["teacher"].get("sha256")}} if "teacher" in config else {})

    def write_train_images(self, hashes: "np.ndarray") -> None:
        """Keep which images training uses.

        Args:
            hashes: Hashes of the images, each once, sorted, uint64 (K,), see
                :func:`twinrank.data.overlap.images_in_rows`.

        Raises:
            InputError: The file cannot be written.
        """
        write_npz(self.images, {"train": hashes})

    def train_images(self) -> "np.ndarray | None":
        """What :meth:`write_train_images` wrote; None for a run of an older version.

        Raises:
            InputError: The file is damaged.
        """
        if not self.images.is_file():
            return None
        from twinrank.core.npz import Archive

        with Archive(self.images) as archive:
            archive.require_plausible_sizes()
            hashes = archive.read("train") if "train" in archive.headers else None
        if hashes is None or hashes.ndim != 1 or hashes.dtype.kind != "u":
            raise InputError(f"{self.images}: not the images of a training (key 'train' of hashes); restore it")
        return hashes

    def read_history(self) -> list[dict[str, Any]]:
        """Epoch entries, see :class:`twinrank.core.run_records.EpochEntry`; none before the first epoch has ended.

        Raises:
            InputError: A line is not the entry of the epoch of its number.
        """
        if not self.history.is_file():
            return []
        epochs = []
        for number, line in enumerate(read_bytes(self.history).splitlines(), start=1):
            entry = parse_record(line, EpochEntry, f"{self.history}: line {number}", f"the entry of epoch {number}")
            if entry["epoch"] != number:
                raise InputError(
                    f"{self.history}: line {number} is the entry of epoch {entry['epoch']}, not {number};"
                    " restore the file"
                )
            epochs.append(dict(entry))
        return epochs

    def best_epoch(self) -> dict[str, Any]:
        """The entry of the epoch whose weights are kept, the first of the best.

        Raises:
            InputError: It is not a run folder, no epoch has ended, or the history lacks what chose the epoch.
        """
        config, history = self.train_config(), self.read_history()
        if not history:
            raise InputError(f"{self.history}: is missing or empty, so no epoch has ended; restore it")
        if without := [entry["epoch"] for entry in history if config.monitor not in entry["val"]]:
            raise InputError(f"{self.history}: epoch {without[0]} has no '{config.monitor}' of val; restore the file")
        return history[config.best([entry["val"][config.monitor] for entry in history])]

    def write_history(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Replace the history, atomically."""
        write_text(self.history, "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in epochs))


FIT = "fit.json"
"""What ``twinrank fit`` found, in its folder."""
FITTED = "model"
"""The run folder in the folder of ``twinrank fit``."""


def fitted_run(folder: Path) -> Path:
    """The run folder that is meant by a folder: the model in one of ``twinrank fit``, else the folder itself."""
    return folder / FITTED if (folder / FIT).is_file() else folder


def teacher_folders(config: Mapping[str, Any]) -> list[Path]:
    """Folders of the teachers of a run, as they were named then; several teach by their mean."""
    path = config["teacher"]["path"] if "teacher" in config else []
    return [Path(each) for each in (path if isinstance(path, list) else [path])]


def teacher_identities(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Teacher identities of a run, in the order of :func:`teacher_folders`; a stack is one teacher."""
    if "teacher" not in config:
        return []
    identity = config["teacher"]["identity"]
    return identity.get("members", [identity])


def used_in_training(config: Mapping[str, Any]) -> dict[str, tuple[FileUse, ...]]:
    """How files were used in the training of a run, of its teachers and of the weights that it began with, by digest.

    Raises:
        InputError: How one of these used a file is damaged.
    """
    roles: dict[str, FileUse] = {"train": FileUse("fitted"), "val": FileUse("stopped on")}
    uses: dict[str, tuple[FileUse, ...]] = {}
    uses |= {file["sha256"]: (roles[part],) for part, file in config["data"].items() if part in roles}
    for digest, earlier in config.get("pretrained", {}).get("used_in_training", {}).items():
        before = as_uses(earlier, "the run's pretrained weights")
        uses[digest] = tuple(dict.fromkeys([*uses.get(digest, ()), *before]))
    if "teacher" in config:
        for digest, taught in config["teacher"]["used_in_training"].items():
            of_teacher = (FileUse(use.role, use.by, True) for use in as_uses(taught, "the run's teacher"))
            # A teacher's teacher is one of its teachers, so what both used counts once.
            uses[digest] = tuple(dict.fromkeys([*uses.get(digest, ()), *of_teacher]))
    return uses


def distinct_runs(runs: Sequence[Path]) -> list[Path]:
    """The folders as they were given, each once.

    Raises:
        InputError: A folder is given twice.
    """
    known: dict[Path, Path] = {}
    for run in map(Path, runs):
        if (place := run.resolve()) in known:
            again = "is named twice" if run == known[place] else f"the same run as {known[place]}"
            if run == known[place] == fitted_run(run.parent):
                # Either folder may have been given each time.
                again += f", as itself or as {run.parent}"
            raise InputError(f"{run}: {again}; name each run once")
        known[place] = run
    return list(known.values())


def board_files(folder: Path) -> list[Path]:
    """``leaderboard.md``, ``.csv``, ``.json`` and ``.png`` in a folder."""
    return [Path(folder) / f"leaderboard.{suffix}" for suffix in ("md", "csv", "json", "png")]
