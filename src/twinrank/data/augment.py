"""Augmentation of whole batches. Images in, images of the same kind out, and a covered pixel stays exactly 0."""

import torch


def shift(images: torch.Tensor, distance: int, generator: torch.Generator) -> torch.Tensor:
    """Move each image by its own whole number of pixels along each axis; the border is mirrored.

    Mirroring keeps the background's noise and what is covered as they are; a black border would look covered.

    Args:
        images: (N, C, H, W), any dtype, on the CPU or a device.
        distance: at most so many pixels, less than H and W.
        generator: of the distances, on the CPU.
    """
    n, _, height, width = images.shape
    moves = torch.randint(-distance, distance + 1, (2, n, 1), generator=generator).to(images.device)
    rows, columns = (
        _mirrored(torch.arange(size, device=images.device) + move, size)
        for size, move in zip((height, width), moves, strict=True)
    )
    each = torch.arange(n, device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _mirrored(position: torch.Tensor, size: int) -> torch.Tensor:
    return size - 1 - (size - 1 - position.abs()).abs()
