from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from twinrank.config import RunSpec, TrainConfig
from twinrank.data.images.store import ImageStore
from twinrank.data.judgements import Judgements
from twinrank.models.profile import bytes_an_image
from twinrank.models.registry import create_model, entry
from twinrank.training.defaults import suited

SPEC = RunSpec("order_net", entry("order_net").train)


def judged(images: int, rows: int, side: int = 16) -> Judgements:
    """Judgements of images of one value, all of one outcome."""
    store = ImageStore.from_arrays(np.zeros((images, 3, side, side), np.uint8))
    left = np.arange(rows) % images
    right = (left + 1 + np.arange(rows) // images) % images
    return Judgements(store, left, right, np.ones(rows, np.int8), None, Path("votes.csv"), "0" * 64)


def test_few_images_choose_the_epoch_by_log_loss_are_mirrored_and_stop_early() -> None:
    config, lines = suited(SPEC, (), judged(40, 300))
    assert (config.monitor, config.flip, config.crop) == ("log_loss", True, 0)
    # An epoch is six steps.
    assert (config.epochs, config.patience) == (50, 13)
    assert lines[0] == "40 images in 300 judgements are few to learn from: `monitor` 'log_loss', `flip` True"
    assert lines[1].endswith("stops when the log_loss stalls: `epochs` 50, `patience` 13")


def test_what_is_stated_stays() -> None:
    stated = {"monitor", "flip", "epochs", "patience", "batch_size"}
    assert suited(SPEC, stated, judged(40, 300)) == (SPEC.train, [])
    config, _ = suited(replace(SPEC, train=replace(SPEC.train, epochs=2)), {"epochs"}, judged(40, 300))
    assert (config.epochs, config.patience) == (2, 8)


@pytest.mark.parametrize(("images", "rows"), [(40, 20), (40, 40), (1000, 3000)])
def test_other_data_keeps_the_values_of_the_network(images: int, rows: int) -> None:
    assert suited(SPEC, (), judged(images, rows)) == (SPEC.train, [])


def test_fresh_pairs_and_heads_that_are_fitted_at_once_keep_them() -> None:
    fresh = replace(SPEC, train=replace(SPEC.train, fresh=True))
    for spec in (fresh, RunSpec("efficientnet_lite0", entry("efficientnet_lite0").train)):
        assert suited(spec, (), judged(40, 300)) == (spec.train, [])


def test_a_frozen_tower_changes_no_image_and_its_head_takes_long_steps() -> None:
    spec = RunSpec("efficientnet_lite0", entry("efficientnet_lite0").train, {"head": "latent"})
    config, lines = suited(spec, (), judged(40, 300))
    assert (config.lr, config.monitor, config.flip, config.epochs) == (0.01, "log_loss", False, 50)
    assert "`lr` 0.01" in lines[0]
    assert suited(spec, {"lr"}, judged(40, 300))[0].lr == spec.train.lr


def test_images_at_their_own_resolution_are_cropped_if_they_are_large() -> None:
    for side, crop in ((127, 0), (128, 64)):
        data = judged(4, 12, side)
        cached = SimpleNamespace(reading=SimpleNamespace(fit="native"), places=np.arange(4))
        config, _ = suited(SPEC, (), replace(data, images=replace(data.images, cached=cached)))
        assert config.crop == crop


def test_a_batch_of_large_images_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = judged(300, 600, 128)
    an_image = bytes_an_image(create_model("order_net", 3, 128), 3, 128, 128)
    assert 3 * 128 * 128 * 4 < an_image < 2e6
    monkeypatch.setattr("twinrank.training.defaults._BYTES", 100 * an_image)
    config, lines = suited(SPEC, (), data)
    assert config.batch_size == 20
    assert "`batch_size` 20 stays below 4 GB" in lines[1]
    assert suited(SPEC, {"batch_size"}, data)[0].batch_size == TrainConfig.batch_size
