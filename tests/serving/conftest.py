"""Two tiny networks: one of digits with latent levels, and one of photographs of words, with ties."""

from dataclasses import replace
from pathlib import Path

import pytest

from twinrank.config import RunSpec
from twinrank.core.context import Context
from twinrank.data.images.reading import Reading
from twinrank.data.source import Source
from twinrank.models.registry import entry
from twinrank.runs import RunFolder
from twinrank.training.train import train

TYPEFACES = Path(__file__).parents[1] / "typefaces"


@pytest.fixture(scope="package")
def digits_run(benchmark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    config = replace(entry("order_net").train, epochs=1, batch_size=96)
    files = benchmark_folder / "val.npz", benchmark_folder / "test_public.npz"
    out = tmp_path_factory.mktemp("serving") / "digits"
    return train(RunSpec("order_net", config, {"width": 4, "levels": 4}), *files, out, context=Context(threads=1))


@pytest.fixture(scope="package")
def words_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    config = replace(entry("compare_net").train, epochs=1, batch_size=96)
    reading = Reading(size=(16, 32), channels=3, fit="pad")
    source = Source(images=TYPEFACES / "images", reading=reading, question="Which word is <b>bolder</b>?")
    folder = tmp_path_factory.mktemp("serving")
    head, *lines = (TYPEFACES / "votes.csv").read_text(encoding="utf-8").splitlines()
    for name, part in (("train", lines[:200]), ("val", lines[200:260])):
        (folder / f"{name}.csv").write_text("\n".join([head, *part]), encoding="utf-8")
    files = folder / "train.csv", folder / "val.csv"
    spec = RunSpec("compare_net", config, {})
    return train(spec, *files, folder / "words", source=source, context=Context(threads=1))
