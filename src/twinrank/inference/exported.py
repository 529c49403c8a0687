"""Networks in files of ONNX as predictors. They need onnxruntime, and not torch."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import numpy as np

from twinrank.config import Track
from twinrank.core.files import read_bytes
from twinrank.core.margins import trimmed
from twinrank.core.memory import require_memory
from twinrank.core.messages import shown
from twinrank.core.records import parse_record
from twinrank.core.run_records import FileUse, as_uses
from twinrank.data.batch_sizes import rows_a_batch
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.data.pool import Pool
from twinrank.errors import InputError
from twinrank.evaluation.level_scores import level_scores
from twinrank.evaluation.predictions import Predictions
from twinrank.evaluation.simple_rule import SimpleRuleRecord
from twinrank.evaluation.vote_calibration import CalibrationRecord, VoteCalibration
from twinrank.inference.blocks import PAIRS_A_BLOCK, filled, image_blocks, is_steady
from twinrank.inference.form import ImageForm
from twinrank.inference.one_network import OneNetwork
from twinrank.inference.predictor import Pairwise

ENDING = ".onnx"
KEY = "twinrank"
"""Key of the metadata of a file under which JSON says what the graph does not."""
EXPORTED = "export.json"
"""File of a folder with several networks of one predictor."""
FORMAT = 1
_PAIRS_A_BATCH = 500
_MOST_OF_A_PANEL = 4_096
_MISSING = "onnxruntime is not installed; install it with: pip install 'twinrank[onnx]'"


class ImagesRecord(TypedDict):
    """Images that an exported network takes, see :class:`twinrank.inference.form.ImageForm`.

    Attributes:
        shape: Shape of an image, (C, H, W).
        reading: How image files become pixels; absent where the training had arrays.
        resized: Whether files of several sizes were brought to this one.
        exact: Whether height and width are known.
        columns: What was stated about the columns of the table of the training.
        trim: Whether margins of one colour are cut off before an image goes into the graph.
        question: Question that people answered; absent where it is not known.
    """

    shape: Annotated[list[int], msgspec.Meta(min_length=3, max_length=3)]
    reading: NotRequired[dict[str, Any]]
    resized: bool
    exact: bool
    columns: dict[str, str]
    question: NotRequired[str]
    trim: bool


class ExportRecord(TypedDict):
    """What a file of ONNX says besides its graph.

    Attributes:
        format: Version of this record.
        model: Name of the network.
        weights_sha256: Digest of the weights in the run folder.
        arithmetic: That of the convolutions.
        track: Track of the network.
        used_in_training: How files were used in training, by digest.
        contents: Digests of these files, by those of their images and labels alone; older exports lack it.
        training_images: Hashes of the images of the training as uint64 in base64, see
            :meth:`twinrank.runs.RunFolder.write_train_images`; absent where they are many, and in older exports.
        warnings: Lines that a reader of results must know; absent where there are none.
        images: Images that it takes.
        calibration: From logits to probabilities; absent where they are logits of probabilities already.
        nu: Davidson's nu of ties; 0 where none are modelled.
        panel: Features of images that others are scored against, (P, F), as float32 in base64; absent where the graph
            has scores or levels.
        score_prior: Scale and spread of scores; absent where the run has none.
        judging: How people judged; absent where the run has none.
        simple_rule: The best rule on one simple feature; absent where the run has none, and in older exports.
        version: Version of twinrank.
        commit: Its commit.
        command: Command that made the file.
    """

    format: int
    model: str
    weights_sha256: str
    arithmetic: Literal["float32", "int8"]
    track: Track
    used_in_training: dict[str, list[dict[str, Any]]]
    contents: NotRequired[dict[str, str]]
    training_images: NotRequired[str]
    warnings: NotRequired[list[str]]
    images: ImagesRecord
    calibration: NotRequired[CalibrationRecord]
    nu: float
    panel: NotRequired[str]
    score_prior: NotRequired[dict[str, Any]]
    judging: NotRequired[dict[str, Any]]
    simple_rule: NotRequired[SimpleRuleRecord]
    version: NotRequired[str | None]
    commit: NotRequired[str | None]
    command: NotRequired[str]


@dataclass(frozen=True, eq=False)
class Features:
    """What the graph makes of N images.

    Attributes:
        features: Features, float32 (N, F).
        levels: Log-posteriors over the latent levels, lowest first, float32 (N, K); None for a network without any.
        score: Scores, float32 (N,); None for a network that scores no image by itself.
    """

    features: np.ndarray
    levels: np.ndarray | None = None
    score: np.ndarray | None = None

    def rows(self, chosen: np.ndarray) -> "Features":
        """Those of some images, int (n,)."""
        levels = None if self.levels is None else self.levels[chosen]
        return Features(self.features[chosen], levels, None if self.score is None else self.score[chosen])

    @classmethod
    def joined(cls, parts: Sequence["Features"]) -> "Features":
        """Those of some images, then those of others."""
        levels = [part.levels for part in parts if part.levels is not None]
        score = [part.score for part in parts if part.score is not None]
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate(levels) if levels else None,
            np.concatenate(score) if score else None,
        )


class ExportedNetwork(OneNetwork):
    """A network that ``twinrank export`` has written, as a :class:`twinrank.inference.predictor.Predictor`.

    Args:
        path: File of ONNX.
        threads: Threads of the CPU; None is all cores.

    Raises:
        InputError: onnxruntime is not installed, or the file is missing, damaged or of someone else.

    Attributes:
        record: What the file says besides its graph.
        calibration: From logits to probabilities, or None.
        form: Form of the images that it takes.
        features: Number of the features of an image.
        outputs: Names of the outputs of the graph.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._path = Path(path)
        content = read_bytes(self._path)
        self._sha256 = hashlib.sha256(content).hexdigest()
        self._session = _session(self._path, content, threads)
        self.outputs = [each.name for each in self._session.get_outputs()]
        self.record = _record(self._path, self._session)
        about, images = self.record, self.record["images"]
        where = f"{self._path}: metadata"
        calibration, self.nu = about.get("calibration"), about["nu"]
        self.calibration = None if calibration is None else VoteCalibration(calibration["scale"], calibration["nu"])
        reading = Reading.from_json(images["reading"], where) if "reading" in images else None
        channels, height, width = images["shape"]
        shape = (channels, height, width)
        resized, exact, columns = images["resized"], images["exact"], images["columns"]
        name, question = str(self._path), images.get("question")
        self.form = ImageForm(name, shape, reading, resized, exact, columns, question)
        self.features = next(each.shape[1] for each in self._session.get_inputs() if each.name == "left")
        self._uses = {digest: as_uses(uses, where) for digest, uses in about["used_in_training"].items()}
        self._training_images = _hashes(about["training_images"], where) if "training_images" in about else None

    def embed(self, images: np.ndarray) -> Features:
        """What the graph makes of images, a batch at a time.

        Args:
            images: Images, uint8, or float32 in [0, 1], (N, C, H, W).
        """
        return self._embed_store(ImageStore.from_arrays(images), np.arange(len(images)))

    def compare(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Logits of pairs, float32 (N,), positive where left is predicted to rank higher.

        Args:
            left: Features of left images, float32 (N, F).
            right: Features of right images, the same.
        """
        none = np.zeros((0, *self.form.shape), np.float32)
        parts, places, rows = [np.zeros(0, np.float32)], np.arange(len(left)), _PAIRS_A_BATCH
        if is_steady() and len(left):
            places, rows = filled(places, PAIRS_A_BLOCK), PAIRS_A_BLOCK
        for start in range(0, len(places), rows):
            some = places[start : start + rows]
            feed = {"images": none, "left": left[some], "right": right[some]}
            parts.append(self._session.run(["logit"], feed)[0])
        return np.concatenate(parts)[: len(left)]

    def predictions(self, data: Judgements) -> Predictions:
        """Logits with row ids, labels and, if the network has any, latent levels.

        Raises:
            InputError: The images do not fit.
        """
        self.form.require_images(data.images, data.path)
        left, right = self._sides(data)
        logit = self.compare(left.features, right.features)
        self._require_numbers(logit)
        return Predictions(data.row_ids, logit, data.y, left.levels, right.levels)

    def pairwise(self, pool: Pool) -> Pairwise:
        """Logits of all pairs of images with their latent levels.

        Raises:
            InputError: The images do not fit.
        """
        self.form.require(pool.images.shape[1:], pool.path)
        made = self.embed(pool.images)
        first, second = np.triu_indices(len(pool), 1)
        logit = np.zeros((len(pool), len(pool)), np.float32)
        for row, column in ((first, second), (second, first)):
            logit[row, column] = self.compare(made.features[row], made.features[column])
        self._require_numbers(logit)
        return Pairwise(logit, made.levels)

    def image_features(self, images: ImageStore, chosen: np.ndarray) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`; they are those before the comparison."""
        self.form.require_images(images, images.path)
        features = self._embed_store(images, chosen).features
        self._require_numbers(features)
        return features

    def scores(self, images: ImageStore) -> np.ndarray:
        """See :class:`twinrank.inference.predictor.Predictor`.

        The file knows no out-of-fold scores. An image that the network was fitted to has its own score.
        """
        self.form.require_images(images, images.path)
        made = self._embed_store(images, np.arange(len(images)))
        if made.score is not None:
            scores = made.score.astype(np.float64)
        elif made.levels is not None:
            scores = level_scores(np.exp(made.levels))
        else:
            scores = self._against_panel(made.features)
        self._require_numbers(scores)
        return scores

    @property
    def used_in_training(self) -> dict[str, tuple[FileUse, ...]]:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self._uses

    def training_images(self) -> np.ndarray | None:
        """See :class:`twinrank.inference.one_network.OneNetwork`."""
        return self._training_images

    @property
    def track(self) -> str:
        """See :class:`twinrank.inference.predictor.Predictor`."""
        return self.record["track"]

    def identity(self) -> dict[str, Any]:
        """See :class:`twinrank.inference.predictor.Predictor`; the digest is that of the file."""
        return {"weights_sha256": self._sha256, "model": self.record["model"]}

    def _sides(self, data: Judgements) -> tuple[Features, Features]:
        """Left and right images; where an image is in several rows, it goes through the graph once."""
        if not data.shared and not is_steady():
            left, right = (self._embed_store(data.images, side) for side in (data.left, data.right))
            return left, right
        used, places = np.unique(np.concatenate([data.left, data.right]), return_inverse=True)
        made = self._embed_store(data.images, used)
        left, right = (made.rows(side) for side in places.reshape(2, -1))
        return left, right

    def _embed_store(self, images: ImageStore, chosen: np.ndarray) -> Features:
        trim, parts = self.record["images"]["trim"], []
        if is_steady() and len(chosen):
            blocks = image_blocks(chosen, *images.shape[1:], alone=trim)
        else:
            rows = rows_a_batch(*images.shape[1:])
            # One batch of no images, if there are none.
            blocks = (chosen[start : start + rows] for start in range(0, max(1, len(chosen)), rows))
        for block in blocks:
            taken = images.take(block)
            pixels = graph_pixels(taken)
            apart = trim and len(pixels) > 0
            parts.append(self._apart(pixels) if apart else self._embed(pixels))
        # The last block may be filled up.
        return Features.joined(parts).rows(np.arange(len(chosen)))

    def _apart(self, pixels: np.ndarray) -> Features:
        """Images without their margins; those of one size go through the graph together."""
        sizes: dict[tuple[int, ...], list[int]] = {}
        shown = [trimmed(image) for image in pixels]
        for place, image in enumerate(shown):
            sizes.setdefault(image.shape, []).append(place)
        made = Features.joined([self._embed(np.stack([shown[place] for place in places])) for places in sizes.values()])
        return made.rows(np.argsort([place for places in sizes.values() for place in places]))

    def _embed(self, pixels: np.ndarray) -> Features:
        none = np.zeros((0, self.features), np.float32)
        names = [name for name in self.outputs if name != "logit"]
        found = self._session.run(names, {"images": pixels, "left": none, "right": none})
        made = dict(zip(names, found, strict=True))
        return Features(made["features"], made.get("levels"), made.get("score"))

    def _against_panel(self, features: np.ndarray) -> np.ndarray:
        if "panel" not in self.record:
            raise InputError(f"{self._path}: scores no images, since its run has no panel; train again, and export it")
        panel = np.frombuffer(base64.b64decode(self.record["panel"]), np.float32).reshape(-1, self.features)
        some = panel[:_MOST_OF_A_PANEL]
        means = [self.compare(np.repeat(one[None], len(some), 0), some).astype(np.float64).mean() for one in features]
        return np.array(means)

    def _require_numbers(self, values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            raise InputError(f"{self._path}: its predictions are not finite; export the run again")


def graph_pixels(images: np.ndarray) -> np.ndarray:
    """Images as a graph takes them, float32 in [0, 255], of the same shape.

    Args:
        images: Images, uint8, or float in [0, 1].
    """
    return images.astype(np.float32) * np.float32(1 if images.dtype == np.uint8 else 255)


def _session(path: Path, content: bytes, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(_MISSING) from error
    require_memory(path, 3 * len(content))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Errors are raised; they need not be printed as well.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has a class for each reason
        reason = shown(str(error).partition("\n")[0])
        raise InputError(f"{path}: damaged, or no network ({reason}); export the run again") from error


def _record(path: Path, session: Any) -> ExportRecord:
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    inputs, outputs = ({each.name for each in ends} for ends in (session.get_inputs(), session.get_outputs()))
    if text is None or inputs != {"images", "left", "right"} or not {"features", "logit"} <= outputs:
        raise InputError(f"{path}: not written by 'twinrank export'; export a run again")
    record = parse_record(text, ExportRecord, f"{path}: metadata", "what 'twinrank export' writes")
    if record["format"] > FORMAT:
        raise InputError(f"{path}: written by a newer version of twinrank; install that")
    return record


def _hashes(text: str, where: str) -> np.ndarray:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<u8")
    except ValueError as error:
        raise InputError(f"{where}: 'training_images' are no hashes of images; export the run again") from error


def metadata(record: ExportRecord) -> dict[str, str]:
    """Metadata of a file, by key.

    Args:
        record: What it says besides the graph.
    """
    return {KEY: json.dumps(record, allow_nan=False)}
