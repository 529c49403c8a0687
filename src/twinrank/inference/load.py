"""Predictors from their folders."""

from pathlib import Path

from twinrank.ensembling.stack_folder import StackFolder
from twinrank.errors import InputError
from twinrank.inference.mean import MeanJudge
from twinrank.inference.network import Network
from twinrank.inference.predictor import Judge
from twinrank.inference.stack import StackJudge
from twinrank.runs import RunFolder, distinct_runs


def open_judge(*folders: Path) -> Judge:
    """Whoever decides in a folder: the network of a run, or the best ensemble of a stack; in several, their mean.

    Raises:
        InputError: one is neither, or comes twice, or what it needs is missing.
    """
    judges: dict[Path, Judge] = {
        path: StackJudge(StackFolder(path)) if StackFolder(path).config.is_file() else Network(RunFolder(path))
        for path in distinct_runs(folders)
    }
    if len(judges) == 1:
        return judges[folders[0]]
    by_weights: dict[str, Path] = {}
    for path, judge in judges.items():
        weights = judge.said("", "").get("weights_sha256", str(path))
        if (other := by_weights.setdefault(weights, path)) != path:
            raise InputError(f"{path}: has the weights of {other}; name each network once")
    return MeanJudge([*judges.values()])
