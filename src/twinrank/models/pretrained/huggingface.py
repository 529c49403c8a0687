"""Vision models of the library transformers: ``hf:NAME`` or ``hf:FOLDER``.

Configurations are read as JSON, weights from safetensors files alone, and no code of a model is run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinrank.core.files import read_json
from twinrank.errors import InputError
from twinrank.models.pretrained.hub import fetched
from twinrank.models.pretrained.sources import PretrainedWeights
from twinrank.models.registry import ModelEntry, entry

if TYPE_CHECKING:
    from twinrank.models.siamese import SiameseNet

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, for models that do not state their own."""
_SIZE = 224
_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"


def entry_of_huggingface(name: str) -> ModelEntry:
    """A vision model of transformers as the tower of a network.

    Args:
        name: Folder of a model, else its name at the Hugging Face Hub.

    Raises:
        InputError: It is not there, or no vision model.
    """
    config = _read(name, _CONFIG)
    assert config is not None
    config = config.get("vision_config", config)
    if "model_type" not in config:
        raise InputError(f"hf:{name}: its {_CONFIG} has no 'model_type'; choose a vision model of transformers")
    about = _read(name, _PREPROCESSOR) or {}
    mean, std = (_three(about.get(key), default) for key, default in (("image_mean", _MEAN), ("image_std", _STD)))
    stated = json.dumps({"model": config, "mean": mean, "std": std}, sort_keys=True)
    found = entry("huggingface")
    return replace(
        found,
        build=partial(found.build, config=stated),
        pretrained=partial(_load, name),
        size=_size(config.get("image_size")) or _size(about.get("size")) or _SIZE,
        summary=f"{name}, a model of transformers: features of several of its layers, a latent order head.",
    )


def _three(values: Any, default: tuple[float, float, float]) -> tuple[float, ...]:
    known = isinstance(values, list) and len(values) == 3 and all(isinstance(each, int | float) for each in values)
    return tuple(values) if known else default


def _size(stated: Any) -> int | None:
    if isinstance(stated, Mapping):
        stated = stated.get("height", stated.get("shortest_edge"))
    if isinstance(stated, Sequence) and not isinstance(stated, str) and stated:
        stated = stated[0]
    return stated if isinstance(stated, int) else None


def _read(name: str, file: str) -> dict[str, Any] | None:
    """A JSON file of a model; None if it has none."""
    folder = Path(name)
    if folder.is_dir():
        path = folder / file
        if not path.is_file():
            if file == _CONFIG:
                raise InputError(f"hf:{name}: the folder has no {file}; give that of a model of transformers")
            return None
    else:
        try:
            found = fetched(name, file)
        except (OSError, ValueError) as error:
            raise _unreachable(name) from error
        if found is None:
            if file == _CONFIG:
                raise _unreachable(name)
            return None
        path = found
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: is no JSON object; restore it")
    return values


def _unreachable(name: str) -> InputError:
    return InputError(
        f"hf:{name}: no such folder, and no model of that name can be fetched from the Hugging Face Hub; check the name"
        " and the network, or download the model elsewhere and give its folder as hf:FOLDER"
    )


def _load(name: str, model: "SiameseNet") -> PretrainedWeights:
    from twinrank.models.pretrained.vision import VisionBackbone
    from twinrank.models.weights import tensors_sha256

    backbone = model.tower.backbone
    assert isinstance(backbone, VisionBackbone)
    try:
        tensors = backbone.pretrained_tensors(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"hf:{name}: has no weights as safetensors that fit its {_CONFIG}"
            f" ({str(error).splitlines()[0] if str(error) else error}); save them with save_pretrained"
        ) from error
    backbone.model.load_state_dict(tensors)
    return PretrainedWeights(f"hf:{name}", tensors_sha256(tensors))
