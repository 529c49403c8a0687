"""Statistics of natural scenes as operators of ONNX, for images of any size.

:class:`twinrank.models.towers.scene_statistics.SceneStatistics` defines them. It goes through images one by one, and
its steps depend on their size. A traced graph would be of one size. So the exporter takes it as one operator, and
replaces that by the operators that are listed here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from twinrank.core.pixels import LUMA
from twinrank.models.towers.scene_statistics import (
    BLOCK,
    DIRECTIONS,
    LEAST_SIDE,
    LOCAL,
    SAMPLES,
    SCALES,
    STEPS,
    WINDOW,
    SceneStatistics,
    gaussian_window,
)

_END = np.iinfo(np.int64).max
_PLACES = (1, 2, 3)


@torch.library.custom_op("twinrank::scene_statistics", mutates_args=())
def scene_statistics(images: torch.Tensor) -> torch.Tensor:
    """Images float32 in [0, 255], (N, C, H, W), to statistics float32 (N, features), as one operator."""
    return SceneStatistics(images.shape[1])(images / 255)


@scene_statistics.register_fake
def _(images: torch.Tensor) -> torch.Tensor:
    return images.new_empty(images.shape[0], SceneStatistics(int(images.shape[1])).features)


def scene_operators(images: Any) -> Any:
    """The same as operators of ONNX; the exporter records them.

    Args:
        images: Value of a graph, float32 in [0, 255], (N, C, H, W).
    """
    from onnxscript import opset18 as op

    return _Scene(op, int(images.shape[1])).of(images)


class _Scene:
    """Names of values are those of :class:`SceneStatistics`; a plane is (N, 1, H, W)."""

    def __init__(self, op: Any, channels: int) -> None:
        self.op = op
        self.channels = channels
        self.constants: dict[tuple, Any] = {}
        # Flat regions are at the limit of float32, so another last bit would be another feature.
        self.window = gaussian_window().numpy()

    def of(self, images: Any) -> Any:
        op, planes = self.op, [images]
        if self.channels == 3:
            red, green, blue = (op.Slice(images, *self._ints([each], [each + 1], [1])) for each in range(3))
            luminance = op.Add(
                op.Add(self._times(red, LUMA[0]), self._times(green, LUMA[1])), self._times(blue, LUMA[2])
            )
            planes = [luminance, op.Sub(red, green), op.Sub(self._times(op.Add(red, green), 0.5), blue)]
        found = self._of_whole(planes[0])
        for plane, scales in zip(planes, SCALES, strict=False):
            for scale in range(scales):
                plane = self._halved(plane) if scale else plane
                found += self._of_scale(plane)
        return op.Concat(*found, axis=1)

    def _of_whole(self, x: Any) -> list[Any]:
        op = self.op
        size = op.Log(op.Cast(op.Slice(op.Shape(x), *self._ints([2], [4])), to=1))
        count = op.Slice(op.Shape(x), *self._ints([0], [1]))
        sizes = op.Expand(op.Reshape(size, *self._ints([1, 2])), op.Concat(count, *self._ints([2]), axis=0))
        mean = self._mean(x)
        deviation = op.Sqrt(self._mean(self._square(op.Sub(x, op.Reshape(mean, *self._ints([-1, 1, 1, 1]))))))
        across = op.ReduceMean(op.Abs(self._steps(x, 3)), *self._ints([1, 2]), keepdims=0)
        down = op.ReduceMean(op.Abs(self._steps(x, 2)), *self._ints([1, 3]), keepdims=0)
        light = [self._times(mean, 1 / 50), op.Log(self._plus(deviation, 1))]
        return [sizes, *light, self._blocks(across), self._blocks(down)]

    def _blocks(self, steps: Any) -> Any:
        """From steps (N, L) to (N, 1)."""
        op = self.op
        lines = [op.Slice(steps, *self._ints([start], [_END], [1], [BLOCK])) for start in range(BLOCK)]
        means = [op.ReduceMean(each, *self._ints([1]), keepdims=1) for each in lines]
        ordered, _ = op.TopK(op.Concat(*means, axis=1), *self._ints([BLOCK]), axis=1, largest=0, sorted=1)
        # The median of torch is the lower one of two.
        last, middle = (op.Gather(ordered, *self._ints([place]), axis=1) for place in (BLOCK - 1, (BLOCK - 1) // 2))
        return op.Log(op.Div(self._plus(last, 0.05), self._plus(middle, 0.05)))

    def _halved(self, x: Any) -> Any:
        """Averages of squares of 2 pixels; a plane that is small already stays as it is."""
        op = self.op
        sides = op.Slice(op.Shape(x), *self._ints([2], [4]))
        large = op.GreaterOrEqual(op.ReduceMin(sides, keepdims=1), *self._ints([2 * LEAST_SIDE]))
        step = op.Add(op.Cast(large, to=7), *self._ints([1]))
        parts = op.Div(sides, step)
        kept = op.Slice(x, *self._ints([0, 0]), op.Mul(parts, step), *self._ints([2, 3]))
        down, across = (op.Slice(parts, *self._ints([place], [place + 1])) for place in (0, 1))
        shape = op.Concat(*self._ints([-1]), down, step, across, step, axis=0)
        squares = op.ReduceMean(op.Reshape(kept, shape), *self._ints([2, 4]), keepdims=0)
        return op.Unsqueeze(squares, *self._ints([1]))

    def _of_scale(self, x: Any) -> list[Any]:
        op = self.op
        mean = self._smoothed(x)
        variance = op.Sub(self._smoothed(self._square(x)), self._square(mean))
        deviation = op.Sqrt(op.Max(variance, self._float(0)))
        centred = op.Sub(x, mean)
        z = op.Div(centred, self._plus(deviation, 1))
        found = self._moments(z)
        for down, right in DIRECTIONS:
            found += self._of_product(self._paired(z, down, right))
        logs = op.Log(self._plus(self._flat(deviation), 0.5))
        found += [self._quantiles(logs, LOCAL), *self._mean_and_deviation(logs)]
        across, down = (op.Abs(self._steps(x, axis)) for axis in (3, 2))
        second = op.Abs(self._second(x))
        found += [op.Log(self._plus(self._mean(each), 0.05)) for each in (across, down, second, op.Abs(centred))]
        for each in (across, second):
            found.append(op.Log(self._plus(self._quantiles(self._flat(each), STEPS), 0.1)))
            found.append(self._mean(op.Cast(op.Less(each, self._float(0.5)), to=1)))
        return found

    def _second(self, x: Any) -> Any:
        op = self.op
        inner = self._window_of(x, (1, -1), (1, -1))
        above, below = self._window_of(x, (0, -2), (1, -1)), self._window_of(x, (2, _END), (1, -1))
        left, right = self._window_of(x, (1, -1), (0, -2)), self._window_of(x, (1, -1), (2, _END))
        ring = op.Add(op.Add(op.Add(above, below), left), right)
        return op.Sub(self._times(inner, 4), ring)

    def _smoothed(self, x: Any) -> Any:
        op, reach = self.op, WINDOW // 2
        x = op.Pad(x, *self._ints([0, 0, reach, reach, 0, 0, reach, reach]), mode="reflect")
        for shape in ((1, 1, WINDOW, 1), (1, 1, 1, WINDOW)):
            x = op.Conv(x, self._kept(self.window.reshape(shape)))
        return x

    def _paired(self, z: Any, down: int, right: int) -> Any:
        first = self._window_of(z, (0, -down or _END), (max(0, -right), -max(0, right) or _END))
        other = self._window_of(z, (down, _END), (max(0, right), -max(0, -right) or _END))
        return self.op.Mul(first, other)

    def _moments(self, z: Any) -> list[Any]:
        op, each = self.op, self._ints([-1, 1, 1, 1])
        mean = self._mean(z)
        centred = op.Sub(z, op.Reshape(mean, *each))
        deviation = self._plus(op.Sqrt(self._mean(self._square(centred))), 1e-3)
        unit = op.Div(centred, op.Reshape(deviation, *each))
        square = self._square(unit)
        skewness = op.Clip(self._mean(op.Mul(square, unit)), self._float(-10), self._float(10))
        kurtosis = op.Log(self._plus(op.Min(self._mean(self._square(square)), self._float(100)), 0.1))
        return [mean, op.Log(deviation), skewness, kurtosis, op.Log(self._plus(self._mean(op.Abs(z)), 1e-3))]

    def _of_product(self, product: Any) -> list[Any]:
        op = self.op
        mean = self._mean(product)
        centred = op.Sub(product, op.Reshape(mean, *self._ints([-1, 1, 1, 1])))
        deviation = op.Log(self._plus(op.Sqrt(self._mean(self._square(centred))), 1e-3))
        above, below = (self._mean(limit(product, self._float(0))) for limit in (op.Max, op.Min))
        return [mean, deviation, above, below]

    def _quantiles(self, values: Any, shares: Sequence[float]) -> Any:
        op, one = self.op, self._ints([1])[0]
        count = op.Slice(op.Shape(values), *self._ints([1], [2]))
        step = op.Div(op.Add(count, *self._ints([SAMPLES - 1])), *self._ints([SAMPLES]))
        some = op.Slice(values, *self._ints([0], [_END]), one, step)
        count = op.Slice(op.Shape(some), *self._ints([1], [2]))
        ordered, _ = op.TopK(some, count, axis=1, largest=0, sorted=1)
        last = op.Cast(op.Sub(count, one), to=11)
        places = op.Round(op.Mul(self._kept(np.array(shares, np.float64)), last))
        return op.Gather(ordered, op.Cast(places, to=7), axis=1)

    def _mean_and_deviation(self, values: Any) -> tuple[Any, Any]:
        """Of values (N, P), (N, 1) each; the deviation with Bessel's correction."""
        op, axis = self.op, self._ints([1])
        mean = op.ReduceMean(values, *axis, keepdims=1)
        squares = op.ReduceSum(self._square(op.Sub(values, mean)), *axis, keepdims=1)
        count = op.Cast(op.Slice(op.Shape(values), *self._ints([1], [2])), to=1)
        return mean, op.Sqrt(op.Div(squares, op.Sub(count, self._float(1))))

    def _steps(self, x: Any, axis: int) -> Any:
        first = self.op.Slice(x, *self._ints([0], [-1], [axis]))
        return self.op.Sub(self.op.Slice(x, *self._ints([1], [_END], [axis])), first)

    def _window_of(self, x: Any, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
        starts, ends = zip(rows, columns, strict=True)
        return self.op.Slice(x, *self._ints([*starts], [*ends], [2, 3]))

    def _flat(self, x: Any) -> Any:
        """A plane as (N, H W), which may have no rows."""
        op, shape = self.op, self.op.Shape(x)
        places = op.ReduceProd(op.Slice(shape, *self._ints([2], [4])), keepdims=1)
        return op.Reshape(x, op.Concat(op.Slice(shape, *self._ints([0], [1])), places, axis=0), allowzero=1)

    def _mean(self, x: Any) -> Any:
        """Mean over all places, (N, 1)."""
        return self.op.Reshape(self.op.ReduceMean(x, *self._ints([*_PLACES]), keepdims=0), *self._ints([-1, 1]))

    def _square(self, x: Any) -> Any:
        return self.op.Mul(x, x)

    def _plus(self, x: Any, number: float) -> Any:
        return self.op.Add(x, self._float(number))

    def _times(self, x: Any, number: float) -> Any:
        return self.op.Mul(x, self._float(number))

    def _float(self, number: float) -> Any:
        return self._kept(np.array(number, np.float32))

    def _ints(self, *lists: list[int]) -> list[Any]:
        return [self._kept(np.array(values, np.int64)) for values in lists]

    def _kept(self, values: np.ndarray) -> Any:
        """A constant of the graph, which has each one once."""
        key = (values.dtype.char, values.shape, values.tobytes())
        if key not in self.constants:
            from onnx import numpy_helper

            self.constants[key] = self.op.Constant(value=numpy_helper.from_array(values))
        return self.constants[key]
