"""Networks of the library timm: ``timm:NAME``. It needs torchvision, so it is not among the extras of twinrank."""

import json
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from twinrank.core.messages import quoted, shown
from twinrank.errors import InputError
from twinrank.models.pretrained.hub import fetched
from twinrank.models.pretrained.sources import PretrainedWeights
from twinrank.models.registry import ModelEntry, entry

if TYPE_CHECKING:
    from twinrank.models.siamese import SiameseNet


def entry_of_timm(name: str) -> ModelEntry:
    """A network of timm as the tower of a network.

    Args:
        name: Name of the network, with the tag of its weights or without.

    Raises:
        InputError: timm is not installed, or has no such network.
    """
    about, found = about_timm(name), entry("timm")
    stated = json.dumps({"model": {"name": name}, "mean": list(about.mean), "std": list(about.std)}, sort_keys=True)
    return replace(
        found,
        build=partial(found.build, config=stated),
        pretrained=partial(_load, name),
        size=max(about.input_size[1:]),
        summary=f"{name}, a network of timm: features of all its stages, a latent order head.",
    )


def _load(name: str, model: "SiameseNet") -> PretrainedWeights:
    from twinrank.models.pretrained.timm_backbone import TimmBackbone
    from twinrank.models.weights import tensors_sha256

    backbone, about = model.tower.backbone, about_timm(name)
    assert isinstance(backbone, TimmBackbone)
    try:
        if about.hf_hub_id:
            fetched(about.hf_hub_id, "model.safetensors")
        loaded = imported_timm().create_model(name, pretrained=True, features_only=True, **backbone.sized)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"timm:{name}: its weights cannot be fetched ({shown(str(error))}); check the network connection, or use"
            " hf:FOLDER with a model on this disk"
        ) from error
    tensors = loaded.state_dict()
    backbone.model.load_state_dict(tensors)
    return PretrainedWeights(f"timm:{name}", tensors_sha256(tensors), about.license)


def about_timm(name: str) -> Any:
    """What timm knows of a network: mean, std, input_size, fixed_input_size, license, hf_hub_id.

    Raises:
        InputError: timm is not installed, or has no such network.
    """
    timm = imported_timm()
    try:
        about = timm.get_pretrained_cfg(name)
    except (RuntimeError, ValueError, KeyError):
        about = None
    if about is None:
        # It has more than a thousand.
        near = get_close_matches(name, timm.list_models(), 1)
        advice = f"did you mean '{near[0]}'?" if near else "timm.list_models() lists them"
        raise InputError(f"timm has no network {quoted(name)}; {advice}")
    return about


def imported_timm() -> Any:
    """The library.

    Raises:
        InputError: It is not installed, or does not work.
    """
    try:
        return import_module("timm")
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"timm cannot be used ({shown(str(error))}); install timm, and a torchvision that fits torch"
        ) from error
