"""Pairs of the benchmark as requests."""

import json

from benchmarks.serving.clients import post
from twinrank.data.judgements import Judgements
from twinrank.serving.images import as_png


def comparisons(data: Judgements, pairs_each: int) -> list[bytes]:
    """Requests to compare all pairs, so many at a time."""
    files = [{"left": as_png(left), "right": as_png(right)} for left, right in zip(data.xa, data.xb, strict=True)]
    if pairs_each == 1:
        return [post("/compare", json.dumps(each).encode()) for each in files]
    groups = (files[start : start + pairs_each] for start in range(0, len(files), pairs_each))
    return [post("/compare", json.dumps({"pairs": group}).encode()) for group in groups]
