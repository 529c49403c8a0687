"""Curve over judgements: the network that ``twinrank fit`` chose, fitted to random parts of the judgements.

    python -m benchmarks.own_images.curve SET [--seed 0] [--counts 300 1000 3000 10000] [--out FILE.json]

It goes on from ``python -m benchmarks.own_images SET --entrants fit``: set, network, options and the way of reading the
images are those that are there. Images and pairs of the test are the same for all counts.
"""

import argparse
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.own_images.commands import answers
from benchmarks.own_images.measure import figures
from benchmarks.own_images.sets import SETS, Set, make_set
from benchmarks.real_data.tables import read_table, write_table
from twinrank.core.files import write_json
from twinrank.core.provenance import provenance
from twinrank.core.randomness import numpy_generator
from twinrank.data.source import Source
from twinrank.runs import FITTED, RunFolder
from twinrank.training.train import train
from twinrank.workflows.fit_epochs import spec_of


def main(arguments: list[str] | None = None) -> None:
    """Measures one set, as the command line says."""
    asked = _parser().parse_args(arguments)
    given = make_set(asked.set, asked.seed, asked.folder, asked.fonts)
    chosen = RunFolder(given.folder / "runs" / given.votes.stem / "fit" / "run" / FITTED)
    if not chosen.config.is_file():
        sys.exit(f"error: {chosen.path}: is missing; run python -m benchmarks.own_images {asked.set} --entrants fit")
    rows = read_table(given.votes)
    order = numpy_generator(asked.seed, "curve").permutation(len(rows))
    points: dict[str, Any] = {}
    for count in [number for number in asked.counts if number <= len(rows)]:
        some = [rows[place] for place in np.sort(order[:count])]
        points[str(count)] = _measured(given, chosen, some, given.folder / "runs" / given.votes.stem / f"curve_{count}")
        found = points[str(count)]
        print(f"{count:,} judgements: {found['accuracy']['value']:.1%}, log-loss {found['log_loss']['value']:.3f}")
    results = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    command = shlex.join(["python", "-m", "benchmarks.own_images.curve", *sys.argv[1:]])
    about = {"seed": asked.seed, "network": spec_of(chosen.path).model, "options": spec_of(chosen.path).options}
    results[asked.set] = about | {"judgements": points} | provenance(command)
    write_json(asked.out, results)


def _measured(given: Set, chosen: RunFolder, rows: list[dict[str, str]], work: Path) -> dict[str, Any]:
    """Figures of the test of a network that is fitted to some judgements."""
    shutil.rmtree(work, ignore_errors=True)
    votes, run = work / "votes.csv", work / "run"
    write_table(votes, rows)
    images = chosen.read_config()["data"]["train"]["source"] | {"images": str(given.train), "columns": {}}
    train(spec_of(chosen.path), votes, None, run, source=Source.from_json(images, str(chosen.config)))
    return figures(given, answers(given, work, run))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.own_images.curve", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--counts", type=int, nargs="+", default=[300, 1000, 3000, 10000])
    parser.add_argument("--out", type=Path, default=Path("results/own_images/curve.json"), help="file of results")
    parser.add_argument("--fonts", type=Path, help="folder in which `npm install @fontsource/...` ran, for typefaces")
    parser.add_argument("--folder", type=Path, default=Path("runs/own_images"), help="folder of sets and runs")
    return parser


if __name__ == "__main__":
    main()
