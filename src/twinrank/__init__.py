"""twinrank: learn which of two images ranks higher.

>>> import twinrank as tr

``dir(tr)`` lists what there is. Each name is loaded at its first use, so the import itself is quick.
"""

TYPE_CHECKING = False
# Nothing is imported here: 'python -m twinrank' runs this while the working folder is still searched for modules.
if TYPE_CHECKING:
    from twinrank.api.benchmark import make_benchmark
    from twinrank.api.classifier import PairClassifier
    from twinrank.api.fitting import fit
    from twinrank.api.networks import create_model, list_models
    from twinrank.api.pairs import PairData, load_pairs
    from twinrank.api.predictor import PairPredictor, load_predictor
    from twinrank.api.ranking import next_pairs, rank
    from twinrank.api.runs import Run, evaluate, resume, train
    from twinrank.config import TrainConfig
    from twinrank.data.dataset import PairNPZDataset
    from twinrank.data.judgements import Judgements
    from twinrank.errors import InputError, Interrupted

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Interrupted",
    "Judgements",
    "PairClassifier",
    "PairData",
    "PairNPZDataset",
    "PairPredictor",
    "Run",
    "TrainConfig",
    "create_model",
    "evaluate",
    "fit",
    "list_models",
    "load_pairs",
    "load_predictor",
    "make_benchmark",
    "next_pairs",
    "rank",
    "resume",
    "train",
]

_MODULES = {
    "InputError": "twinrank.errors",
    "Interrupted": "twinrank.errors",
    "Judgements": "twinrank.data.judgements",
    "PairClassifier": "twinrank.api.classifier",
    "PairData": "twinrank.api.pairs",
    "PairNPZDataset": "twinrank.data.dataset",
    "PairPredictor": "twinrank.api.predictor",
    "Run": "twinrank.api.runs",
    "TrainConfig": "twinrank.config",
    "create_model": "twinrank.api.networks",
    "evaluate": "twinrank.api.runs",
    "fit": "twinrank.api.fitting",
    "list_models": "twinrank.api.networks",
    "load_pairs": "twinrank.api.pairs",
    "load_predictor": "twinrank.api.predictor",
    "make_benchmark": "twinrank.api.benchmark",
    "next_pairs": "twinrank.api.ranking",
    "rank": "twinrank.api.ranking",
    "resume": "twinrank.api.runs",
    "train": "twinrank.api.runs",
}
"""Where each name lives."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module 'twinrank' has no attribute '{name}'")
    value = getattr(import_module(_MODULES[name]), name)
    # Found directly from now on.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
