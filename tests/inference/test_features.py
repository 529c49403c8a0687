"""Features of frozen towers, and their cache."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from twinrank.core.locks import is_locked
from twinrank.data.images.reading import Reading
from twinrank.data.images.store import ImageStore
from twinrank.inference import feature_cache, features
from twinrank.inference.feature_cache import FeatureCache
from twinrank.inference.features import frozen_features
from twinrank.inference.predict import image_features, pairwise_logits
from twinrank.models.registry import create_model
from twinrank.models.siamese import SiameseNet


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiameseNet:
    monkeypatch.setenv("TWINRANK_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    model = create_model("efficientnet_lite0").eval()
    model.set_freeze("all")
    return model


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, 1, 28, 28), np.uint8)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of images whose features were computed, call by call."""
    counts: list[int] = []
    compute = features._computed

    def counted(network: SiameseNet, batch: np.ndarray) -> np.ndarray:
        counts.append(len(batch))
        return compute(network, batch)

    monkeypatch.setattr(features, "_computed", counted)
    return counts


def test_features_are_computed_once(model: SiameseNet, images: np.ndarray, computed: list[int]) -> None:
    store = ImageStore.from_arrays(images)
    found = frozen_features(model, store)
    with torch.inference_mode():
        expected = model.embed_batch(torch.from_numpy(images)).features.numpy()
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)  # The second is in bfloat16 where that is fast.
    assert np.array_equal(frozen_features(model, store, np.array([7, 7, 2])), found[[7, 7, 2]])
    assert np.array_equal(image_features(model, store).numpy(), found)
    pairwise_logits(model, images)
    assert computed == [10]
    # Each image counts once, and those that are there already not at all.
    more = np.concatenate([images[:3], images[:1] // 2, images[:1] // 2])
    assert np.array_equal(frozen_features(model, ImageStore.from_arrays(more))[:3], found[:3])
    assert computed == [10, 1]


def test_features_of_images_upside_down_are_computed_besides(
    model: SiameseNet, images: np.ndarray, computed: list[int]
) -> None:
    store, upside_down = ImageStore.from_arrays(images), ImageStore.from_arrays(images[:, :, ::-1].copy())
    upright = frozen_features(model, store)
    expected = (upright.astype(np.float32) + frozen_features(model, upside_down)) / 2
    assert computed == [10, 10]
    model.turned = True
    np.testing.assert_allclose(frozen_features(model, store), expected, rtol=2e-3, atol=2e-3)
    assert computed == [10, 10, 10]
    with torch.inference_mode():
        whole = model.embed_batch(torch.from_numpy(images)).features.numpy()
    np.testing.assert_allclose(whole, expected, rtol=0.05, atol=0.05)


def test_processes_with_other_images_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINRANK_CACHE", str(tmp_path))
    cache, digests = FeatureCache("0" * 64, 2), np.arange(64, dtype=np.uint8).reshape(2, 32)
    values = np.array([[1.0, 2.0], [3.0, 4.0]], np.float16)
    with cache.filling(digests[:1]), cache.filling(digests[1:]):
        (first, second) = sorted((tmp_path / "features").glob("*/filling*"))
        assert is_locked(first)
        assert is_locked(second)
        for row in (0, 1):
            cache.append(digests[row : row + 1], values[row : row + 1])
    features, found = cache.read(digests)
    assert found.all()
    assert np.array_equal(features, values)


def test_other_weights_views_and_arithmetic_have_other_features(
    model: SiameseNet, images: np.ndarray, computed: list[int]
) -> None:
    store = ImageStore.from_arrays(images)
    frozen_features(model, store)
    for name, value in (("mirror", False), ("views", 5), ("precision", "bfloat16")):
        setattr(model, name, value)
        frozen_features(model, store)
    with torch.no_grad():
        next(model.tower.parameters()).mul_(1.01)
    frozen_features(model, store)
    with torch.no_grad():
        next(model.comparator.parameters()).mul_(1.01)
    frozen_features(model, store)
    assert len(computed) == 5


def test_a_killed_or_damaged_cache_loses_its_broken_records_alone(
    model: SiameseNet, images: np.ndarray, computed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_PIXELS_A_BATCH", 2 * 28 * 28)
    store = ImageStore.from_arrays(images)

    def killed(name: str, done: int, total: int) -> None:
        assert (name, total) == ("features", 10)
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frozen_features(model, store, progress=killed)
    (file,) = (tmp_path / "cache").rglob("records")
    size = file.stat().st_size // 6
    with file.open("r+b") as records:
        records.truncate(6 * size - 1)
        records.seek(size + 100)
        records.write(b"damaged")
    found = frozen_features(model, store)
    assert sum(computed) == 6 + 1 + 1 + 4
    assert file.stat().st_size == 11 * size
    assert np.array_equal(frozen_features(model, store), found)
    assert sum(computed) == 12


def test_files_are_known_by_their_digest_and_how_they_are_read(
    model: SiameseNet, images: np.ndarray, computed: list[int], tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images[:3]):
        Image.fromarray(image[0]).save(tmp_path / "photos" / f"{number}.png")
    first = frozen_features(model, ImageStore.from_folder(tmp_path / "photos"))
    (tmp_path / "photos" / "0.png").rename(tmp_path / "photos" / "9.png")
    again = frozen_features(model, ImageStore.from_folder(tmp_path / "photos"))
    assert np.array_equal(again, first[[1, 2, 0]])
    assert computed == [3]
    frozen_features(model, ImageStore.from_folder(tmp_path / "photos", Reading(size=20)))
    assert computed == [3, 3]


def test_a_cache_that_cannot_be_written_is_done_without(
    model: SiameseNet, images: np.ndarray, computed: list[int], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    store = ImageStore.from_arrays(images)
    assert np.array_equal(frozen_features(model, store), frozen_features(model, store))
    assert computed == [10, 10]


def test_features_that_were_not_used_for_longest_make_way(
    model: SiameseNet, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINRANK_CACHE_GB", "0.0002")
    for mirror in (True, False):
        model.mirror = mirror
        frozen_features(model, ImageStore.from_arrays(images))
    (file,) = (tmp_path / "cache").rglob("records")
    assert file.stat().st_size == 10 * (2 * model.features + 4 + feature_cache.DIGEST_BYTES)
