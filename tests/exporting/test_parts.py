"""Parts of a graph that torch does not export by itself."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from twinrank.exporting.convolution import as_operators, convolution_operator
from twinrank.exporting.graph import quiet
from twinrank.exporting.scene import scene_operators, scene_statistics
from twinrank.models.pretrained.lite0 import SameConvolution
from twinrank.models.towers.scene_statistics import SceneStatistics


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = SameConvolution(1, 2, 5, 2, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return scene_statistics(images), self.convolution(images)


@pytest.fixture(scope="module")
def session() -> tuple[Parts, Any]:
    torch.manual_seed(0)
    parts, free = Parts().eval(), torch.export.Dim.DYNAMIC
    as_operators(parts)
    own = torch.ops.twinrank
    with quiet():
        program = torch.onnx.export(
            parts,
            (torch.rand(2, 1, 64, 64),),
            dynamo=True,
            dynamic_shapes=({0: free, 2: free, 3: free},),
            custom_translation_table={
                own.scene_statistics.default: scene_operators,
                own.same_convolution.default: convolution_operator,
            },
            optimize=False,
            verbose=False,
        )
    assert program is not None
    return parts, onnxruntime.InferenceSession(program.model_proto.SerializeToString())


@pytest.mark.parametrize("size", [(33, 40), (64, 64), (131, 90)])
def test_images_of_any_size_have_the_statistics_of_torch(session: tuple[Parts, Any], size: tuple[int, int]) -> None:
    parts, made = session
    images = np.random.default_rng(0).integers(0, 256, (3, 1, *size)).astype(np.float32)
    images[:, :, :20] = 200  # flat regions are the hard ones
    statistics, maps = made.run(None, {made.get_inputs()[0].name: images})
    expected = SceneStatistics(1)(torch.from_numpy(images.astype(np.uint8))).numpy()
    np.testing.assert_allclose(statistics, expected, atol=2e-3)
    with torch.no_grad():
        np.testing.assert_allclose(maps, parts.convolution(torch.from_numpy(images)).numpy(), atol=1e-3)
    none = made.run(None, {made.get_inputs()[0].name: images[:0]})
    assert none[0].shape == (0, 166)
