from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from twinrank.data.dataset import PairNPZDataset
from twinrank.data.judgements import load_pairs
from twinrank.errors import InputError

N = 10
X = np.random.default_rng(0).integers(0, 256, (N, 28, 56), np.uint8)
Y = np.arange(N) % 2
IDS = [f"PUB_{row:07d}" for row in range(N)]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    np.savez(tmp_path / "train.npz", x=X, y=Y)
    return tmp_path / "train.npz"


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    np.savez(tmp_path / "test.npz", x=X, id=np.array(IDS))
    return tmp_path / "test.npz"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_labelled_batches(labelled: Path, workers: int) -> None:
    batches = list(DataLoader(PairNPZDataset(labelled, is_train=True), batch_size=4, num_workers=workers))
    xa, xb, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    for side, expected in ((xa, X[:, None, :, :28]), (xb, X[:, None, :, 28:])):
        assert side.dtype == torch.float32
        assert side.shape == (N, 1, 28, 28)
        np.testing.assert_array_equal(side.numpy(), expected.astype(np.float32) / 255)
    assert (y.dtype, y.tolist()) == (torch.float32, Y.tolist())


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_ids_where_there_are_no_labels(unlabelled: Path, workers: int) -> None:
    batches = list(DataLoader(PairNPZDataset(str(unlabelled)), batch_size=4, num_workers=workers))
    assert [row_id for _, _, ids in batches for row_id in ids] == IDS
    assert batches[0][0].shape == (4, 1, 28, 28)


def test_labels_from_a_table(unlabelled: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n" + "".join(f"{row_id},{y}\n" for row_id, y in zip(IDS, Y, strict=True)))
    dataset = PairNPZDataset(unlabelled, is_train=True, labels=labels)
    assert len(dataset) == N
    assert [float(dataset[row][2]) for row in range(N)] == Y.tolist()


def test_floats_are_served_as_they_are(tmp_path: Path) -> None:
    xa, xb = np.random.default_rng(0).random((2, 4, 3, 10, 12), np.float32)
    np.savez(tmp_path / "a.npz", xa=xa, xb=xb, y=Y[:4])
    left, right, _ = PairNPZDataset(tmp_path / "a.npz")[2]
    np.testing.assert_array_equal(left.numpy(), xa[2])
    np.testing.assert_array_equal(right.numpy(), xb[2])


def test_an_item_can_be_changed_without_changing_the_data(labelled: Path) -> None:
    dataset = PairNPZDataset(labelled)
    dataset[0][0].zero_()
    assert dataset[0][0].any()


def test_iteration_ends(labelled: Path) -> None:
    assert len(list(PairNPZDataset(labelled))) == N  # pyright: ignore[reportArgumentType]


def test_training_needs_labels(unlabelled: Path) -> None:
    with pytest.raises(InputError, match=r"test\.npz: no labels to train on; add key 'y', or give a CSV id,label"):
        PairNPZDataset(unlabelled, is_train=True)


def test_pairs_and_arrays_serve_as_well_as_files(labelled: Path) -> None:
    data = load_pairs(labelled)
    for given in (data, (data.xa, data.xb, data.y), (data.xa[:, 0], data.xb[:, 0], Y.tolist())):
        dataset = PairNPZDataset(given, is_train=True)
        assert len(dataset) == N
        for part, expected in zip(dataset[3], PairNPZDataset(labelled)[3], strict=True):
            assert torch.equal(torch.as_tensor(part), torch.as_tensor(expected))
    assert PairNPZDataset((data.xa, data.xb))[3][2] == "3"


def test_labels_of_a_file_do_not_fit_arrays(labelled: Path) -> None:
    data = load_pairs(labelled)
    with pytest.raises(InputError, match=r"`labels`: .* is for a file of pairs"):
        PairNPZDataset(data, labels="labels.csv")
