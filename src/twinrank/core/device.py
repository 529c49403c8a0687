"""Where and in which arithmetic networks run."""

import ctypes
import os
import sys
from functools import cache
from typing import Any

import numpy as np
import torch

from twinrank.config import Precision
from twinrank.errors import InputError

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (malloc.h)."""


def pick_device() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def visible_gpus() -> list[str]:
    """The CUDA devices of this process, each as the variable ``CUDA_VISIBLE_DEVICES`` would name it alone."""
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    # CUDA takes the names up to the first that it does not know.
    names = [*map(str, range(count))] if named is None else [name.strip() for name in named.split(",")]
    return names[:count]


def prepare_cpu(threads: int) -> None:
    """Use this number of threads, flush denormals, and keep freed memory for the next step.

    glibc gives large blocks back to the system at once; the pages that every step then faults in again cost a tenth of
    the training time.
    """
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    keep_freed(1 << 30)
    _mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


def keep_freed(size: int) -> None:
    """Keep freed blocks below this size for this process. Larger ones go back to the system at once.

    Large blocks of many sizes leave gaps that no other one fits into, so kept ones may double the memory.

    Args:
        size: Bytes.
    """
    _mallopt(_MMAP_THRESHOLD, size)


def _mallopt(option: int, value: int) -> None:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(option, value)


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which a tower runs: bfloat16 where the processor is faster in it (or on demand), else float32.

    Raises:
        InputError: The precision is float16, and there is no CUDA.
    """
    chosen = arithmetic(device, precision)
    if chosen == "float16":
        return torch.autocast("cuda", torch.float16)
    return torch.autocast(device.type, torch.bfloat16, enabled=chosen == "bfloat16")


def arithmetic(device: torch.device, precision: Precision) -> Precision:
    """The arithmetic that a precision is on a device: float32, bfloat16 or float16.

    Raises:
        InputError: The precision is float16, and there is no CUDA.
    """
    if precision == "float16" and device.type != "cuda":
        raise InputError("precision is float16, which needs CUDA, and there is none; use auto")
    if precision == "auto":
        return "bfloat16" if _is_faster_in_bfloat16(device) else "float32"
    return precision


def on_device(values: np.ndarray | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Values of the CPU on a device. To a CUDA device they go through pinned memory, and nothing waits for them.

    Args:
        values: Array or tensor on the CPU.
        device: Device.
    """
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def make_deterministic() -> None:
    """Let torch refuse every operation that may give other bits the next time."""
    # cuBLAS reads it when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)


def _is_faster_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # Intel's processors with avx512_fp16 are made for AMX. Where a virtual machine hides AMX, their vectors multiply
    # bfloat16 at half the speed of float32. Others multiply it at twice the speed.
    made_for_amx = processor_has("avx512_fp16") and "Intel" in _capabilities().get("cpu_name", "")
    return processor_has("amx_bf16") or (processor_has("avx512_bf16") and not made_for_amx)


def processor_has(name: str) -> bool:
    """Whether the processor has a set of instructions, by torch's name, such as ``amx_bf16``."""
    return bool(_capabilities().get(name))


@cache
def _capabilities() -> dict[str, Any]:
    return getattr(torch.cpu, "get_capabilities", dict)()
