"""The examples in docstrings of the front door run."""

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

import twinrank as tr
from twinrank.benchmark.mnist import Mnist


def examples() -> list[doctest.DocTest]:
    finder, names = doctest.DocTestFinder(exclude_empty=True), {"tr": tr, "np": np}
    modules = [importlib.import_module(module) for module in sorted({*tr._MODULES.values()})]
    found = [test for module in modules for test in finder.find(module, extraglobs=names)]
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name.removeprefix("twinrank."))
def test_example(example: doctest.DocTest, workplace: Path, mnist: Mnist) -> None:
    lines: list[str] = []
    doctest.DocTestRunner().run(example, out=lines.append)
    assert not lines, "".join(lines)


def test_every_name_has_an_example() -> None:
    shown = {part for example in examples() for part in example.name.split(".")}
    # PairData is another name of Judgements.
    assert {*tr.__all__} - shown == {"InputError", "Interrupted", "PairData", "TrainConfig"}
