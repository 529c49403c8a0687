"""How fast training and prediction are, beside the usual loop."""

import time
from typing import Any

from benchmarks.gpu.rates import predicted_rates, rate, usual_rate
from benchmarks.gpu.work import GUIDE, Work
from twinrank.workflows.recipe import read_recipe

TEN: dict[str, tuple[str, dict[str, Any], int]] = {
    GUIDE: (GUIDE, {}, 1),
    "resnet_fusion": ("resnet_fusion", {}, 1),
    "resnet_optimized": ("resnet_optimized", {}, 4),
    "fpn": ("fpn", {}, 1),
    "resnet_fusion, width 1": ("resnet_fusion", {"width_mult": 1.0}, 3),
}
"""The guide's ten networks: name, options, and how many of them there are."""
EPOCHS = 14
"""Epochs of each of the ten in the recipe ``cpu``, at most."""


def speed(work: Work) -> None:
    """Pairs a second of training and prediction, beside the usual loop; and what the guide's ten would take."""
    timed = 0.0 if work.tiny else 1.5
    widths = (24,) if work.tiny else (24, 64, 128)
    named = {f"order_net {width}": ("order_net", {"width": width}) for width in widths}
    guides = read_recipe("guide").runs[GUIDE]
    guides = work.spec(GUIDE, dict(guides.options), **{**vars(guides.train), "epochs": EPOCHS})
    specs = {name: work.spec(*network) for name, network in named.items()} | {f"{GUIDE}, guide's values": guides}
    for name, spec in specs.items():
        if work.left < 20:
            break
        size = spec.train.batch_size
        found = {
            "replayed": rate(spec, work.train, work.val, timed),
            "launched": rate(spec, work.train, work.val, timed, replayed=False),
            "usual float32": usual_rate(spec.model, spec.options, work.train, size, timed, half=False),
            "usual float16": usual_rate(spec.model, spec.options, work.train, size, timed, half=True),
        }
        found["prediction"], found["usual prediction"] = predicted_rates(spec.model, spec.options, work.val, timed)
        shown = ", ".join(f"{key} {value:,.0f}" for key, value in found.items())
        work.keep(name, found, f"{name}, batches of {size}, pairs a second: {shown}")
    seconds = 0.0
    for name, (model, options, count) in TEN.items():
        if work.left < 8:
            return
        found = rate(work.spec(model, options), work.train, work.val, timed)
        seconds += count * EPOCHS * len(work.train) / found
        work.keep(f"ten: {name}", found, f"{name}, twinrank's values: {found:,.0f} pairs a second")
    work.keep("ten", seconds, f"the guide's ten networks, {EPOCHS} epochs each: {seconds:.0f} s, validation left out")
    if work.left > 60 or work.tiny:
        spec = work.spec("order_net", {"width": 64}, compile=not work.tiny)
        started, found = time.perf_counter(), rate(spec, work.train, work.val, timed)
        passed = time.perf_counter() - started
        line = f"order_net 64, compiled: {found:,.0f} pairs a second; with compilation it took {passed:.0f} s"
        work.keep("order_net 64, compiled", [found, passed], line)
