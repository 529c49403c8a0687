"""Names that a network's options choose from; without torch."""

import re
from typing import Literal, get_args

AttentionName = Literal["se", "cbam", "none"]
FusionName = Literal["difference", "concatenation", "product", "cosine", "distance", "bilinear"]

HeadName = Literal["linear", "latent", "mlp", "mixed"]
StatisticName = Literal["mean", "std", "max"]

FUSIONS: tuple[FusionName, ...] = get_args(FusionName)
FITTED_HEADS: tuple[HeadName, ...] = ("linear", "mixed")
"""Heads that are fitted at once, to features of a frozen tower. The others are trained by epochs."""
STATISTICS: tuple[StatisticName, ...] = get_args(StatisticName)


def folder_name(model: str) -> str:
    """The name of the folder of a network's runs, by default.

    >>> folder_name("hf:facebook/dinov2-small")
    'hf_facebook_dinov2-small'
    """
    return re.sub(r"[^\w.-]+", "_", model)
