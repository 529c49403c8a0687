"""A network as one graph of ONNX with two entry points: from images to features, and from features to logits."""

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from twinrank.core.pixels import whole_batches
from twinrank.errors import InputError
from twinrank.exporting.convolution import as_operators, convolution_operator
from twinrank.exporting.scene import scene_operators, scene_statistics
from twinrank.models.comparators import LatentOrder, Scored
from twinrank.models.siamese import SiameseNet
from twinrank.models.towers.fold import folded

if TYPE_CHECKING:
    import onnx

_LARGEST = torch.finfo(torch.float16).max
_TRACED = 2, 3, 5
"""Images and pairs of the traced batch."""
MISSING = "onnx or onnxscript is not installed; install them with: pip install 'twinrank[onnx]'"


class Graph(NamedTuple):
    """A graph.

    Attributes:
        model: The graph.
        sizes: Whether it takes images of any height and width.
    """

    model: "onnx.ModelProto"
    sizes: bool


class TwoEntries(nn.Module):
    """A network whose graph begins in images, or in features of pairs. Either may have no rows.

    Args:
        model: Network in evaluation mode, on the CPU; it stays as it is.
    """

    def __init__(self, model: SiameseNet) -> None:
        super().__init__()
        self.model = copy.deepcopy(folded(model))
        as_operators(self.model)
        self.halved = model.freeze == "all"

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs."""
        comparator = self.model.comparator
        more = (
            ["levels"] if isinstance(comparator, LatentOrder) else ["score"] if isinstance(comparator, Scored) else []
        )
        return ["features", *more, "logit"]

    def forward(self, images: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs, see :attr:`outputs`.

        Args:
            images: Images float32 in [0, 255], (N, C, H, W), without margins if the network trims.
            left: Features float32 (P, F) of left images.
            right: Features of right images, the same.

        Returns:
            Features float32 (N, F); log-posteriors of the levels, lowest first, (N, K), or scores (N,), if the network
            has any; logits (P,).
        """
        features, comparator = self._features(images), self.model.comparator
        more: list[torch.Tensor] = []
        if isinstance(comparator, LatentOrder):
            more = [comparator.posterior(features)[:, comparator.ranking()]]
        elif isinstance(comparator, Scored):
            more = [comparator.score(features)]
        return features, *more, comparator(left, right)

    def _features(self, images: torch.Tensor) -> torch.Tensor:
        if not self.halved:
            return self._averaged(images)
        # Those of a frozen tower are kept in half precision, see twinrank.inference.features.
        if not self.model.turned:
            return _halved(self._averaged(images))
        upright, others = (_halved(self._averaged(each)) for each in (images, images.flip(2)))
        return _halved((upright + others) / 2)

    def _averaged(self, images: torch.Tensor) -> torch.Tensor:
        model = self.model
        if self.halved:
            model = copy.copy(model)
            model.turned = False
        views = model.shown(images / 255)
        features = model.tower(model.encode(torch.cat(views)))[1].unflatten(0, (len(views), -1)).mean(0)
        if model.scene is None:
            return features
        return torch.cat([features, scene_statistics(images)], 1)


def graph_of(model: SiameseNet, shape: tuple[int, int, int]) -> Graph:
    """The graph of a network.

    Args:
        model: Network in evaluation mode, on the CPU.
        shape: Shape of an image, (C, H, W).

    Raises:
        InputError: The packages are not installed, or the exporter of torch cannot do it.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(MISSING) from error
    entries = TwoEntries(model).eval()
    problem: Exception | None = None
    for sizes in (True, False):
        try:
            return Graph(_exported(entries, shape, sizes), sizes)
        except Exception as error:  # the exporter raises whatever a step of it raises
            problem = error
    raise InputError(f"the network cannot become a graph ({type(problem).__name__}: {problem})") from problem


def _exported(entries: TwoEntries, shape: tuple[int, int, int], sizes: bool) -> "onnx.ModelProto":
    count, *rows = _TRACED
    free = torch.export.Dim.DYNAMIC
    images = torch.randint(0, 256, (count, *shape)).float()
    sides = [torch.rand(rows[0], entries.model.features) for _ in range(2)]
    dims = {0: free, 2: free, 3: free} if sizes else {0: free}
    with quiet(), whole_batches(), torch.no_grad():
        program = torch.onnx.export(
            entries,
            (images, *sides),
            dynamo=True,
            input_names=["images", "left", "right"],
            output_names=entries.outputs,
            dynamic_shapes=(dims, {0: "pairs"}, {0: "pairs"}),
            custom_translation_table=_translations(),
            # The runtime optimises the graph when it loads it.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # Each node names the lines that made it.
    for node in model.graph.node:
        del node.metadata_props[:]
    return model


def _translations() -> dict:
    own = torch.ops.twinrank
    return {own.same_convolution.default: convolution_operator, own.scene_statistics.default: scene_operators}


def _halved(features: torch.Tensor) -> torch.Tensor:
    return features.clamp(-_LARGEST, _LARGEST).half().float()


@contextmanager
def quiet() -> Iterator[None]:
    """A block in which exporters report nothing: their lines are about their own insides."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
