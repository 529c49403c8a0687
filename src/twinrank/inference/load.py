"""Predictors from their folders."""

from pathlib import Path

import numpy as np

from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.inference.mean import MeanPredictor
from twinrank.inference.network import Network
from twinrank.inference.predictor import Predictor
from twinrank.inference.stack import StackPredictor
from twinrank.runs import RunFolder, distinct_runs


def load_predictor(*folders: Path) -> Predictor:
    """The predictor of a folder: the network of a run, or the best ensemble of a stack. Several give their mean.

    Args:
        folders: Run folders and stack folders.

    Raises:
        InputError: A folder is neither, comes twice, or lacks what it needs.
    """
    predictors: dict[Path, Predictor] = {
        path: StackPredictor(StackFolder(path)) if StackFolder(path).config.is_file() else Network(RunFolder(path))
        for path in distinct_runs(folders)
    }
    if len(predictors) == 1:
        return next(iter(predictors.values()))
    by_weights: dict[str, Path] = {}
    for path, predictor in predictors.items():
        weights = predictor.identity().get("weights_sha256", str(path))
        if (other := by_weights.setdefault(weights, path)) != path:
            raise InputError(f"{path}: has the weights of {other}; name each network once")
    return MeanPredictor([*predictors.values()])


def images_of_training(*folders: Path) -> np.ndarray | None:
    """Hashes of the images that the training of some runs used, uint64 (K,); None where no folder tells.

    Args:
        folders: Run folders and stack folders; stacks tell nothing.

    Raises:
        InputError: A file is damaged.
    """
    known = [RunFolder(path).train_images() for path in distinct_runs(folders)]
    found = [hashes for hashes in known if hashes is not None]
    return np.concatenate(found) if found else None
