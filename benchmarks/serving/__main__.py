"""``python -m benchmarks.serving``: the load test as JSON, or with ``--minutes 60`` a soak.

The load test alternates between the network in this process and the server on the same machine, so that other work
disturbs both alike. Clients take a core, too; they run in this process.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from benchmarks.serving.clients import Load, drive
from benchmarks.serving.pairs import comparisons
from benchmarks.serving.process import Server
from benchmarks.serving.soak import soak
from twinrank.core.files import write_json
from twinrank.core.machine import available_threads
from twinrank.core.provenance import provenance
from twinrank.data.judgements import Judgements, load_pairs
from twinrank.inference.load import load_predictor
from twinrank.inference.predictor import Predictor
from twinrank.runs import PRETRAINED

_TOGETHER = 16
"""Pairs of a request that has many."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    data: Path = Path("data/test_public.npz")
    """Pairs."""
    clients: int = 32
    """Clients at a time."""
    seconds: float = 8.0
    """Seconds of each measurement."""
    rounds: int = 5
    """Rounds; medians count."""
    minutes: float = 0.0
    """Minutes of a soak instead."""
    out: Path | None = None
    """JSON file to write, too."""


def in_process(predictor: Predictor, data: Judgements, seconds: float) -> float:
    """Pairs a second of a network in this process."""
    predictor.logits(data.select(slice(0, 100)))
    started, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        predictor.logits(data)
        done += len(data)
    return done / passed


def summary(loads: list[Load], pairs_each: int, alone: list[float]) -> dict[str, Any]:
    """What clients saw in all rounds."""
    rates = [pairs_each * len(load.latencies) / load.seconds for load in loads]
    latencies = np.concatenate([load.latencies for load in loads])
    return {
        "pairs_a_request": pairs_each,
        "requests_a_second": round(float(np.median(rates)) / pairs_each, 1),
        "pairs_a_second": round(float(np.median(rates)), 1),
        "share_of_in_process": round(float(np.median(np.array(rates) / alone)), 3),
        "milliseconds_median": round(1000 * float(np.median(latencies)), 1),
        "milliseconds_99": round(1000 * float(np.quantile(latencies, 0.99)), 1),
        "cores_of_clients": round(
            sum(load.processor_seconds for load in loads) / sum(load.seconds for load in loads), 3
        ),
        "refused": sum(load.refused for load in loads),
        "each_round": [round(rate, 1) for rate in rates],
    }


def load_test(options: Options) -> dict[str, Any]:
    """Rounds of the network in process, and of one and of many pairs a request."""
    data, predictor = load_pairs(options.data), load_predictor(PRETRAINED)
    threads = max(1, available_threads() - 1)
    torch.set_num_threads(threads)
    kinds = {each: comparisons(data, each) for each in (1, _TOGETHER)}
    alone: list[float] = []
    loads: dict[int, list[Load]] = {each: [] for each in kinds}
    with Server() as server:
        for requests in kinds.values():
            drive(server.address, requests, options.clients, 1)
        for _ in range(options.rounds):
            alone.append(in_process(predictor, data, options.seconds))
            for each, requests in kinds.items():
                loads[each].append(drive(server.address, requests, options.clients, options.seconds))
    return {
        **provenance("python -m benchmarks.serving"),
        "cores": available_threads(),
        "threads_of_networks": threads,
        "clients": options.clients,
        "in_process": {
            "pairs_a_second": round(float(np.median(alone)), 1),
            "each_round": [round(rate, 1) for rate in alone],
        },
        "compare": [summary(loads[each], each, alone) for each in kinds],
    }


def main(options: Options) -> None:
    """Print what was measured."""
    found = soak(options.data, options.minutes) if options.minutes else load_test(options)
    print(json.dumps(found, indent=2))
    if options.out is not None:
        write_json(options.out, found)
    sys.exit(bool(options.minutes and found["failed"]))


if __name__ == "__main__":
    main(tyro.cli(Options))
