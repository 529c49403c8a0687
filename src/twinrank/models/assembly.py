"""What several networks are put together from."""

from collections.abc import Sequence

from twinrank.models.encode import Encode
from twinrank.models.fusion import fusion_comparator
from twinrank.models.names import AttentionName, FusionName
from twinrank.models.siamese import SiameseNet
from twinrank.models.towers.residual import ResidualBackbone
from twinrank.models.towers.tower import Backbone, Tower, projection


def widened(width_mult: float, widths: Sequence[int]) -> tuple[int, ...]:
    """Channels of stages, multiplied; each stage keeps one or more."""
    return tuple(max(1, int(width * width_mult)) for width in widths)


def residual_backbone(
    encode: Encode,
    layers: tuple[int, ...],
    block: str,
    width_mult: float,
    stem_stride: int,
    attention: AttentionName,
    every_stage: bool = False,
) -> ResidualBackbone:
    """The guide's: a 3x3 stem of 64 channels and stages of 64, 128, 256, ..., times ``width_mult``."""
    widths = widened(width_mult, [64 << stage for stage in range(len(layers))])
    return ResidualBackbone(
        encode.out_channels,
        widths[0],
        widths,
        layers,
        stride=stem_stride,
        bottleneck=block == "bottleneck",
        attention=attention,
        every_stage=every_stage,
    )


def fused_net(
    encode: Encode,
    backbone: Backbone,
    feat_dim: int,
    dropout: float,
    fusions: tuple[FusionName, ...],
    antisymmetric: bool,
) -> SiameseNet:
    """A backbone whose features are compared in several ways."""
    tower = Tower(backbone, projection(sum(backbone.widths), feat_dim, dropout), feat_dim)
    return SiameseNet(encode, tower, fusion_comparator(tower.features, fusions, dropout, antisymmetric))
