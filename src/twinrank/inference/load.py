"""Predictors from their folders and files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinrank.errors import InputError
from twinrank.inference.exported import ENDING, EXPORTED, ExportedNetwork
from twinrank.inference.mean import MeanPredictor
from twinrank.inference.one_network import OneNetwork
from twinrank.inference.predictor import Predictor
from twinrank.runs import RunFolder, distinct_runs


def load_predictor(*paths: Path, threads: int | None = None) -> Predictor:
    """The predictor of a folder: the network of a run, or the best ensemble of a stack. Several give their mean.

    What 'twinrank export' has written is read without torch.

    Args:
        paths: Run folders, stack folders, and exported files or folders.
        threads: Threads of the CPU for exported networks; None is all cores.

    Raises:
        InputError: One is none of these, comes twice, or lacks what it needs.
    """
    predictors = {path: _predictor(path, threads) for path in distinct_runs(paths)}
    if len(predictors) == 1:
        return next(iter(predictors.values()))
    by_weights: dict[str, Path] = {}
    for path, predictor in predictors.items():
        weights = predictor.identity().get("weights_sha256", str(path))
        if (other := by_weights.setdefault(weights, path)) != path:
            raise InputError(f"{path}: has the weights of {other}; name each network once")
    return MeanPredictor([*predictors.values()])


def is_exported(path: Path) -> bool:
    """Whether a path is that of an exported file, or of a folder of such files."""
    return path.suffix.lower() == ENDING or (path / EXPORTED).is_file()


def _predictor(path: Path, threads: int | None) -> Predictor:
    # Imports stand here, since the others need torch.
    if path.suffix.lower() == ENDING:
        return ExportedNetwork(path, threads)
    if (path / EXPORTED).is_file():
        from twinrank.inference.exported_folder import load_folder

        return load_folder(path, threads)
    from twinrank.ensembling.stack_folder import StackFolder

    if StackFolder(path).config.is_file():
        from twinrank.inference.stack import StackPredictor

        return StackPredictor.of_folder(StackFolder(path))
    from twinrank.inference.network import Network

    return Network(RunFolder(path))


def images_of_training(predictor: Predictor, scored: bool = False) -> np.ndarray | None:
    """Hashes of the images that training used, uint64 (K,); None where nothing tells. Stacks tell nothing.

    Args:
        predictor: Predictor.
        scored: Whether networks are left out whose scores of these images are out-of-fold.

    Raises:
        InputError: A file is damaged.
    """
    match predictor:
        case MeanPredictor():
            known = [images_of_training(each, scored) for each in predictor.predictors]
        case OneNetwork() if not (scored and predictor.out_of_fold):
            known = [predictor.training_images()]
        case _:
            known = []
    found = [hashes for hashes in known if hashes is not None]
    return np.concatenate(found) if found else None


def unknown_use(paths: Sequence[Path], predictor: Predictor, meaning: str) -> list[str]:
    """A line for each exported file or folder that does not know the images of its training.

    Args:
        paths: What the predictor was loaded from.
        predictor: Their predictor.
        meaning: What a reader of the results must know then.
    """
    parts = predictor.predictors if len(paths) > 1 and isinstance(predictor, MeanPredictor) else [predictor]
    return [
        f"{path}: does not know the images of its training; {meaning}"
        for path, part in zip(paths, parts, strict=True)
        if is_exported(path) and not _knows_images(part)
    ]


def _knows_images(predictor: Predictor) -> bool:
    if isinstance(predictor, MeanPredictor):
        return all(map(_knows_images, predictor.predictors))
    return isinstance(predictor, OneNetwork) and predictor.training_images() is not None
