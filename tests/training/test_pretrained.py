"""Trainings that begin with the weights of another training, and frozen towers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.conftest import ONE, OPTIONS, SPEC, TINY, assert_same_checkpoint

from twinrank.core.files import read_json, sha256, write_json
from twinrank.core.run_records import FileUse
from twinrank.data.judgements import load_pairs
from twinrank.errors import InputError, Interrupted
from twinrank.inference.evaluate import evaluate
from twinrank.models.registry import entry
from twinrank.models.weights import read_tensors
from twinrank.runs import RunFolder, used_in_training
from twinrank.training.hooks import Hooks
from twinrank.training.train import resume, train


class StoppedAtOnce(Hooks):
    def epoch_started(self, epoch: int) -> None:
        raise KeyboardInterrupt


def test_a_training_goes_on_from_the_weights_of_a_run(
    fitted: Callable[..., RunFolder], benchmark_folder: Path, tmp_path: Path
) -> None:
    first = fitted("first", epochs=1)
    source = f"run:{first.path}"
    assert entry(source).options == entry("order_net").options | OPTIONS
    frozen = fitted("frozen", source, epochs=1, freeze="all")
    config = frozen.read_config()
    assert config["model"] == first.read_config()["model"]
    assert config["pretrained"]["source"] == source
    assert config["pretrained"]["sha256"] == sha256(first.weights)
    assert config["track"] == "pairs-only"
    before, after = (read_tensors(run.weights)[0] for run in (first, frozen))
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("comparator."))
    assert not torch.equal(before["comparator.table"], after["comparator.table"])
    # What the first run was fitted to was used by the second, whatever that is fitted to.
    moved = config | {"data": {part: {"sha256": part} for part in ("train", "val")}}
    digest = sha256(benchmark_folder / "train.npz")
    assert used_in_training(moved)[digest] == (FileUse("fitted"),)
    assert evaluate(frozen, [benchmark_folder / "test_public.npz"])["test_public"]["metrics"]["accuracy"]["value"] >= 0


def test_a_run_that_was_stopped_before_its_first_epoch_begins_with_the_same_weights(
    fitted: Callable[..., RunFolder], benchmark_folder: Path, tmp_path: Path
) -> None:
    first = fitted("first", epochs=1)
    whole = fitted("whole", f"run:{first.path}", epochs=1)
    spec = replace(SPEC, model=f"run:{first.path}", train=replace(TINY, epochs=1), options={})
    files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
    with pytest.raises(Interrupted):
        train(spec, *files, tmp_path / "stopped", hooks=StoppedAtOnce(), context=ONE)
    stopped = RunFolder(tmp_path / "stopped")
    recorded = read_json(stopped.config)
    write_json(stopped.config, recorded | {"pretrained": recorded["pretrained"] | {"sha256": "other"}})
    with pytest.raises(InputError, match="weights have changed since the run began"):
        resume(stopped.path)
    write_json(stopped.config, recorded)
    resume(stopped.path)
    assert_same_checkpoint(whole, stopped)


def test_weights_of_a_run_of_other_images_or_options_are_refused(
    fitted: Callable[..., RunFolder], benchmark_folder: Path, tmp_path: Path
) -> None:
    first = fitted("first", epochs=1)
    spec = replace(SPEC, model=f"run:{first.path}", options={"width": 8})
    files = benchmark_folder / "train.npz", benchmark_folder / "val.npz"
    with pytest.raises(InputError, match=r"was trained on other images \(1 x 28 x 28\), or with other options"):
        train(spec, *files, tmp_path / "wider", context=ONE)
    assert not (tmp_path / "wider").exists()
    # A comparator of another shape is a new one.
    train(replace(spec, options={"levels": 3}, train=replace(TINY, epochs=1)), *files, tmp_path / "few", context=ONE)
    with pytest.raises(InputError, match="nowhere: not a run folder"):
        entry("run:nowhere")


def test_image_files_are_read_at_the_size_that_a_network_prefers(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    from twinrank.data.images.reading import Reading
    from twinrank.data.source import Source, write_reference
    from twinrank.training.train import preferring

    for number in range(3):
        Image.fromarray(np.full((30, 40), 50 * number, np.uint8)).save(tmp_path / f"{number}.png")
    table = tmp_path / "votes.csv"
    table.write_text("left,right,winner\n0.png,1.png,left\n1.png,2.png,left\n")
    assert load_pairs(table).images.shape == (1, 30, 40)
    assert load_pairs(table, source=preferring(24, None)).images.shape == (1, 24, 24)
    stated = preferring(24, Source(reading=Reading(size=20)))
    assert load_pairs(table, source=stated).images.shape == (1, 20, 20)
    assert preferring(None, None) is None
    reference = tmp_path / "train.pairs.json"
    write_reference(reference, table, Source(reading=Reading(channels=3)))
    assert load_pairs(reference, source=preferring((16, 24), None)).images.shape == (3, 16, 24)
    assert load_pairs(reference).images.shape == (3, 30, 40)
