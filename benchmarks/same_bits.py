"""A check that a change keeps every bit: a small fixed run of the whole system through the command line, as digests.

It trains tiny networks of three families, fills a ledger, stacks it, distils, and searches with two trials. The digests
cover weights, histories without times, ledgers, meta-learners, predictions and leaderboards. They hold for one machine:

    python benchmarks/same_bits.py --out before.json        # before a change
    python benchmarks/same_bits.py --against before.json    # after it: exits with 1 and names what differs
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

BENCHMARK = ("--severity", "2", "--pairs-train", "640", "--pairs-val", "320")
TESTS = ("--pairs-public", "100", "--pairs-private", "200")
RECIPE = """
train: {epochs: 2, batch_size: 64}
runs:
  order_net: {options: {width: 4}, train: {seed: 3}}
  resnet_optimized: {options: {width_mult: 0.1}}
  compare_net: {}
"""
SPACE = """
train.lr: {low: 0.001, high: 0.1, log: true}
"""
TIMED = {"seconds", "images_per_second", "memory_mb", "milliseconds", "peak_memory_mb", "commit", "command", "version"}
WORDED = {"used", "used_in_training"}
"""How files were used: stored in words by older versions, as JSON values by newer ones."""
DATA = ("--train", "data/train.npz", "--val", "data/val.npz")
SHORT = ("--set", "train.epochs=2", "--set", "options.width=4")


def commands() -> Iterator[tuple[str, ...]]:
    """Commands, in this sequence, for an empty folder with ``recipe.yaml`` and ``space.yaml``."""
    yield ("data", "make", "--out", "data", *BENCHMARK, *TESTS)
    for model, options in (
        ("order_net", ("--width", "4", "--rotate", "10", "--cutout", "1")),
        ("resnet_optimized", ("--width-mult", "0.1", "--swap")),
        ("compare_net", ("--loss", "focal")),
    ):
        yield ("train", model, *DATA, "--out", f"runs/{model}", "--epochs", "2", "--threads", "1", *options)
        yield ("evaluate", f"runs/{model}", "data/val.npz", "data/test_public.npz", "data/test_private.npz")
    yield ("grid", "--mode", "holdout", "--recipe", "recipe.yaml", "--out", "runs/holdout", "--threads", "1")
    yield ("stack", "--grid", "runs/holdout")
    yield (
        *("distill", "--teacher", "runs/order_net,runs/resnet_optimized", "--student", "order_net", *DATA),
        *("--out", "runs/student", "--threads", "1", *SHORT),
    )
    yield ("evaluate", "runs/student", "data/val.npz", "data/test_public.npz", "data/test_private.npz")
    yield (
        *("tune", "order_net", *DATA, "--trials", "2", "--space", "space.yaml", "--out", "runs/tune"),
        *("--threads", "1", "--retrain-seeds", "7", *SHORT),
    )
    yield ("predict", "--run", "runs/holdout", "--data", "data/test_private.npz", "--out", "runs/stack.csv")
    yield ("predict", "--data", "data/test_private.npz", "--out", "runs/pretrained.csv")
    yield ("order", "runs/student", "data/val.npz", "--images", "20", "--out", "runs/order")
    yield ("leaderboard", "runs/order_net", "runs/resnet_optimized", "runs/holdout", "--out", "runs/board")


def main() -> None:
    """Run everything, then write digests or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file for the digests")
    parser.add_argument("--against", type=Path, help="JSON file with earlier digests")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = digests_of(run_all(Path(folder)))
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if chosen.against is not None:
        before = json.loads(chosen.against.read_text(encoding="utf-8"))
        differing = [name for name in {**before, **found} if before.get(name) != found.get(name)]
        print(
            "\n".join([*map("differs: {}".format, differing), f"{len(found) - len(differing)} of {len(found)} equal"])
        )
        sys.exit(bool(differing))


def run_all(folder: Path) -> Path:
    """Run all commands in a folder, and give it."""
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    for command in commands():
        print("twinrank", *command, file=sys.stderr, flush=True)
        called = subprocess.run(
            [sys.executable, "-m", "twinrank", *command], cwd=folder, capture_output=True, text=True
        )
        if called.returncode:
            sys.exit(f"twinrank {' '.join(command)}: exit code {called.returncode}\n{called.stderr}")
    return folder


def digests_of(folder: Path) -> dict[str, str]:
    """Digests by file, and by part of it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        for part, content in parts_of(path):
            found[f"{name} {part}".strip()] = hashlib.sha256(content).hexdigest()[:16]
    return found


def parts_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """Parts of a file that a change must keep: arrays and numbers, but neither times nor wording."""
    if path.name == "weights.safetensors":
        yield "", b"".join(name.encode() + each.tobytes() for name, each in sorted(load_file(path).items()))
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            for key in sorted(arrays.files):
                if key not in ("about", "meta", "sha256"):
                    yield key, repr((arrays[key].dtype.str, arrays[key].shape)).encode() + arrays[key].tobytes()
    elif path.name == "history.jsonl":
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield f"epoch {number}", canonical(json.loads(line))
    elif path.name == "learners.json":
        for name, state in json.loads(path.read_text(encoding="utf-8")).items():
            if state["kind"] == "linear":
                yield name, canonical(state)
    elif path.name in ("leaderboard.json", "order.json") or path.parent.name == "metrics":
        yield "", canonical(numbers(json.loads(path.read_text(encoding="utf-8"))))
    elif path.name == "study.json":
        for trial in json.loads(path.read_text(encoding="utf-8"))["trials"]:
            yield f"trial {trial['number']}", canonical(numbers(trial))
    elif path.suffix == ".csv" and path.name != "leaderboard.csv":
        yield "", path.read_bytes()


def canonical(value: Any) -> bytes:
    """JSON without times, in one form."""
    return json.dumps(untimed(value), sort_keys=True).encode()


def untimed(value: Any) -> Any:
    """A JSON value without its times and its provenance."""
    if isinstance(value, dict):
        return {key: untimed(each) for key, each in value.items() if key not in TIMED}
    return [untimed(each) for each in value] if isinstance(value, list) else value


def numbers(value: Any) -> Any:
    """The numbers of a JSON value, by key; its wording may change."""
    if isinstance(value, dict):
        parts = {key: numbers(each) for key, each in value.items() if key not in TIMED | WORDED}
        return {key: part for key, part in parts.items() if part is not None}
    if isinstance(value, list):
        return [numbers(each) for each in value]
    return value if isinstance(value, int | float) else None


if __name__ == "__main__":
    main()
