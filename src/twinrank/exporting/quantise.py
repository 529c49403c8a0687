"""Convolutions in 8 bits, calibrated on images of the training."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from twinrank.core.margins import trimmed
from twinrank.data.images.store import ImageStore
from twinrank.errors import InputError
from twinrank.exporting.graph import quiet
from twinrank.inference.exported import KEY, graph_pixels

CALIBRATED = 64
"""Images that tell the ranges of values."""


def quantise(path: Path, out: Path, images: ImageStore, trim: bool) -> None:
    """Write a graph whose convolutions compute in 8 bits: weights a channel, activations a tensor.

    Features, heads and logits stay in float32.

    Args:
        path: Graph in float32.
        out: File to write.
        images: Images of the training; the ranges of activations are taken from some of them.
        trim: Whether margins are cut off.

    Raises:
        InputError: onnxruntime cannot do it.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    try:
        with quiet():
            quantize_static(
                path,
                out,
                _Images(path, images, trim),  # pyright: ignore[reportArgumentType]
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=_of_scene(path),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
    except Exception as error:  # the runtime raises whatever a step of it raises
        raise InputError(f"{path}: cannot be brought to 8 bits ({error}); export without `int8`") from error
    made = onnx.load(out)
    (known,) = (each for each in made.metadata_props if each.key == KEY)
    known.value = json.dumps(json.loads(known.value) | {"arithmetic": "int8"})
    onnx.save(made, out)


def _of_scene(path: Path) -> list[str]:
    """Names of the convolutions that smooth planes of an image: they have one kernel of one channel."""
    import onnx

    graph = onnx.load(path).graph
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    weights = {node.output[0] for node in graph.node if node.op_type == "Constant"}
    return [
        node.name
        for node in graph.node
        if node.op_type == "Conv" and (node.input[1] in weights or shapes.get(node.input[1], (0, 0))[:2] == (1, 1))
    ]


class _Images:
    """Batches of one image for onnxruntime's calibration."""

    def __init__(self, path: Path, images: ImageStore, trim: bool) -> None:
        import onnx

        left = next(each for each in onnx.load(path).graph.input if each.name == "left")
        self._none = np.zeros((0, left.type.tensor_type.shape.dim[1].dim_value), np.float32)
        self._feeds = self._each(images, trim)

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, or None after the last one; onnxruntime calls it."""
        return next(self._feeds, None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._feeds

    def _each(self, images: ImageStore, trim: bool) -> Iterator[dict[str, Any]]:
        for place in np.linspace(0, len(images) - 1, min(len(images), CALIBRATED)).round().astype(int):
            image = images.take(np.array([place]))[0]
            image = trimmed(image) if trim else image
            yield {"images": graph_pixels(image)[None], "left": self._none, "right": self._none}
