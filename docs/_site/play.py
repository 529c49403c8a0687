"""The page in ``site/play``: the network that comes with twinrank, in the browser.

    python docs/_site/play.py site

Where onnxruntime-web cannot be had, one line says so, and the page that the site has instead stays.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from twinrank.benchmark.generator import make_benchmark
from twinrank.benchmark.mnist import Mnist
from twinrank.config import BenchmarkConfig
from twinrank.core.context import Context
from twinrank.errors import InputError
from twinrank.runs import PRETRAINED
from twinrank.workflows.export import PAGE, export

_DIGITS = Path(__file__).parents[2] / "tests" / "digits.npz"
_PAIRS = BenchmarkConfig(pairs_train=20, pairs_val=100, pairs_public=20, pairs_private=20)


def main(site: Path) -> None:
    """Export the network, checked on some pairs of the repository's digits.

    Args:
        site: Built site.
    """
    with tempfile.TemporaryDirectory() as name, np.load(_DIGITS) as digits:
        folder = Path(name)
        make_benchmark(Mnist(**digits), folder, _PAIRS, jobs=1)
        context = Context(say=print, command="make docs")
        try:
            made = export([PRETRAINED], folder / "page", format="web", check_file=folder / "val.npz", context=context)
        except InputError as error:
            return print(f"{site / 'play'}: says that the network is missing, since {error}")
        shutil.copyfile(made.out / PAGE, site / "play" / PAGE)
        print(f"{site / 'play' / PAGE}: {(made.out / PAGE).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
