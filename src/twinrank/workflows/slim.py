"""A run folder small enough to be passed on: all that predictions need, with weights in half precision."""

from pathlib import Path

import torch

from twinrank.core.files import read_bytes, replacing
from twinrank.errors import InputError
from twinrank.models.weights import load_weights, read_tensors, write_tensors
from twinrank.runs import RunFolder


def slim(run: Path, out: Path) -> RunFolder:
    """Copy what a run needs to predict and to be evaluated; the copy has to be evaluated again.

    Args:
        run: Run folder of a trained network.
        out: Run folder, new. Its weights are float16, half the size, so its predictions differ a little.

    Raises:
        InputError: ``run`` is no run folder or has no history, or a weight is out of float16's range. Or ``out`` holds
            a run already, or cannot be written.
    """
    source, copy = RunFolder(Path(run)), RunFolder(Path(out))
    config, history = source.read_config(), source.read_history()
    if not history:
        raise InputError(f"{source.history}: is missing or empty, so the copy would have none; restore it")
    load_weights(source.weights, config["model"])
    tensors, description = read_tensors(source.weights)
    halved = {name: each.half() if each.is_floating_point() else each for name, each in tensors.items()}
    for name, each in halved.items():
        if not torch.isfinite(each).all():
            raise InputError(f"{source.weights}: '{name}' is out of float16's range; pass on the run as it is")
    copy.require_new()
    write_tensors(copy.weights, halved, description)
    for path in source.beside_weights:
        with replacing(copy.path / path.name) as temporary:
            temporary.write_bytes(read_bytes(path))
    copy.write_history(history)
    copy.create(config)
    return copy
