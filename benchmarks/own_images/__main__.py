"""Measures twinrank and its rivals on a set of real images, divided by image, with several seeds.

    python -m benchmarks.own_images SET [--out FILE.json] [--seeds 0 1 2] [--entrants NAME ...] [--fonts FOLDER]

SET is one of cells, cells-300, cells-raters, typefaces, photographs. What is there already is kept: sets below the
folder of sets, and the figures of each seed and entrant in the file of results. So a stopped command goes on where it
was. No entrant sees a test image or a judgement of one before it is measured.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.own_images.commands import fit, order_net
from benchmarks.own_images.frozen import frozen_linear, frozen_tuned
from benchmarks.own_images.judged import Answers
from benchmarks.own_images.measure import figures, means
from benchmarks.own_images.sets import SETS, Set, make_set
from benchmarks.own_images.simple import simple_feature
from twinrank.core.files import write_json
from twinrank.core.provenance import provenance
from twinrank.errors import InputError

ENTRANTS: dict[str, Callable[..., Answers]] = {
    "simple_feature": simple_feature,
    "frozen_linear": frozen_linear,
    "frozen_tuned": frozen_tuned,
    "order_net": order_net,
    "fit": fit,
}


def main(arguments: list[str] | None = None) -> None:
    """Measures the entrants on one set, as the command line says."""
    asked = _parser().parse_args(arguments)
    out = asked.out or Path("results/own_images/rivals") / f"{asked.set}.json"
    for seed in asked.seeds:
        try:
            given = make_set(asked.set, seed, asked.folder, asked.fonts)
        except InputError as error:
            sys.exit(f"error: {error}")
        for name in asked.entrants:
            enter = partial(fit, minutes=asked.minutes) if name == "fit" else ENTRANTS[name]
            _measure(asked.set, given, seed, name, enter, out)


def _measure(set_name: str, given: Set, seed: int, name: str, enter: Callable[..., Answers], out: Path) -> None:
    """Adds the figures of one entrant to the file of results, unless they are there."""
    if name in _of_seed(_results(set_name, out), seed, given)["entrants"]:
        return
    work = given.folder / "runs" / given.votes.stem / name
    work.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    answers = enter(given, work)
    seconds = round(time.perf_counter() - begin, 1)
    record = figures(given, answers) | {"seconds": seconds}
    # Another process may have measured another entrant meanwhile.
    results = _results(set_name, out)
    command = shlex.join(["python", "-m", "benchmarks.own_images", *sys.argv[1:]])
    _of_seed(results, seed, given)["entrants"][name] = record | answers.facts | provenance(command)
    results["mean"] = means(results["seeds"])
    write_json(out, results)
    print(f"{set_name}, seed {seed}, {name}: {_line(record)}, {seconds:,.0f} s", flush=True)


def _results(set_name: str, out: Path) -> dict[str, Any]:
    """The file of results, or what a new one has."""
    return json.loads(out.read_text()) if out.exists() else {"set": set_name, "mean": {}, "seeds": {}}


def _of_seed(results: dict[str, Any], seed: int, given: Set) -> dict[str, Any]:
    return results["seeds"].setdefault(str(seed), {"made": _made(given), "entrants": {}})


def _made(given: Set) -> dict[str, Any]:
    """What the set is: numbers of images, pairs and judgements."""
    facts = json.loads((given.folder / "set.json").read_text())
    judgements = facts[given.votes.name]
    return {key: value for key, value in facts.items() if not isinstance(value, dict)} | judgements


def _line(record: dict[str, Any]) -> str:
    accuracy, loss, spearman = (record[name] for name in ("accuracy", "log_loss", "spearman"))
    interval = f"{accuracy['low']:.1%} to {accuracy['high']:.1%}"
    return f"{accuracy['value']:.1%} ({interval}), log-loss {loss['value']:.3f}, Spearman {spearman['value']:.3f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.own_images", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--out", type=Path, help="file of results; results/own_images/rivals/SET.json by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--entrants", nargs="+", choices=ENTRANTS, default=[*ENTRANTS])
    parser.add_argument("--fonts", type=Path, help="folder in which `npm install @fontsource/...` ran, for typefaces")
    parser.add_argument("--folder", type=Path, default=Path("runs/own_images"), help="folder of sets and runs")
    parser.add_argument("--minutes", type=float, default=15, help="time of `twinrank fit`")
    return parser


if __name__ == "__main__":
    main()
