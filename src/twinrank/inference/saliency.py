"""Saliency: how the logit of a pair changes when a spot of an image is covered."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from twinrank.core.context import Context
from twinrank.core.randomness import numpy_generator
from twinrank.data.judgements import Judgements
from twinrank.data.source import Source
from twinrank.errors import InputError
from twinrank.inference.network import Network
from twinrank.inference.predict import predict_logits
from twinrank.inference.spots import Spots
from twinrank.models.siamese import SiameseNet
from twinrank.runs import RunFolder

_MOST_PAIRS = 40


class Saliency(NamedTuple):
    """Contribution of each pixel of the images to the logits.

    A contribution is the logit minus the logit with a spot over the pixel covered, as a mean over the spots. Above 0,
    the pixel raises the logit, towards "left ranks higher".

    Attributes:
        logit: Logits of the pairs as they are, float32 (N,).
        left: Contributions of the left images' pixels, float32 (N, H, W).
        right: Contributions of the right images' pixels, float32 (N, H, W).
    """

    logit: np.ndarray
    left: np.ndarray
    right: np.ndarray


def occlusion_saliency(model: SiameseNet, data: Judgements) -> Saliency:
    """Cover each spot with exact zeros, which the network knows as hidden, and measure the change of the logit.

    Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 4.2. Spots
    overlap by half.

    Args:
        model: Network in evaluation mode.
        data: A few pairs; each takes some hundred comparisons.

    Raises:
        InputError: The images are smaller than 8 pixels.
    """
    height, width = data.images.shape[1:]
    spots = Spots.of(height, width, data.path)
    logit = predict_logits(model, data)
    device = next(model.parameters()).device
    sides = data.xa, data.xb

    def embedded(images: np.ndarray) -> torch.Tensor:
        return model.embed_batch(torch.from_numpy(images).to(device)).features

    maps = []
    for place, side_images in enumerate(sides):
        total, times = np.zeros((len(data), height, width), np.float32), np.zeros((height, width), np.float32)
        with torch.inference_mode():
            other = embedded(sides[1 - place])
        for top, left in spots.places:
            with torch.inference_mode():
                own = embedded(spots.covered(side_images, top, left))
                covered = model.comparator(*((own, other) if place == 0 else (other, own))).cpu().numpy()
            spot = slice(top, top + spots.side), slice(left, left + spots.side)
            total[:, *spot] += (logit - covered)[:, None, None]
            times[spot] += 1
        maps.append(total / np.maximum(times, 1))
    return Saliency(logit, *maps)


def explain(
    run: RunFolder,
    file: Path,
    pairs: int,
    seed: int = 0,
    source: Source | None = None,
    context: Context = Context(),
) -> tuple[Judgements, Saliency]:
    """The saliency of pairs taken at random, by the best weights of a run.

    Args:
        run: Run with weights.
        file: Pair file; its labels are not used.
        pairs: Number of pairs, 1 to 40; all pairs if the file has fewer.
        seed: Seed of the choice.
        source: Where the images of a table are.
        context: Listeners.

    Returns:
        The pairs and their saliency, see :func:`occlusion_saliency`.

    Raises:
        InputError: The file is refused, the run has no weights, or ``pairs`` is not 1 to 40.
    """
    if not 1 <= pairs <= _MOST_PAIRS:
        raise InputError(f"`pairs`: {pairs} is not possible; use 1 to {_MOST_PAIRS}")
    network = Network(run)
    data = network.form.load(Path(file), None, source, context)
    rows = np.sort(numpy_generator(seed, "explain").choice(len(data), min(pairs, len(data)), replace=False))
    chosen = data.select(rows)
    return chosen, occlusion_saliency(network.model, chosen)
