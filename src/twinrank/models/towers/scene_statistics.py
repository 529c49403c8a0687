"""Statistics of natural scenes: what blur, noise and compression change, whatever an image shows."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from twinrank.core.pixels import LUMA

WINDOW, DEVIATION = 7, 7 / 6
"""Of the Gaussian window of local means, in pixels."""
SCALES = 4, 2, 2
"""Scales of luminance and of the two colour differences; each has half the sides of the one before."""
LEAST_SIDE = 16
"""Sides at which an image is not halved any more; its statistics are repeated."""
DIRECTIONS = (0, 1), (1, 0), (1, 1), (1, -1)
LOCAL, STEPS = (0.05, 0.25, 0.5, 0.75, 0.95), (0.1, 0.5, 0.9)
"""Quantiles of local deviations, and of differences of neighbours."""
SAMPLES = 4_096
"""Places at most from which a quantile is taken."""
BLOCK = 8
"""Pixels of a block of JPEG."""
_PER_SCALE = 40


class SceneStatistics(nn.Module):
    """Statistics of an image that are those of most good photographs, and others where it was degraded.

    Luminance and two colour differences are divided by their local deviation after their local mean is taken away. What
    is left, and the products of its neighbours, has nearly the same distribution in all photographs (Ruderman 1994, The
    statistics of natural images). Its moments tell how an image was degraded (Mittal, Moorthy and Bovik 2012,
    No-reference image quality assessment in the spatial domain, IEEE TIP 21:4695). There are also quantiles of the
    local deviations, sizes of first and second differences, traces of blocks of 8 pixels, and the image's size,
    brightness and contrast; sizes and spreads are logarithms. Nothing is learned.

    Args:
        channels: Channels of the images, 1 or 3. Grey images have luminance alone.

    Attributes:
        features: Number of statistics.

    Example:
        >>> statistics = SceneStatistics(1)
        >>> statistics(torch.rand(2, 1, 40, 60)).shape
        torch.Size([2, 166])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.features = _PER_SCALE * sum(SCALES if channels == 3 else SCALES[:1]) + 6

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images uint8 or float in [0, 1], (N, C, H, W), to float32 (N, features)."""
        pixels = images.float() if images.dtype == torch.uint8 else 255 * images.float()
        found = [torch.cat([*self._of(image)], 1) for image in pixels.split(1)]
        return torch.cat(found)

    def _of(self, image: torch.Tensor) -> Iterator[torch.Tensor]:
        if self.channels == 3:
            red, green, blue = image.split(1, 1)
            luminance = sum(share * each for share, each in zip(LUMA, (red, green, blue), strict=True))
            planes = [luminance, red - green, (red + green) / 2 - blue]
        else:
            planes = [image]
        yield _of_whole(planes[0])
        for plane, scales in zip(planes, SCALES, strict=False):
            for scale in range(scales):
                if scale and min(plane.shape[2:]) >= 2 * LEAST_SIDE:
                    plane = functional.avg_pool2d(plane, 2)
                yield torch.cat([*_of_scale(plane)], 1)


def _of_whole(x: torch.Tensor) -> torch.Tensor:
    """Size, brightness, contrast and blocks of a plane (1, 1, H, W): (1, 6)."""
    height, width = x.shape[2:]
    across, down = (x[..., 1:] - x[..., :-1]).abs().mean(2), (x[..., 1:, :] - x[..., :-1, :]).abs().mean(3)
    size = torch.tensor([height, width], dtype=x.dtype, device=x.device).log()
    light = torch.stack([x.mean() / 50, (x.std(correction=0) + 1).log()])
    return torch.cat([size, light, _blocks(across[0, 0]), _blocks(down[0, 0])])[None]


def _blocks(steps: torch.Tensor) -> torch.Tensor:
    """How far the steps (L,) between lines are larger at every eighth of them: a logarithm (1,)."""
    phases = torch.stack([steps[start::BLOCK].mean() for start in range(min(BLOCK, len(steps)))])
    return ((phases.max() + 0.05) / (phases.median() + 0.05)).log()[None]


def _of_scale(x: torch.Tensor) -> Iterator[torch.Tensor]:
    """Statistics of a plane (1, 1, H, W) at one scale, (1, K) each."""
    mean = _smoothed(x)
    deviation = (_smoothed(x * x) - mean * mean).clamp_min(0).sqrt()
    z = (x - mean) / (deviation + 1)
    yield _moments(z)
    for down, right in DIRECTIONS:
        yield _of_product(_paired(z, down, right))
    logs = (deviation.flatten(1) + 0.5).log()
    yield torch.cat([_quantiles(logs, LOCAL), logs.mean(1, keepdim=True), logs.std(1, keepdim=True)], 1)
    across, down = (x[..., 1:] - x[..., :-1]).abs(), (x[..., 1:, :] - x[..., :-1, :]).abs()
    inner = x[..., 1:-1, 1:-1]
    ring = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    second = (4 * inner - ring).abs()
    for each in (across, down, second, (x - mean).abs()):
        yield (each.mean().view(1, 1) + 0.05).log()
    for each in (across, second):
        yield (_quantiles(each.flatten(1), STEPS) + 0.1).log()
        yield (each < 0.5).float().mean().view(1, 1)


def _smoothed(x: torch.Tensor) -> torch.Tensor:
    """Local means of a plane (1, 1, H, W) under a Gaussian window; the border is mirrored."""
    reach, window = WINDOW // 2, gaussian_window(x.device)
    x = functional.pad(x, (reach,) * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))


def gaussian_window(device: torch.device | None = None) -> torch.Tensor:
    """Weights of neighbours in local means along one axis, float32 (WINDOW,)."""
    places = torch.arange(-(WINDOW // 2), WINDOW // 2 + 1, dtype=torch.float32, device=device)
    window = torch.exp(-(places**2) / (2 * DEVIATION**2))
    return window / window.sum()


def _paired(z: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Products of neighbours in a direction, of a plane (1, 1, H, W)."""
    height, width = z.shape[2:]
    first = z[..., : height - down, max(0, -right) : width - max(0, right)]
    return first * z[..., down:, max(0, right) : width - max(0, -right)]


def _moments(z: torch.Tensor) -> torch.Tensor:
    """Mean, spread, skewness, kurtosis and mean size of all places: (1, 5)."""
    mean, deviation = z.mean(), z.std(correction=0) + 1e-3
    unit = (z - mean) / deviation
    skewness, kurtosis = unit.pow(3).mean().clamp(-10, 10), (unit.pow(4).mean().clamp_max(100) + 0.1).log()
    return torch.stack([mean, deviation.log(), skewness, kurtosis, (z.abs().mean() + 1e-3).log()])[None]


def _of_product(product: torch.Tensor) -> torch.Tensor:
    """Mean, spread, and mean of each sign of all places: (1, 4)."""
    above, below = product.clamp_min(0).mean(), product.clamp_max(0).mean()
    return torch.stack([product.mean(), (product.std(correction=0) + 1e-3).log(), above, below])[None]


def _quantiles(values: torch.Tensor, shares: tuple[float, ...]) -> torch.Tensor:
    """Quantiles of values (1, P), from evenly spaced places of them: (1, Q)."""
    some = values[:, :: -(-values.shape[1] // SAMPLES)].sort(1).values
    return some[:, [round(share * (some.shape[1] - 1)) for share in shares]]
