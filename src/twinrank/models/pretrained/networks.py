"""Networks whose towers begin with public weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twinrank.config import TrainConfig
from twinrank.models.names import STATISTICS, HeadName, StatisticName
from twinrank.models.pretrained.huggingface import entry_of_huggingface
from twinrank.models.pretrained.pytorch_image_models import entry_of_timm
from twinrank.models.pretrained.run_folder import entry_of_run
from twinrank.models.pretrained.sources import PretrainedWeights, model_config
from twinrank.models.registry import Images, register, register_source

if TYPE_CHECKING:
    from twinrank.models.siamese import SiameseNet
    from twinrank.models.towers.tower import Backbone

_FROZEN_TRAIN = TrainConfig(epochs=10, freeze="all")
_LITE0_MEAN, _LITE0_STD = (127 / 255,) * 3, (128 / 255,) * 3
"""Of the pixels that the weights were trained with."""


def _lite0_weights(model: "SiameseNet") -> PretrainedWeights:
    from twinrank.models.pretrained.lite0 import load_public_weights

    return load_public_weights(model)


@register(
    0,
    "Tan and Le 2019, EfficientNet, arXiv:1905.11946; Google 2020, EfficientNet-Lite",
    _FROZEN_TRAIN,
    pretrained=_lite0_weights,
    size=224,
)
def efficientnet_lite0(
    images: Images,
    head: HeadName = "linear",
    levels: int = 10,
    pool: tuple[StatisticName, ...] = STATISTICS,
    mirror: bool = True,
    turned: bool = False,
    scene: bool = True,
    trim: bool = False,
) -> "SiameseNet":
    """EfficientNet-Lite0 with public weights for ImageNet: features of all its stages, and a head.

    Args:
        images: Kind of images.
        head: Head: linear is the difference of two scores that are linear in the features. It needs a frozen tower, and
            is fitted to the optimum instead of by epochs. latent is a latent order. mlp is the difference of two scores
            that a small network gives.
        levels: Latent levels of the latent head, K.
        pool: Statistics of each map that are features: mean, standard deviation (std), maximum (max).
        mirror: Whether features are averages of those of the image and of its mirror image.
        turned: Whether features are averages of those of the image and of the image upside down, too. It helps where
            images have no top, such as X-rays of a part, or cells under a microscope.
        scene: Whether statistics of natural scenes are features, too. They tell blur, noise and compression.
        trim: Whether margins of one colour are cut off before features are computed.
    """
    from twinrank.models.pretrained.lite0 import Lite0Backbone

    return _compared(images, _LITE0_MEAN, _LITE0_STD, Lite0Backbone(), head, levels, pool, mirror, turned, scene, trim)


@register(0, "Wolf et al. 2020, Transformers, arXiv:1910.03771", _FROZEN_TRAIN, listed=False)
def huggingface(
    images: Images,
    config: str = "",
    maps: int = 4,
    head: HeadName = "linear",
    levels: int = 10,
    pool: tuple[StatisticName, ...] = STATISTICS,
    mirror: bool = True,
    turned: bool = False,
    scene: bool = True,
    trim: bool = False,
) -> "SiameseNet":
    """A vision model of transformers: features of several of its layers, and a head.

    Args:
        images: Kind of images.
        config: Configuration of the model, mean and standard deviation of its pixels, as JSON.
        maps: Number of layers whose maps give features, evenly spaced, the last one among them.
        head: Head: linear is the difference of two scores that are linear in the features. It needs a frozen tower, and
            is fitted to the optimum instead of by epochs. latent is a latent order. mlp is the difference of two scores
            that a small network gives.
        levels: Latent levels of the latent head, K.
        pool: Statistics of each map that are features: mean, standard deviation (std), maximum (max).
        mirror: Whether features are averages of those of the image and of its mirror image.
        turned: Whether features are averages of those of the image and of the image upside down, too. It helps where
            images have no top, such as X-rays of a part, or cells under a microscope.
        scene: Whether statistics of natural scenes are features, too. They tell blur, noise and compression.
        trim: Whether margins of one colour are cut off before features are computed.
    """
    from twinrank.models.pretrained.vision import VisionBackbone

    stated = model_config(config, "hf:NAME or hf:FOLDER")
    backbone = VisionBackbone(stated["model"], maps, images.size)
    return _compared(images, stated["mean"], stated["std"], backbone, head, levels, pool, mirror, turned, scene, trim)


@register(0, "Wightman 2019, PyTorch image models", _FROZEN_TRAIN, listed=False)
def timm(
    images: Images,
    config: str = "",
    head: HeadName = "linear",
    levels: int = 10,
    pool: tuple[StatisticName, ...] = STATISTICS,
    mirror: bool = True,
    turned: bool = False,
    scene: bool = True,
    trim: bool = False,
) -> "SiameseNet":
    """A network of timm: features of all its stages, and a head.

    Args:
        images: Kind of images.
        config: Name of the network, mean and standard deviation of its pixels, as JSON.
        head: Head: linear is the difference of two scores that are linear in the features. It needs a frozen tower, and
            is fitted to the optimum instead of by epochs. latent is a latent order. mlp is the difference of two scores
            that a small network gives.
        levels: Latent levels of the latent head, K.
        pool: Statistics of each map that are features: mean, standard deviation (std), maximum (max).
        mirror: Whether features are averages of those of the image and of its mirror image.
        turned: Whether features are averages of those of the image and of the image upside down, too. It helps where
            images have no top, such as X-rays of a part, or cells under a microscope.
        scene: Whether statistics of natural scenes are features, too. They tell blur, noise and compression.
        trim: Whether margins of one colour are cut off before features are computed.
    """
    from twinrank.models.pretrained.timm_backbone import TimmBackbone

    stated = model_config(config, "timm:NAME")
    backbone = TimmBackbone(str(stated["model"].get("name")), images.size)
    return _compared(images, stated["mean"], stated["std"], backbone, head, levels, pool, mirror, turned, scene, trim)


def _compared(
    images: Images,
    mean: Sequence[float],
    std: Sequence[float],
    backbone: "Backbone",
    head: HeadName,
    levels: int,
    pool: tuple[StatisticName, ...],
    mirror: bool,
    turned: bool,
    scene: bool,
    trim: bool,
) -> "SiameseNet":
    """A network with a pretrained backbone, and what all of these have in common."""
    from twinrank.models.comparators import head_of
    from twinrank.models.encode import FixedEncode
    from twinrank.models.siamese import SiameseNet
    from twinrank.models.towers.scene_statistics import SceneStatistics
    from twinrank.models.towers.tower import Tower

    tower = Tower(backbone, pool=pool)
    encode = FixedEncode(images.channels, mean, std)
    statistics = SceneStatistics(images.channels) if scene else None
    squared = 0 if statistics is None else statistics.features
    comparator = head_of(head, tower.features + squared, levels, squared)
    return SiameseNet(encode, tower, comparator, mirror=mirror, turned=turned, scene=statistics, trim=trim)


register_source("run", entry_of_run)
register_source("hf", entry_of_huggingface)
register_source("timm", entry_of_timm)
