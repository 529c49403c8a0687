"""A run folder small enough to be passed on: configuration and history, and weights in half precision."""

from pathlib import Path

import torch

from twinrank.errors import InputError
from twinrank.files import write_text
from twinrank.models.weights import load_weights, read_tensors, write_tensors
from twinrank.runs import RunFolder


def slim(run: Path, out: Path) -> RunFolder:
    """Copy what a run needs to decide pairs and to be judged itself; it has to be evaluated again.

    Args:
        run: folder of a trained network.
        out: folder, new. Weights in it are float16, half the size; they decide as float32 ones, but are not quite the
            same.

    Raises:
        InputError: it is no run folder, a weight is out of float16's range, there is a run in ``out`` already, or it
            cannot be written.
    """
    source, copy = RunFolder(Path(run)), RunFolder(Path(out))
    recorded = source.read_config()
    load_weights(source.weights, recorded["model"])
    tensors, description = read_tensors(source.weights)
    halved = {name: each.half() if each.is_floating_point() else each for name, each in tensors.items()}
    for name, each in halved.items():
        if not torch.isfinite(each).all():
            raise InputError(f"{source.weights}: '{name}' is out of float16's range; pass on the run as it is")
    copy.require_new()
    write_tensors(copy.weights, halved, description)
    write_text(copy.history, source.history.read_text(encoding="utf-8"))
    copy.create(recorded)
    return copy
