"""Features of images by a frozen tower: computed once, and kept on disk."""

import copy
import functools
import hashlib
import json
from collections.abc import Callable

import numpy as np
import PIL
import torch

from twinrank.config import Precision
from twinrank.core.device import arithmetic
from twinrank.data.images.store import ImageStore
from twinrank.inference.blocks import image_blocks, is_steady
from twinrank.inference.feature_cache import DIGEST_BYTES, FeatureCache, halved
from twinrank.models.siamese import SiameseNet
from twinrank.models.towers.fold import folded
from twinrank.models.weights import tensors_sha256

Progress = Callable[[str, int, int], None]
"""Listener: "features", the images done, and all images."""

_VERSION = 1
"""Counts up when the same network gives other features than before."""
_PIXELS_A_BATCH = 8 * 300 * 300
_HASHED_AT_A_TIME, _AVERAGED_AT_A_TIME = 64, 1_024


def _no_progress(name: str, done: int, total: int) -> None:
    pass


def frozen_features(
    model: SiameseNet, images: ImageStore, chosen: np.ndarray | None = None, progress: Progress = _no_progress
) -> np.ndarray:
    """Features of images by the tower of a network, float16 (M, F).

    They are kept in the cache folder, by the digests of image, reading, weights, views and arithmetic. A second call
    reads them. What is computed stays there even if the process is killed. Two processes do not compute the same
    features twice.

    Args:
        model: Network in evaluation mode, on the device to use.
        images: Store of images.
        chosen: Numbers of images, int (M,); None is all.
        progress: Listener for images whose features are computed.
    """
    chosen = np.arange(len(images)) if chosen is None else np.asarray(chosen)
    if is_steady():
        compute = functools.partial(_uncached, model, images, chosen)
    else:
        upright = copy.copy(model)
        upright.turned = False
        compute = functools.partial(
            _features, upright, images, chosen, image_digests(images, chosen), progress=progress
        )
    if not model.turned:
        return compute(turned=False)
    # Apart, so that a network that sees upright images alone has computed half of it.
    features, others = compute(turned=False), compute(turned=True)
    for start in range(0, len(features), _AVERAGED_AT_A_TIME):
        some = slice(start, start + _AVERAGED_AT_A_TIME)
        features[some] = (features[some].astype(np.float32) + others[some]) / 2
    return features


def _uncached(model: SiameseNet, images: ImageStore, chosen: np.ndarray, turned: bool) -> np.ndarray:
    """The same of images as they are, or upside down, in blocks of fixed sizes; the disk is left alone."""
    network = copy.copy(_unchanging(model))
    network.turned = False
    parts = []
    for block in image_blocks(chosen, *images.shape[1:], alone=model.trim):
        taken = images.take(block)
        parts.append(halved(_computed(network, taken[:, :, ::-1] if turned else taken)))
    return np.concatenate(parts)[: len(chosen)]


def _features(
    model: SiameseNet, images: ImageStore, chosen: np.ndarray, digests: np.ndarray, turned: bool, progress: Progress
) -> np.ndarray:
    """The same of images as they are, or of all of them upside down; their digests are given, uint8 (M, 32)."""
    cache = FeatureCache(network_digest(model, turned), model.features)
    features, found = cache.read(digests)
    if found.all():
        return features
    with cache.filling(digests[~found]) as kept:
        # Another process may have computed them meanwhile. Two arrays of features would be too many.
        del features
        features, found = cache.read(digests)
        # Where an image occurs twice, once is enough.
        _, first, place = np.unique(digests, axis=0, return_index=True, return_inverse=True)
        missing = first[~found[first]]
        network, (height, width) = for_prediction(model), images.shape[1:]
        rows = images_a_batch(height, width)
        for start in range(0, len(missing), rows):
            batch = missing[start : start + rows]
            taken = images.take(chosen[batch])
            halves = halved(_computed(network, taken[:, :, ::-1] if turned else taken))
            features[batch] = halves
            if kept:
                cache.append(digests[batch], halves)
            progress("features", min(start + rows, len(missing)), len(missing))
        source = first[place.ravel()]
        again = np.flatnonzero(source != np.arange(len(source)))
        features[again] = features[source[again]]
        return features


def images_a_batch(height: int, width: int) -> int:
    """Number of images whose features are computed together.

    Args:
        height: Pixels of an image.
        width: Pixels, likewise.
    """
    return max(1, _PIXELS_A_BATCH // (height * width))


def _arithmetic(model: SiameseNet) -> Precision:
    """That of frozen features: float32 unless another one is stated, since rounding hides small differences."""
    return arithmetic(next(model.parameters()).device, "float32" if model.precision == "auto" else model.precision)


def for_prediction(model: SiameseNet) -> SiameseNet:
    """The network that computes frozen features: batch norms folded, in the arithmetic of features.

    Args:
        model: Network in evaluation mode; it stays as it is.
    """
    network = copy.copy(folded(model))
    network.precision = _arithmetic(model)
    return network


@functools.lru_cache(maxsize=16)
def _unchanging(model: SiameseNet) -> SiameseNet:
    """That of :func:`for_prediction`, kept, of a network that is trained no more."""
    return for_prediction(model)


def _computed(network: SiameseNet, images: np.ndarray) -> np.ndarray:
    device = next(network.parameters()).device
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        return network.embed_batch(batch).features.float().cpu().numpy()


def network_digest(model: SiameseNet, turned: bool = False) -> str:
    """Digest of everything about a network that its features depend on, in hexadecimal.

    Args:
        model: Network.
        turned: Whether it sees images upside down.
    """
    about = {
        "version": _VERSION,
        "arithmetic": _arithmetic(model),
        "views": model.views,
        "mirror": model.mirror,
        "pool": model.tower.pool,
    }
    if turned:
        about["turned"] = True
    if model.scene is not None or model.trim:
        about |= {"scene": model.scene is not None, "trim": model.trim}
    parts = [tensors_sha256(part.state_dict()) for part in (model.encode, model.tower)]
    return hashlib.sha256(json.dumps([about, *parts], sort_keys=True).encode()).hexdigest()


def image_digests(images: ImageStore, chosen: np.ndarray | None = None) -> np.ndarray:
    """Digests of images, uint8 (M, 32): of file and reading, or of the pixels of images in memory.

    Args:
        images: Store of images.
        chosen: Numbers of images, int (M,); None is all.
    """
    chosen = np.arange(len(images)) if chosen is None else chosen
    if images.digests is not None and images.reading is not None:
        about = json.dumps({"pillow": PIL.__version__, **images.reading.to_json()}, sort_keys=True).encode()
        parts = (_digest(images.digests[image].tobytes(), about) for image in chosen)
        return np.frombuffer(b"".join(parts), np.uint8).reshape(-1, DIGEST_BYTES)
    about = f"{images.dtype} {images.shape}".encode()
    digests = []
    for start in range(0, len(chosen), _HASHED_AT_A_TIME):
        some = images.take(chosen[start : start + _HASHED_AT_A_TIME])
        digests += [_digest(np.ascontiguousarray(image).data, about) for image in some]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)


def _digest(content: bytes | memoryview, about: bytes) -> bytes:
    digest = hashlib.blake2b(content, digest_size=DIGEST_BYTES)
    digest.update(about)
    return digest.digest()
