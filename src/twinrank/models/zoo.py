"""The networks, as we would train them: with mask, antisymmetric. The recipe ``guide`` has the guide's own forms."""

from typing import TYPE_CHECKING, Literal

from twinrank.config import TrainConfig
from twinrank.models.names import FUSIONS, AttentionName, FusionName
from twinrank.models.registry import Images, register, register_variant

if TYPE_CHECKING:
    from twinrank.models.siamese import SiameseNet

_FIVE: tuple[FusionName, ...] = ("difference", "concatenation", "product", "cosine", "distance")
_JOINED: tuple[FusionName, ...] = ("concatenation",)
_PYRAMID_CHANNELS = 128

_LATENT = {"contrastive_weight": 1.0, "balance_weight": 2.0, "easy_share": 0.3, "shift": 2, "augment_from": 0.3}
_PLAIN_TRAIN = TrainConfig(epochs=30, lr=3e-3, **_LATENT)
_DEEP_TRAIN = TrainConfig(epochs=14, lr=6e-3, **_LATENT)
_ORDER_TRAIN = TrainConfig(epochs=14, optimizer="muon", lr=2.5e-2, **_LATENT)


@register(1, "the training guide's baseline; Bromley et al. 1993, Siamese time delay neural network", _PLAIN_TRAIN)
def compare_net(images: Images, mask: bool = False, antisymmetric: bool = True) -> "SiameseNet":
    """Two plain towers, features joined, a small network: the training guide's baseline.

    Without a mask and not antisymmetric it is the guide's own form; 175,681 parameters.

    Args:
        images: Kind of images.
        mask: Whether the tower gets a channel of covered pixels.
        antisymmetric: Whether swapping the images negates the logit.
    """
    from torch import nn

    from twinrank.models.comparators import Antisymmetric, ConcatenatedMLP
    from twinrank.models.encode import Encode
    from twinrank.models.siamese import SiameseNet
    from twinrank.models.towers.plain import PlainBackbone
    from twinrank.models.towers.tower import Tower

    encode = Encode(images.channels, mask, images.size)
    neck = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.1))
    tower = Tower(PlainBackbone(encode.out_channels), neck, 128)
    comparator = ConcatenatedMLP(tower.features)
    return SiameseNet(encode, tower, Antisymmetric(comparator) if antisymmetric else comparator)


@register(1, "Woo et al. 2018, CBAM, arXiv:1807.06521; Simonyan and Zisserman 2015, VGG, arXiv:1409.1556", _DEEP_TRAIN)
def improved_v2(
    images: Images,
    width_mult: float = 1.0,
    stem_stride: int = 1,
    feat_dim: int = 256,
    dropout: float = 0.4,
    attention: AttentionName = "cbam",
    use_fusion: bool = True,
    fusions: tuple[FusionName, ...] = FUSIONS,
    mask: bool = True,
    antisymmetric: bool = True,
) -> "SiameseNet":
    """Eight plain convolutions with CBAM, six fusions with adaptive weights.

    Args:
        images: Kind of images.
        width_mult: Factor of the channels of every stage.
        stem_stride: Stride of the first convolution; 2 costs a quarter.
        feat_dim: Length of a feature vector.
        dropout: Dropout probability in the neck and the heads.
        attention: Attention at the end of each stage: over channels and places (cbam), channels (se), or none.
        use_fusion: Whether features are fused in several ways; else the joined features alone are compared.
        fusions: Ways of fusing.
        mask: Whether the tower gets a channel of covered pixels.
        antisymmetric: Whether swapping the images negates the logit.
    """
    from twinrank.models.assembly import fused_net, widened
    from twinrank.models.encode import Encode
    from twinrank.models.towers.plain import DeepPlainBackbone

    encode = Encode(images.channels, mask, images.size)
    widths = widened(width_mult, (64, 128, 256, 384))
    backbone = DeepPlainBackbone(encode.out_channels, widths, attention, stem_stride)
    chosen = fusions if use_fusion else _JOINED
    return fused_net(encode, backbone, feat_dim, dropout, chosen, antisymmetric)


@register(
    2, "He et al. 2016, ResNet, arXiv:1512.03385; Hu et al. 2018, squeeze-and-excitation, arXiv:1709.01507", _DEEP_TRAIN
)
def resnet_optimized(
    images: Images,
    layers: tuple[int, ...] = (2, 2, 2),
    block: Literal["basic", "bottleneck"] = "basic",
    width_mult: float = 1.0,
    stem_stride: int = 1,
    attention: AttentionName = "se",
    feat_dim: int = 256,
    dropout: float = 0.4,
    use_fusion: bool = True,
    fusions: tuple[FusionName, ...] = _FIVE,
    mask: bool = True,
    antisymmetric: bool = True,
) -> "SiameseNet":
    """A residual tower with squeeze-and-excitation, feature attention, five fusions.

    Args:
        images: Kind of images.
        layers: Blocks of each stage; every further stage doubles the channels.
        block: Kind of blocks: two 3x3 convolutions, or a bottleneck.
        width_mult: Factor of the channels of every stage.
        stem_stride: Stride of the first convolution; 2 costs a quarter.
        attention: Attention at the end of each stage: over channels and places (cbam), channels (se), or none.
        feat_dim: Length of a feature vector.
        dropout: Dropout probability in the neck and the heads.
        use_fusion: Whether features are fused in several ways; else the joined features alone are compared.
        fusions: Ways of fusing.
        mask: Whether the tower gets a channel of covered pixels.
        antisymmetric: Whether swapping the images negates the logit.
    """
    from twinrank.models.assembly import fused_net, residual_backbone
    from twinrank.models.encode import Encode

    encode = Encode(images.channels, mask, images.size)
    backbone = residual_backbone(encode, layers, block, width_mult, stem_stride, attention)
    chosen = fusions if use_fusion else _JOINED
    return fused_net(encode, backbone, feat_dim, dropout, chosen, antisymmetric)


register_variant(
    "resnet_optimized_1.12",
    of="resnet_optimized",
    summary="resnet_optimized with three blocks a stage: the guide's best single network.",
    layers=(3, 3, 3),
)
register_variant(
    "resnet_fusion",
    of="resnet_optimized",
    summary="resnet_optimized, a quarter wider.",
    width_mult=1.25,
)


@register(3, "Lin et al. 2017, Feature pyramid networks, arXiv:1612.03144", _DEEP_TRAIN)
def fpn(
    images: Images,
    layers: tuple[int, ...] = (2, 2, 2),
    block: Literal["basic", "bottleneck"] = "basic",
    width_mult: float = 1.0,
    stem_stride: int = 1,
    attention: AttentionName = "se",
    feat_dim: int = 256,
    dropout: float = 0.4,
    use_fusion: bool = True,
    fusions: tuple[FusionName, ...] = _FIVE,
    mask: bool = True,
    antisymmetric: bool = True,
) -> "SiameseNet":
    """A feature pyramid over a residual tower: every stage's map, enriched from above, is compared.

    Args:
        images: Kind of images.
        layers: Blocks of each stage; every further stage doubles the channels.
        block: Kind of blocks: two 3x3 convolutions, or a bottleneck.
        width_mult: Factor of the channels of every stage and of the pyramid.
        stem_stride: Stride of the first convolution; 2 costs a quarter.
        attention: Attention at the end of each stage: over channels and places (cbam), channels (se), or none.
        feat_dim: Length of a feature vector.
        dropout: Dropout probability in the neck and the heads.
        use_fusion: Whether features are fused in several ways; else the joined features alone are compared.
        fusions: Ways of fusing.
        mask: Whether the tower gets a channel of covered pixels.
        antisymmetric: Whether swapping the images negates the logit.
    """
    from twinrank.models.assembly import fused_net, residual_backbone, widened
    from twinrank.models.encode import Encode
    from twinrank.models.towers.pyramid import PyramidBackbone

    encode = Encode(images.channels, mask, images.size)
    bottom_up = residual_backbone(encode, layers, block, width_mult, stem_stride, attention, every_stage=True)
    backbone = PyramidBackbone(bottom_up, *widened(width_mult, (_PYRAMID_CHANNELS,)))
    chosen = fusions if use_fusion else _JOINED
    return fused_net(encode, backbone, feat_dim, dropout, chosen, antisymmetric)


@register(3, "Tan and Le 2019, EfficientNet, arXiv:1905.11946", _DEEP_TRAIN)
def efficientnet_b0(
    images: Images,
    width_mult: float = 1.0,
    depth_mult: float = 1.0,
    stem_stride: int = 1,
    feat_dim: int = 256,
    dropout: float = 0.4,
    drop_path: float = 0.2,
    use_fusion: bool = True,
    fusions: tuple[FusionName, ...] = _FIVE,
    mask: bool = True,
    antisymmetric: bool = True,
) -> "SiameseNet":
    """EfficientNet-B0 with a stem of stride 1, five fusions.

    Args:
        images: Kind of images.
        width_mult: Factor of the channels: compound scaling's width.
        depth_mult: Factor of the blocks of each stage: compound scaling's depth.
        stem_stride: Stride of the first convolution; 2 costs a quarter.
        feat_dim: Length of a feature vector.
        dropout: Dropout probability in the neck and the heads.
        drop_path: Probability that the last block is left out for an image; less before.
        use_fusion: Whether features are fused in several ways; else the joined features alone are compared.
        fusions: Ways of fusing.
        mask: Whether the tower gets a channel of covered pixels.
        antisymmetric: Whether swapping the images negates the logit.
    """
    from twinrank.models.assembly import fused_net
    from twinrank.models.encode import Encode
    from twinrank.models.towers.efficientnet import EfficientNetBackbone

    encode = Encode(images.channels, mask, images.size)
    backbone = EfficientNetBackbone(encode.out_channels, width_mult, depth_mult, drop_path, stem_stride)
    chosen = fusions if use_fusion else _JOINED
    return fused_net(encode, backbone, feat_dim, dropout, chosen, antisymmetric)


@register(0, "docs/architecture.md, latent order head; tower after He et al. 2016, arXiv:1512.03385", _ORDER_TRAIN)
def order_net(
    images: Images,
    width: int = 16,
    layers: tuple[int, ...] = (1, 1, 1),
    levels: int = 10,
    mask: bool = True,
    views: Literal[1, 5] = 5,
) -> "SiameseNet":
    """A small residual tower with a latent order head: it finds the levels from comparisons alone.

    Args:
        images: Kind of images.
        width: Channels of the tower's stem; the first stage has twice as many, every further stage doubles them.
        layers: Blocks of each stage.
        levels: Latent levels, K.
        mask: Whether the tower gets a channel of covered pixels.
        views: Test-time augmentation: number of views of an image whose features are averaged. 1 is the image itself;
            5 are it and the image moved by a pixel to each side.
    """
    from twinrank.models.comparators import LatentOrder
    from twinrank.models.encode import Encode
    from twinrank.models.siamese import SiameseNet
    from twinrank.models.towers.residual import ResidualBackbone
    from twinrank.models.towers.tower import Tower

    encode = Encode(images.channels, mask, images.size)
    widths = [2 * width << stage for stage in range(len(layers))]
    tower = Tower(ResidualBackbone(encode.out_channels, width, widths, layers, kernel=5, stride=2))
    return SiameseNet(encode, tower, LatentOrder(tower.features, levels), views)


register_variant("order_net_small", of="order_net", summary="order_net, half as wide.", width=8)
register_variant("order_net_large", of="order_net", summary="order_net, twice as wide.", width=32)
