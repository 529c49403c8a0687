"""What a processor says of itself decides the arithmetic."""

import pytest
import torch

from twinrank.core import device
from twinrank.core.device import arithmetic

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_f": True}, "float32"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True}, "bfloat16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "avx512_fp16": True, "amx_bf16": True}, "bfloat16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "avx512_fp16": True, "amx_bf16": False}, "float32"),
        ({"cpu_name": "AMD Zen 4", "avx512_bf16": True}, "bfloat16"),
        ({"cpu_name": "AMD Zen 6", "avx512_bf16": True, "avx512_fp16": True}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_auto_is_the_faster_arithmetic(
    processor: dict[str, object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_capabilities", lambda: processor)
    assert arithmetic(CPU, "auto") == expected


def test_a_precision_that_is_asked_for_is_kept() -> None:
    assert arithmetic(CPU, "bfloat16") == "bfloat16"
    assert arithmetic(CPU, "float32") == "float32"
