"""Models of transformers as backbones."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from twinrank.core.messages import shown
from twinrank.errors import InputError
from twinrank.models.towers.tower import Backbone, modules_before

_MOST_LAYERS = 1_000


class VisionBackbone(Backbone):
    """A vision model of transformers. Its hidden states are maps, evenly spaced, the last one among them.

    Tokens become a map: those of the patches, in rows. Class tokens and registers are left out.

    Args:
        config: Configuration of the model, as its ``config.json`` has it.
        maps: Number of maps, fewer if the model has fewer.
        side: Shorter side of the images, in pixels.

    Raises:
        InputError: transformers is missing or does not know such a model, or the model takes no such images.
    """

    def __init__(self, config: Mapping[str, Any], maps: int, side: int) -> None:
        model, widths = _made(config), [0]
        super().__init__([], widths, every_stage=True)
        self.model = model
        self.maps = maps
        self._resizable = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
        try:
            with torch.no_grad():
                probe = torch.zeros(1, 3, side, side, device=next(model.parameters()).device)
                self.widths = tuple(each.shape[1] for each in self.eval()(probe))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"a model of type {shown(config.get('model_type'))} takes no images of {side} pixels, or gives no"
                " hidden states; choose another size, or another model"
            ) from error
        self.train()

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Encoded images (N, 3, H, W) to maps (N, C', H', W'), from the first layers to the last."""
        named = {"interpolate_pos_encoding": True} if self._resizable else {}
        output = self.model(images, output_hidden_states=True, **named)
        hidden = list(getattr(output, "reshaped_hidden_states", None) or output.hidden_states)
        if output.last_hidden_state.shape == hidden[-1].shape:
            # That of a transformer is normalised.
            hidden[-1] = output.last_hidden_state
        count = min(self.maps, len(hidden) - 1)
        chosen = [hidden[round((step + 1) * (len(hidden) - 1) / count)] for step in range(count)]
        return [self._map(each, images) for each in chosen]

    def early_modules(self) -> list[nn.Module]:
        """Everything before the last layer or stage of the model."""
        lists = (each for each in self.model.modules() if isinstance(each, nn.ModuleList) and len(each) > 1)
        found = next(lists, None)
        return [] if found is None else [*modules_before(self.model, found[-1])]

    def pretrained_tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Tensors of the weights of a model with this configuration, float32, by their names in ``model``.

        Args:
            name: Folder of the model, or its name at the Hugging Face Hub.

        Raises:
            OSError: There are no such weights.
            ValueError: Some are missing, or have another shape.
        """
        from transformers import AutoModel

        with _quiet():
            loaded, found = AutoModel.from_pretrained(
                name, config=self.model.config, use_safetensors=True, trust_remote_code=False, dtype=torch.float32,
                output_loading_info=True,
            )  # fmt: skip
        # Networks use hidden states, and no pooler.
        if missing := sorted(key for key in found["missing_keys"] if "pool" not in key and not key.startswith("head.")):
            raise ValueError(f"{missing[0]} is missing")
        return loaded.state_dict()

    def _map(self, hidden: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        if hidden.dim() == 4:
            return hidden
        patch = self.model.config.patch_size
        down, across = (patch, patch) if isinstance(patch, int) else patch
        height, width = images.shape[2] // down, images.shape[3] // across
        patches = hidden[:, hidden.shape[1] - height * width :]
        return patches.transpose(1, 2).unflatten(2, (height, width))


def _made(config: Mapping[str, Any]) -> Any:
    """The model of a configuration, with random weights."""
    _require_modest(config)
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        message = "transformers is not installed; install it with: pip install 'twinrank[transformers]'"
        raise InputError(message) from error
    values = {key: value for key, value in config.items() if key not in ("model_type", "auto_map")}
    try:
        with _quiet():
            made = AutoConfig.for_model(config["model_type"], **values)
            return AutoModel.from_config(made, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise InputError(
            f"transformers makes no model of type {shown(config.get('model_type'))} from this configuration; choose a"
            " vision model that it knows"
        ) from error


def _require_modest(config: Mapping[str, Any]) -> None:
    """Refuse a number of layers that would take forever to lay out."""
    for key, value in config.items():
        numbers = value if isinstance(value, list) else [value]
        layers = sum(each for each in numbers if isinstance(each, int))
        if ("layers" in key or "depth" in key) and layers > _MOST_LAYERS:
            raise InputError(f"the configuration of a model has {key} {shown(value)}; {_MOST_LAYERS:,} are possible")


@contextmanager
def _quiet() -> Iterator[None]:
    """A block in which transformers shows no bars and no advice."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
