"""Where the time of a training step of ``order_net`` goes, by part and by operation.

Run as ``python -m benchmarks.step_parts [WIDTH] [STEPS]``, on a machine that does nothing else. Parts are medians
without a profiler. Shares of operations are of torch's profiler, each without the operations that it calls.
"""

import platform
import sys
import time
from pathlib import Path

import numpy as np
from torch.profiler import ProfilerActivity, profile

from benchmarks.order_step import PAIRS, order_step
from twinrank.core.device import prepare_cpu, processor_has
from twinrank.core.machine import available_threads

SHOWN = 15


def processor() -> str:
    """Name of the processor, and whether it multiplies bfloat16 matrices by AMX."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    amx = "with" if processor_has("amx_bf16") else "without"
    return f"{names[0] if names else platform.processor()}, {amx} AMX"


def main() -> None:
    width = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    threads = available_threads()
    prepare_cpu(threads)
    _, model, objective, step, batch = order_step(width)
    model.train()

    def parts() -> list[float]:
        """Seconds of the forward pass with its loss, of the backward pass, and of the update."""
        times = [time.perf_counter()]
        loss = objective(model, batch).total
        times.append(time.perf_counter())
        step.backward(loss)
        times.append(time.perf_counter())
        step.update()
        return [*np.diff([*times, time.perf_counter()])]

    for _ in range(5):
        parts()
    forward, backward, update = 1000 * np.median([parts() for _ in range(steps)], 0)
    print(f"{processor()}; {threads} threads, width {width}, {PAIRS} pairs")
    print(f"milliseconds a step: forward {forward:.1f}, backward {backward:.1f}, update {update:.1f}")
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(steps):
            parts()
    found = sorted(profiled.key_averages(), key=lambda each: -each.self_cpu_time_total)
    whole = sum(each.self_cpu_time_total for each in found)
    for each in found[:SHOWN]:
        print(f"{each.self_cpu_time_total / whole:6.1%}  {each.count / steps:6.0f} calls  {each.key}")


if __name__ == "__main__":
    main()
