"""Images a second in training and inference, and their share of the machine's limit for matrix products.

Run as ``python -m benchmarks.matrix_limit [WIDTH] [ROUNDS]``. The limit is the speed of a product of two bfloat16
matrices of side 2,048 on the same threads, measured in every round. A training step counts as three forward passes,
since the gradients by input and by weights each cost as much as the product itself.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.order_step import PAIRS, order_step
from twinrank.core.device import prepare_cpu
from twinrank.core.machine import available_threads
from twinrank.models.profile import multiply_adds

SIDE = 2048
STEPS = 10


def seconds(each: Callable[[], object]) -> float:
    each()
    started = time.perf_counter()
    for _ in range(STEPS):
        each()
    return (time.perf_counter() - started) / STEPS


def main() -> None:
    width = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    threads = available_threads()
    prepare_cpu(threads)
    config, model, objective, step, batch = order_step(width, views=1)
    xa, xb = batch.xa, batch.xb
    matrix = torch.randn(SIDE, SIDE, dtype=torch.bfloat16)

    def training() -> None:
        model.train()
        step.backward(objective(model, batch).total)
        step.pace(1e-3, config.beta1)
        step.update()

    def inference() -> None:
        model.eval()
        with torch.inference_mode():
            model(xa, xb)

    operations = 2 * multiply_adds(model) * PAIRS
    shares: list[tuple[float, float]] = []
    for _ in range(rounds):
        limit = 2 * SIDE**3 / seconds(lambda: matrix @ matrix)
        trained, inferred = seconds(training), seconds(inference)
        shares.append((3 * operations / trained / limit, operations / inferred / limit))
        print(
            f"limit {limit / 1e9:.0f} GFLOP/s; training {2 * PAIRS / trained:.0f} images/s, {shares[-1][0]:.0%} of it;"
            f" inference {2 * PAIRS / inferred:.0f} images/s, {shares[-1][1]:.0%} of it"
        )
    training_share, inference_share = np.median(shares, 0)
    print(
        f"order_net, width {width}: median {training_share:.0%} of the limit in training and {inference_share:.0%} in"
        f" inference with one view, {rounds} rounds on {threads} threads"
    )


if __name__ == "__main__":
    main()
