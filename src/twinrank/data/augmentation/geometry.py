"""Affine maps of whole batches, one for each image. Coordinates run from -1 to 1 along x and y."""

import torch
from torch.nn import functional

from twinrank.core.pixels import unit_range
from twinrank.data.augmentation.photometry import like


def warp(images: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Resample each image by its own affine map, with a mirrored border.

    Covered pixels do not bleed: visible ones are averaged (bilinearly) among themselves, and a place is covered where
    the nearest pixel is.

    Args:
        images: Images, uint8, or float in [0, 1], (N, C, H, W).
        matrix: Maps from places in the result to places in the image, float32 (N, 3, 3).

    Returns:
        The same shape and dtype.
    """
    grid = functional.affine_grid(matrix[:, :2], list(images.shape), align_corners=False)
    visible = (images != 0).any(1, keepdim=True).float()
    both = torch.cat([unit_range(images) * visible, visible], 1)
    sampled = functional.grid_sample(both, grid, "bilinear", "reflection", align_corners=False)
    kept = functional.grid_sample(visible, grid, "nearest", "reflection", align_corners=False) > 0.5
    pixels = sampled[:, :-1] / sampled[:, -1:].clamp_min(1e-3)
    return like(pixels, images, kept)


def rotation(angle: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) that rotate by angles in radians, (N,)."""
    matrix = _identity(angle)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 1, 0], matrix[:, 0, 1] = angle.sin(), -angle.sin()
    return matrix


def translation(distance: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) that move by distances along x and y, (N, 2), in half sides."""
    matrix = _identity(distance[:, 0])
    matrix[:, :2, 2] = distance
    return matrix


def scaling(factor: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) that scale by factors (N,); below 1 the result shows less of the image, enlarged."""
    matrix = _identity(factor)
    matrix[:, 0, 0] = matrix[:, 1, 1] = factor
    return matrix


def shear(slope: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) that shear by slopes along x and y, (N, 2)."""
    matrix = _identity(slope[:, 0])
    matrix[:, 0, 1], matrix[:, 1, 0] = slope[:, 0], slope[:, 1]
    return matrix


def _identity(like_rows: torch.Tensor) -> torch.Tensor:
    return torch.eye(3, device=like_rows.device).repeat(len(like_rows), 1, 1)
