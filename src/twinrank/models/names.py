"""Names that a network's options choose from; without torch."""

from typing import Literal, get_args

AttentionName = Literal["se", "cbam", "none"]
FusionName = Literal["difference", "concatenation", "product", "cosine", "distance", "bilinear"]

StatisticName = Literal["mean", "std", "max"]

FUSIONS: tuple[FusionName, ...] = get_args(FusionName)
STATISTICS: tuple[StatisticName, ...] = get_args(StatisticName)
