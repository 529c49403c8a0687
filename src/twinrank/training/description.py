"""What a run configuration says of a training, wherever and however it runs."""

from dataclasses import asdict
from typing import Any

from twinrank.config import OPEN, OPEN_IDS, PAIRS_ONLY, RunSpec, Track
from twinrank.data.judgements import Judgements
from twinrank.models.pretrained.sources import PretrainedWeights
from twinrank.models.registry import entry
from twinrank.training.teacher import Teacher


def described(
    spec: RunSpec,
    pairs: Judgements,
    val: Judgements | None,
    teacher: Teacher | None,
    size: int,
    began_with: PretrainedWeights | None,
) -> dict[str, Any]:
    """The part of a run configuration that does not depend on where and how the training runs.

    Args:
        spec: Network, options and training values.
        pairs: Pairs that are fitted.
        val: Pairs that choose the epoch, or None.
        teacher: Predictions of a teacher, or None.
        size: Number of parameters of the network.
        began_with: Weights that the network began with, or None for random ones.
    """
    found = entry(spec.model)
    more = spec.train.fresh or (began_with is not None and began_with.track != PAIRS_ONLY)
    return {
        "track": _track(pairs, *([] if val is None else [val]), teacher=teacher, fresh=more),
        "seed": spec.train.seed,
        "model": {"name": found.name, "options": found.complete(spec.options)},
        **({} if began_with is None else {"pretrained": began_with._asdict()}),
        "train": asdict(spec.train),
        "data": {part: _file(data) for part, data in (("train", pairs), ("val", val)) if data is not None},
        "image_shape": list(pairs.images.shape),
        **_images_read(pairs),
        "parameters": size,
    }


def _images_read(pairs: Judgements) -> dict[str, Any]:
    """How image files became pixels, for the run configuration; nothing for arrays."""
    if pairs.images.reading is None:
        return {}
    return {"images": {"reading": pairs.images.reading.to_json(), "resized": pairs.images.resized}}


def _track(*files: Judgements, teacher: Teacher | None, fresh: bool) -> Track:
    fresh = fresh or any(str(name).startswith(OPEN_IDS) for data in files if data.id is not None for name in data.id)
    taught = teacher is not None and teacher.about["track"] != PAIRS_ONLY
    return OPEN if fresh or taught else PAIRS_ONLY


def _file(data: Judgements) -> dict[str, Any]:
    return {
        "path": str(data.path),
        "sha256": data.sha256,
        "n": len(data),
        "content_sha256": data.content_sha256,
        **({} if data.source is None else {"source": data.source.to_json()}),
    }
