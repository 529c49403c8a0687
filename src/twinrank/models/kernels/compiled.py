"""Batch norm and what follows it, over rows of channels in bfloat16 or float32, compiled by Numba (Lam et al. 2015,
Numba: a LLVM-based Python JIT compiler).

A map in channels-last format is a matrix: a row for each place of each image, a column for each channel. NumPy knows no
bfloat16, so its matrices are uint16, the bits of bfloat16. Each kernel goes over its matrices once, on all threads that
torch is set to use. Sums are kept for each :data:`CHUNK` rows, so they do not depend on the number of threads.

The module needs the package ``numba``. torch comes first, so both use one pool of OpenMP threads.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
import numpy as np
import torch
from numba import config, prange  # pyright: ignore[reportPrivateImportUsage]
from numba.core import types
from numba.extending import intrinsic, overload

config.THREADING_LAYER = "omp"  # pyright: ignore[reportAttributeAccessIssue]

CHUNK = 256
"""Rows whose sums are added up in float32; the sums of chunks are added in float64."""

_FAST = {"reassoc", "contract", "arcp", "nsz"}
"""Liberties of arithmetic. Numbers that are not finite stay so: a training that diverges must be seen."""


class _Kernel:
    """A kernel that is compiled for the types of its arguments, and kept on disk where that is possible.

    One thread gets code of its own. That of several would keep the others busy with waiting.
    """

    def __init__(self, kernel: Callable[..., None]) -> None:
        self._alone = _compiled(kernel, "alone", parallel=False)
        self._together = _compiled(kernel, "together", parallel=True)

    def __call__(self, *arguments: Any) -> None:
        if (threads := torch.get_num_threads()) == 1:
            self._alone(*arguments)
            return
        most: int = config.NUMBA_NUM_THREADS  # pyright: ignore[reportAttributeAccessIssue]
        numba.set_num_threads(min(threads, most))
        if torch.get_num_threads() != threads:
            # When its threads start, Numba gives OpenMP another number.
            torch.set_num_threads(threads)
        self._together(*arguments)


def _compiled(kernel: Callable[..., None], name: str, parallel: bool) -> Callable[..., None]:
    # Numba keeps one file for each name, whatever the options are.
    own = FunctionType(kernel.__code__, kernel.__globals__, kernel.__name__)
    own.__module__, own.__qualname__ = kernel.__module__, f"{kernel.__qualname__}.{name}"
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST, "parallel": parallel}
    try:
        return numba.njit(cache=True, **options)(own)
    except RuntimeError:
        # There is no folder that can be written to.
        return numba.njit(**options)(own)


def _reinterpreted(given: Any, result: Any) -> Any:
    """A function of compiled code that gives the bits of one type of 32 bits as another."""

    def bits(_context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(result))

        return result(given), generate

    return intrinsic(bits)


_as_float = _reinterpreted(types.uint32, types.float32)
_as_bits = _reinterpreted(types.float32, types.uint32)


def _wide(value: Any) -> Any:
    """A number of a map as float32."""


def _put(y: Any, row: Any, channel: Any, number: Any) -> None:
    """Write float32 into a map; bfloat16 is rounded to nearest, ties to even."""


@overload(_wide, inline="always")
def _wide_of(value: Any) -> Any:
    def widened(value: Any) -> Any:
        return _as_float(np.uint32(value) << np.uint32(16))

    def same(value: Any) -> Any:
        return value

    return widened if value == types.uint16 else same


@overload(_put, inline="always")
def _put_into(y: Any, row: Any, channel: Any, number: Any) -> Any:
    def rounded(y: Any, row: Any, channel: Any, number: Any) -> None:
        bits = _as_bits(np.float32(number))
        bits += np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        y[row, channel] = np.uint16(bits >> np.uint32(16))

    def exact(y: Any, row: Any, channel: Any, number: Any) -> None:
        y[row, channel] = number

    return rounded if y.dtype == types.uint16 else exact


@numba.njit(inline="always")
def _rectified(number: Any) -> Any:
    """max(number, 0); what is not a number stays so."""
    return np.float32(0) if number <= np.float32(0) else number


@numba.njit(inline="always")
def _passed(gradient: Any, y: Any) -> Any:
    """The gradient that a ReLU with the output y passes on, float32."""
    return _wide(gradient) if y != 0 else np.float32(0)


@_Kernel
def moments(x: np.ndarray, sums: np.ndarray) -> None:
    """Sums of a map and of its squares, each less its first row: so a mean far from 0 costs no digits.

    Args:
        x: Map (R, C).
        sums: Gets the sums, float32 (chunks, 2, C).
    """
    rows, channels = x.shape
    for chunk in prange(len(sums)):
        own = sums[chunk]
        own[:] = 0
        for row in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            for channel in range(channels):
                value = _wide(x[row, channel]) - _wide(x[0, channel])
                own[0, channel] += value
                own[1, channel] += value * value


@_Kernel
def scale(x: np.ndarray, slope: np.ndarray, offset: np.ndarray, y: np.ndarray) -> None:
    """``y = relu(slope x + offset)``; maps (R, C), the rest float32 (C,)."""
    rows, channels = x.shape
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        for row in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            for channel in range(channels):
                _put(y, row, channel, _rectified(_wide(x[row, channel]) * slope[channel] + offset[channel]))


@_Kernel
def scale_both(
    x: np.ndarray, z: np.ndarray, slope: np.ndarray, slope_z: np.ndarray, offset: np.ndarray, y: np.ndarray
) -> None:
    """``y = relu(slope x + slope_z z + offset)``; maps (R, C), the rest float32 (C,)."""
    rows, channels = x.shape
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        for row in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            for channel in range(channels):
                value = _wide(x[row, channel]) * slope[channel] + _wide(z[row, channel]) * slope_z[channel]
                _put(y, row, channel, _rectified(value + offset[channel]))


@_Kernel
def gradient_sums(x: np.ndarray, y: np.ndarray, gradient: np.ndarray, sums: np.ndarray) -> None:
    """Sums of a gradient where the output y is not 0, and of its product with x.

    Args:
        x: Map (R, C).
        y: Output of the ReLU, (R, C).
        gradient: Its gradient, (R, C).
        sums: Gets the sums, float32 (chunks, 2, C).
    """
    rows, channels = x.shape
    for chunk in prange(len(sums)):
        own = sums[chunk]
        own[:] = 0
        for row in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            for channel in range(channels):
                value = _passed(gradient[row, channel], y[row, channel])
                own[0, channel] += value
                own[1, channel] += value * _wide(x[row, channel])


@_Kernel
def gradient_sums_both(x: np.ndarray, z: np.ndarray, y: np.ndarray, gradient: np.ndarray, sums: np.ndarray) -> None:
    """As :func:`gradient_sums`, and the sums of the product with z, float32 (chunks, 3, C)."""
    rows, channels = x.shape
    for chunk in prange(len(sums)):
        own = sums[chunk]
        own[:] = 0
        for row in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            for channel in range(channels):
                value = _passed(gradient[row, channel], y[row, channel])
                own[0, channel] += value
                own[1, channel] += value * _wide(x[row, channel])
                own[2, channel] += value * _wide(z[row, channel])


@_Kernel
def gradient(x: np.ndarray, y: np.ndarray, gradient: np.ndarray, linear: np.ndarray, of_x: np.ndarray) -> None:
    """``of_x = a d + b x + c``, where d is the gradient where y is not 0.

    Args:
        x: Map (R, C).
        y: Output of the ReLU, (R, C).
        gradient: Its gradient, (R, C).
        linear: a, b and c, float32 (3, C).
        of_x: Gets the gradient of x, (R, C).
    """
    rows, channels = x.shape
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        for row in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            for channel in range(channels):
                value = _passed(gradient[row, channel], y[row, channel])
                along = value * linear[0, channel] + _wide(x[row, channel]) * linear[1, channel]
                _put(of_x, row, channel, along + linear[2, channel])


@_Kernel
def gradient_both(
    x: np.ndarray,
    z: np.ndarray,
    y: np.ndarray,
    gradient: np.ndarray,
    linear: np.ndarray,
    of_x: np.ndarray,
    of_z: np.ndarray,
) -> None:
    """As :func:`gradient`, for x and z; their a, b and c are float32 (6, C)."""
    rows, channels = x.shape
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        for row in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            for channel in range(channels):
                value = _passed(gradient[row, channel], y[row, channel])
                along = value * linear[0, channel] + _wide(x[row, channel]) * linear[1, channel]
                _put(of_x, row, channel, along + linear[2, channel])
                along = value * linear[3, channel] + _wide(z[row, channel]) * linear[4, channel]
                _put(of_z, row, channel, along + linear[5, channel])
