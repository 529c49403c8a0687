"""Folds of a pair file: the rows that each network of an ensemble is fitted to, chooses its epoch on, and predicts."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinrank.config import GridSpec
from twinrank.core.files import write_npz
from twinrank.core.messages import counted
from twinrank.core.npz import read_written
from twinrank.core.randomness import numpy_generator
from twinrank.data.fingerprint import fingerprint
from twinrank.data.formats.selection import Selection
from twinrank.data.image_folds import ImageFolds, assign_images, parts_for
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError

MAX_FOLDS = 100
_KINDS = {"id": "U", "fold": "i", "stop": "b", "of": "U", "of_sha256": "U"}
_IMAGE_KINDS = {"part": "i", "left_out": "b", "fold_stop": "b"}
_UNEVEN = 0.25
"""Largest difference of two folds' rows, as a share of a fold, where rows are kept together by their images."""


@dataclass(frozen=True, eq=False)
class Folds:
    """An assignment of rows, made once and shared by every model.

    Attributes:
        of: Pair file.
        of_sha256: Digest of the pair file.
        id: Row ids of the pair file, str (N,).
        fold: Fold of each row, int8 (N,), 0 to K - 1. Pairs that share an image (a pair and its mirror, too) are in
            one fold, where ``images`` is None.
        stop: Whether a row chooses the epoch where its fold is trained on, bool (N,). Such rows are never fitted there.
            With ``images``, whether it does so where no fold is left out.
        images: Parts of images behind the folds, where most rows are connected by their images. A fold then leaves out
            all rows that have an image of some parts, and its own rows have both images in these. None otherwise.
    """

    of: Path
    of_sha256: str
    id: np.ndarray
    fold: np.ndarray
    stop: np.ndarray
    images: ImageFolds | None = None

    @property
    def count(self) -> int:
        """Number of folds, K."""
        return int(self.fold.max()) + 1

    def apart(self, fold: int) -> np.ndarray:
        """Rows that share no image with the rows of a fold, bool (N,)."""
        return self.fold != fold if self.images is None else self.images.apart(fold)

    def fitted(self, fold: int | None = None) -> Selection:
        """Rows to fit where ``fold`` is left out; if it is None, all rows but those that choose the epoch."""
        return self._select(~self._stop(fold), fold)

    def stopped_on(self, fold: int | None = None) -> Selection:
        """Rows that choose the epoch where ``fold`` is left out."""
        return self._select(self._stop(fold), fold)

    def left_out(self, fold: int) -> Selection:
        """Rows of a fold."""
        return Selection(self.of, self.of_sha256, np.flatnonzero(self.fold == fold))

    def save(self, path: Path) -> None:
        """Write an NPZ file.

        Raises:
            InputError: The file cannot be written.
        """
        arrays = {key: value for key, value in vars(self).items() if key != "images"} | {"of": str(self.of)}
        write_npz(path, arrays | image_arrays(self.images))

    @classmethod
    def load(cls, path: Path) -> "Folds":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: The file is missing, damaged, or holds something else.
        """
        path = Path(path)
        read = read_written(path, _KINDS, "an assignment of folds", optional=_IMAGE_KINDS)
        ids, fold, stop = (read[key] for key in ("id", "fold", "stop"))
        if ids.ndim != 1 or not ids.shape == fold.shape == stop.shape:
            raise InputError(f"{path}: keys 'id', 'fold' and 'stop' must be of one length; make it again")
        if not len(fold) or fold.min() < 0 or fold.max() >= MAX_FOLDS:
            raise InputError(f"{path}: key 'fold' must be from 0 to {MAX_FOLDS - 1}; make it again")
        return cls(Path(str(read["of"])), str(read["of_sha256"]), ids, fold, stop, images_of(read, fold, path))

    def _stop(self, fold: int | None) -> np.ndarray:
        return self.stop if fold is None or self.images is None else self.images.stop[fold]

    def _select(self, mask: np.ndarray, fold: int | None) -> Selection:
        chosen = mask if fold is None else mask & self.apart(fold)
        return Selection(self.of, self.of_sha256, np.flatnonzero(chosen))


def image_arrays(images: ImageFolds | None) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file from which :func:`images_of` makes the same; none for None."""
    return {} if images is None else {"part": images.part, "left_out": images.left_out, "fold_stop": images.stop}


def images_of(arrays: Mapping[str, np.ndarray], fold: np.ndarray, path: Path) -> ImageFolds | None:
    """Parts of images from the arrays of an NPZ file; None if it has none.

    Args:
        arrays: Arrays by key.
        fold: Fold of each row, int8 (N,).
        path: File, for messages.

    Raises:
        InputError: The arrays do not fit each other, or a fold does not leave out both images of its rows.
    """
    if not _IMAGE_KINDS.keys() <= arrays.keys():
        return None
    part, left_out, stop = (arrays[key] for key in _IMAGE_KINDS)
    fits = part.shape == (len(fold), 2) and left_out.ndim == 2 and stop.shape == (len(left_out), len(fold))
    if not fits or part.min() < 0 or part.max() >= left_out.shape[1] or fold.max() >= len(left_out):
        raise InputError(f"{path}: keys {', '.join(map(repr, _IMAGE_KINDS))} do not fit the folds; make it again")
    if len(wrong := np.flatnonzero(~left_out[fold[:, None], part].all(1))):
        raise InputError(
            f"{path}: fold {fold[wrong[0]]} does not leave out the images of row {wrong[0]}; make it again"
        )
    return ImageFolds(part, left_out, stop)


def assign_folds(
    data: Judgements,
    folds: int = GridSpec.folds,
    stop_share: float = GridSpec.stop_share,
    seed: int = GridSpec.seed,
) -> Folds:
    """Assign the rows of a file at random to folds of about equal size, and some rows of each to the choice of epochs.

    Rows that share an image go into one fold. Where too many rows are connected in this way for even folds, the folds
    are made of images, see :mod:`twinrank.data.image_folds`. There are then 7, 13, 21 or more folds, as many as
    ``folds`` or the next such number.

    Args:
        data: N pairs.
        folds: Number of folds, K.
        stop_share: Share of each fold that chooses epochs.
        seed: Seed of the assignment.

    Raises:
        InputError: There are too few pairs or images, or ``folds`` or ``stop_share`` is impossible.
    """
    if not 2 <= folds <= MAX_FOLDS:
        raise InputError(f"`folds`: {folds} is not possible; use 2 to {MAX_FOLDS}")
    if not 0 <= stop_share < 1:
        raise InputError(f"`stop_share`: {stop_share} is not possible; use 0 up to but not including 1")
    units = _image_units(data)
    groups = _connected(units)
    sizes = np.bincount(groups)
    if len(sizes) >= 2 * folds:
        fold_of, stops = _whole_groups(sizes, folds, stop_share, seed)
        rows = np.bincount(fold_of, sizes, folds)
        even = np.ptp(rows) <= _UNEVEN * len(data) / folds
        if sizes.max() == 1 or (even and (stops.any() or not stop_share)):
            return Folds(data.path, data.sha256, data.row_ids, fold_of[groups], stops[groups])
    elif sizes.max() == 1:
        raise InputError(
            f"{data.path}: {counted(len(sizes), 'pair is', 'pairs are')} too few for {folds} folds; give more, or lower"
            " `folds`"
        )
    return _image_folds(data, units, folds, stop_share, seed)


def image_groups(data: Judgements) -> np.ndarray:
    """Number of the group of each row, int (N,): rows that share an image are in one group."""
    return _connected(_image_units(data))


def _whole_groups(sizes: np.ndarray, folds: int, stop_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fold of each group of rows, int8 (G,), and whether it chooses epochs, bool (G,)."""
    order = numpy_generator(seed, "folds").permutation(len(sizes))
    # Large groups first, so that the small ones even the folds out.
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = [(0, fold) for fold in range(folds)]
    fold_of, stops = np.empty(len(sizes), np.int8), np.zeros(len(sizes), bool)
    stopping = np.zeros(folds, np.int64)
    for group in order:
        rows, fold = heapq.heappop(filled)
        fold_of[group] = fold
        heapq.heappush(filled, (rows + int(sizes[group]), fold))
    for group in order[::-1]:
        fold = fold_of[group]
        if stopping[fold] + sizes[group] <= stop_share * sizes.sum() / folds:
            stops[group] = True
            stopping[fold] += sizes[group]
    return fold_of, stops


def _image_folds(data: Judgements, units: np.ndarray, folds: int, stop_share: float, seed: int) -> Folds:
    parts, images = parts_for(folds), int(units.max()) + 1
    if images < parts:
        raise InputError(
            f"{data.path}: {counted(images, 'image is', 'images are')} too few for {parts} folds, each of which leaves"
            " out some of them; give more images" + (", or lower `folds`" if parts > parts_for(2) else "")
        )
    fold, stop, of_images = assign_images(units, parts, stop_share, seed)
    made = Folds(data.path, data.sha256, data.row_ids, fold, stop, of_images)
    for each in range(parts):
        used = (fold == each).any(), stop_share == 0 or of_images.stop[each].any(), len(made.fitted(each).rows)
        if not all(used):
            most = np.bincount(units.ravel()).max()
            raise InputError(
                f"{data.path}: {counted(len(data), 'row', 'rows')} of {counted(images, 'image', 'images')}, too few for"
                f" {parts} folds that leave out images (one image is in {counted(most, 'row', 'rows')}); give more rows"
                " of different images"
            )
    return made


def _image_units(data: Judgements) -> np.ndarray:
    """Numbers of the images of each row, int (N, 2); equal images, and those of one group, have one number."""
    codes = np.unique(fingerprint(data).images, return_inverse=True)[1].reshape(len(data), 2)
    if data.group is None:
        return codes
    known, groups = np.unique(data.group, return_inverse=True)
    # An image without a group is one of its own.
    groups = np.where(data.group == "", len(known) + np.arange(len(data.group)), groups.reshape(-1))
    groups, count = groups[np.stack([data.left, data.right], 1)], codes.max() + 1
    units = _components(np.stack([codes.ravel(), count + groups.ravel()], 1), count + groups.max() + 1)[codes]
    return np.unique(units, return_inverse=True)[1].reshape(len(data), 2)


def _connected(units: np.ndarray) -> np.ndarray:
    """Number of the group of each row, int (N,): groups share no number of ``units``."""
    return np.unique(_components(units, units.max() + 1)[units[:, 0]], return_inverse=True)[1]


def _components(links: np.ndarray, count: int) -> np.ndarray:
    """Connected component of each of ``count`` nodes, int (count,), by links, int (L, 2)."""
    graph = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]
