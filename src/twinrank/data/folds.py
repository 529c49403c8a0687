"""Folds of a pair file: the rows that each network of an ensemble is fitted to, chooses its epoch on, and predicts."""

import heapq
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from twinrank.config import GridSpec
from twinrank.core.files import write_npz
from twinrank.core.npz import read_written
from twinrank.core.randomness import numpy_generator
from twinrank.data.fingerprint import fingerprint
from twinrank.data.formats.selection import Selection
from twinrank.data.judgements import Judgements
from twinrank.errors import InputError

MAX_FOLDS = 100
_KINDS = {"id": "U", "fold": "i", "stop": "b", "of": "U", "of_sha256": "U"}


@dataclass(frozen=True, eq=False)
class Folds:
    """An assignment of rows, made once and shared by every model.

    Attributes:
        of: Pair file.
        of_sha256: Digest of the pair file.
        id: Row ids of the pair file, str (N,).
        fold: Fold of each row, int8 (N,), 0 to K - 1. Pairs that share an image (a pair and its mirror, too) are in
            one fold.
        stop: Whether a row chooses the epoch where its fold is trained on, bool (N,). Such rows are never fitted there.
    """

    of: Path
    of_sha256: str
    id: np.ndarray
    fold: np.ndarray
    stop: np.ndarray

    @property
    def count(self) -> int:
        """Number of folds, K."""
        return int(self.fold.max()) + 1

    def fitted(self, fold: int | None = None) -> Selection:
        """Rows to fit where ``fold`` is left out; if it is None, all rows but those that choose the epoch."""
        return self._select(~self.stop, fold)

    def stopped_on(self, fold: int | None = None) -> Selection:
        """Rows that choose the epoch where ``fold`` is left out."""
        return self._select(self.stop, fold)

    def left_out(self, fold: int) -> Selection:
        """Rows of a fold."""
        return Selection(self.of, self.of_sha256, np.flatnonzero(self.fold == fold))

    def save(self, path: Path) -> None:
        """Write an NPZ file.

        Raises:
            InputError: The file cannot be written.
        """
        write_npz(path, vars(self) | {"of": str(self.of)})

    @classmethod
    def load(cls, path: Path) -> "Folds":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: The file is missing, damaged, or holds something else.
        """
        path = Path(path)
        read = read_written(path, _KINDS, "an assignment of folds")
        ids, fold, stop = (read[key] for key in ("id", "fold", "stop"))
        if ids.ndim != 1 or not ids.shape == fold.shape == stop.shape:
            raise InputError(f"{path}: keys 'id', 'fold' and 'stop' must be of one length; make it again")
        if not len(fold) or fold.min() < 0 or fold.max() >= MAX_FOLDS:
            raise InputError(f"{path}: key 'fold' must be from 0 to {MAX_FOLDS - 1}; make it again")
        return cls(Path(str(read["of"])), str(read["of_sha256"]), ids, fold, stop)

    def _select(self, mask: np.ndarray, fold: int | None) -> Selection:
        chosen = mask if fold is None else mask & (self.fold != fold)
        return Selection(self.of, self.of_sha256, np.flatnonzero(chosen))


def assign_folds(
    data: Judgements,
    folds: int = GridSpec.folds,
    stop_share: float = GridSpec.stop_share,
    seed: int = GridSpec.seed,
) -> Folds:
    """Assign the rows of a file at random to folds of equal size, and some rows of each to the choice of epochs.

    Args:
        data: N pairs.
        folds: Number of folds, K.
        stop_share: Share of each fold that chooses epochs.
        seed: Seed of the assignment.

    Raises:
        InputError: Too few pairs share no image, or ``folds`` or ``stop_share`` is impossible.
    """
    if not 2 <= folds <= MAX_FOLDS:
        raise InputError(f"`folds`: {folds} is not possible; use 2 to {MAX_FOLDS}")
    if not 0 <= stop_share < 1:
        raise InputError(f"`stop_share`: {stop_share} is not possible; use 0 up to but not including 1")
    groups = image_groups(data)
    sizes = np.bincount(groups)
    if len(sizes) < 2 * folds:
        raise InputError(
            f"{data.path}: {len(sizes)} groups of pairs that share no image, too few for {folds} folds; lower `folds`"
        )
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
        if stopping[fold] + sizes[group] <= stop_share * len(data) / folds:
            stops[group] = True
            stopping[fold] += sizes[group]
    return Folds(data.path, data.sha256, data.row_ids, fold_of[groups], stops[groups])


def image_groups(data: Judgements) -> np.ndarray:
    """Number of the group of each row, int (N,): rows that share an image are in one group."""
    images = np.unique(fingerprint(data).images, return_inverse=True)[1].reshape(len(data), 2)
    links = coo_array((np.ones(len(data), np.int8), (images[:, 0], images[:, 1])), shape=(images.max() + 1,) * 2)
    of_image = connected_components(links, directed=False)[1]
    return np.unique(of_image[images[:, 0]], return_inverse=True)[1]
