"""What a decision rests on: how the logit changes when a spot is covered."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from twinrank.core.randomness import numpy_generator
from twinrank.data.pairs import PairData, load_pairs
from twinrank.errors import InputError
from twinrank.inference.network import Network
from twinrank.inference.predict import predict_logits
from twinrank.models.siamese import SiameseNet
from twinrank.runs import RunFolder

_SPOT = 1 / 7
"""Side of a spot, as a share of the image's shorter side."""


class Saliency(NamedTuple):
    """What each spot of a pair's images contributes.

    Attributes:
        logit: float32 (N,), of the pairs as they are.
        left: float32 (N, H, W), logit minus that with the spots over the pixel covered, averaged; above 0 where the
            left image's pixels speak for "left ranks higher".
        right: float32 (N, H, W), the same for the right image.
    """

    logit: np.ndarray
    left: np.ndarray
    right: np.ndarray


def occlusion_saliency(model: SiameseNet, data: PairData) -> Saliency:
    """Cover each spot with exact zeros, which the network knows as hidden, and see what the logit does.

    Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 4.2. Spots
    overlap by half.

    Args:
        model: Network in evaluation mode.
        data: A few pairs; each takes some hundred comparisons.

    Raises:
        InputError: The images are smaller than 8 pixels.
    """
    height, width = data.xa.shape[2:]
    if min(height, width) < 8:
        raise InputError(f"{data.path}: images of {height} x {width} are too small to cover spots of")
    side = max(2, round(min(height, width) * _SPOT))
    tops, lefts = (range(0, size - side + 1, max(1, side // 2)) for size in (height, width))
    spots = [(top, left) for top in tops for left in lefts]
    logit = predict_logits(model, data)
    maps = []
    for which in ("xa", "xb"):
        total, times = np.zeros((len(data), height, width), np.float32), np.zeros((height, width), np.float32)
        for top, left in spots:
            images = {"xa": data.xa, "xb": data.xb}
            covered = images[which].copy()
            covered[:, :, top : top + side, left : left + side] = 0
            sides = [torch.from_numpy(each) for each in (images | {which: covered}).values()]
            with torch.inference_mode():
                device = next(model.parameters()).device
                change = logit - model(*(each.to(device) for each in sides)).cpu().numpy()
            total[:, top : top + side, left : left + side] += change[:, None, None]
            times[top : top + side, left : left + side] += 1
        maps.append(total / np.maximum(times, 1))
    return Saliency(logit, *maps)


_MOST_EXPLAINED = 40


def explain(run: RunFolder, file: Path, pairs: int, seed: int = 0) -> tuple[PairData, Saliency]:
    """What the best weights of a run rest their decisions on, for pairs taken at random.

    Returns:
        The pairs and their :func:`twinrank.inference.saliency.occlusion_saliency`.

    Raises:
        InputError: The file is refused, the run has no weights, or ``pairs`` is not 1 to 40.
    """
    if not 1 <= pairs <= _MOST_EXPLAINED:
        raise InputError(f"`pairs`: {pairs} is not possible; use 1 to {_MOST_EXPLAINED}")
    data = load_pairs(Path(file))
    rows = np.sort(numpy_generator(seed, "explain").choice(len(data), min(pairs, len(data)), replace=False))
    chosen, network = data.select(rows), Network(run)
    network.require_shape(chosen.path, chosen.xa)
    return chosen, occlusion_saliency(network.model, chosen)
