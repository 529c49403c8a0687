"""The siamese network: one tower for both images, then a comparator."""

from typing import NamedTuple

import torch
from torch import nn

from twinrank.config import Freeze, Precision
from twinrank.core.device import autocast
from twinrank.core.margins import trimmed
from twinrank.core.pixels import mirrored
from twinrank.models.comparators import Antisymmetric, LatentOrder, Scored
from twinrank.models.encode import Encode
from twinrank.models.towers.scene_statistics import SceneStatistics
from twinrank.models.towers.tower import Tower


class Embedded(NamedTuple):
    """The output of a tower for N images.

    Attributes:
        averages: Statistics of the backbone's maps, float32 (N, A), see :class:`twinrank.models.towers.tower.Tower`.
        features: Features that are compared, float32 (N, F): those of the tower, then statistics of the scene.
    """

    averages: torch.Tensor
    features: torch.Tensor


_MOVES = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
"""Down and right, in pixels: where a network looks, in this order."""


class SiameseNet(nn.Module):
    """Encode, tower, comparator.

    Args:
        encode: Encoding of the images.
        tower: Tower from encoded images to features.
        comparator: Comparator from features of both images to a logit; it always runs in float32.
        views: Test-time augmentation: number of views of an image whose features are averaged, 1 to 5. The views are
            the image itself, and the image moved by a pixel to each side; strided layers respond differently to each.
        mirror: Whether each view is also seen mirrored, left to right.
        turned: Whether each view is also seen mirrored, top to bottom.
        scene: Statistics of the images that are features, too; None for none.
        trim: Whether margins of one colour are cut off first. Images of one batch may have other sizes then.

    Attributes:
        precision: Arithmetic of the tower, see :func:`twinrank.core.device.autocast`.
        freeze: Part of the tower that training does not change, see :meth:`set_freeze`.
        views_at_once: Whether all views of a batch go through the tower together, which is faster for a few images. The
            last bits may be others.
    """

    def __init__(
        self,
        encode: Encode,
        tower: Tower,
        comparator: nn.Module,
        views: int = 1,
        mirror: bool = False,
        turned: bool = False,
        scene: SceneStatistics | None = None,
        trim: bool = False,
    ) -> None:
        super().__init__()
        self.views = views
        self.mirror = mirror
        self.turned = turned
        self.scene = scene
        self.trim = trim
        self.freeze: Freeze = "none"
        self.encode = encode
        self.tower = tower.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.comparator = comparator
        self.precision: Precision = "auto"
        self.views_at_once = False

    def set_freeze(self, freeze: Freeze) -> None:
        """Choose the part of the tower that training keeps as it is.

        Args:
            freeze: ``none``; ``stages``, all stages of the backbone but the last; or ``all``, the tower. What is kept
                gets no gradient, and its batch norms keep their statistics. Where it is all, training sees the views
                that prediction sees.
        """
        self.freeze = freeze
        for parameter in self.tower.parameters():
            parameter.requires_grad_(freeze != "all")
        for module in self._kept():
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "SiameseNet":
        """As that of :class:`torch.nn.Module`; frozen parts stay in evaluation mode."""
        super().train(mode)
        for module in self._kept():
            module.eval()
        return self

    def _kept(self) -> list[nn.Module]:
        kept: dict[Freeze, list[nn.Module]] = {"stages": self.tower.backbone.early_modules(), "all": [self.tower]}
        return kept.get(self.freeze, [])

    @property
    def features(self) -> int:
        """Length of the feature vector that is compared."""
        return self.tower.features + (self.scene.features if self.scene is not None else 0)

    @property
    def blocks(self) -> list[slice]:
        """Places of the features of each map of a tower without a neck, and of the statistics of the scene."""
        scene = [] if self.scene is None else [slice(self.tower.features, self.features)]
        return [*self.tower.blocks, *scene]

    @property
    def antisymmetric(self) -> bool:
        """Swapping the images negates the logit."""
        return isinstance(self.comparator, Antisymmetric | LatentOrder | Scored)

    def set_recompute(self, recompute: bool) -> None:
        """Choose whether the tower's stages are computed again in the backward pass, see :class:`Backbone`."""
        self.tower.backbone.recompute = recompute

    def embed(self, xa: torch.Tensor, xb: torch.Tensor, detached: bool = False) -> tuple[Embedded, Embedded]:
        """The output of the tower for left and right images.

        In training both sides go through the tower as one batch, so that batch norm has one population. In evaluation
        each side goes alone, so swapped images take the very same path. Symmetry then holds to the bit, whatever order
        of summation a kernel chooses for a place in a batch.

        Args:
            xa: Left images, uint8 or float in [0, 1], (N, C, H, W).
            xb: Right images, the same.
            detached: Whether no gradient goes from the features back to the backbone.
        """
        if self.training:
            both = self.embed_batch(torch.cat([xa, xb]), detached)
            left, right = zip(*(part.chunk(2) for part in both), strict=True)
            return Embedded(*left), Embedded(*right)
        return self.embed_batch(xa, detached), self.embed_batch(xb, detached)

    def embed_batch(self, images: torch.Tensor, detached: bool = False) -> Embedded:
        """What the tower makes of images, whichever side they are on; arguments as those of :meth:`embed`.

        Features (N, F) that a frozen tower has made before stay as they are.
        """
        if images.ndim == 2:
            return Embedded(images, images)
        if self.trim:
            return self._embed_apart(images, detached)
        return self._embed(images, detached)

    def _embed_apart(self, images: torch.Tensor, detached: bool) -> Embedded:
        """Images without their margins; those of one size go through the tower together."""
        sizes: dict[tuple[int, ...], list[int]] = {}
        shown = [trimmed(image) for image in images]
        for place, image in enumerate(shown):
            sizes.setdefault(tuple(image.shape), []).append(place)
        parts = [self._embed(torch.stack([shown[place] for place in places]), detached) for places in sizes.values()]
        order = torch.tensor([place for places in sizes.values() for place in places]).argsort().to(images.device)
        return Embedded(*(torch.cat(each)[order] for each in zip(*parts, strict=True)))

    def _embed(self, images: torch.Tensor, detached: bool) -> Embedded:
        shown = self.shown(images) if self.freeze == "all" or not self.training else [images]
        with autocast(images.device, self.precision):
            if self.views_at_once:
                both = self.tower(self.encode(torch.cat(shown)), detached)
                averages, features = (part.unflatten(0, (len(shown), -1)).float().mean(0) for part in both)
            else:
                views = [self.tower(self.encode(view), detached) for view in shown]
                averages, features = (torch.stack(parts).float().mean(0) for parts in zip(*views, strict=True))
        return Embedded(averages, features if self.scene is None else torch.cat([features, self.scene(images)], 1))

    def shown(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The views of images (N, C, H, W) that prediction averages over, each (N, C, H, W)."""
        shown = [_moved(images, *move) for move in _MOVES[: self.views]]
        if self.turned:
            shown += [view.flip(2) for view in shown]
        if self.mirror:
            shown += [view.flip(3) for view in shown]
        return shown

    def forward(self, xa: torch.Tensor, xb: torch.Tensor) -> torch.Tensor:
        """Logits float32 (N,), positive where left is predicted to rank higher; arguments of :meth:`embed`."""
        left, right = self.embed(xa, xb)
        return self.comparator(left.features, right.features)


def _moved(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Images (N, C, H, W) moved by whole pixels, the border mirrored: noise and what is covered stay as they are."""
    for axis, distance in ((2, down), (3, right)):
        if distance:
            size = images.shape[axis]
            images = images.index_select(axis, mirrored(torch.arange(size, device=images.device) - distance, size))
    return images


def probability(logit: torch.Tensor) -> torch.Tensor:
    """Probability that the left image ranks higher, folded so that p(z) + p(-z) == 1 holds to the bit.

    It is sigma(|z|) or 1 - sigma(|z|): the subtraction is exact for values in [0.5, 1] (Sterbenz 1974).
    """
    likelier = torch.sigmoid(logit.abs())
    return torch.where(logit >= 0, likelier, 1 - likelier)
