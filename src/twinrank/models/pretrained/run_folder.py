"""Runs of twinrank as sources of weights: ``run:FOLDER``."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twinrank.core.run_records import uses_as_json
from twinrank.errors import InputError
from twinrank.models.pretrained.sources import PretrainedWeights
from twinrank.models.registry import ModelEntry, entry
from twinrank.runs import RunFolder, used_in_training

if TYPE_CHECKING:
    from twinrank.models.siamese import SiameseNet


def entry_of_run(folder: str) -> ModelEntry:
    """The network of a run, whose weights a new training begins with.

    Options and training values are those of the run. The tower is always taken from it. The comparator is taken where
    it has the same shape, else it is new. Image files are read at the size of the run.

    Args:
        folder: Run folder with weights.

    Raises:
        InputError: It is no run folder, or was made by another version of twinrank.
    """
    run = RunFolder(Path(folder))
    config = run.read_config()
    found = entry(config["model"]["name"])
    build = partial(found.build, **found.complete(config["model"]["options"]))
    shape = config.get("image_shape")
    size = found.size if shape is None else (shape[1], shape[2])
    summary = f"The network of {folder}, whose weights a new training begins with."
    train = replace(run.train_config(), distill_weight=0.0, freeze=found.train.freeze)
    return replace(found, build=build, pretrained=partial(_load, run), size=size, summary=summary, train=train)


def _load(run: RunFolder, model: "SiameseNet") -> PretrainedWeights:
    from twinrank.core.files import sha256
    from twinrank.models.weights import read_tensors

    config, (tensors, _) = run.read_config(), read_tensors(run.weights)
    own = model.state_dict()
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("comparator.")}
    towers = {name: tensor.shape for name, tensor in own.items() if not name.startswith("comparator.")}
    if {name: tensor.shape for name, tensor in kept.items()} != towers:
        shape = " x ".join(map(str, config.get("image_shape", ())))
        raise InputError(
            f"{run.path}: was trained on other images ({shape}), or with other options; train on such images, with the"
            " options of the run"
        )
    head = {name: tensor for name, tensor in tensors.items() if name.startswith("comparator.")}
    heads = {name: tensor.shape for name, tensor in own.items() if name.startswith("comparator.")}
    if {name: tensor.shape for name, tensor in head.items()} == heads:
        kept |= head
    model.load_state_dict(kept, strict=False)
    used = {digest: uses_as_json(uses) for digest, uses in used_in_training(config).items()}
    return PretrainedWeights(f"run:{run.path}", sha256(run.weights), None, config["track"], used)
